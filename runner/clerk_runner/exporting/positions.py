"""An export's positions in the run's journal: slices, parts, and extents of the spool.

What one `save_positions` takes belongs together and is committed together; the spool was synced before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from clerk_jobs.export.distinct import DIGEST_SIZE, count_distinct
from clerk_jobs.export.part import Part
from clerk_jobs.export.slices import Slice
from clerk_runner.exporting.spool import Extent
from clerk_runner.journal import Journal

__all__ = ["Positions", "distinct_ids", "load_positions", "prepare_tables", "save_positions", "seen_of"]

W = TypeVar("W", Slice, Part)

_TABLES = (
    (
        "CREATE TABLE IF NOT EXISTS slice(id INTEGER PRIMARY KEY, low_ms INTEGER, high_ms INTEGER, by_cursor INTEGER, "
        "position_ms INTEGER, after_ms INTEGER, before_ms INTEGER, cursor TEXT, cursor_ms INTEGER, asked INTEGER, "
        "skip INTEGER, state TEXT, kept INTEGER, per_ms REAL, hoped REAL)"
    ),
    (
        "CREATE TABLE IF NOT EXISTS part(id INTEGER PRIMARY KEY, parent TEXT, paged INTEGER, offset INTEGER, "
        "state TEXT, readings INTEGER, kept INTEGER, first_total INTEGER, last_total INTEGER, asked INTEGER)"
    ),
    (
        "CREATE TABLE IF NOT EXISTS extent(number INTEGER PRIMARY KEY, walk INTEGER, first_ms INTEGER, "
        "last_ms INTEGER, rows INTEGER, offset INTEGER, length INTEGER, head INTEGER, tail INTEGER, ids BLOB)"
    ),
)
_SLICE = (
    "id, low_ms, high_ms, by_cursor, position_ms, after_ms, before_ms, cursor, cursor_ms, asked, skip, state, kept, "
    "per_ms, hoped"
)
_PART = "id, parent, paged, offset, state, readings, kept, first_total, last_total, asked"
_EXTENT = ", ".join(Extent._fields)


@dataclass(frozen=True, slots=True)
class Positions:
    """Where an export stands, as the journal has it."""

    slices: tuple[Slice, ...]
    parts: tuple[Part, ...]
    extents: tuple[Extent, ...]

    @property
    def size(self) -> int:
        """How many bytes of the spool are certain."""
        return max((extent.offset + extent.length for extent in self.extents), default=0)

    @property
    def rows(self) -> int:
        """How many rows are certain."""
        return sum(extent.rows for extent in self.extents)


async def prepare_tables(journal: Journal) -> None:
    """Make the export's tables where there are none."""

    def work(db: sqlite3.Connection) -> None:
        for table in _TABLES:
            db.execute(table)

    await journal.read(work)


async def load_positions(journal: Journal) -> Positions:
    """Read the positions back."""

    def work(db: sqlite3.Connection) -> Positions:
        slices = [_walk(Slice, _SLICE, row) for row in db.execute(f"SELECT {_SLICE} FROM slice ORDER BY id")]  # noqa: S608  constant
        parts = [_walk(Part, _PART, row) for row in db.execute(f"SELECT {_PART} FROM part ORDER BY id")]  # noqa: S608  constant
        extents = db.execute(f"SELECT {_EXTENT} FROM extent ORDER BY number")  # noqa: S608  constant
        return Positions(tuple(slices), tuple(parts), tuple(Extent(*row) for row in extents))

    return await journal.read(work)


async def save_positions(
    journal: Journal, walks: Iterable[Slice | Part], pages: Sequence[tuple[Extent, bytes]]
) -> None:
    """Commit walks as they stand and new pages (their extent and the digests of their ids), together."""
    slices, parts = [], []
    for walk in walks:
        if isinstance(walk, Slice):
            slices.append(_row(walk, _SLICE))
        else:
            parts.append(_row(walk, _PART))

    def work(db: sqlite3.Connection) -> None:
        _put(db, "slice", _SLICE, slices)
        _put(db, "part", _PART, parts)
        _put(db, "extent", f"{_EXTENT}, ids", [(*extent, ids) for extent, ids in pages])

    await journal.read(work)


async def distinct_ids(journal: Journal) -> int:
    """How many different ids the pages have."""
    return await journal.read(lambda db: count_distinct(row[0] for row in db.execute("SELECT ids FROM extent")))


async def seen_of(journal: Journal, walk: int) -> set[bytes]:
    """The digests of the ids that a walk kept."""

    def work(db: sqlite3.Connection) -> set[bytes]:
        blobs = db.execute("SELECT ids FROM extent WHERE walk = ?", (walk,))
        return {blob[at : at + DIGEST_SIZE] for (blob,) in blobs for at in range(0, len(blob), DIGEST_SIZE)}

    return await journal.read(work)


def _put(db: sqlite3.Connection, table: str, columns: str, rows: Sequence[Sequence[object]]) -> None:
    places = ", ".join("?" * len(columns.split(",")))
    db.executemany(f"INSERT OR REPLACE INTO {table}({columns}) VALUES ({places})", rows)  # noqa: S608  constants


def _row(walk: Slice | Part, columns: str) -> tuple[object, ...]:
    return tuple(getattr(walk, name) for name in columns.split(", "))


def _walk(kind: type[W], columns: str, row: Sequence[object]) -> W:
    values = dict(zip(columns.split(", "), row, strict=True))
    for name in ("by_cursor", "paged"):
        if name in values:
            values[name] = bool(values[name])
    return kind(**values)  # type: ignore[arg-type]  # the columns are the fields
