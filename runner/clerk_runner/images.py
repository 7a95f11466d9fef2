"""What a run changes, and what was there before: kept so that it can be compared after a crash, and taken back.

One row for a subject, by the first of its items, in a table of each step's own::

    image(seq, places, was)                 image_1, image_2 … for the steps after the first
    earlier(subject, digest, changes)       earlier_1, … what was written before the input was taken in anew
    place(id, said), same(id, said)         what thousands of images share: their places, and all else

``places`` are the places that change, NULL where nobody wants the old values kept. ``was`` is the digest of all that
the write touches, as it was, and behind it the values at the places, the old one and the new one of each, as the job
kind encodes them. Either is the number of what it says, or says it itself: a backfill finds few old values, and many
times each. ``subject`` is kept as ``clerk_runner.short_ids`` does it.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import groupby
from typing import TypeAlias

import orjson

from clerk_jobs.metadata.screen import Image
from clerk_runner.short_ids import packed, unpacked
from clerk_runner.spans import Span

__all__ = ["before_of", "changes_of", "existed", "has_images", "keep_images", "mark_written", "prepare_images"]

_Kept: TypeAlias = bytes | str
"""A subject's id as it is kept."""

AT_ONCE = 500
MOST_SHARED = 1_000
"""So many sayings of a kind are kept once; images that say other things, each its own, hold them themselves."""
DIGEST_BYTES = 8
"""Bytes of an image's digest; see ``clerk_jobs.metadata.trees.digest_of``."""


def prepare_images(db: sqlite3.Connection, span: Span) -> None:
    """Make the tables where there are none. An image goes where its item goes."""
    image, earlier = span.images, span.earlier
    for shared in ("place", "same"):
        db.execute(f"CREATE TABLE IF NOT EXISTS {shared}(id INTEGER PRIMARY KEY, said BLOB NOT NULL UNIQUE)")
    db.execute(f"CREATE TABLE IF NOT EXISTS {image}(seq INTEGER PRIMARY KEY, places, was NOT NULL)")
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {earlier}(subject PRIMARY KEY, digest BLOB NOT NULL, changes BLOB) WITHOUT ROWID"
    )
    db.execute(
        f"CREATE TRIGGER IF NOT EXISTS {image}_moves AFTER UPDATE OF seq ON item BEGIN "  # noqa: S608  a name of ours
        f"UPDATE {image} SET seq = new.seq WHERE seq = old.seq; END"
    )
    db.execute(
        f"CREATE TRIGGER IF NOT EXISTS {image}_goes AFTER DELETE ON item BEGIN "  # noqa: S608  as above
        f"DELETE FROM {image} WHERE seq = old.seq; END"
    )


def keep_images(
    db: sqlite3.Connection, span: Span, images: Mapping[int, Image], *, undo: bool, folded: Sequence[int] = ()
) -> None:
    """Keep what is about to be changed, by the first item of each subject.

    Args:
        undo: whether the values are kept, or their digest alone.
        folded: the other items of these subjects; what was kept by one of them is kept no more.
    """
    db.executemany(f"DELETE FROM {span.images} WHERE seq = ?", [(seq,) for seq in folded])  # noqa: S608  a name of ours
    place, same = _Shared(db, "place"), _Shared(db, "same")
    known: dict[tuple[bytes, bytes], tuple[int | bytes | None, int | bytes]] = {}
    for image in images.values():
        if (image.digest, image.changes) not in known:
            places, values = _parted(image.changes) if undo else (None, b"")
            number = None if places is None else place.number(places)
            known[image.digest, image.changes] = number, same.number(image.digest + values)
    rows = [(seq, *known[image.digest, image.changes]) for seq, image in images.items()]
    db.executemany(f"INSERT OR REPLACE INTO {span.images} VALUES (?, ?, ?)", rows)  # noqa: S608  a name of ours


class _Shared:
    """Numbers of what images of one transaction say, in a table of what many say."""

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        self._db = db
        self._table = table
        self._left: int | None = None
        self._known: dict[bytes, int | bytes] = {}

    def number(self, said: bytes) -> int | bytes:
        """The number of a saying; itself, where there are too many of them already."""
        known = self._known.get(said)
        if known is None:
            query = f"SELECT id FROM {self._table} WHERE said = ?"  # noqa: S608  a name of ours
            found = self._db.execute(query, (said,)).fetchone()
            known = self._known[said] = self._add(said) if found is None else int(found[0])
        return known

    def _add(self, said: bytes) -> int | bytes:
        if self._left is None:
            query = f"SELECT count(*) FROM {self._table}"  # noqa: S608  a name of ours
            self._left = MOST_SHARED - int(self._db.execute(query).fetchone()[0])
        if self._left <= 0:
            return said
        self._left -= 1
        return self._db.execute(f"INSERT INTO {self._table}(said) VALUES (?)", (said,)).lastrowid or 0  # noqa: S608


def _parted(changes: bytes) -> tuple[bytes, bytes]:
    """Changes as the places, each with how many values it had before and after (one or none), and all the values."""
    rows = orjson.loads(changes)
    said = [[field, path, len(before), len(after)] for field, path, before, after in rows]
    return orjson.dumps(said), orjson.dumps([value for _, _, *both in rows for values in both for value in values])


def _put_together(said: bytes, values: bytes) -> bytes:
    """What was `_parted`.

    Example:
        >>> changes = b'[["public_metadata",["plan"],["free"],["pro"]],["public_metadata",["seats"],[],[3]]]'
        >>> _parted(changes)[1]
        b'["free","pro",3]'
        >>> _put_together(*_parted(changes)) == changes
        True
    """
    left = iter(orjson.loads(values))
    rows = [
        [field, path, [next(left) for _ in range(before)], [next(left) for _ in range(after)]]
        for field, path, before, after in orjson.loads(said)
    ]
    return orjson.dumps(rows)


def _joined(first: bytes | None, then: bytes | None) -> bytes | None:
    """Two changes after each other as one: the values before the first, and those after the last."""
    if first is None or then is None:
        return None
    known = {(field, *path): [field, path, before, after] for field, path, before, after in orjson.loads(first)}
    for field, path, before, after in orjson.loads(then):
        key = (field, *path)
        known[key] = [field, path, known[key][2] if key in known else before, after]
    return orjson.dumps(list(known.values()))


SENT = "attempt IS NOT NULL AND state IN (1, 2, 3, 5, 6)"
"""Items of which a call may have had an effect."""


def mark_written(db: sqlite3.Connection, span: Span) -> None:
    """Before the input is taken in anew: remember what was sent, and what was there before."""
    prepare_images(db, span)
    find = f"SELECT changes FROM {span.earlier} WHERE subject = ?"  # noqa: S608  a name of ours
    keep = f"INSERT OR REPLACE INTO {span.earlier} VALUES (?, ?, ?)"  # noqa: S608  as above
    for subject, digest, changes in _images(db, span, SENT):
        old = db.execute(find, (subject,)).fetchone()
        db.execute(keep, (subject, digest, changes if old is None else _joined(old[0], changes)))


def _images(db: sqlite3.Connection, span: Span, which: str) -> Iterator[tuple[_Kept, bytes, bytes | None]]:
    """Subject, digest and changes of the images whose items are so, by subject; of several of one the last."""
    rows = db.execute(
        "SELECT max(item.seq), resource, coalesce(place.said, places), coalesce(same.said, was) "  # noqa: S608  constants
        f"FROM {span.images} AS image JOIN item USING (seq) "
        "LEFT JOIN place ON place.id = places LEFT JOIN same ON same.id = was "
        f"WHERE resource IS NOT NULL AND {which} AND seq BETWEEN ? AND ? GROUP BY resource ORDER BY resource",
        (span.first, span.last),
    )
    for _, subject, places, was in rows:
        yield subject, was[:DIGEST_BYTES], None if places is None else _put_together(places, was[DIGEST_BYTES:])


def before_of(db: sqlite3.Connection, span: Span, subjects: Mapping[int, str]) -> dict[str, bytes]:
    """The digests of what subjects had before, each with some of its items."""
    found: dict[str, bytes] = {}
    seqs = [*subjects]
    for start in range(0, len(seqs), AT_ONCE):
        part = seqs[start : start + AT_ONCE]
        marks = ", ".join("?" * len(part))
        query = (
            f"SELECT seq, coalesce(same.said, was) FROM {span.images} LEFT JOIN same ON same.id = was "  # noqa: S608
            f"WHERE seq IN ({marks})"
        )
        found.update((subjects[seq], was[:DIGEST_BYTES]) for seq, was in db.execute(query, part))
    query = f"SELECT digest FROM {span.earlier} WHERE subject = ?"  # noqa: S608  a name of ours
    for subject in set(subjects.values()) - found.keys():
        found.update((subject, digest) for (digest,) in db.execute(query, (packed(subject),)))
    return found


def has_images(db: sqlite3.Connection, span: Span) -> bool:
    """Whether a journal has what an undo needs."""
    query = "SELECT 1 FROM sqlite_schema WHERE name = ?"
    return db.execute(query, (span.images,)).fetchone() is not None


def existed(span: Span) -> str:
    """A query for the subjects, as they are kept, that have an image: whatever else a run sent to, it made."""
    own = f"seq BETWEEN {span.first} AND {span.last} AND resource IS NOT NULL"
    images = f"SELECT resource FROM {span.images} JOIN item USING (seq) WHERE {own}"  # noqa: S608  names and numbers
    return f"{images} UNION SELECT subject FROM {span.earlier}"  # noqa: S608  as above


def changes_of(db: sqlite3.Connection, span: Span, which: str = SENT) -> Iterator[tuple[str, bytes | None]]:
    """The changes of every subject that was written, or may have been, in an order that stays the same.

    None where they were not kept.
    """
    now = ((subject, changes) for subject, _, changes in _images(db, span, which))
    before = db.execute(f"SELECT subject, changes FROM {span.earlier} ORDER BY subject")  # noqa: S608  a name of ours
    both = heapq.merge(before, now, key=lambda row: _order(row[0]))
    for kept, rows in groupby(both, key=lambda row: row[0]):
        subject = unpacked(kept)
        assert subject is not None, "an image without a subject was read"
        yield subject, reduce(_joined, [changes for _, changes in rows])


def _order(kept: _Kept) -> tuple[bool, _Kept]:
    """SQLite's order: texts come before bytes."""
    return isinstance(kept, bytes), kept
