"""Walking lists by offset: one that stands alone, or those below many parents, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from clerk_jobs.call import Call
from clerk_jobs.export.page import Page
from clerk_jobs.export.part import Part
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.keeper import Keeper
from clerk_runner.exporting.pages import Pages

__all__ = ["PartWalk"]


@dataclass(slots=True)
class PartWalk:
    """Walks parts, each from its first page to its last.

    Attributes:
        call: makes the call for a part, with the job's own filters.
        parts: those that are open.
        before_ms: rows created from this moment on are left out: they are younger than the export.
        wanted: how many parts should be walked at once, now.
        rows: rows that were kept.
    """

    pages: Pages
    keeper: Keeper
    halt: Halt
    call: Callable[[Part], Call]
    parts: AsyncIterator[Part]
    before_ms: int
    wanted: Callable[[], int] = lambda: 1
    rows: int = 0
    _walkers: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Walk until every part is closed, or until it has to stop."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._fill()

    def _fill(self) -> None:
        assert self._group is not None
        while self._walkers < self.wanted():
            self._walkers += 1
            self._group.create_task(self.halt.guarded(self._walk()), name=f"list walker {self._walkers}")

    async def _walk(self) -> None:
        while not self.halt.stopping:
            async with self._turn:
                part = await anext(self.parts, None)
            if part is None:
                return
            await self._walk_part(part)
            self._fill()

    async def _walk_part(self, part: Part) -> None:
        call = self.call(part)
        while part.state == "open" and await self._step(call, part):
            pass

    async def _step(self, call: Call, part: Part) -> bool:
        """Ask for the next page and keep it; False where the walk is to end."""
        answer = await self.pages.ask(call, part.query)
        if answer is None:
            return False
        if isinstance(answer, Page):
            await self._take(part, answer)
        elif answer.status == 404 and part.parent:
            part.close()
            self.keeper.moved(part)
        else:
            raise self.pages.refused(answer)
        return True

    async def _take(self, part: Part, page: Page) -> None:
        places = [place for place in part.take(page) if page.created_ms[place] < self.before_ms]
        self.rows += len(places)
        await self.keeper.keep(part, page, places)
