"""The pending items nearest to their turn, and which of them a lane takes next.

The journal holds them all; the feed looks a bounded distance ahead, so memory does not grow with the input. Taking an
item here changes nothing in the journal: only an intent does, so a crash forgets nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from clerk_runner.journal import Journal, OpenItem

__all__ = ["AHEAD", "Feed", "Feeding"]

AHEAD = 2_000
"""How many pending items are held at once."""


class Feeding(Protocol):
    """What the engine asks for the next items; `Feed` has the words."""

    async def fill(self) -> None:
        """Read ahead."""
        ...

    def take(self, size: int, *, alone: bool) -> list[OpenItem]:
        """Items for one call; empty where there is nothing for this lane."""
        ...

    def give_back(self, items: Iterable[OpenItem]) -> None:
        """Put items back that are pending again."""
        ...

    def has(self, *, alone: bool) -> bool:
        """Whether a lane would get something now."""
        ...

    def carries(self, size: int, *, alone: bool) -> int:
        """How many items ``take`` would give now."""
        ...

    def ahead(self, count: int) -> list[OpenItem]:
        """About so many items that are likely to be taken next; a guess that binds nobody."""
        ...

    @property
    def left(self) -> int:
        """Pending items that nobody took."""
        ...

    @property
    def urgent(self) -> bool:
        """Whether something waits that travels alone."""
        ...


class Feed:
    """Pending items in the order of the input, by group, with those that travel alone apart."""

    def __init__(self, journal: Journal, pending: int) -> None:
        """``pending`` is how many pending items the journal has now."""
        self._journal = journal
        self._last_seq = 0
        self._alone: deque[OpenItem] = deque()
        self._groups: dict[str, deque[OpenItem]] = {}
        self._held = 0
        self._unread = pending
        self._filling = asyncio.Lock()
        self._returned: set[int] = set()

    async def fill(self) -> None:
        """Read ahead where less than half is held; the lanes take turns, so that no item is read twice."""
        if self._held >= AHEAD // 2 or self._unread == 0:
            return
        async with self._filling:
            while self._unread and self._held < AHEAD // 2:
                items = await self._journal.pending(self._last_seq, AHEAD - self._held)
                assert items, "the journal has fewer pending items than were counted"
                self._last_seq = items[-1].seq
                new = [item for item in items if item.seq not in self._returned]
                self._returned = {seq for seq in self._returned if seq > self._last_seq}
                self._unread -= len(new)
                for item in new:
                    self._hold(item)

    def give_back(self, items: Iterable[OpenItem]) -> None:
        """Put items back that are pending again, once the journal has them so.

        One that was in doubt when the run began may lie ahead of what was read: reading must not bring it again.
        """
        for item in items:
            if item.seq > self._last_seq:
                self._returned.add(item.seq)
            self._hold(item)

    def take(self, size: int, *, alone: bool) -> list[OpenItem]:
        """Up to ``size`` items for one call, which share a group; empty where there is nothing for this lane.

        A lane that carries many takes from a group that fills its call, the lane that carries one from what is left
        over, so that the tens stay together. ``alone`` tells whether the lane may take what travels alone; such an
        item is a call of its own.
        """
        if alone and self._alone:
            return self._taken([self._alone.popleft()])
        if not self._groups:
            return []
        name = self._next_group(size)
        group = self._groups[name]
        items = [group.popleft() for _ in range(min(size, len(group)))]
        if not group:
            del self._groups[name]
        return self._taken(items)

    def carries(self, size: int, *, alone: bool) -> int:
        """How many items ``take`` would give now."""
        if alone and self._alone:
            return 1
        if size == 1:
            return int(bool(self._groups))
        return min(size, len(self._groups[self._next_group(size)])) if self._groups else 0

    def ahead(self, count: int) -> list[OpenItem]:
        """The first of those that travel alone, and of one group."""
        found = list(islice(self._alone, count))
        if self._groups:
            found += islice(next(iter(self._groups.values())), count)
        return found

    @property
    def left(self) -> int:
        """Pending items, held here or still in the journal alone."""
        return self._held + self._unread

    def has(self, *, alone: bool) -> bool:
        """Whether a lane would get something now."""
        return bool(self._groups) or (alone and bool(self._alone))

    @property
    def urgent(self) -> bool:
        """Whether something waits that travels alone: a re-send, or the culprit of a refused bulk call."""
        return bool(self._alone)

    def _hold(self, item: OpenItem) -> None:
        self._held += 1
        if item.alone:
            self._alone.append(item)
        else:
            self._groups.setdefault(item.group, deque()).append(item)

    def _taken(self, items: list[OpenItem]) -> list[OpenItem]:
        self._held -= len(items)
        return items

    def _next_group(self, size: int) -> str:
        return self._fullest(size) if size > 1 else self._poorest()

    def _fullest(self, size: int) -> str:
        """The first group in order that fills a call, else the largest."""
        for name, group in self._groups.items():
            if len(group) >= size:
                return name
        return max(self._groups, key=lambda name: len(self._groups[name]))

    def _poorest(self) -> str:
        return min(self._groups, key=lambda name: len(self._groups[name]))
