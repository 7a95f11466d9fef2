"""The beginning of a step: its rows learn the ids that earlier steps brought.

Until then the journal holds keys and digests in which a word stands for each id (see ``clerk_jobs.references``).
Binding drafts each row again that was never sent, or that failed because of a reference: with its ids, or without
hope. It may be done again after a crash, and is: rows whose reference has come meanwhile, because somebody decided
about an unresolved one, are pending again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

from clerk_jobs.call import State
from clerk_jobs.errors import InputError
from clerk_jobs.references import MISSING
from clerk_jobs.rows import RowSource
from clerk_runner.errors import StoppedError
from clerk_runner.intake import Names, set_names
from clerk_runner.journal import Journal
from clerk_runner.records import SourceRow
from clerk_runner.source import drafted_row
from clerk_runner.spans import Span
from clerk_runner.work import Drafts

__all__ = ["bind", "has_open", "has_sent"]

AHEAD = 2_000
UNBOUND = (
    "SELECT item.seq, item.line, item.offset FROM item LEFT JOIN verdict ON verdict.id = item.verdict "
    "WHERE item.seq > ? AND item.seq <= ? AND item.attempt IS NULL AND item.offset >= 0 "
    "AND (item.state = ? OR (item.state = ? AND verdict.code = ?)) ORDER BY item.seq LIMIT ?"
)
OPEN = "SELECT EXISTS (SELECT 1 FROM item WHERE state < 3 AND state IN (0, 1, 2) AND seq BETWEEN ? AND ?)"
"""Both say the same: the first is what the index of open items says, the second what it is searched by."""
MISSED = (
    "SELECT EXISTS (SELECT 1 FROM item JOIN verdict ON verdict.id = item.verdict WHERE item.seq BETWEEN ? AND ? "
    "AND item.state = ? AND verdict.code = ?)"
)


async def has_open(journal: Journal) -> bool:
    """Whether a step has anything left to do: items that have not ended, or whose reference may have come."""
    span = journal.span

    def work(db: sqlite3.Connection) -> bool:
        own = (span.first, span.last)
        if db.execute(OPEN, own).fetchone()[0]:
            return True
        # Only rows of steps refer to others; a million rows of another job are not looked through for nothing.
        return span.of_many and bool(db.execute(MISSED, (*own, State.FAILED, MISSING)).fetchone()[0])

    return await journal.read(work)


async def has_sent(journal: Journal) -> bool:
    """Whether a call for any row of a step was begun."""
    query = "SELECT EXISTS (SELECT 1 FROM item WHERE attempt IS NOT NULL AND seq BETWEEN ? AND ?)"
    own = (journal.span.first, journal.span.last)
    return bool(await journal.read(lambda db: db.execute(query, own).fetchone()[0]))


async def bind(journal: Journal, source: RowSource, drafting: Drafts, *, revive: bool = True) -> int:
    """Draft the rows of a step that were not sent yet again, now that the steps before it have ended.

    Args:
        revive: whether rows that had failed for their references may come back.

    Returns:
        How many rows that had failed for their references are pending again.

    Raises:
        StoppedError: the input is not what it was when the run began.
    """
    last, revived, span = 0, 0, journal.span
    while rows := await journal.read(lambda db, last=last: _unbound(db, span, last, revive=revive)):  # type: ignore[misc]
        last = rows[-1][0]
        drafted = await asyncio.to_thread(_drafted, rows, source, drafting, span)
        revived += await journal.read(lambda db, drafted=drafted: _rebind(db, drafted))  # type: ignore[misc]
    return revived


def _unbound(db: sqlite3.Connection, span: Span, after: int, *, revive: bool) -> list[tuple[int, int, int]]:
    failed = MISSING if revive else None
    sought = (max(after, span.base), span.last, State.PENDING, State.FAILED, failed, AHEAD)
    return db.execute(UNBOUND, sought).fetchall()


def _drafted(rows: Sequence[tuple[int, int, int]], source: RowSource, drafting: Drafts, span: Span) -> list[SourceRow]:
    found = []
    for seq, line, offset in rows:
        try:
            row = source.read_at(offset, line, span.row(seq))
        except InputError as error:
            raise StoppedError(
                f"line {line} of {source.name} has changed since the run began",
                code="input_changed",
                hint="restore the file and resume, or run the job with --accept-changes",
            ) from error
        found.append(drafted_row(row, drafting, seq))
    return found


def _rebind(db: sqlite3.Connection, rows: Sequence[SourceRow]) -> int:
    names = Names(db)
    drafted = [(row.seq,) for row in rows if row.draft is not None]
    revived = db.executemany(f"UPDATE item SET state = 0 WHERE seq = ? AND state = {State.FAILED:d}", drafted).rowcount  # noqa: S608
    failed = [(State.FAILED, names.verdict(row.code, row.message), row.seq) for row in rows if row.draft is None]
    db.executemany("UPDATE item SET state = ?, verdict = ? WHERE seq = ?", failed)
    bound = [
        (names.group(row.draft.group), row.draft.key, row.draft.digest, row.seq)
        for row in rows
        if row.draft is not None
    ]
    db.executemany("UPDATE item SET verdict = NULL, grp = ?, key = ?, digest = ? WHERE seq = ?", bound)
    set_names(db, rows)
    return max(revived, 0)
