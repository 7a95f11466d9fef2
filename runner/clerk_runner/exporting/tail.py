"""The tail: what came into the spool since the journal was last committed, for whoever goes on after a kill.

The journal is committed about twice a second, because each commit waits for the disk. In between every page has a line
in this file, written after the page itself and never synced: a kill leaves both where they are, in the system's
memory, and only a machine that stopped may have lost either. So the file begins with the boot that it belongs to, and
after another one nothing of it is believed. Each process begins a file of its own, with a name that nobody had before;
the journal says of which file how many lines it covers.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clerk_jobs.export.distinct import digests, each_of
from clerk_jobs.export.part import Part
from clerk_jobs.export.slices import Slice
from clerk_limits.clock import boot_id
from clerk_runner.errors import StoppedError
from clerk_runner.exporting.positions import (
    LAST_PAGE,
    Mark,
    Positions,
    Standing,
    load_positions,
    mark_of,
    save_standing,
    standing_of,
)
from clerk_runner.exporting.spool import Extent, Spool, rows_of
from clerk_runner.journal import Journal

__all__ = ["Tail", "recover", "require_end"]


class _Head(msgspec.Struct, frozen=True):
    boot: str
    name: str


class _Line(msgspec.Struct, frozen=True, array_like=True):
    extent: Extent | None
    slices: list[tuple[object, ...]]
    parts: list[tuple[object, ...]]


_HEAD = msgspec.json.Decoder(_Head)
_LINE = msgspec.json.Decoder(_Line)


class Tail:
    """Writes the lines of one process.

    Args:
        path: the file; what another process left there has to be recovered before.
    """

    def __init__(self, path: Path) -> None:
        """Begin a file of this process's own."""
        flags = os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        self._name = secrets.token_hex(8)
        self._lines = 0
        self.write(msgspec.json.encode(_Head(boot_id(), self._name)))

    @property
    def mark(self) -> Mark:
        """The file, and its lines until now."""
        return Mark(self._name, self._lines)

    def line(self, extent: Extent | None, walks: Iterable[Slice | Part]) -> bytes:
        """The next line: a page or none, and how walks stand with it."""
        self._lines += 1
        return msgspec.json.encode((extent, *standing_of(walks)))

    def write(self, line: bytes) -> None:
        """Write a line, once what it tells of is written.

        Raises:
            OSError: it cannot be written.
        """
        rest = memoryview(line + b"\n")
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the journal does not say yet, and the mark that covers it."""

    standing: Standing
    pages: list[tuple[Extent, bytes]]
    mark: Mark


async def recover(journal: Journal, spool_path: Path, path: Path) -> None:
    """Bring what a killed process left in the spool into the journal, before anything else is done with either.

    Raises:
        OSError: what was found cannot be made certain.
    """
    positions, mark = await load_positions(journal), await mark_of(journal)
    found = await asyncio.to_thread(_find, spool_path, path, positions, mark)
    if found is not None:
        await save_standing(journal, found.standing, found.pages, mark=found.mark)


async def require_end(journal: Journal, spool: Spool) -> None:
    """Check that the spool ends with the page that the journal knows as the last one, and not with somebody else's.

    Raises:
        StoppedError: it does not.
    """

    def last(db: sqlite3.Connection) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = db.execute(LAST_PAGE).fetchone()
        return row

    found = await journal.read(last)
    if found is None:
        return
    *place, known = found
    try:
        there = await asyncio.to_thread(_ids, spool, Extent(*place))
    except msgspec.DecodeError:
        there = b""
    if each_of(there) != each_of(known):
        raise StoppedError(
            f"{spool.path} does not end with the page that the journal has",
            code="spool_foreign",
            hint="restore the run folder, or start over with --fresh",
        )


def _find(spool_path: Path, path: Path, positions: Positions, mark: Mark | None) -> _Found | None:
    """What can be believed, made certain; None where that is nothing."""
    if not path.is_file() or not spool_path.is_file():
        return None
    known, lines = _unmarked(path.read_bytes(), mark)
    extents = [line.extent for line in lines if line.extent is not None]
    end = positions.size
    for number, extent in enumerate(extents, positions.pages):
        if (extent.number, extent.offset) != (number, end):
            return None
        end += extent.length
    if known is None or not lines or spool_path.stat().st_size < end:
        # Nothing new; or it was copied or restored meanwhile, and the journal alone is believed.
        return None
    spool = Spool(spool_path, end)
    try:
        pages = [(extent, _ids(spool, extent)) for extent in extents]
        spool.make_certain()
    except msgspec.DecodeError:
        return None
    finally:
        spool.close()
    slices = [row for line in lines for row in line.slices]
    parts = [row for line in lines for row in line.parts]
    return _Found(Standing(slices, parts), pages, known)


def _unmarked(data: bytes, mark: Mark | None) -> tuple[Mark | None, list[_Line]]:
    """The lines that the journal does not cover, and the mark that covers them."""
    head, *lines = data.split(b"\n")[:-1] or [b""]
    try:
        known = _HEAD.decode(head)
        if known.boot != boot_id():
            return None, []
        covered = mark.lines if mark is not None and mark.name == known.name else 0
        return Mark(known.name, len(lines)), [_LINE.decode(line) for line in lines[covered:]]
    except msgspec.DecodeError:
        # Damaged: a line that cannot be read may stand for any page, so the journal alone is believed.
        return None, []


def _ids(spool: Spool, extent: Extent) -> bytes:
    """The digests of a page's ids; that all of it can be read is worth knowing too."""
    return digests(row.id for row in rows_of(spool, extent))
