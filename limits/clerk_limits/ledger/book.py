"""The book of a ledger: who holds which permits until when, in one transaction for each trade.

**Law.** A lease counts from the moment of its commit until its permits are settled one by one, and each settled
permit until one period after its response. So every permit that any process may use now, or may have used within
the period, is counted, and what is out together never exceeds what is allowed. A lease of a process that died ends
by time alone: its requests may still be under way, so its pid proves nothing.

**Fair.** Who does not get what it asks for holds a ticket; nobody takes what an earlier living ticket needs.
Each process keeps within its own share, all together within the largest share that anybody at work asks for.

Synchronous, and told what time it is: a thread calls it, and a test can play any number of processes and clocks.
"""

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from clerk_limits.aimd import WHOLE, Shrunk, factor_at, shrink
from clerk_limits.ledger.storage import Storage

__all__ = ["NAMES_S", "Answer", "Ask", "Block", "Book", "Moment", "Return", "Trade"]

TICKET_S = 1.0
"""A ticket lives for so long after its holder asked last, before `speed`."""
NAMES_S = 30 * 86_400.0
"""So long the names of processes are kept of which nothing counts any more."""
CAP_S = 15.0
"""So long after it asked last, a process counts among those at work, before `speed`."""
_ROUND_S = 0.005
"""Settled permits that are free again within so many seconds share a row, and the later moment."""


class Moment(NamedTuple):
    """Now, on both clocks: seconds on the machine's steady clock, and unix time."""

    steady_s: float
    wall_s: float


class Ask(NamedTuple):
    """What a process wants of one window.

    Attributes:
        most: Permits at most; fewer are welcome down to `least`.
        spare: Permits that must stay free beside.
        allowed: Of this window, by the asking process's own share.
        hold_s: How long an unsettled permit counts: until its answer must have come, and a period beyond.
        period_s: The window's period.
    """

    scope: str
    subject: str
    least: int
    most: int
    spare: int
    allowed: int
    hold_s: float
    period_s: float


class Return(NamedTuple):
    """Permits of a lease that have ended.

    Attributes:
        lease: Its number; 0 for permits that were spent without one.
        hold_s: Seconds from now for which they still count; None for what was never sent.
        spent_s: The whole hold, of which `hold_s` is left; what a wall clock that jumps is clamped to.
    """

    lease: int
    scope: str
    subject: str
    amount: int
    hold_s: float | None
    spent_s: float


class Answer(NamedTuple):
    """What became of one ask.

    Attributes:
        lease: The number of the new lease; 0 where nothing was granted.
        granted: Permits in it.
        used: Permits of the window that are out now, in all processes.
        wait_s: Seconds until enough settled permits return; None where that is not known.
        unsettled: Whether somebody holds permits that may come back at any time.
    """

    lease: int
    granted: int
    used: int
    wait_s: float | None
    unsettled: bool


class Block(NamedTuple):
    """An operation that a 429 closed, and for how many seconds yet."""

    operation: str
    left_s: float


class Trade(NamedTuple):
    """The outcome of a transaction: an answer for each ask, and what others have to tell."""

    answers: list[Answer]
    blocks: list[Block]
    shares: dict[str, Shrunk]


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
        # Settled permits are free when the clock says so; quotas also when the wall clock does.
        self._gone = (
            "until_wall <= :wall AND (boot <> :boot OR until_steady <= :steady)"
            if durable
            else "until_steady <= :steady"
        )

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
            closed_s = self._closed_s(connection, now)
            answers = [self._answer(connection, now, ask, closed_s) for ask in asks]
            return Trade(answers, self._blocks(connection, now), self._shares(connection))

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

    def shrink(self, now: Moment, scope: str, period_s: float) -> None:
        """A 429 came: everybody's share of this window shrinks."""
        with self._transaction(now) as connection:
            state = shrink(self._shares(connection).get(scope, WHOLE), now.steady_s, period_s)
            connection.execute("INSERT OR REPLACE INTO share VALUES (?, ?, ?)", (scope, *state))

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
        with self.storage.transaction() as connection:
            yield connection

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
        for table in ("lease", "block"):
            connection.execute(f"DELETE FROM {table} WHERE {self._gone}", values)  # noqa: S608
        for table in ("ticket", "cap"):
            connection.execute(f"DELETE FROM {table} WHERE alive_until <= ?", (now.steady_s,))  # noqa: S608

    def _settle(self, connection: sqlite3.Connection, now: Moment, returns: Sequence[Return]) -> None:
        settled: dict[tuple[str, str, int, float], int] = {}
        round_s = _ROUND_S / self._speed
        for one in returns:
            if one.lease:
                self._take_from_lease(connection, one)
            if one.hold_s is not None and one.hold_s > 0:
                slot = math.ceil(one.hold_s / round_s)
                key = (one.scope, one.subject, slot, one.spent_s)
                settled[key] = settled.get(key, 0) + one.amount
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

    def _take_from_lease(self, connection: sqlite3.Connection, one: Return) -> None:
        # The numbers of a file that was made anew begin again: another's lease must not be touched.
        whose = (one.lease, self._holder)
        left = connection.execute("SELECT amount FROM lease WHERE id = ? AND holder = ? AND open", whose).fetchone()
        if left is None:
            return
        if left[0] <= one.amount:
            connection.execute("DELETE FROM lease WHERE id = ?", (one.lease,))
        else:
            connection.execute("UPDATE lease SET amount = amount - ? WHERE id = ?", (one.amount, one.lease))

    def _answer(self, connection: sqlite3.Connection, now: Moment, ask: Ask, closed_s: float) -> Answer:
        """Lease what is free beside what earlier tickets need; else hold a ticket."""
        used, own, foreign = self._out(connection, ask)
        self._join(connection, now, ask)
        factor = factor_at(self._shares(connection).get(ask.scope, WHOLE), now.steady_s, ask.period_s)
        own_room = _part(ask.allowed, factor) - own
        room = min(own_room, _part(self._cap(connection, ask), factor) - used) - ask.spare
        granted = min(ask.most, room - self._needed_before(connection, ask))
        if closed_s > 0 or granted < ask.least:
            # Whoever leaves a reserve lets those go first who may use it, so its ticket claims nothing then.
            claims = own_room > 0 and room + ask.spare < ask.least
            self._queue(connection, now, ask, wanted=min(ask.most, own_room) if claims else 0)
            wait_s = self._wait_s(connection, now, ask, ask.least - room)
            later = closed_s if wait_s is None and closed_s > 0 else wait_s
            return Answer(0, 0, used, None if later is None else max(later, closed_s), foreign)
        whose = (ask.scope, ask.subject, self._holder)
        connection.execute("DELETE FROM ticket WHERE scope = ? AND subject = ? AND holder = ?", whose)
        lease = connection.execute(
            "INSERT INTO lease (scope, subject, holder, amount, open, boot, until_steady, until_wall, hold_s) "
            "VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)",
            (
                *whose, granted, self.storage.boot,
                now.steady_s + ask.hold_s, now.wall_s + ask.hold_s, ask.hold_s,
            ),
        ).lastrowid  # fmt: skip
        assert lease is not None
        return Answer(lease, granted, used + granted, 0.0, foreign)

    def _out(self, connection: sqlite3.Connection, ask: Ask) -> tuple[int, int, bool]:
        """Permits that are out in all and in this process, and whether others hold unsettled ones."""
        row = connection.execute(
            "SELECT coalesce(sum(amount), 0), coalesce(sum(amount * (holder = :me)), 0), "
            "coalesce(max(open AND holder <> :me), 0) FROM lease WHERE scope = :scope AND subject = :subject",
            {"me": self._holder, "scope": ask.scope, "subject": ask.subject},
        ).fetchone()
        return row[0], row[1], bool(row[2])

    def _join(self, connection: sqlite3.Connection, now: Moment, ask: Ask) -> None:
        """Say which part of the window this process takes as its own."""
        connection.execute(
            "INSERT OR REPLACE INTO cap VALUES (?, ?, ?, ?)",
            (ask.scope, self._holder, ask.allowed, now.steady_s + CAP_S / self._speed),
        )

    def _cap(self, connection: sqlite3.Connection, ask: Ask) -> int:
        row = connection.execute("SELECT max(allowed) FROM cap WHERE scope = ?", (ask.scope,)).fetchone()
        return int(row[0])

    def _needed_before(self, connection: sqlite3.Connection, ask: Ask) -> int:
        """Permits that earlier tickets wait for."""
        row = connection.execute(
            "SELECT coalesce(sum(amount), 0) FROM ticket WHERE scope = :scope AND subject = :subject "
            "AND holder <> :me AND id < coalesce((SELECT id FROM ticket WHERE scope = :scope AND subject = :subject "
            "AND holder = :me), 9223372036854775807)",
            {"me": self._holder, "scope": ask.scope, "subject": ask.subject},
        ).fetchone()
        return int(row[0])

    def _queue(self, connection: sqlite3.Connection, now: Moment, ask: Ask, *, wanted: int) -> None:
        alive_until = now.steady_s + TICKET_S / self._speed
        connection.execute(
            "INSERT INTO ticket (scope, subject, holder, amount, alive_until) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (scope, subject, holder) DO UPDATE SET amount = excluded.amount, "
            "alive_until = excluded.alive_until",
            (ask.scope, ask.subject, self._holder, wanted, alive_until),
        )

    def _wait_s(self, connection: sqlite3.Connection, now: Moment, ask: Ask, missing: int) -> float | None:
        """Seconds until so many settled permits are free again; None where open ones decide."""
        missing = max(1, missing)
        rows = connection.execute(
            "SELECT amount, until_steady, until_wall, boot FROM lease WHERE scope = ? AND subject = ? AND NOT open "
            "ORDER BY iif(?, until_wall, until_steady) LIMIT ?",
            (ask.scope, ask.subject, self.storage.durable, missing),
        )
        latest_s = 0.0
        for amount, until_steady, until_wall, boot in rows:
            latest_s = max(latest_s, self._left_s(now, until_steady, until_wall, boot))
            missing -= amount
            if missing <= 0:
                return latest_s
        return None

    def _left_s(self, now: Moment, until_steady: float, until_wall: float, boot: str) -> float:
        steady_s = until_steady - now.steady_s if boot == self.storage.boot else 0.0
        return max(steady_s, until_wall - now.wall_s if self.storage.durable else 0.0)

    def _closed_s(self, connection: sqlite3.Connection, now: Moment) -> float:
        row = connection.execute("SELECT value FROM meta WHERE name = 'closed_until'").fetchone()
        return 0.0 if row is None else max(0.0, row[0] - now.steady_s)

    def _blocks(self, connection: sqlite3.Connection, now: Moment) -> list[Block]:
        rows = connection.execute("SELECT operation, until_steady, until_wall, boot FROM block")
        return [Block(row[0], self._left_s(now, row[1], row[2], row[3])) for row in rows]

    def _shares(self, connection: sqlite3.Connection) -> dict[str, Shrunk]:
        return {row[0]: Shrunk(row[1], row[2]) for row in connection.execute("SELECT * FROM share")}


def _part(allowed: int, factor: float) -> int:
    return max(1, math.floor(allowed * factor))
