"""GET /users and GET /users/count: every filter, every order, the cursor.

Whatever a list can be narrowed to cheaply comes first: the holders of the identifiers asked for, else a range
of creation times. What is left is walked user by user, letting other requests go on in between, as a filter
over a million users takes its time here as it does at Clerk.
"""

import heapq
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from .call import Call, Query, Reply
from .errors import invalid
from .listing import Order, Page, bare, number
from .settings import BoundsMode, DeletedCursorMode
from .shelf import Shelf, breathe
from .timeline import Key, Timeline
from .user_filters import Membership, UserFilter
from .users import TIMES, Users, sort_key

_TEXT_ORDERS = ("email_address", "web3wallet", "first_name", "last_name", "phone_number", "username")
_ORDERS = (*_TEXT_ORDERS, *TIMES)
_CHUNK = 500
# The document of this version knows no cursor, so the parameter means nothing there.
_WITHOUT_CURSOR = frozenset({"2025-03-12"})


@dataclass(frozen=True, slots=True)
class UserListSettings:
    """What Clerk does not document: whether bounds are inclusive, what a deleted user does as a cursor."""

    bounds: BoundsMode
    deleted_cursor: DeletedCursorMode


@dataclass(frozen=True, slots=True)
class _Range:
    """Ranks [start, stop) of a timeline, and which way they are walked."""

    timeline: Timeline
    start: int
    stop: int
    descending: bool

    def numbers(self, skip: int, length: int) -> list[int]:
        """So many numbers, after so many others, in the order of the walk."""
        if self.descending:
            stop = self.stop - skip
            return self.timeline.numbers(max(self.start, stop - length), stop)[::-1]
        start = self.start + skip
        return self.timeline.numbers(start, min(self.stop, start + length))

    def after(self, key: Key) -> "_Range":
        """What is left once the walk has passed a key."""
        if self.descending:
            stop = min(self.stop, self.timeline.rank(key))
            return replace(self, stop=max(self.start, stop))
        start = max(self.start, self.timeline.rank((key[0], key[1] + 1)))
        return replace(self, start=min(self.stop, start))


class UserLists:
    """The list operations on users."""

    def __init__(self, users: Users, membership: Membership, settings: UserListSettings) -> None:
        self._users = users
        self._membership = membership
        self._settings = settings

    async def count(self, call: Call) -> Reply:
        """GET /users/count."""
        wanted = UserFilter.read(call.query, self._settings.bounds)
        ranks = self._range(call.query, Order("created_at", descending=False))
        total = ranks.stop - ranks.start
        if wanted.narrows:
            total = len([user async for user in self._matching(wanted, ranks)])
        return Reply.json({"object": "total_count", "total_count": total})

    async def list_page(self, call: Call) -> Reply:
        """GET /users."""
        query = call.query
        page, order = Page.read(query), Order.read(query, _ORDERS)
        wanted = UserFilter.read(query, self._settings.bounds)
        ranks = self._range(query, order)
        cursor = query.first("starting_after")
        if cursor and call.version not in _WITHOUT_CURSOR:
            after = self._after(cursor, page, order, ranks)
            if after is None:
                return bare([])
            ranks = after
        whole = ranks.stop - ranks.start == len(self._users)
        if order.field == "created_at" and wanted.narrows:
            numbers = await self._page(wanted, ranks, page)
        elif order.field == "created_at":
            numbers = ranks.numbers(page.offset, page.limit)
        elif order.field == "updated_at" and whole and not wanted.narrows:
            numbers = replace(ranks, timeline=self._users.by_change).numbers(page.offset, page.limit)
        else:
            numbers = await self._sorted(wanted, ranks, page, order)
        return bare(self._users.shelf.rows(numbers))

    def _range(self, query: Query, order: Order) -> _Range:
        """The ranks that the bounds of created_at leave."""
        after, before = number(query, "created_at_after"), number(query, "created_at_before")
        if self._settings.bounds == "exclusive":
            after = None if after is None else after + 1
            before = None if before is None else before - 1
        timeline = self._users.shelf.by_creation
        start = 0 if after is None else timeline.rank((after, -1))
        stop = len(timeline) if before is None else timeline.rank((before + 1, -1))
        return _Range(timeline, start, max(start, stop), order.descending)

    def _after(self, cursor: str, page: Page, order: Order, ranks: _Range) -> _Range | None:
        """The ranks that follow a cursor; None for the empty page of a deleted user.

        Raises:
            RefusalError: 422 where the cursor does not go with the order or an offset, or is unknown.
        """
        if order.field != "created_at":
            raise invalid("starting_after", "needs an order by created_at")
        if page.offset:
            raise invalid("starting_after", "cannot be combined with an offset")
        shelf = self._users.shelf
        user = shelf.ids.number(cursor)
        if user is None or not shelf.was_made(user):
            raise invalid("starting_after", "is the id of no user")
        if not shelf.exists(user) and self._settings.deleted_cursor != "resolved":
            if self._settings.deleted_cursor == "empty":
                return None
            raise invalid("starting_after", "is the id of no user")
        return ranks.after((shelf.created_at_ms(user), user))

    async def _matching(self, wanted: UserFilter, ranks: _Range) -> AsyncIterator[int]:
        """The users of a range who pass a filter, in the order of the walk."""
        shelf = self._users.shelf
        candidates = wanted.candidates(self._users, self._membership)
        if candidates is not None:
            keys = sorted(((shelf.created_at_ms(user), user) for user in candidates), reverse=ranks.descending)
            for key in keys:
                within = ranks.start <= ranks.timeline.rank(key) < ranks.stop
                if within and (wanted.only_includes or self._passes(wanted, key[1])):
                    yield key[1]
            return
        # Users come and go while the walk lets others in, so it goes on from a key, never from a rank.
        last = _last_key(ranks, shelf)
        while numbers := ranks.numbers(0, _CHUNK):
            for user in numbers:
                await breathe(user)
                if shelf.exists(user) and self._passes(wanted, user):
                    yield user
            ranks = _rest(ranks, (shelf.created_at_ms(numbers[-1]), numbers[-1]), last)

    def _passes(self, wanted: UserFilter, user: int) -> bool:
        if not wanted.narrows:
            return True
        return wanted.matches(user, self._users.shelf.record(user), self._membership)

    async def _page(self, wanted: UserFilter, ranks: _Range, page: Page) -> list[int]:
        """The numbers of a page of those who pass, in the order of a timeline."""
        numbers: list[int] = []
        passed = 0
        async for user in self._matching(wanted, ranks):
            passed += 1
            if passed > page.offset:
                numbers.append(user)
            if len(numbers) == page.limit:
                break
        return numbers

    async def _sorted(self, wanted: UserFilter, ranks: _Range, page: Page, order: Order) -> list[int]:
        """The numbers of a page of those who pass, in the order of a field."""
        best = heapq.nlargest if order.descending else heapq.nsmallest
        length = page.offset + page.limit
        kept: list[tuple[Any, int]] = []
        async for user in self._matching(wanted, ranks):
            kept.append((sort_key(self._users.shelf.record(user), order.field), user))
            if len(kept) > 2 * length + _CHUNK:
                kept = best(length, kept)
        return [user for _, user in best(length, kept)[page.offset :]]


def _last_key(ranks: _Range, shelf: Shelf) -> Key:
    """The key at which a walk ends, beyond every object where there is none."""
    timeline, ranks_end = ranks.timeline, ranks.start if ranks.descending else ranks.stop - 1
    numbers = timeline.numbers(ranks_end, ranks_end + 1)
    return (shelf.created_at_ms(numbers[0]), numbers[0]) if numbers else (0, 0)


def _rest(ranks: _Range, passed: Key, last: Key) -> _Range:
    """What is left of a walk, after a key and up to the last one, in the timeline as it is now."""
    timeline = ranks.timeline
    if ranks.descending:
        return replace(ranks, start=timeline.rank(last), stop=timeline.rank(passed))
    start, stop = (timeline.rank((time_ms, number + 1)) for time_ms, number in (passed, last))
    return replace(ranks, start=start, stop=stop)
