"""The book of a ledger: who holds which permits until when, in one transaction for each trade.

**Law.** A lease counts from the moment of its commit until its permits are settled one by one, and each settled
permit until one period after its response. So every permit that any process may use now, or may have used within
the period, is counted, and what is out together never exceeds what is allowed. A lease of a process that died ends
by time alone: its requests may still be under way, so its pid proves nothing.

Synchronous, and told what time it is: a thread calls it, and a test can play any number of processes and clocks.
"""

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from clerk_limits.aimd import WHOLE, Shrunk, shrink
from clerk_limits.ledger.storage import Storage
from clerk_limits.ledger.teller import Asker, Line, Teller
from clerk_limits.ledger.terms import Ask, Block, Moment, Return, Trade

__all__ = ["NAMES_S", "Book"]

NAMES_S = 30 * 86_400.0
"""So long the names of processes are kept of which nothing counts any more."""
_SWEEP_S = 1.0
"""What counts no more is taken out of a file of windows once in so many seconds, before `speed`."""
_SWEEP_LEAST_S = 0.1
"""However high the speed."""
_ROUND_S = 0.005
"""Settled permits that are free again within so many seconds share a row, and the later moment."""
_ROUND_LEAST_S = 0.001
"""However high the speed."""


class _Told(NamedTuple):
    """What is in a file beside leases.

    Attributes:
        news: Of the storage, when it was looked up.
        shares: What 429s have left of each window.
        blocks: Each closed operation, and until when: on the steady clock, as unix time, and of which boot.
        closed_until_s: Until then nothing is granted, on the steady clock.
        alone: See `Teller`.
    """

    news: int
    shares: dict[str, Shrunk]
    blocks: list[tuple[str, tuple[float, float, str]]]
    closed_until_s: float
    alone: dict[str, Line]


class Book:
    """A process's hand on one file of the ledger.

    Args:
        path: The file; its folder exists and is private.
        boot: Names the machine's present run.
        durable: Whether it holds quotas, see `Storage`.
        pid: Of this process, shown to people and never trusted.
        label: What this process does, shown to people.
        speed: Divides the durations of ours.
        assumed: What to write into a new file: told the moment and whether there had been one, it says what
            counts as spent, and for how many seconds nothing may be granted.
    """

    def __init__(
        self,
        path: Path,
        boot: str,
        *,
        durable: bool,
        pid: int,
        label: str,
        speed: float = 1.0,
        assumed: Callable[[Moment, bool], tuple[Sequence[Return], float]] = lambda _, __: ((), 0.0),
    ) -> None:
        self.storage = Storage(path, boot, durable=durable, begin=self._begin)
        self._pid = pid
        self._label = label
        self._speed = speed
        self._assumed = assumed
        self._now = Moment(0.0, 0.0)
        self._holder = 0
        self._holder_in: sqlite3.Connection | None = None
        self._swept_at_s = -math.inf
        self._known: _Told | None = None

    def trade(self, now: Moment, returns: Sequence[Return], asks: Sequence[Ask]) -> Trade:
        """Settle what has ended, and lease what is free.

        Raises:
            LedgerError: The file cannot be used.
            sqlite3.DatabaseError: The file is damaged.
        """
        with self._transaction(now) as connection:
            self._identify(connection)
            self._forget(connection, now)
            self._settle(connection, now, returns)
            asker = Asker(self._holder, self.storage.boot, self.storage.durable, self._speed)
            told = self._told(connection)
            closed_s = max(0.0, told.closed_until_s - now.steady_s)
            teller = Teller(connection, now, asker, shares=told.shares, closed_s=closed_s, alone=told.alone)
            left = [Block(operation, teller.left_s(*until)) for operation, until in told.blocks]
            blocks = [block for block in left if block.left_s > 0]
            return Trade([teller.answer(ask) for ask in asks], blocks, told.shares)

    def is_noted(self, now: Moment, name: str) -> bool:
        """Whether `note` was called with this name since the file was made."""
        with self._transaction(now) as connection:
            return connection.execute("SELECT 1 FROM meta WHERE name = ?", (name,)).fetchone() is not None

    def note(self, now: Moment, name: str) -> None:
        """Remember that something is done."""
        with self._transaction(now) as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, now.wall_s))

    def block(self, now: Moment, operation: str, hold_s: float) -> None:
        """Remember that an operation is closed, for every process."""
        with self._transaction(now) as connection:
            connection.execute(
                "INSERT INTO block VALUES (?, ?, ?, ?, ?) ON CONFLICT (operation) DO UPDATE SET boot = excluded.boot, "
                "until_steady = max(until_steady, excluded.until_steady), "
                "until_wall = max(until_wall, excluded.until_wall), hold_s = max(hold_s, excluded.hold_s)",
                (operation, self.storage.boot, now.steady_s + hold_s, now.wall_s + hold_s, hold_s),
            )
            self._known = None

    def shrink(self, now: Moment, scope: str, period_s: float) -> None:
        """A 429 came: everybody's share of this window shrinks."""
        with self._transaction(now) as connection:
            state = shrink(self._shares(connection).get(scope, WHOLE), now.steady_s, period_s)
            connection.execute("INSERT OR REPLACE INTO share VALUES (?, ?, ?)", (scope, *state))
            self._known = None

    def badge(self, now: Moment) -> str:
        """A name for this process's part in this very file, by which `bury` knows its leases."""
        with self._transaction(now) as connection:
            self._identify(connection)
            return f"{self._file(connection)}:{self._holder}"

    def bury(self, now: Moment, badge: str, unknown_s: float) -> None:
        """The process of a badge is known to be dead, so whatever it sent was sent before now.

        Its leases end `unknown_s` earlier than if it could still be at work; what it sent last may still arrive.
        Doing it twice does nothing more.
        """
        file, _, holder = badge.partition(":")
        with self._transaction(now) as connection:
            if file == self._file(connection):
                connection.execute(
                    "UPDATE lease SET open = 2, hold_s = hold_s - :unknown, "
                    "until_steady = min(until_steady, :steady + hold_s - :unknown), "
                    "until_wall = min(until_wall, :wall + hold_s - :unknown) WHERE holder = :holder AND open = 1",
                    {"unknown": unknown_s, "steady": now.steady_s, "wall": now.wall_s, "holder": holder},
                )

    def leave(self, now: Moment, returns: Sequence[Return]) -> None:
        """Settle what has ended, and stop standing in line."""
        with self._transaction(now) as connection:
            self._identify(connection)
            self._settle(connection, now, returns)
            for table in ("ticket", "cap"):
                connection.execute(f"DELETE FROM {table} WHERE holder = ?", (self._holder,))  # noqa: S608

    # ------------------------------------------------------------------ parts of a transaction

    @contextmanager
    def _transaction(self, now: Moment) -> Iterator[sqlite3.Connection]:
        self._now = now
        was_in = self._holder_in
        try:
            with self.storage.transaction() as connection:
                yield connection
        except BaseException:
            # What it wrote is not there, so what is known of it is not true, its own name included.
            self._known, self._holder_in = None, was_in
            raise

    def _begin(self, connection: sqlite3.Connection, lost: bool) -> None:
        """A new file: what counts as spent is in it before anybody else can read it."""
        spent, closed_s = self._assumed(self._now, lost)
        self._identify(connection)
        self._settle(connection, self._now, spent)
        if closed_s > 0:
            connection.execute("INSERT INTO meta VALUES ('closed_until', ?)", (self._now.steady_s + closed_s,))

    def _file(self, connection: sqlite3.Connection) -> str:
        return str(connection.execute("SELECT value FROM meta WHERE name = 'file'").fetchone()[0])

    def _identify(self, connection: sqlite3.Connection) -> None:
        """Be somebody in this file; a file that was made anew knows nobody."""
        if self._holder_in is not connection:
            # Names are for people: those of processes that have long gone, and of which nothing counts, are dropped.
            connection.execute(
                "DELETE FROM holder WHERE since_wall < ? AND id NOT IN (SELECT holder FROM lease)",
                (self._now.wall_s - NAMES_S,),
            )
            values = (self._pid, self._label, self._now.wall_s)
            self._holder = (
                connection.execute("INSERT INTO holder (pid, label, since_wall) VALUES (?, ?, ?)", values).lastrowid
                or 0
            )
            self._holder_in = connection

    def _forget(self, connection: sqlite3.Connection, now: Moment) -> None:
        """Drop what is free again, and clamp what a wall clock that went back would hold for too long."""
        values = {"steady": now.steady_s, "wall": now.wall_s, "boot": self.storage.boot}
        if self.storage.durable:
            for table in ("lease", "block"):
                connection.execute(
                    f"UPDATE {table} SET until_wall = :wall + hold_s WHERE until_wall > :wall + hold_s",  # noqa: S608
                    values,
                )
            gone = "until_wall <= :wall AND (boot <> :boot OR until_steady <= :steady)"
        elif now.steady_s < self._swept_at_s + max(_SWEEP_S / self._speed, _SWEEP_LEAST_S):
            # Windows are asked often, and whoever counts leaves out by itself what is free again.
            return
        else:
            gone = "until_steady <= :steady"
        self._swept_at_s = now.steady_s
        for table in ("ticket", "cap"):
            connection.execute(f"DELETE FROM {table} WHERE alive_until <= :steady", values)  # noqa: S608
        for table in ("lease", "block"):
            connection.execute(f"DELETE FROM {table} WHERE {gone}", values)  # noqa: S608

    def _settle(self, connection: sqlite3.Connection, now: Moment, returns: Sequence[Return]) -> None:
        settled: dict[tuple[str, str, int, float], int] = {}
        ended: dict[tuple[int, str, str], int] = {}
        round_s = max(_ROUND_S / self._speed, _ROUND_LEAST_S)
        for one in returns:
            slot = 0 if one.hold_s is None else math.ceil(one.hold_s / round_s)
            # A subject's lease is for what one call takes, so it ends as a whole: its own row goes on.
            if slot > 0 and one.subject and self._settle_whole(connection, now, one, slot * round_s):
                continue
            if one.lease:
                whose = (one.lease, one.scope, one.subject)
                ended[whose] = ended.get(whose, 0) + one.amount
            if slot > 0:
                key = (one.scope, one.subject, slot, one.spent_s)
                settled[key] = settled.get(key, 0) + one.amount
        for (lease, scope, subject), amount in ended.items():
            self._take_from_lease(connection, lease, (scope, subject), amount)
        connection.executemany(
            "INSERT INTO lease (scope, subject, holder, amount, open, boot, until_steady, until_wall, hold_s) "
            "VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?)",
            [
                (
                    scope, subject, self._holder, amount, self.storage.boot,
                    now.steady_s + slot * round_s, now.wall_s + slot * round_s, spent_s,
                )
                for (scope, subject, slot, spent_s), amount in settled.items()
            ],
        )  # fmt: skip

    def _settle_whole(self, connection: sqlite3.Connection, now: Moment, one: Return, hold_s: float) -> bool:
        """Turn an open lease into permits that return at a known time; False where it is not open, or holds more."""
        settled = connection.execute(
            "UPDATE lease SET open = 0, until_steady = ?, until_wall = ?, hold_s = ? "
            "WHERE id = ? AND holder = ? AND open AND amount = ? AND scope = ? AND subject = ?",
            (
                now.steady_s + hold_s, now.wall_s + hold_s, one.spent_s,
                one.lease, self._holder, one.amount, one.scope, one.subject,
            ),
        )  # fmt: skip
        return settled.rowcount == 1

    def _take_from_lease(self, connection: sqlite3.Connection, lease: int, whose: tuple[str, str], amount: int) -> None:
        taken = connection.execute(
            "UPDATE lease SET amount = amount - ? "
            "WHERE id = ? AND holder = ? AND open AND scope = ? AND subject = ? AND amount > ?",
            (amount, lease, self._holder, *whose, amount),
        )
        if taken.rowcount == 0:
            connection.execute(
                "DELETE FROM lease WHERE id = ? AND holder = ? AND open AND scope = ? AND subject = ?",
                (lease, self._holder, *whose),
            )

    def _told(self, connection: sqlite3.Connection) -> "_Told":
        """What others have told; looked up where anybody else has written since."""
        if self._known is None or self._known.news != self.storage.news:
            closed = connection.execute("SELECT value FROM meta WHERE name = 'closed_until'").fetchone()
            rows = connection.execute("SELECT operation, until_steady, until_wall, boot FROM block").fetchall()
            blocks = [(operation, (steady_s, wall_s, boot)) for operation, steady_s, wall_s, boot in rows]
            closed_until_s = -math.inf if closed is None else closed[0]
            self._known = _Told(self.storage.news, self._shares(connection), blocks, closed_until_s, {})
        return self._known

    def _shares(self, connection: sqlite3.Connection) -> dict[str, Shrunk]:
        return {row[0]: Shrunk(row[1], row[2]) for row in connection.execute("SELECT * FROM share")}
