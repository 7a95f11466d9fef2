"""One slice of time and the walk through it: every user of the slice exactly once, whatever the bounds mean.

A slice is [low, high) by creation. It is asked for one millisecond wider on both sides and what lies outside is left
out, so it does not matter whether Clerk's bounds are inclusive. The walk goes from the oldest on, by the cursor
``starting_after`` where the API version has it, else by time.

**A short page ends a slice only where it proves itself**: an empty or short page may also be how a deleted user
answers as a cursor. So the cursor is looked up afterwards; if it is still alive it was alive then. If it is gone, or
was refused, the walk asks again without a cursor from the last user's millisecond on, and leaves out who is known.

Pure: it makes queries and takes pages; who asks Clerk and who keeps the rows is not its concern.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from clerk_jobs.errors import ClerkBatchError
from clerk_jobs.export.page import Page

__all__ = ["LEAST_LIMIT", "DisorderError", "Slice", "SliceState", "Taken"]

OVERLAP = 10
"""Known rows that a page by offset begins with, within one millisecond; at most half of the page."""
LEAST_LIMIT = 2
"""Rows of the smallest page: one to be known and one to be new."""

SliceState = Literal["open", "check", "closed"]


class DisorderError(ClerkBatchError):
    """Pages that contradict what was asked for: going on could lose users without a word."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page brought to its slice.

    Attributes:
        rows: places in the page of the rows that are new and belong to the slice.
    """

    rows: Sequence[int]


@dataclass(slots=True)
class Slice:
    """A slice and the position of its walk.

    Attributes:
        low_ms: first millisecond that belongs to it.
        high_ms: first millisecond that does not any more; sinks when a part is given away.
        position_ms: creation of the last user that was kept; ``low_ms`` before the first.
        after_ms, before_ms: the bounds of the walk as they were asked for; a cursor demands that they stay.
        cursor: id after which the next page begins; None asks by time.
        cursor_ms: creation of the cursor's user: nothing older may follow it.
        asked: rows that were asked for last; a cursor demands that they stay as many. 0 before the first page.
        skip: rows to leave out at the server, where a millisecond holds more than a page and there is no cursor.
        state: ``check`` waits until it is known whether the cursor is alive.
        kept: how many users it gave.
        per_ms: users in a millisecond, as its last page had them or as its giver believed; None where nobody knows.
        hoped: users that it may still have at most, as its giver believed; None for no such bound.
        seen: ids at ``position_ms``, which a page may repeat.
    """

    id: int
    low_ms: int
    high_ms: int
    by_cursor: bool = True
    position_ms: int = -1
    after_ms: int = -1
    before_ms: int = -1
    cursor: str | None = None
    cursor_ms: int = 0
    asked: int = 0
    skip: int = 0
    state: SliceState = "open"
    kept: int = 0
    per_ms: float | None = None
    hoped: float | None = None
    seen: set[str] = field(default_factory=set, repr=False)
    _before: set[str] = field(default_factory=set, repr=False)
    _used: set[str] = field(default_factory=set, repr=False)
    _standing: int = 0
    _back: int = 0
    _refused_at: tuple[int, int] = (-1, -1)

    def __post_init__(self) -> None:
        if self.position_ms < 0:
            self.position_ms = self.low_ms
            self._begin()

    def query(self, limit: int) -> tuple[tuple[str, str], ...]:
        """The parameters of the next page of ``limit`` rows, beside what the job asks for."""
        assert self.state == "open"
        assert limit >= LEAST_LIMIT
        if self.cursor is not None and (limit != self.asked or self._is_near_end(limit)):
            self._begin()
        self.asked = limit
        place = (("starting_after", self.cursor),) if self.cursor is not None else ()
        if self.skip:
            place = (("offset", str(self.skip)),)
        return (
            ("limit", str(limit)),
            ("order_by", "+created_at"),
            ("created_at_after", str(self.after_ms)),
            ("created_at_before", str(self.before_ms)),
            *place,
        )

    def take(self, page: Page) -> Taken:
        """Take the page that the last query brought, and move on.

        Raises:
            DisorderError: the page is not in the order or not within the bounds that were asked for.
        """
        times = page.created_ms
        if times != sorted(times):
            raise DisorderError("a page of users was not ordered by created_at")
        if self.skip and not (len(page) and (page.ids[0] in self.seen or page.ids[0] in self._before)):
            # Rows before this page are gone and others moved up unseen: begin earlier, by more each time.
            self._back = 2 * max(self._back, OVERLAP)
            self.skip = max(0, self.skip - self._back)
            return Taken(())
        if times and times[0] < (self.cursor_ms if self.cursor is not None else self.after_ms):
            return self._strayed()
        self._back = 0
        rows = self._unknown(page)
        self._advance(page, rows)
        self._go_on(page)
        return Taken(rows)

    def believed(self, left: float) -> float:
        """The users that it has left by its density, never more than ``left`` or than its giver believed."""
        bound = left if self.hoped is None else min(left, self.hoped)
        return min(bound, (self.per_ms or 0.0) * (self.high_ms - self.position_ms))

    def cursor_refused(self) -> None:
        """Clerk does not take the cursor, or it is known to be gone: ask by time, from the last user on.

        Raises:
            DisorderError: there was no cursor to refuse.
        """
        if self.cursor is None:
            raise DisorderError("Clerk refused a page that has no cursor")
        if self._refused_at == (self.position_ms, self.kept):
            # Cursors do not lead out of this millisecond: an offset does.
            self.by_cursor = False
        self._refused_at = (self.position_ms, self.kept)
        self.state = "open"
        self._begin()

    def cursor_alive(self) -> None:
        """The cursor exists, so its short page was the last one."""
        assert self.state == "check"
        self.state = "closed"

    def remember(self, ids: Iterable[str]) -> None:
        """After a restart: who of the last millisecond is kept already."""
        self.seen.update(ids)

    def give(self, from_ms: int, number: int, rows: float | None) -> Slice:
        """Give the part from a millisecond on, with so many rows as it is believed, to somebody else."""
        assert self.position_ms < from_ms < self.high_ms
        given = Slice(number, from_ms, self.high_ms, self.by_cursor, per_ms=self.per_ms, hoped=rows)
        self.high_ms = from_ms
        return given

    def _is_near_end(self, limit: int) -> bool:
        """Whether the next page is believed to be the last: asked for by time, a short page needs no proof."""
        few = len(self.seen) <= OVERLAP and self.position_ms > self.after_ms + 1
        return few and self.believed(limit) < limit

    def _begin(self) -> None:
        """Ask by time from the position on."""
        self.after_ms, self.before_ms = self.position_ms - 1, self.high_ms
        self.cursor, self.skip = None, 0
        self._used.clear()

    def _strayed(self) -> Taken:
        if self.cursor is None:
            raise DisorderError("a page of users began before the time that was asked for")
        # A cursor that nobody knows any more may lead back to the beginning.
        self.cursor_refused()
        return Taken(())

    def _unknown(self, page: Page) -> Sequence[int]:
        """The places of the rows that belong here and are new."""
        low, high, here, seen = self.low_ms, self.high_ms, self.position_ms, self.seen
        if len(page) and here < page.created_ms[0] and page.created_ms[-1] < high:
            return range(len(page))
        return [
            place
            for place, time_ms in enumerate(page.created_ms)
            if low <= time_ms < high and (time_ms > here or (time_ms == here and page.ids[place] not in seen))
        ]

    def _advance(self, page: Page, rows: Sequence[int]) -> None:
        if rows:
            self.kept += len(rows)
            self._standing += len(rows)
            if self.hoped is not None:
                self.hoped = max(0.0, self.hoped - len(rows))
            self._move_to(page.created_ms[rows[-1]])
        elif not len(page):
            self.per_ms = 0.0
        # Also those outside of the slice: a page by offset shows by them that it follows the one before.
        before = bisect_left(page.created_ms, self.position_ms - 1)
        here = bisect_left(page.created_ms, self.position_ms)
        beyond = bisect_left(page.created_ms, self.position_ms + 1)
        self._before.update(page.ids[before:here])
        self.seen.update(page.ids[here:beyond])

    def _move_to(self, last_ms: int) -> None:
        if last_ms == self.position_ms:
            return
        # A millisecond that fills pages says nothing of the time after it until the walk has left it.
        self.per_ms = self._standing / (last_ms - self.position_ms)
        self._before = self.seen if last_ms == self.position_ms + 1 else set()
        self.seen = set()
        self.position_ms, self._standing = last_ms, 0
        self._used.clear()

    def _go_on(self, page: Page) -> None:
        if len(page) and page.created_ms[-1] >= self.high_ms:
            self.state = "closed"
        elif len(page) < self.asked:
            self.state = "check" if self.cursor is not None else "closed"
        elif self.by_cursor:
            self._use_cursor(page.ids[-1], page.created_ms[-1])
        elif self.position_ms - 1 > self.after_ms:
            self._begin()
        else:
            # The walk has not left the first millisecond that was asked for: deeper into it.
            self.skip += len(page) - min(OVERLAP, self.asked // 2)

    def _use_cursor(self, cursor: str, cursor_ms: int) -> None:
        if cursor in self._used:
            raise DisorderError("pages of users repeat: the same cursor came back")
        self._used.add(cursor)
        self.cursor, self.cursor_ms = cursor, cursor_ms
