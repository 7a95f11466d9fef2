"""The teller: what one ask gets of a window, within a transaction that holds the whole ledger still.

**Fair.** Who does not get what it asks for holds a ticket; nobody takes what an earlier living ticket needs.
Each process keeps within its own share, all together within the largest share that anybody at work asks for.
"""

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from clerk_limits.aimd import WHOLE, Shrunk, factor_at
from clerk_limits.ledger.terms import EVERY_SUBJECT, Answer, Ask, Moment

__all__ = ["Asker", "Teller"]

TICKET_S = 1.0
"""A ticket lives for so long after its holder asked last, before `speed`."""
CAP_S = 15.0
"""So long after it asked last, a process counts among those at work, before `speed`."""
CAP_AGAIN_S = 1.0
"""It says so again after so many seconds, before `speed`, and counts for as many less at most."""


# Each is a range of the index: of a process that is alone only its own thousand rows are added up.
_COUNTED = "scope = :scope AND subject IN (:subject, :every) AND until_steady > :from AND holder"
_OWN = f"SELECT coalesce(sum(amount), 0) FROM lease WHERE {_COUNTED} = :me"  # noqa: S608  our own words
_OTHERS = (
    "SELECT coalesce(sum(amount), 0), coalesce(max(open), 0) FROM ("  # noqa: S608  our own words
    f"SELECT amount, open FROM lease WHERE {_COUNTED} < :me UNION ALL "
    f"SELECT amount, open FROM lease WHERE {_COUNTED} > :me)"
)


class Asker(NamedTuple):
    """Who asks, and of which file.

    Attributes:
        holder: Its number in this file.
        boot: The machine's present run.
        durable: Whether the file counts by the wall clock too.
        speed: Divides the durations of ours.
    """

    holder: int
    boot: str
    durable: bool
    speed: float


@dataclass(slots=True)
class Line:
    """What holds for every ask of one scope while a transaction lasts, and beyond it as long as nobody else writes.

    Attributes:
        cap: The largest share that anybody at work asks for.
        others_wait: Whether another process holds a ticket for any subject.
        waits: Whether this one does.
        until_s: Until then this process need not say again that it is at work, on the steady clock.
    """

    cap: int
    others_wait: bool
    waits: bool
    until_s: float


class Teller:
    """Answers asks in one transaction.

    Args:
        shares: What 429s have left of each window.
        closed_s: Seconds for which nothing may be granted.
        alone: Scopes in which an earlier transaction found nobody else, and nobody has written since; kept up to date.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        now: Moment,
        whose: Asker,
        *,
        shares: Mapping[str, Shrunk],
        closed_s: float,
        alone: dict[str, Line],
    ) -> None:
        self._alone = alone
        self._connection = connection
        self._now = now
        self._whose = whose
        self._shares = shares
        self._closed_s = closed_s
        self._counted_from_s = -math.inf if whose.durable else now.steady_s
        """What ends before counts no more, though it may be in the file still; see `Book`."""
        self._lines: dict[str, Line] = {}

    def answer(self, ask: Ask) -> Answer:
        """Lease what is free beside what earlier tickets need; else hold a ticket."""
        if ask.prolongs and self._prolong(ask, ask.prolongs, 0):
            return Answer(ask.prolongs, ask.least, 0, 0.0, False)
        line = self._alone.get(ask.scope) if ask.subject == "" else None
        if line is not None and self._is_alone(ask, line):
            used = own = self._own(ask)
            foreign = False
        else:
            used, own, foreign = self._out(ask)
            line = self._lines.get(ask.scope) or self._join(ask)
            if ask.subject == "" and used == own and not foreign:
                self._alone[ask.scope] = line
        factor = factor_at(self._shares.get(ask.scope, WHOLE), self._now.steady_s, ask.period_s)
        own_room = _part(ask.allowed, factor) - own
        room = min(own_room, _part(line.cap, factor) - used) - ask.spare
        is_alone = used == own and not foreign and self._has_all(ask, line)
        most = max(ask.most, ask.alone) if is_alone else ask.most
        granted = min(most, room - self._needed_before(ask) if line.others_wait else room)
        if self._closed_s > 0 or granted < ask.least:
            # Whoever leaves a reserve lets those go first who may use it, so its ticket claims nothing then.
            claims = own_room > 0 and room + ask.spare < ask.least
            self._queue(ask, wanted=min(ask.most, own_room) if claims else 0)
            line.waits = True
            wait_s = self._wait_s(ask, ask.least - room)
            later = self._closed_s if wait_s is None and self._closed_s > 0 else wait_s
            return Answer(0, 0, used, None if later is None else max(later, self._closed_s), foreign)
        whose = (ask.scope, ask.subject, self._whose.holder)
        if line.waits:
            self._connection.execute("DELETE FROM ticket WHERE scope = ? AND subject = ? AND holder = ?", whose)
        if ask.joins and self._prolong(ask, ask.joins, granted):
            return Answer(ask.joins, granted, used + granted, 0.0, foreign)
        lease = self._connection.execute(
            "INSERT INTO lease (scope, subject, holder, amount, open, boot, until_steady, until_wall, hold_s) "
            "VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)",
            (
                *whose, granted, self._whose.boot,
                self._now.steady_s + ask.hold_s, self._now.wall_s + ask.hold_s, ask.hold_s,
            ),
        ).lastrowid  # fmt: skip
        assert lease is not None
        return Answer(lease, granted, used + granted, 0.0, foreign)

    def left_s(self, until_steady: float, until_wall: float, boot: str) -> float:
        """Seconds until a moment that some run of the machine wrote down: the later one of both clocks."""
        steady_s = until_steady - self._now.steady_s if boot == self._whose.boot else 0.0
        return max(steady_s, until_wall - self._now.wall_s if self._whose.durable else 0.0)

    def _prolong(self, ask: Ask, lease: int, more: int) -> bool:
        """Let a lease count from now on, and be of so many permits more; False where it is gone."""
        until = (self._now.steady_s + ask.hold_s, self._now.wall_s + ask.hold_s, ask.hold_s)
        prolonged = self._connection.execute(
            "UPDATE lease SET amount = amount + ?, until_steady = ?, until_wall = ?, hold_s = ? "
            "WHERE id = ? AND holder = ? AND open = 1 AND scope = ? AND subject = ? AND until_steady > ?",
            (more, *until, lease, self._whose.holder, ask.scope, ask.subject, self._counted_from_s),
        )
        return prolonged.rowcount == 1

    def _out(self, ask: Ask) -> tuple[int, int, bool]:
        """Permits that are out in all and in this process, and whether others hold unsettled ones.

        What is leased of every subject counts against each, and is leased beside what is out of any of them.
        """
        own, values = self._own(ask), self._whom(ask)
        others, foreign = self._connection.execute(_OTHERS, values).fetchone()
        most = 0
        if ask.subject == EVERY_SUBJECT:
            most = self._connection.execute(
                "SELECT coalesce(max(total), 0) FROM (SELECT sum(amount) AS total FROM lease "
                "WHERE scope = :scope AND subject <> :every AND until_steady > :from GROUP BY subject)",
                values,
            ).fetchone()[0]
        return own + others + most, own + most, bool(foreign)

    def _own(self, ask: Ask) -> int:
        """Permits that are out in this process, those of every subject too."""
        own: int = self._connection.execute(_OWN, self._whom(ask)).fetchone()[0]
        return own

    def _whom(self, ask: Ask) -> dict[str, object]:
        return {
            "me": self._whose.holder, "scope": ask.scope, "subject": ask.subject, "every": EVERY_SUBJECT,
            "from": self._counted_from_s,
        }  # fmt: skip

    def _has_all(self, ask: Ask, line: Line) -> bool:
        """Whether no other process waits, and none has asked for more of the window than this one's share."""
        return line.cap == ask.allowed and not line.others_wait

    def _is_alone(self, ask: Ask, line: Line) -> bool:
        """Whether a line holds on where nobody else has any permits: nobody waits, and the share is all there is."""
        return self._has_all(ask, line) and not line.waits and self._now.steady_s < line.until_s

    def _join(self, ask: Ask) -> Line:
        """Say which part of the window this process takes as its own; once is enough for all asks of a transaction."""
        whose = (ask.scope, self._now.steady_s)
        alive_until, cap = self._connection.execute(
            "SELECT coalesce(max(iif(holder = ? AND allowed = ?, alive_until, 0)), 0), max(allowed) "
            "FROM cap WHERE scope = ? AND alive_until > ?",
            (self._whose.holder, ask.allowed, *whose),
        ).fetchone()
        again_s = (CAP_S - CAP_AGAIN_S) / self._whose.speed
        if alive_until - again_s <= self._now.steady_s:
            alive_until = self._now.steady_s + CAP_S / self._whose.speed
            cap_row = (ask.scope, self._whose.holder, ask.allowed, alive_until)
            self._connection.execute("INSERT OR REPLACE INTO cap VALUES (?, ?, ?, ?)", cap_row)
            query = "SELECT max(allowed) FROM cap WHERE scope = ? AND alive_until > ?"
            cap = self._connection.execute(query, whose).fetchone()[0]
        others_wait, waits = self._connection.execute(
            "SELECT coalesce(max(holder <> ?), 0), coalesce(max(holder = ?), 0) FROM ticket "
            "WHERE scope = ? AND alive_until > ?",
            (self._whose.holder, self._whose.holder, *whose),
        ).fetchone()
        line = self._lines[ask.scope] = Line(cap, bool(others_wait), bool(waits), alive_until - again_s)
        return line

    def _needed_before(self, ask: Ask) -> int:
        """Permits that earlier tickets wait for."""
        row = self._connection.execute(
            "SELECT coalesce(sum(amount), 0) FROM ticket WHERE scope = :scope AND subject = :subject "
            "AND alive_until > :now AND holder <> :me AND id < coalesce((SELECT id FROM ticket WHERE scope = :scope "
            "AND subject = :subject AND holder = :me AND alive_until > :now), 9223372036854775807)",
            {"me": self._whose.holder, "scope": ask.scope, "subject": ask.subject, "now": self._now.steady_s},
        ).fetchone()
        return int(row[0])

    def _queue(self, ask: Ask, *, wanted: int) -> None:
        alive_until = self._now.steady_s + TICKET_S / self._whose.speed
        self._connection.execute(
            "INSERT INTO ticket (scope, subject, holder, amount, alive_until) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (scope, subject, holder) DO UPDATE SET amount = excluded.amount, "
            "alive_until = excluded.alive_until",
            (ask.scope, ask.subject, self._whose.holder, wanted, alive_until),
        )

    def _wait_s(self, ask: Ask, missing: int) -> float | None:
        """Seconds until so many settled permits are free again; None where open ones decide."""
        missing = max(1, missing)
        rows = self._connection.execute(
            "SELECT amount, until_steady, until_wall, boot FROM lease WHERE scope = ? AND subject IN (?, ?) "
            "AND until_steady > ? AND NOT open ORDER BY iif(?, until_wall, until_steady) LIMIT ?",
            (ask.scope, ask.subject, EVERY_SUBJECT, self._counted_from_s, self._whose.durable, missing),
        )
        latest_s = 0.0
        for amount, until_steady, until_wall, boot in rows:
            latest_s = max(latest_s, self.left_s(until_steady, until_wall, boot))
            missing -= amount
            if missing <= 0:
                return latest_s
        return None


def _part(allowed: int, factor: float) -> int:
    return max(1, math.floor(allowed * factor))
