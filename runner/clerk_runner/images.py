"""What a run changes, and what was there before: kept so that it can be compared after a crash, and taken back.

One row for a subject, by the first of its items, in a table of each step's own::

    image(seq, places, digest, before)      image_1, image_2 … for the steps after the first
    earlier(subject, digest, changes)       earlier_1, … what was written before the input was taken in anew
    place(id, said)                         where rows change something: thousands of them share a few

``digest`` is of all that the write touches, as it was. ``places`` are the places that change, and ``before`` the values
there, the old one and the new one of each, as the job kind encodes them; NULL where nobody wants them kept. A million
images are most of what the journal of a backfill holds, so nothing in it is said twice.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import groupby

import orjson

from clerk_jobs.metadata.screen import Image
from clerk_runner.spans import Span

__all__ = ["before_of", "changes_of", "existed", "has_images", "keep_images", "mark_written", "prepare_images"]

AT_ONCE = 500
MOST_PLACES = 1_000
"""Places that are kept once; rows that change others, each its own, say them themselves."""


def prepare_images(db: sqlite3.Connection, span: Span) -> None:
    """Make the tables where there are none. An image goes where its item goes."""
    image, earlier = span.images, span.earlier
    db.execute("CREATE TABLE IF NOT EXISTS place(id INTEGER PRIMARY KEY, said BLOB NOT NULL UNIQUE)")
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {image}(seq INTEGER PRIMARY KEY, places, digest BLOB NOT NULL, before BLOB)"
    )
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {earlier}(subject TEXT PRIMARY KEY, digest BLOB NOT NULL, changes BLOB) "
        "WITHOUT ROWID"
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
    places = _Places(db)
    rows = []
    for seq, image in images.items():
        said, values = _parted(image.changes) if undo else (None, None)
        rows.append((seq, None if said is None else places.number(said), image.digest, values))
    db.executemany(f"INSERT OR REPLACE INTO {span.images} VALUES (?, ?, ?, ?)", rows)  # noqa: S608  a name of ours


class _Places:
    """Numbers of places within one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: dict[bytes, int | bytes] = {}

    def number(self, said: bytes) -> int | bytes:
        """The number of places; themselves, where there are too many of them already."""
        known = self._known.get(said)
        if known is None:
            found = self._db.execute("SELECT id FROM place WHERE said = ?", (said,)).fetchone()
            if found is not None:
                known = int(found[0])
            elif self._db.execute("SELECT count(*) FROM place").fetchone()[0] < MOST_PLACES:
                known = self._db.execute("INSERT INTO place(said) VALUES (?)", (said,)).lastrowid or 0
            else:
                known = said
            self._known[said] = known
        return known


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


def _images(db: sqlite3.Connection, span: Span, which: str) -> Iterator[tuple[str, bytes, bytes | None]]:
    """Subject, digest and changes of the images whose items are so, by subject; of several of one the last."""
    rows = db.execute(
        "SELECT max(item.seq), resource, image.digest, coalesce(place.said, places), before "  # noqa: S608  constants
        f"FROM {span.images} AS image JOIN item USING (seq) LEFT JOIN place ON place.id = places "
        f"WHERE resource IS NOT NULL AND {which} AND seq BETWEEN ? AND ? GROUP BY resource ORDER BY resource",
        (span.first, span.last),
    )
    for _, subject, digest, said, values in rows:
        yield subject, digest, None if values is None else _put_together(said, values)


def before_of(db: sqlite3.Connection, span: Span, subjects: Mapping[int, str]) -> dict[str, bytes]:
    """The digests of what subjects had before, each with some of its items."""
    found: dict[str, bytes] = {}
    seqs = [*subjects]
    for start in range(0, len(seqs), AT_ONCE):
        part = seqs[start : start + AT_ONCE]
        marks = ", ".join("?" * len(part))
        query = f"SELECT seq, digest FROM {span.images} WHERE seq IN ({marks})"  # noqa: S608  only marks
        found.update((subjects[seq], digest) for seq, digest in db.execute(query, part))
    query = f"SELECT digest FROM {span.earlier} WHERE subject = ?"  # noqa: S608  a name of ours
    for subject in set(subjects.values()) - found.keys():
        found.update((subject, digest) for (digest,) in db.execute(query, (subject,)))
    return found


def has_images(db: sqlite3.Connection, span: Span) -> bool:
    """Whether a journal has what an undo needs."""
    query = "SELECT 1 FROM sqlite_schema WHERE name = ?"
    return db.execute(query, (span.images,)).fetchone() is not None


def existed(span: Span) -> str:
    """A query for the subjects that have an image: whatever else a run sent to, it made."""
    own = f"seq BETWEEN {span.first} AND {span.last} AND resource IS NOT NULL"
    images = f"SELECT resource FROM {span.images} JOIN item USING (seq) WHERE {own}"  # noqa: S608  names and numbers
    return f"{images} UNION SELECT subject FROM {span.earlier}"  # noqa: S608  as above


def changes_of(db: sqlite3.Connection, span: Span, which: str = SENT) -> Iterator[tuple[str, bytes | None]]:
    """The changes of every subject that was written, or may have been, by subject; None where they were not kept."""
    now = ((subject, changes) for subject, _, changes in _images(db, span, which))
    before = db.execute(f"SELECT subject, changes FROM {span.earlier} ORDER BY subject")  # noqa: S608  a name of ours
    both = heapq.merge(before, now, key=lambda row: row[0])
    for subject, rows in groupby(both, key=lambda row: row[0]):
        yield subject, reduce(_joined, [changes for _, changes in rows])
