"""The file of old and new ids that a job which creates users writes as it goes.

The journal is the truth. When sending begins the file is made anew from it and the input; from then on a line is added
for each user who is created or found, about once a second and synced. So whatever a kill leaves behind, the next start
puts right: each row's user stands there once. Lines of earlier runs whose old ids this input does not have are kept.
"""

from __future__ import annotations

import asyncio
import csv
import os
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TextIO

from clerk_jobs.call import Outcome, State
from clerk_jobs.create_users.drafts import CreateDrafting
from clerk_jobs.rows import Row, RowSource
from clerk_runner.comma_lines import comma_writer
from clerk_runner.errors import RunnerError, StoppedError, UsageError
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.journal import Journal
from clerk_runner.schema import is_blank, open_reader
from clerk_runner.short_ids import unpacked
from clerk_runner.spans import facts_of_steps
from clerk_runner.writer import create_private

__all__ = ["MappingKeeper", "owners_of", "require_mapping"]

HEADER = ("old_id", "new_id")
EVERY_S = 1.0
AT_ONCE = 500
MAPPED = f"resource IS NOT NULL AND state IN ({State.DONE:d}, {State.SKIPPED:d}) AND seq BETWEEN ? AND ?"


def require_mapping(path: Path, state: StateFolder, job: str, instance: str | None, *, force: bool) -> None:
    """Check, before anything is sent, that the file may take its name.

    Args:
        instance: whose ids will stand in it; None where that is not known yet.

    Raises:
        UsageError: the folder cannot be written to, or there is a file that no run of this job wrote, or one with the
            ids of another instance.
    """
    if path.is_symlink() or path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        hint = "its folder must exist and be yours to write to, and no link may stand in its place"
        raise UsageError(f"the mapping {path} cannot be written", code="output", hint=hint)
    if force or not path.exists():
        return
    owners = owners_of(path, state, job)
    if not owners:
        raise UsageError(
            f"{path} exists, and no run of this job wrote it",
            code="output_exists",
            hint="move it away, name another file in mapping:, or replace it with --force",
        )
    if instance is not None and instance not in owners:
        raise UsageError(
            f"{path} holds the ids of another instance",
            code="output_exists",
            hint="name another file in mapping: for each instance, or replace it with --force",
        )


def owners_of(path: Path, state: StateFolder, job: str) -> set[str]:
    """The instances whose ids this job has written into a file; none where the file is something else by now."""
    if _header(path) != HEADER:
        return set()
    return {run.facts().instance for run in state.list() if run.facts().job == job and _wrote(run, path)}


def _wrote(run: RunFolder, path: Path) -> bool:
    return not is_blank(run.journal_path) and str(path) in facts_of_steps(run.meta(), "mapping").values()


def _header(path: Path) -> tuple[str, ...]:
    with closing(_lines(path)) as lines:
        return next(lines, ())


def _lines(path: Path) -> Generator[tuple[str, ...], None, None]:
    """The lines of a mapping; a last one that was cut off by a crash is none."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        try:
            yield from map(tuple, csv.reader(file))
        except csv.Error:
            return


class MappingKeeper:
    """Keeps the mapping of one run, or of one of its steps.

    Args:
        path: the file.
        journal: with the items whose users stand in it.
        rows: the input, opened for this alone.
        fresh: forget what stands there.
    """

    def __init__(self, path: Path, journal: Journal, drafting: CreateDrafting, rows: RowSource, *, fresh: bool) -> None:
        """Nothing is read or written yet."""
        self._path = path
        self._journal = journal
        self._span = journal.span
        self._drafting = drafting
        self._rows = rows
        self._fresh = fresh
        self._new: list[tuple[int, str]] = []
        self._written = 0
        self._trouble: OSError | None = None

    async def begin(self) -> None:
        """Make the file anew from what is settled; from now on notice what is settled next.

        Raises:
            OSError: it cannot be written.
        """
        await self._journal.put(**{self._span.fact("mapping"): str(self._path)})
        await asyncio.to_thread(self._rebuild)
        self._journal.watcher = self._notice

    async def follow(self) -> None:
        """Add lines until cancelled; a disk that is full is told at the end, the journal knows everything anyway."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self._add()

    async def end(self) -> RunnerError | None:
        """Add what is left, and see that the file is complete; what is wrong with it, if anything is."""
        self._journal.watcher = None
        await self._add()
        try:
            if self._trouble is not None or self._written != await asyncio.to_thread(self._count):
                await asyncio.to_thread(self._rebuild)
        except OSError as error:
            return StoppedError(
                f"the mapping {self._path} cannot be written: {(error.strerror or 'a system error').lower()}",
                code="disk",
                hint="free some disk space, then resume the run: the file is made again, and nobody is created twice",
            )
        finally:
            self._rows.close()
        return None

    def _notice(self, outcomes: Sequence[Outcome]) -> None:
        settled = (State.DONE, State.SKIPPED)
        self._new += [(one.seq, one.resource_id) for one in outcomes if one.state in settled and one.resource_id]

    async def _add(self) -> None:
        new, self._new = self._new, []
        if not new or self._trouble is not None:
            return
        adding = asyncio.ensure_future(asyncio.to_thread(self._append, new))
        try:
            await asyncio.shield(adding)
        except asyncio.CancelledError:
            # The end of the run must not come between two halves of a line.
            await asyncio.wait([adding])
            raise
        except OSError as error:
            self._trouble = error

    def _append(self, new: list[tuple[int, str]]) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file, closing(self._reader()) as reader:
            write = comma_writer(file).writerow
            for start in range(0, len(new), AT_ONCE):
                part = dict(new[start : start + AT_ONCE])
                for seq, line, offset in _places(reader, list(part)):
                    write((self._old_id(seq, line, offset), part[seq]))
                    self._written += 1
            _sync(file)

    def _old_id(self, seq: int, line: int, offset: int) -> str:
        row = self._rows.read_at(offset, line, self._span.row(seq))
        return self._drafting.old_id(row.values) if isinstance(row, Row) else ""

    def _rebuild(self) -> None:
        """Write the file whole, and only then under its name."""
        temporary = self._path.with_name(f".{self._path.name}.partial")
        temporary.unlink(missing_ok=True)
        create_private(temporary)
        try:
            with temporary.open("w", encoding="utf-8", newline="") as file, closing(sqlite3.connect("")) as seen:
                seen.execute("CREATE TABLE old(id TEXT PRIMARY KEY) WITHOUT ROWID")
                write = comma_writer(file).writerow
                write(HEADER)
                self._written = 0
                for line in self._settled(seen):
                    write(line)
                    self._written += 1
                for kept in self._kept(seen):
                    write(kept)
                _sync(file)
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(self._path.parent)
        self._fresh, self._trouble = False, None

    def _settled(self, seen: sqlite3.Connection) -> Iterator[tuple[str, str]]:
        """The users of this input's rows, in its order; every old id that it has is noted."""
        with closing(self._reader()) as reader:
            query = f"SELECT seq, resource FROM item WHERE {MAPPED} AND offset >= 0 ORDER BY seq"  # noqa: S608  a constant
            places = reader.execute(query, (self._span.first, self._span.last))
            place = places.fetchone()
            for row in self._rows:
                old_id = self._drafting.old_id(row.values) if isinstance(row, Row) else ""
                seen.execute("INSERT OR IGNORE INTO old VALUES (?)", (old_id,))
                if place is not None and self._span.row(place[0]) == row.number:
                    yield old_id, unpacked(place[1]) or ""
                    place = places.fetchone()

    def _kept(self, seen: sqlite3.Connection) -> Iterator[tuple[str, ...]]:
        """Lines of earlier runs about others than this input's rows."""
        if self._fresh or not self._path.exists():
            return
        with closing(_lines(self._path)) as lines:
            for line in lines:
                whole = len(line) == len(HEADER) and line != HEADER
                if whole and seen.execute("SELECT 1 FROM old WHERE id = ?", (line[0],)).fetchone() is None:
                    yield line

    def _count(self) -> int:
        with closing(self._reader()) as reader:
            query = f"SELECT count(*) FROM item WHERE {MAPPED} AND offset >= 0"  # noqa: S608  a constant
            return int(reader.execute(query, (self._span.first, self._span.last)).fetchone()[0])

    def _reader(self) -> sqlite3.Connection:
        return open_reader(self._journal.path)


def _places(reader: sqlite3.Connection, seqs: list[int]) -> list[tuple[int, int, int]]:
    marks = ", ".join("?" * len(seqs))
    query = f"SELECT seq, line, offset FROM item WHERE seq IN ({marks}) AND offset >= 0 ORDER BY seq"  # noqa: S608  marks
    return reader.execute(query, seqs).fetchall()


def _sync(file: TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
