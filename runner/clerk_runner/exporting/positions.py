"""An export's positions in the run's journal: slices, parts, and extents of the spool.

What one `save_positions` takes belongs together and is committed together; the spool was synced before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import orjson

from clerk_jobs.export.distinct import DIGEST_SIZE, count_distinct
from clerk_jobs.export.part import Part
from clerk_jobs.export.slices import Slice
from clerk_runner.exporting.spool import Extent, Ranges, Spool, in_order
from clerk_runner.journal import Journal
from clerk_runner.schema import open_reader

__all__ = [
    "LAST_PAGE",
    "Mark",
    "Positions",
    "Standing",
    "Totals",
    "distinct_ids",
    "forget_positions",
    "load_extents",
    "load_positions",
    "mark_of",
    "open_parts",
    "parents_of",
    "prepare_tables",
    "ranges_by_parent",
    "save_positions",
    "save_standing",
    "seen_of",
    "standing_of",
    "totals_of",
]

W = TypeVar("W", Slice, Part)

_TABLES = (
    (
        "CREATE TABLE IF NOT EXISTS slice(id INTEGER PRIMARY KEY, low_ms INTEGER, high_ms INTEGER, by_cursor INTEGER, "
        "position_ms INTEGER, after_ms INTEGER, before_ms INTEGER, cursor TEXT, cursor_ms INTEGER, asked INTEGER, "
        "skip INTEGER, state TEXT, kept INTEGER, per_ms REAL, hoped REAL)"
    ),
    (
        "CREATE TABLE IF NOT EXISTS part(id INTEGER PRIMARY KEY, parent TEXT, created_ms INTEGER, paged INTEGER, "
        "offset INTEGER, state TEXT, readings INTEGER, kept INTEGER, first_total INTEGER, last_total INTEGER, "
        "missing INTEGER, asked INTEGER)"
    ),
    (
        "CREATE TABLE IF NOT EXISTS extent(number INTEGER PRIMARY KEY, walk INTEGER, first_ms INTEGER, "
        "last_ms INTEGER, rows INTEGER, offset INTEGER, length INTEGER, head INTEGER, tail INTEGER, ids BLOB)"
    ),
    "CREATE INDEX IF NOT EXISTS extent_of_walk ON extent(walk)",
)
_SLICE = (
    "id, low_ms, high_ms, by_cursor, position_ms, after_ms, before_ms, cursor, cursor_ms, asked, skip, state, kept, "
    "per_ms, hoped"
)
_PART = "id, parent, created_ms, paged, offset, state, readings, kept, first_total, last_total, missing, asked"
_EXTENT = ", ".join(Extent._fields)
LAST_PAGE: Final = f"SELECT {_EXTENT}, ids FROM extent ORDER BY number DESC LIMIT 1"  # noqa: S608  constant
"""The page that the spool ends with, and the digests of its ids."""
_MARK = "tail"


@dataclass(frozen=True, slots=True)
class Positions:
    """Where an export stands, as the journal has it.

    Attributes:
        part: the list that stands alone; None where there is none yet, or where users are sliced.
        pages, size, rows: pages, bytes and rows of the spool that are certain.
    """

    slices: tuple[Slice, ...]
    part: Part | None
    pages: int
    size: int
    rows: int


class Mark(NamedTuple):
    """How far the journal covers the spool's tail: the name of a file, and how many of its lines."""

    name: str
    lines: int


class Standing(NamedTuple):
    """How walks stand, as rows of their tables; of several rows of one walk the last one counts."""

    slices: list[tuple[object, ...]]
    parts: list[tuple[object, ...]]


class Totals(NamedTuple):
    """Sums over parts.

    Attributes:
        parts: how many there are.
        first, last: rows by Clerk's count, in the first and in the last pages; None where it did not count them all.
    """

    parts: int
    first: int | None
    last: int | None
    missing: int


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
        alone = db.execute(f"SELECT {_PART} FROM part WHERE parent = ''").fetchone()  # noqa: S608  constant
        spooled = db.execute("SELECT count(*), max(offset + length), sum(rows) FROM extent").fetchone()
        part = None if alone is None else _walk(Part, _PART, alone)
        return Positions(tuple(slices), part, *(number or 0 for number in spooled))

    return await journal.read(work)


async def load_extents(journal: Journal) -> list[Extent]:
    """Every page in the spool, by number."""

    def work(db: sqlite3.Connection) -> list[Extent]:
        return [Extent(*row) for row in db.execute(f"SELECT {_EXTENT} FROM extent ORDER BY number")]  # noqa: S608  constant

    return await journal.read(work)


async def open_parts(journal: Journal, after: int, limit: int) -> list[Part]:
    """The next parts below a parent that are not walked to their end, by id."""

    def work(db: sqlite3.Connection) -> list[Part]:
        rows = db.execute(
            f"SELECT {_PART} FROM part WHERE id > ? AND parent != '' AND state = 'open' ORDER BY id LIMIT ?",  # noqa: S608  constant
            (after, limit),
        )
        return [_walk(Part, _PART, row) for row in rows]

    return await journal.read(work)


async def parents_of(journal: Journal, created_ms: int | None = None) -> list[str]:
    """The parents that are known, all of them or those of a millisecond."""

    def work(db: sqlite3.Connection) -> list[str]:
        query = "SELECT parent FROM part WHERE parent != '' AND (?1 IS NULL OR created_ms = ?1) ORDER BY id"
        return [row[0] for row in db.execute(query, (created_ms,))]

    return await journal.read(work)


async def totals_of(journal: Journal, *, below: bool) -> Totals:
    """What Clerk counted of the parts: of those below a parent, or of the one that stands alone."""

    def work(db: sqlite3.Connection) -> Totals:
        query = (
            "SELECT count(*), sum(first_total), sum(last_total), sum(missing), count(last_total) "
            "FROM part WHERE (parent != '') = ?"
        )
        parts, first, last, missing, counted = db.execute(query, (below,)).fetchone()
        whole = parts == counted
        return Totals(parts, first if whole else None, last if whole else None, missing or 0)

    return await journal.read(work)


def ranges_by_parent(path: Path, spool: Spool) -> Ranges:
    """Where the rows lie, list by list in the order (created_at, id) of the parents.

    It reads beside the journal's writer, in whatever thread goes through it.
    """
    reader = open_reader(path)
    try:
        parts = reader.execute("SELECT id FROM part WHERE parent != '' AND kept > 0 ORDER BY created_ms, parent")
        for (part,) in parts:
            rows = reader.execute(f"SELECT {_EXTENT} FROM extent WHERE walk = ? ORDER BY number", (part,))  # noqa: S608  constant
            yield from in_order(spool, [Extent(*row) for row in rows])
    finally:
        reader.close()


async def save_positions(
    journal: Journal,
    walks: Iterable[Slice | Part],
    pages: Sequence[tuple[Extent, bytes]] = (),
    parents: Sequence[tuple[str, int, bool]] = (),
    mark: Mark | None = None,
) -> None:
    """Commit what belongs together; see `save_standing`."""
    await save_standing(journal, standing_of(walks), pages, parents, mark)


def standing_of(walks: Iterable[Slice | Part]) -> Standing:
    """How walks stand now."""
    standing = Standing([], [])
    for walk in walks:
        if isinstance(walk, Slice):
            standing.slices.append(_row(walk, _SLICE))
        else:
            standing.parts.append(_row(walk, _PART))
    return standing


async def save_standing(
    journal: Journal,
    standing: Standing,
    pages: Sequence[tuple[Extent, bytes]] = (),
    parents: Sequence[tuple[str, int, bool]] = (),
    mark: Mark | None = None,
) -> None:
    """Commit what belongs together.

    Args:
        pages: new ones: their extent and the digests of their ids.
        parents: new ones, each of which gets a part: its id, its creation, whether its list has pages.
        mark: the lines of the spool's tail that say the same; None leaves the mark as it is.
    """

    def work(db: sqlite3.Connection) -> None:
        _put(db, "slice", _SLICE, standing.slices)
        _put(db, "part", _PART, standing.parts)
        if mark is not None:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_MARK, orjson.dumps(list(mark))))
        _put(db, "extent", f"{_EXTENT}, ids", [(*extent, ids) for extent, ids in pages])
        db.executemany(
            "INSERT INTO part(parent, created_ms, paged, offset, state, readings, kept, missing, asked) "
            "VALUES (?, ?, ?, 0, 'open', 1, 0, 0, 0)",
            parents,
        )

    await journal.read(work)


async def mark_of(journal: Journal) -> Mark | None:
    """The mark that was saved last."""
    found = await journal.get(_MARK)
    return None if found is None else Mark(*found)


async def forget_positions(journal: Journal, **facts: object) -> None:
    """Forget what was walked, and note why: the walk begins anew in another way."""
    rows = [(name, orjson.dumps(value)) for name, value in facts.items()]

    def work(db: sqlite3.Connection) -> None:
        for table in ("slice", "part", "extent"):
            db.execute(f"DELETE FROM {table}")  # noqa: S608  constants
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

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
