"""What a run changes, and what was there before: kept so that it can be compared after a crash, and taken back.

One row for a subject in the run's journal, in a table of each step's own::

    image(subject, digest, changes, written)      image_1, image_2 … for the steps after the first

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
from clerk_runner.spans import Span

__all__ = ["before_of", "changes_of", "has_images", "keep_images", "mark_written", "prepare_images"]

AT_ONCE = 500


def prepare_images(db: sqlite3.Connection, span: Span) -> None:
    """Make the table where there is none."""
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {span.images}(subject TEXT PRIMARY KEY, digest BLOB NOT NULL, changes BLOB, "
        "written INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID"
    )


def keep_images(db: sqlite3.Connection, span: Span, images: Iterable[Image], *, undo: bool) -> None:
    """Keep what is about to be changed. What this run has written before keeps its first values.

    Args:
        undo: whether the values are kept, or their digest alone.
    """
    for image in images:
        changes = image.changes if undo else None
        query = f"SELECT changes FROM {span.images} WHERE subject = ? AND written = 1"  # noqa: S608  a name of ours
        old = db.execute(query, (image.subject,)).fetchone()
        if old is not None and old[0] is not None and changes is not None:
            changes = _joined(old[0], changes)
        keep = (
            f"INSERT INTO {span.images}(subject, digest, changes) VALUES (?, ?, ?) "  # noqa: S608  as above
            "ON CONFLICT(subject) DO UPDATE SET digest = excluded.digest, changes = excluded.changes"
        )
        db.execute(keep, (image.subject, image.digest, changes))


def _joined(first: bytes, then: bytes) -> bytes:
    """Two changes after each other as one: the values before the first, and those after the last."""
    known = {(field, *path): [field, path, before, after] for field, path, before, after in orjson.loads(first)}
    for field, path, before, after in orjson.loads(then):
        key = (field, *path)
        known[key] = [field, path, known[key][2] if key in known else before, after]
    return orjson.dumps(list(known.values()))


def mark_written(db: sqlite3.Connection, span: Span) -> None:
    """Before the input is taken in anew: remember which subjects were sent to."""
    prepare_images(db, span)
    db.execute(
        f"UPDATE {span.images} SET written = 1 WHERE subject IN (SELECT resource FROM item "  # noqa: S608  as above
        "WHERE attempt IS NOT NULL AND resource IS NOT NULL AND seq BETWEEN ? AND ?)",
        (span.first, span.last),
    )


def before_of(db: sqlite3.Connection, span: Span, subjects: Sequence[str]) -> dict[str, bytes]:
    """The digests of what these subjects had before."""
    found: dict[str, bytes] = {}
    for start in range(0, len(subjects), AT_ONCE):
        part = subjects[start : start + AT_ONCE]
        marks = ", ".join("?" * len(part))
        query = f"SELECT subject, digest FROM {span.images} WHERE subject IN ({marks})"  # noqa: S608  as above
        found.update(db.execute(query, part).fetchall())
    return found


def has_images(db: sqlite3.Connection, span: Span) -> bool:
    """Whether a journal has what an undo needs."""
    query = "SELECT 1 FROM sqlite_schema WHERE name = ?"
    return db.execute(query, (span.images,)).fetchone() is not None


def changes_of(db: sqlite3.Connection, span: Span) -> Iterator[tuple[str, bytes | None]]:
    """The changes of every subject that was written, or may have been; None where they were not kept."""
    sent = (State.INTENT, State.DOUBT, State.DONE, State.FAILED, State.UNRESOLVED)
    marks = ", ".join("?" * len(sent))
    yield from db.execute(
        f"SELECT subject, changes FROM {span.images} WHERE written = 1 OR subject IN "  # noqa: S608  as above
        f"(SELECT resource FROM item WHERE attempt IS NOT NULL AND state IN ({marks}) AND seq BETWEEN ? AND ?) "
        "ORDER BY subject",
        (*sent, span.first, span.last),
    )
