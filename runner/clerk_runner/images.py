"""What a run changes, and what was there before: kept so that it can be compared after a crash, and taken back.

One row for a subject in the run's journal::

    image(subject, digest, changes, written)

``digest`` is of all that the write touches, as it was; ``changes`` the places that change, with both values, as the
job kind encodes them, NULL where nobody wants them kept; ``written`` whether an earlier taking-in of this run has
written the subject, so that what is read now is not what was there first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import orjson

from clerk_jobs.call import State
from clerk_jobs.metadata.screen import Image

__all__ = ["before_of", "changes_of", "has_images", "keep_images", "mark_written", "prepare_images"]

AT_ONCE = 500


def prepare_images(db: sqlite3.Connection) -> None:
    """Make the table where there is none."""
    db.execute(
        "CREATE TABLE IF NOT EXISTS image(subject TEXT PRIMARY KEY, digest BLOB NOT NULL, changes BLOB, "
        "written INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID"
    )


def keep_images(db: sqlite3.Connection, images: Iterable[Image], *, undo: bool) -> None:
    """Keep what is about to be changed. What this run has written before keeps its first values.

    Args:
        undo: whether the values are kept, or their digest alone.
    """
    for image in images:
        changes = image.changes if undo else None
        old = db.execute("SELECT changes FROM image WHERE subject = ? AND written = 1", (image.subject,)).fetchone()
        if old is not None and old[0] is not None and changes is not None:
            changes = _joined(old[0], changes)
        db.execute(
            "INSERT INTO image(subject, digest, changes) VALUES (?, ?, ?) "
            "ON CONFLICT(subject) DO UPDATE SET digest = excluded.digest, changes = excluded.changes",
            (image.subject, image.digest, changes),
        )


def _joined(first: bytes, then: bytes) -> bytes:
    """Two changes after each other as one: the values before the first, and those after the last."""
    known = {(field, *path): [field, path, before, after] for field, path, before, after in orjson.loads(first)}
    for field, path, before, after in orjson.loads(then):
        key = (field, *path)
        known[key] = [field, path, known[key][2] if key in known else before, after]
    return orjson.dumps(list(known.values()))


def mark_written(db: sqlite3.Connection) -> None:
    """Before the input is taken in anew: remember which subjects were sent to."""
    prepare_images(db)
    db.execute(
        "UPDATE image SET written = 1 WHERE subject IN "
        "(SELECT resource FROM item WHERE attempt IS NOT NULL AND resource IS NOT NULL)"
    )


def before_of(db: sqlite3.Connection, subjects: Sequence[str]) -> dict[str, bytes]:
    """The digests of what these subjects had before."""
    found: dict[str, bytes] = {}
    for start in range(0, len(subjects), AT_ONCE):
        part = subjects[start : start + AT_ONCE]
        marks = ", ".join("?" * len(part))
        query = f"SELECT subject, digest FROM image WHERE subject IN ({marks})"  # noqa: S608  only marks
        found.update(db.execute(query, part).fetchall())
    return found


def has_images(db: sqlite3.Connection) -> bool:
    """Whether a journal has what an undo needs."""
    query = "SELECT 1 FROM sqlite_schema WHERE name = 'image'"
    return db.execute(query).fetchone() is not None


def changes_of(db: sqlite3.Connection) -> Iterator[tuple[str, bytes | None]]:
    """The changes of every subject that was written, or may have been; None where they were not kept."""
    sent = (State.INTENT, State.DOUBT, State.DONE, State.FAILED, State.UNRESOLVED)
    marks = ", ".join("?" * len(sent))
    yield from db.execute(
        "SELECT subject, changes FROM image WHERE written = 1 OR subject IN "  # noqa: S608  only marks
        f"(SELECT resource FROM item WHERE attempt IS NOT NULL AND state IN ({marks})) ORDER BY subject",
        sent,
    )
