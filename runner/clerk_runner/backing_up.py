"""The backup of an operation: the objects that its rows name, saved before the first of them is touched.

A step's is made when the step begins, after the steps before it have ended.

It is written beside its target, 0600, synced, journalled by size and SHA-256, and only then renamed; until the journal
says that it has its name nothing is sent, so after a crash it is either finished or written anew. A file of that name
is never replaced: it may be the only copy of what an earlier run destroyed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from clerk_jobs.call import Item, ReadRefused, Reply
from clerk_jobs.operation.reading import ObjectReader
from clerk_jobs.reading import READ_BATCH
from clerk_runner.bounded import each
from clerk_runner.choosing import Choice
from clerk_runner.errors import StoppedError, UsageError
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.output import OutputFacts, digest_of_file, is_same, output_path, publish
from clerk_runner.journal import Journal
from clerk_runner.parts import Part
from clerk_runner.spans import Span
from clerk_runner.work import Payloads

__all__ = ["Backup", "backup_done", "backup_targets", "require_absent"]

AHEAD = 2_000


async def backup_targets(folder: Path, parts: Sequence[Part], choice: Choice, journal: Journal) -> dict[int, Path]:
    """Where the backups of a run go: frozen when it begins, and checked before anything else is asked.

    Args:
        folder: of the job file; the paths are relative to it.

    Returns:
        The paths, by the place of the part that wants one.

    Raises:
        UsageError: a name is taken, or the rows changed after they were saved.
    """
    found = {}
    for number, part in enumerate(parts):
        if part.kind.saves is not None:
            found[number] = await _target(folder, part.kind.saves[0], part.span, choice, journal)
    return found


async def backup_done(journal: Journal) -> bool:
    """Whether the backup of the part that this journal is of is there."""
    return bool(await journal.get(journal.span.fact("backup_done")))


async def _target(folder: Path, written: str, span: Span, choice: Choice, journal: Journal) -> Path:
    frozen = await journal.get(span.fact("backup_target"))
    if frozen is not None:
        if choice.action == "change" and await journal.get(span.fact("backup_done")):
            raise UsageError(
                "the run's backup was made from its rows as they were, so they can no longer change",
                code="run_differs",
                hint="start over with --fresh, and with a backup of another name",
            )
        return Path(frozen)
    facts = choice.folder.facts()
    target = output_path(folder, written, run=facts.id, created_ms=facts.created_ms)
    try:
        require_absent(target)
    except UsageError:
        if choice.action == "new":
            choice.folder.discard()
        raise
    await journal.put(**{span.fact("backup_target"): str(target)})
    return target


def require_absent(path: Path) -> None:
    """Check, before anything is sent, that a backup may take its name.

    Raises:
        UsageError: there is a file of that name, or its folder cannot be written to.
    """
    if path.exists() or path.is_symlink():
        raise UsageError(
            f"the backup {path} exists, and may be the only copy of what an earlier run destroyed",
            code="output_exists",
            hint="put {date}, {time} or {run} into backup:, or move the file away",
        )
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(
            f"the backup {path} cannot be written", code="output", hint="its folder must exist and be yours to write to"
        )


class Backup:
    """Saves the objects of everything that is pending.

    Args:
        target: the file, whole under this name or not at all.
        workers: reads in flight at once.
    """

    def __init__(
        self,
        journal: Journal,
        exchange: Exchange,
        payloads: Payloads,
        reader: ObjectReader,
        target: Path,
        workers: int,
    ) -> None:
        """Start with nothing saved."""
        self._journal = journal
        self._exchange = exchange
        self._payloads = payloads
        self._reader = reader
        self._target = target
        self._workers = workers
        self._partial = target.with_name(f".{target.name}.{journal.path.parent.name}.partial")
        self.seen = 0
        """Rows whose object was read, for the progress line."""
        self._absent = 0

    async def write(self) -> None:
        """See to it that the backup is there, whole and on the disk.

        Raises:
            StoppedError: an object cannot be read, so nothing may be done to it.
            OSError: the file cannot be written.
        """
        if await backup_done(self._journal):
            return
        span = self._journal.span
        known = await self._journal.get(span.fact("backup"))
        facts = None if known is None else msgspec.convert(known, OutputFacts)
        if facts is None or not self._has(facts):
            facts = await self._save()
            told = {**msgspec.to_builtins(facts), "objects": self.seen - self._absent, "absent": self._absent}
            await self._journal.put(**{span.fact("backup"): told})
        if self._partial.exists():
            require_absent(self._target)
            await asyncio.to_thread(publish, self._partial, self._target)
        await self._journal.put(**{span.fact("backup_done"): True})

    def _has(self, facts: OutputFacts) -> bool:
        """Whether a crash left the whole backup, with its name or without."""
        if self._partial.exists():
            return digest_of_file(self._partial) == facts.sha256
        return is_same(facts)

    async def _save(self) -> OutputFacts:
        self._partial.unlink(missing_ok=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self._partial, flags, 0o600)
        try:
            await each(self._batches(), lambda items: self._read(items, handle), self._workers)
            await asyncio.to_thread(os.fsync, handle)
        finally:
            os.close(handle)
        digest = await asyncio.to_thread(digest_of_file, self._partial)
        return OutputFacts(str(self._target), self._partial.stat().st_size, digest)

    async def _read(self, items: list[Item], handle: int) -> None:
        try:
            found = await self._exchange.converse(self._reader.read([item.payload["path"] for item in items]))
        except ReadRefused as error:
            raise _stopped(str(error)) from error
        lines: list[bytes] = []
        for seen in found:
            if isinstance(seen, Reply):
                raise _stopped(f"reading an object was refused ({seen.status} {seen.code})")
            if seen is not None:
                lines.append(orjson.dumps(seen) + b"\n")
        self.seen += len(items)
        self._absent += len(items) - len(lines)
        _write_all(handle, b"".join(lines))

    async def _batches(self) -> AsyncIterator[list[Item]]:
        last = 0
        while opened := await self._journal.pending(last, AHEAD):
            last = opened[-1].seq
            for start in range(0, len(opened), READ_BATCH):
                yield await asyncio.to_thread(self._payloads.items, opened[start : start + READ_BATCH])


def _write_all(handle: int, data: bytes) -> None:
    rest: Any = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _stopped(why: str) -> StoppedError:
    return StoppedError(
        f"the backup could not be completed, so nothing was sent: {why}",
        code="backup",
        hint="fix the cause and run the same command again, or remove backup: from the job file",
    )
