"""Walking lists by offset, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from clerk_jobs.call import Call, Reply
from clerk_jobs.export.page import Page
from clerk_jobs.export.part import Part
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.keeper import Keeper
from clerk_runner.exporting.pages import Pages

__all__ = ["PartWalk"]


@dataclass(slots=True)
class PartWalk:
    """Walks parts into the spool.

    Attributes:
        call: makes the call for a part, with the job's own filters.
        parts: those that are open.
        before_ms: rows created from this moment on are left out: they are younger than the export.
        rows: rows that were kept.
    """

    pages: Pages
    keeper: Keeper
    halt: Halt
    call: Callable[[Part], Call]
    parts: AsyncIterator[Part]
    before_ms: int
    rows: int = 0

    async def run(self) -> None:
        """Walk until every part is closed, or until it has to stop."""
        await self.halt.guarded(self._walk())

    async def _walk(self) -> None:
        while not self.halt.stopping:
            part = await anext(self.parts, None)
            if part is None:
                return
            await self._walk_part(part)

    async def _walk_part(self, part: Part) -> None:
        call = self.call(part)
        while part.state == "open":
            answer = await self.pages.ask(call, part.query)
            if answer is None:
                return
            if isinstance(answer, Reply):
                if answer.status != 404 or not part.parent:
                    raise self.pages.refused(answer)
                part.gone()
                self.keeper.moved(part)
                return
            await self._take(part, answer)

    async def _take(self, part: Part, page: Page) -> None:
        places = [place for place in part.take(page) if page.created_ms[place] < self.before_ms]
        self.rows += len(places)
        await self.keeper.keep(part, page, places)
