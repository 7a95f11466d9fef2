"""Rows of one subject: found in the journal, and fed to the engine together.

A table beside the items has a line for each row that shares its subject with others: ``fold(seq, lead)``, where the
lead is the first of them. Rows that stand alone, nearly all, are in no table.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from clerk_jobs.call import State
from clerk_runner.journal import OPEN_COLUMNS, Journal, OpenItem, open_item
from clerk_runner.spans import Span

__all__ = ["Unit", "UnitFeed", "count_units", "fold_subjects", "join_subjects", "units_after", "units_of"]

Unit = list[OpenItem]
"""The rows of one subject in their order; most have one."""

AHEAD = 1_000
JUDGED = f"resource IS NOT NULL AND state IN ({State.PENDING:d}, {State.SKIPPED:d}) AND item.seq BETWEEN ? AND ?"
TABLE = "CREATE TABLE IF NOT EXISTS fold(seq INTEGER PRIMARY KEY, lead INTEGER NOT NULL)"
MEMBERS = "CREATE INDEX IF NOT EXISTS fold_lead ON fold(lead)"


def fold_subjects(db: sqlite3.Connection, span: Span) -> None:
    """Note which rows have the same key, once all are in; doing it again does nothing more."""
    db.execute(TABLE)
    db.execute(MEMBERS)
    own = (span.first, span.last)
    db.execute("DELETE FROM fold WHERE seq BETWEEN ? AND ?", own)
    db.execute(
        "INSERT INTO fold(seq, lead) SELECT item.seq, same.lead FROM item JOIN "
        "(SELECT key, min(seq) AS lead FROM item WHERE key IS NOT NULL AND seq BETWEEN ? AND ? "
        "GROUP BY key HAVING count(*) > 1) AS same ON same.key = item.key WHERE item.seq BETWEEN ? AND ?",
        (*own, *own),
    )


def join_subjects(db: sqlite3.Connection, span: Span) -> list[int]:
    """Fold rows that named one subject in different ways, once reading has told; returns the leads of those.

    They are pending again, also where a part of them alone changed nothing: only together can they be judged.
    """
    db.execute("CREATE TEMP TABLE IF NOT EXISTS joined(resource TEXT PRIMARY KEY, lead INTEGER) WITHOUT ROWID")
    db.execute("DELETE FROM joined")
    own = (span.first, span.last)
    db.execute(
        f"INSERT INTO joined SELECT resource, min(seq) FROM item WHERE {JUDGED} "  # noqa: S608  a constant
        "GROUP BY resource HAVING count(DISTINCT key) > 1",
        own,
    )
    members = f"FROM item JOIN joined USING (resource) WHERE {JUDGED}"
    db.execute(f"INSERT OR REPLACE INTO fold(seq, lead) SELECT item.seq, joined.lead {members}", own)
    db.execute(f"UPDATE item SET state = 0, verdict = NULL WHERE seq IN (SELECT item.seq {members})", own)  # noqa: S608
    return [lead for (lead,) in db.execute("SELECT lead FROM joined ORDER BY lead")]


def units_after(db: sqlite3.Connection, span: Span, after: int, limit: int) -> list[Unit]:
    """The next units whose lead is pending, by the lead's place in the input."""
    rows = db.execute(
        f"SELECT {OPEN_COLUMNS}, fold.lead FROM item JOIN grp ON grp.id = item.grp "  # noqa: S608  a constant
        "LEFT JOIN fold ON fold.seq = item.seq WHERE item.state = 0 AND item.seq > ? AND item.seq <= ? "
        "AND (fold.lead IS NULL OR fold.lead = item.seq) ORDER BY item.seq LIMIT ?",
        (max(after, span.base), span.last, limit),
    ).fetchall()
    return [_members(db, row[-1]) if row[-1] is not None else [open_item(row[:-1])] for row in rows]


def count_units(db: sqlite3.Connection, span: Span) -> int:
    """How many units are pending."""
    pending = "FROM item LEFT JOIN fold ON fold.seq = item.seq WHERE item.state = 0 AND item.seq BETWEEN ? AND ?"
    query = f"SELECT count(*) {pending} AND (fold.lead IS NULL OR fold.lead = item.seq)"
    return int(db.execute(query, (span.first, span.last)).fetchone()[0])


def units_of(db: sqlite3.Connection, leads: Sequence[int]) -> list[Unit]:
    """The units with these leads."""
    return [_members(db, lead) for lead in leads]


def _members(db: sqlite3.Connection, lead: int) -> Unit:
    rows = db.execute(
        f"SELECT {OPEN_COLUMNS} FROM fold JOIN item ON item.seq = fold.seq "  # noqa: S608  a constant
        "JOIN grp ON grp.id = item.grp WHERE fold.lead = ? AND item.state = 0 ORDER BY item.seq",
        (lead,),
    )
    return [open_item(row) for row in rows]


class UnitFeed:
    """Units in the order of the input, a bounded number ahead; `clerk_runner.feed.Feeding` for the engine.

    The rows of a unit are sent, settled and given back together, so the lead is pending exactly when all are.
    """

    def __init__(self, journal: Journal, pending: int) -> None:
        """``pending`` is how many pending items the journal has now."""
        self._journal = journal
        self._last_seq = 0
        self._units: deque[Unit] = deque()
        self._held = 0
        self._unread = pending
        self._filling = asyncio.Lock()
        self._returned: set[int] = set()

    async def fill(self) -> None:
        """Read ahead where less than half is held; the workers take turns, so that nothing is read twice."""
        if not self._unread or len(self._units) >= AHEAD // 2:
            return
        span = self._journal.span
        async with self._filling:
            while self._unread and len(self._units) < AHEAD // 2:
                last = self._last_seq
                units = await self._journal.read(lambda db, last=last: units_after(db, span, last, AHEAD))  # type: ignore[misc]
                assert units, "the journal has fewer pending items than were counted"
                self._last_seq = units[-1][0].seq
                for unit in units:
                    if unit[0].seq not in self._returned:
                        self._unread -= len(unit)
                        self._hold(unit)
                self._returned = {seq for seq in self._returned if seq > self._last_seq}

    def take(self, size: int, *, alone: bool) -> Unit:  # noqa: ARG002  a call carries one subject
        """The rows of the next subject; empty where there is none now."""
        if not self._units:
            return []
        unit = self._units.popleft()
        self._held -= len(unit)
        return unit

    def give_back(self, items: Iterable[OpenItem]) -> None:
        """Put a unit back that is pending again, once the journal has it so."""
        unit = sorted(items, key=lambda item: item.seq)
        if not unit:
            return
        if unit[0].seq > self._last_seq:
            # In doubt when the run began, and ahead of what was read: reading must not bring it again.
            self._returned.add(unit[0].seq)
        self._hold(unit)

    def has(self, *, alone: bool) -> bool:  # noqa: ARG002  there is one lane
        """Whether there is a unit now."""
        return bool(self._units)

    def carries(self, size: int, *, alone: bool) -> int:  # noqa: ARG002  as above
        """Whether ``take`` would give something: the rows of one subject count as one, as one write carries them."""
        return 1 if self._units else 0

    def ahead(self, count: int) -> list[OpenItem]:
        """The rows of the next subjects."""
        return [item for unit in islice(self._units, count) for item in unit]

    @property
    def left(self) -> int:
        """Pending items, held here or still in the journal alone."""
        return self._held + self._unread

    @property
    def urgent(self) -> bool:
        """Nothing here is: there is one lane."""
        return False

    def _hold(self, unit: Unit) -> None:
        self._held += len(unit)
        self._units.append(unit)
