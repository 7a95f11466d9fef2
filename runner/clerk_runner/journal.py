"""The run's journal: what is to be done, what was begun, and what became of it.

The states of an item (``clerk_jobs.call.State``)::

    pending -> intent -> done | skipped | failed                 known
                      -> doubt -> done | pending | unresolved    by reading, after the quarantine

``begin`` is durable before its call is sent, ``finish`` before its outcome is reported. All of this runs on the
writer's thread; a result that arrived is on the disk.
"""

from __future__ import annotations

import copy
import dataclasses
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import orjson

from clerk_jobs.call import Outcome, State
from clerk_runner import attempts, intake
from clerk_runner.attempts import AT_ONCE, Attempts, Ending
from clerk_runner.records import Doubt, Intent, OpenItem, SourceRow
from clerk_runner.schema import add_names, damaged, open_writer
from clerk_runner.short_ids import unpacked
from clerk_runner.spans import Span

__all__ = ["OPEN_COLUMNS", "Doubt", "Intent", "Journal", "OpenItem", "SourceRow", "open_item"]

T = TypeVar("T")

OPEN_COLUMNS = (
    "item.seq, item.line, item.offset, item.digest, grp.name, item.alone, item.doubts, item.since_ms, "
    "item.revoke, item.resource"
)


class Journal:
    """The journal of one run; every method is one durable step.

    Attributes:
        span: the items that it is about: all of them, or those of one step.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        """Open or create it; see ``schema.open_writer`` for what it raises."""
        self.path = path
        self.span = Span()
        self._writer = open_writer(path, durable=durable)
        self._attempts = Attempts()
        self.watcher: Callable[[Sequence[Outcome]], None] | None = None
        """Is told what was written of items, once it is on the disk."""

    def of_step(self, number: int) -> Journal:
        """The same journal as one of several steps sees it: nothing but its own items."""
        part = copy.copy(self)
        part.span = Span(number, of_many=True)
        return part

    def close(self) -> None:
        """Finish what was ordered, then close."""
        self._writer.close()

    async def get(self, name: str) -> Any:
        """A fact about the run; None where it was never set."""

        def work(db: sqlite3.Connection) -> Any:
            row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
            try:
                return None if row is None else orjson.loads(row[0])
            except (ValueError, TypeError) as error:
                raise damaged(self.path) from error

        return await self._writer.run(work)

    async def put(self, **facts: Any) -> None:
        """Set facts about the run, together."""
        rows = [(name, orjson.dumps(value)) for name, value in facts.items()]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

        await self._writer.run(work)

    async def checkpoint(self) -> None:
        """Bring everything into the main file, so that a lost side file does not make a new journal of this one."""
        await self._writer.outside(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    async def shrink(self) -> None:
        """Give back what the file needed only while items were open, once nearly none are: an eighth or so.

        Where the disk has no room to do it in, it stays as it is: nothing is lost by that.
        """
        with suppress(sqlite3.Error):
            await self._writer.give_back()

    async def ingest(self, rows: Sequence[SourceRow]) -> None:
        """Take rows of the input in, in order; ``seal`` follows after the last one."""
        await self._writer.run(lambda db: intake.take_in(db, self._placed(rows)))

    def _placed(self, rows: Sequence[SourceRow]) -> Sequence[SourceRow]:
        """Rows with their numbers in the journal instead of those in the input."""
        base = self.span.base
        return [dataclasses.replace(row, seq=base + row.seq) for row in rows] if base else rows

    async def seal(self) -> None:
        """Settle rows that repeat another one, once all are in; see ``intake.seal``."""
        await self._writer.run(lambda db: intake.seal(db, self.span))

    async def judge_names(self) -> None:
        """Fail rows that share the key by which later steps refer to them; see ``intake.judge_names``."""
        await self._writer.run(lambda db: intake.judge_names(db, self.span))

    async def clear_items(self) -> None:
        """Forget an ingestion that did not finish; nothing was sent for it."""
        await self._writer.run(lambda db: intake.unseal(db, self.span))

    async def add_names(self) -> None:
        """Let items have names, for later steps to refer to."""
        await self._writer.run(add_names)

    async def match_changed(self, rows: Sequence[SourceRow]) -> None:
        """Take a changed input in beside what is known, matching rows by key (``--accept-changes``)."""
        await self._writer.run(lambda db: intake.match_changed(db, self._placed(rows), self.span))

    async def prepare_changes(self) -> None:
        """Move every known item out of the way of a changed input; see ``intake.prepare_changes``."""
        await self._writer.run(lambda db: intake.prepare_changes(db, self.span))

    async def finish_changes(self) -> None:
        """What the changed input no longer has and nobody sent is skipped; what was sent stays on record."""
        await self._writer.run(lambda db: intake.finish_changes(db, self.span))

    async def skip_done_in(self, earlier: Path, there: Span | None = None) -> int:
        """Skip what an earlier run of the job finished with the same key and payload; returns how many.

        Args:
            there: the items of that run, where it has steps.
        """
        return await self._writer.run(lambda db: intake.skip_done_in(db, earlier, self.span, there or self.span))

    async def pending(self, after: int, limit: int) -> list[OpenItem]:
        """The next pending items by their place in the input."""
        span = self.span

        def work(db: sqlite3.Connection) -> list[OpenItem]:
            rows = db.execute(
                f"SELECT {OPEN_COLUMNS} FROM item JOIN grp ON grp.id = item.grp "  # noqa: S608  a constant
                "WHERE item.state = 0 AND item.seq > ? AND item.seq <= ? ORDER BY item.seq LIMIT ?",
                (max(after, span.base), span.last, limit),
            )
            return [open_item(row) for row in rows]

        return await self._writer.run(work)

    async def groups(self) -> list[str]:
        """The groups that have pending items."""

        def work(db: sqlite3.Connection) -> list[str]:
            pending = "SELECT 1 FROM item WHERE state = 0 AND grp = grp.id AND seq BETWEEN ? AND ?"
            query = f"SELECT name FROM grp WHERE EXISTS ({pending})"  # noqa: S608  a constant
            return [row[0] for row in db.execute(query, self._range)]

        return await self._writer.run(work)

    async def seqs_of(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """The pending items among these keys."""

        def work(db: sqlite3.Connection) -> dict[bytes, int]:
            found: dict[bytes, int] = {}
            for start in range(0, len(keys), AT_ONCE):
                part = keys[start : start + AT_ONCE]
                marks = ", ".join("?" * len(part))
                query = f"SELECT key, seq FROM item WHERE key IN ({marks}) AND state = 0 AND seq BETWEEN ? AND ?"  # noqa: S608  only marks
                found.update(db.execute(query, (*part, *self._range)).fetchall())
            return found

        return await self._writer.run(work)

    async def settle(
        self, outcomes: Sequence[Outcome], also: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        """Write down what became of items outside an attempt: screened, reconciled.

        Args:
            also: writes what belongs to it, in the same transaction.
        """

        def work(db: sqlite3.Connection) -> None:
            attempts.settle(db, outcomes)
            if also is not None:
                also(db)

        await self._writer.run(work)
        self._tell(outcomes)

    async def begin(self, intent: Intent) -> int:
        """Write an intent down before its call is sent; returns the attempt's number."""
        return await self._writer.together(self._attempts.begin, intent)

    async def renew(self, attempt: int, intent_ms: int, server_ms: int) -> None:
        """Move an intent's time forward when its commit took long; nothing was sent under the old one."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE attempt SET intent_ms = ?, server_ms = ? WHERE id = ?",
                (intent_ms, server_ms, attempt),
            )

        await self._writer.run(work)

    async def finish(self, attempt: int, ended_ms: int, outcomes: Sequence[Outcome], *, answered: bool) -> None:
        """Write down how an attempt ended and what became of its items."""
        await self._writer.together(self._attempts.finish, Ending(attempt, ended_ms, outcomes, answered))
        self._tell(outcomes)

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        if self.watcher is not None:
            self.watcher(outcomes)

    async def withdraw(self, attempt: int, seqs: Sequence[int]) -> None:
        """Take back an intent that is known not to have been sent; it counts against no quota."""
        await self._writer.run(lambda db: self._attempts.withdraw(db, attempt, seqs))

    async def recover(self) -> int:
        """After a crash every open intent is a doubt; returns how many items that touched."""

        def work(db: sqlite3.Connection) -> int:
            query = (
                "UPDATE item SET state = ?, since_ms = coalesce(since_ms, "
                "(SELECT server_ms FROM attempt WHERE attempt.id = item.attempt)) WHERE state = ?"
            )
            return db.execute(query, (State.DOUBT, State.INTENT)).rowcount

        return await self._writer.run(work)

    async def doubts(self) -> list[Doubt]:
        """Everything in doubt, by attempt, oldest first."""

        def work(db: sqlite3.Connection) -> list[Doubt]:
            rows = db.execute(
                f"SELECT attempt.id, attempt.intent_ms, attempt.server_ms, attempt.ended_ms, {OPEN_COLUMNS} "  # noqa: S608
                "FROM item JOIN grp ON grp.id = item.grp JOIN attempt ON attempt.id = item.attempt "
                "WHERE item.state = 2 AND item.seq BETWEEN ? AND ? ORDER BY attempt.id, item.seq",
                self._range,
            )
            found: dict[int, tuple[tuple[int, int, int, int | None], list[OpenItem]]] = {}
            for row in rows:
                found.setdefault(row[0], (row[:4], []))[1].append(open_item(row[4:]))
            return [Doubt(*head, tuple(items)) for head, items in found.values()]

        return await self._writer.run(work)

    async def answer_unresolved(self, state: State) -> int:
        """What the user decided about unresolved items: PENDING sends them again, SKIPPED leaves them."""
        assert state in (State.PENDING, State.SKIPPED)

        def work(db: sqlite3.Connection) -> int:
            query = (
                "UPDATE item SET state = ?, alone = 1, doubts = 0 WHERE state = ? AND offset >= 0 AND grp IS NOT NULL"
            )
            return db.execute(query, (state, State.UNRESOLVED)).rowcount

        return await self._writer.run(work)

    async def counts(self) -> Counter[State]:
        """Items by state."""

        def work(db: sqlite3.Connection) -> Counter[State]:
            rows = db.execute("SELECT state, count(*) FROM item WHERE seq BETWEEN ? AND ? GROUP BY state", self._range)
            try:
                return Counter({State(state): count for state, count in rows})
            except ValueError as error:
                raise damaged(self.path) from error

        return await self._writer.run(work)

    @property
    def _range(self) -> tuple[int, int]:
        return self.span.first, self.span.last

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query of the caller's own."""
        return await self._writer.run(work)


def open_item(row: Iterable[Any]) -> OpenItem:
    """An item out of a row of `OPEN_COLUMNS`."""
    seq, line, offset, digest, group, alone, doubts, since_ms, revoke, target = row
    return OpenItem(seq, line, offset, digest, group, bool(alone), doubts, since_ms, revoke, unpacked(target))
