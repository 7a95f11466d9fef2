"""Walkers of users: as many as the limit can feed, each asking for the pages of one slice and then of the next.

By Little's law the limit is used up by rate x latency requests under way; the latency is measured, so the number of
walkers follows it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field, replace
from typing import Final

from clerk_jobs.call import Call, Reply
from clerk_jobs.export.sharing import Sharing
from clerk_jobs.export.slices import Slice
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.keeper import Keeper
from clerk_runner.exporting.pages import Pages

__all__ = ["Walkers", "walkers_wanted"]

MOST_WALKERS: Final = 200
"""What the limit of a production instance feeds at two seconds an answer; each holds memory while it waits."""
LEAST_WALKERS: Final = 4
CHECKED_AT_ONCE: Final = 100
"""Ids that one GET /users takes. Source: Clerk's OpenAPI document 2026-05-12, maxItems of user_id."""


def walkers_wanted(rate_per_s: float, latency_s: float | None) -> int:
    """How many requests under way use up a limit, and a few more; 0.2 s where no latency is known yet."""
    return max(LEAST_WALKERS, min(MOST_WALKERS, math.ceil(rate_per_s * (latency_s or 0.2) * 1.25) + 2))


@dataclass(slots=True)
class Walkers:
    """Walks all slices of an export.

    Attributes:
        call: the list with the job's own filters.
        rate_per_s: requests that the job's share of the limit allows a second.
    """

    pages: Pages
    keeper: Keeper
    halt: Halt
    sharing: Sharing
    call: Call
    rate_per_s: float
    _active: set[int] = field(default_factory=set)
    _group: asyncio.TaskGroup | None = None

    @property
    def rows(self) -> int:
        """Rows that were kept."""
        return self.sharing.kept

    async def run(self) -> None:
        """Walk until every slice is closed, or until it has to stop."""
        self.keeper.moved(*self.sharing.slices.values())
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self._walk()

    async def _walk(self) -> None:
        while not self.sharing.finished and not self.halt.stopping:
            self.halt.changed.clear()
            self._fill()
            if len(self.sharing.to_check()) >= CHECKED_AT_ONCE or not self._active:
                await self.halt.guarded(self._check())
                continue
            await self.halt.changed.wait()
        while self._active:
            self.halt.changed.clear()
            await self.halt.changed.wait()

    def _fill(self) -> None:
        """Put walkers to work, up to the number that the limit can feed."""
        wanted = walkers_wanted(self.rate_per_s, self.pages.exchange.latency_s)
        waiting = [each for each in self.sharing.open() if each.id not in self._active]
        while len(self._active) < wanted and not self.halt.stopping and not self.keeper.is_behind:
            one = waiting.pop() if waiting else self._take_part()
            if one is None:
                return
            self._active.add(one.id)
            assert self._group is not None
            self._group.create_task(self._work_on(one), name=f"slice {one.id}")

    def _take_part(self) -> Slice | None:
        shared = self.sharing.take_part()
        if shared is None:
            return None
        self.keeper.moved(*shared)
        return shared[1]

    async def _work_on(self, one: Slice) -> None:
        try:
            await self.halt.guarded(self._walk_slice(one))
        finally:
            self._active.discard(one.id)
            self.halt.changed.set()

    async def _walk_slice(self, one: Slice) -> None:
        # A step is a function of its own, so that no walker holds its last page while it waits for the next.
        while one.state == "open" and await self._step(one):
            self._fill()

    async def _step(self, one: Slice) -> bool:
        """Ask for the next page and keep it; False where the walk is to end."""
        answer = await self.pages.ask(self.call, one.query)
        if answer is None:
            return False
        if isinstance(answer, Reply):
            if one.cursor is None or answer.status not in (400, 404, 422):
                raise self.pages.refused(answer)
            one.cursor_refused()
            self.keeper.moved(one)
        else:
            await self.keeper.keep(one, answer, one.take(answer).rows)
        return True

    async def _check(self) -> None:
        """Look up the cursors behind short pages: a slice ends only where its cursor is alive and fits the filters."""
        checked = self.sharing.to_check()[:CHECKED_AT_ONCE]
        if not checked:
            return
        cursors = [one.cursor for one in checked if one.cursor is not None]
        filters = (pair for pair in self.call.query if pair[0] != "user_id")
        query = (*filters, ("limit", str(CHECKED_AT_ONCE)), *(("user_id", cursor) for cursor in cursors))
        reply = await self.pages.exchange.read(replace(self.call, query=query))
        alive = {row.get("id") for row in reply.rows("users by id") if isinstance(row, dict)}
        for one in checked:
            if one.cursor in alive:
                one.cursor_alive()
            else:
                one.cursor_refused()
        self.keeper.moved(*checked)
