"""Walking what changed: the newest change first, down to a mark, and giving up where a full export is cheaper."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

from clerk_jobs.call import Call, Reply
from clerk_jobs.export.changes import updated_ms
from clerk_jobs.export.page import Page
from clerk_jobs.export.part import Part
from clerk_jobs.export.slices import DisorderError
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.keeper import Keeper
from clerk_runner.exporting.pages import Pages

__all__ = ["ChangesWalk"]

MOST_CHANGES: Final = 10_000
"""Changes above which a full export is cheaper: offsets get slower with their depth."""
SLOW_S: Final = 10.0
"""How long an answer takes that says the same."""


@dataclass(slots=True)
class ChangesWalk:
    """Walks the users by their last change.

    Attributes:
        since_ms: the walk ends at the first page that reaches below.
        before_ms: users created from this moment on are left out: they are younger than the export.
        too_dear: whether it gave up; what was kept is of no use then.
    """

    pages: Pages
    keeper: Keeper
    halt: Halt
    call: Call
    part: Part
    since_ms: int
    before_ms: int
    rows: int = 0
    too_dear: bool = False

    async def run(self) -> None:
        """Walk to the mark, until it has to stop, or until it is too dear."""
        await self.halt.guarded(self._walk())

    async def _walk(self) -> None:
        while self.part.state == "open" and not self.too_dear:
            answer = await self.pages.ask(self.call, self.part.query)
            if answer is None:
                return
            if isinstance(answer, Reply):
                raise self.pages.refused(answer)
            await self._take(answer)
            if self.part.state == "open":
                slow = self.pages.exchange.worst_s > SLOW_S or self.pages.is_halved
                self.too_dear = slow or self.rows > MOST_CHANGES

    async def _take(self, page: Page) -> None:
        changed = updated_ms(page)
        if any(earlier < later for earlier, later in itertools.pairwise(changed)):
            raise DisorderError("a page of users was not ordered by updated_at")
        found = self.part.take(page)
        places = [
            place for place in found if changed[place] >= self.since_ms and page.created_ms[place] < self.before_ms
        ]
        self.rows += len(places)
        if self.part.anchored and changed and changed[-1] < self.since_ms:
            self.part.close()
        await self.keeper.keep(self.part, page, places)
