"""An export's positions in the run's journal: slices, extents of the spool, and facts about the run.

What one `save` takes belongs together and is committed together; the spool was synced before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clerk_jobs.export.slices import Slice
from clerk_runner.exporting.distinct import count_distinct
from clerk_runner.exporting.spool import Extent
from clerk_runner.journal import Journal

__all__ = ["Positions", "distinct_ids", "load_positions", "prepare_tables", "save_positions"]

_TABLES = (
    (
        "CREATE TABLE IF NOT EXISTS slice(id INTEGER PRIMARY KEY, low_ms INTEGER, high_ms INTEGER, by_cursor INTEGER, "
        "position_ms INTEGER, after_ms INTEGER, before_ms INTEGER, cursor TEXT, cursor_ms INTEGER, asked INTEGER, skip INTEGER, state TEXT, "
        "kept INTEGER, per_ms REAL, hoped REAL)"
    ),
    (
        "CREATE TABLE IF NOT EXISTS extent(number INTEGER PRIMARY KEY, slice INTEGER, first_ms INTEGER, "
        "last_ms INTEGER, rows INTEGER, offset INTEGER, length INTEGER, head INTEGER, tail INTEGER, ids BLOB)"
    ),
)
_SLICE = (
    "id, low_ms, high_ms, by_cursor, position_ms, after_ms, before_ms, cursor, cursor_ms, asked, skip, state, kept, "
    "per_ms, hoped"
)
_EXTENT = ", ".join(Extent._fields)


@dataclass(frozen=True, slots=True)
class Positions:
    """Where an export stands, as the journal has it."""

    slices: tuple[Slice, ...]
    extents: tuple[Extent, ...]

    @property
    def size(self) -> int:
        """How many bytes of the spool are certain."""
        return max((extent.offset + extent.length for extent in self.extents), default=0)


async def prepare_tables(journal: Journal) -> None:
    """Make the export's tables where there are none."""

    def work(db: sqlite3.Connection) -> None:
        for table in _TABLES:
            db.execute(table)

    await journal.read(work)


async def load_positions(journal: Journal) -> Positions:
    """Read the positions back."""

    def work(db: sqlite3.Connection) -> Positions:
        slices = [_slice(row) for row in db.execute(f"SELECT {_SLICE} FROM slice ORDER BY id")]  # noqa: S608  constant
        extents = db.execute(f"SELECT {_EXTENT} FROM extent ORDER BY number")  # noqa: S608  constant
        return Positions(tuple(slices), tuple(Extent(*row) for row in extents))

    return await journal.read(work)


async def save_positions(journal: Journal, slices: Iterable[Slice], pages: Sequence[tuple[Extent, bytes]]) -> None:
    """Commit slices as they stand and new pages (their extent and the digests of their ids), together."""
    rows = [_row(one) for one in slices]

    def work(db: sqlite3.Connection) -> None:
        places = ", ".join("?" * len(_SLICE.split(",")))
        db.executemany(f"INSERT OR REPLACE INTO slice({_SLICE}) VALUES ({places})", rows)  # noqa: S608  constant
        places = ", ".join("?" * (len(Extent._fields) + 1))
        named = [(*extent, ids) for extent, ids in pages]
        db.executemany(f"INSERT INTO extent({_EXTENT}, ids) VALUES ({places})", named)  # noqa: S608  constant

    await journal.read(work)


async def distinct_ids(journal: Journal) -> int:
    """How many different ids the pages have."""
    return await journal.read(lambda db: count_distinct(row[0] for row in db.execute("SELECT ids FROM extent")))


def _row(one: Slice) -> tuple[object, ...]:
    return tuple(getattr(one, name.strip()) for name in _SLICE.split(","))


def _slice(row: Sequence[object]) -> Slice:
    values = dict(zip((name.strip() for name in _SLICE.split(",")), row, strict=True))
    values["by_cursor"] = bool(values["by_cursor"])
    return Slice(**values)  # type: ignore[arg-type]  # the columns are the fields
