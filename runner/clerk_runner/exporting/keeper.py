"""Keeping pages: into the spool as they arrive, and certain about twice a second.

The law of a crash: pages are appended, the file is synced, and only then are positions and pages journalled together.
A kill loses what is younger, and that is asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from copy import copy
from typing import Final

from clerk_jobs.export.distinct import digests
from clerk_jobs.export.page import Page
from clerk_jobs.export.part import Part
from clerk_jobs.export.slices import Slice
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.positions import Positions, save_positions
from clerk_runner.exporting.spool import Extent, Spool
from clerk_runner.journal import Journal

__all__ = ["Keeper"]

SAVE_S: Final = 0.5
MOST_WAITING: Final = 16 * 1024 * 1024
"""Bytes on their way to the disk above which no further walker starts: a slow disk must not fill the memory."""


class Keeper:
    """Keeps the pages and the positions of one export.

    Args:
        positions: what the journal has.
    """

    def __init__(self, journal: Journal, spool: Spool, positions: Positions, halt: Halt) -> None:
        """Go on behind what the journal has."""
        self._journal = journal
        self._spool = spool
        self._halt = halt
        self._pages = len(positions.extents)
        self._moved: dict[int, Slice | Part] = {}
        self._unsaved: list[tuple[Extent, bytes]] = []
        self._ended = asyncio.Event()

    @property
    def is_behind(self) -> bool:
        """Whether the disk is slower than the pages."""
        return self._spool.waiting >= MOST_WAITING

    def moved(self, *walks: Slice | Part) -> None:
        """These positions have to be saved."""
        self._moved.update((walk.id, walk) for walk in walks)

    async def keep(self, walk: Slice | Part, page: Page, places: Sequence[int]) -> None:
        """Keep the rows at these places of a page; ends when they are written.

        Raises:
            OSError: the spool cannot be written.
        """
        self.moved(walk)
        if not places:
            return
        extent, written = self._spool.append(self._pages, walk.id, page, places)
        self._pages += 1
        self._unsaved.append((extent, digests(page.ids[place] for place in places)))
        await written

    async def run(self) -> None:
        """Make certain what arrived, now and then, until ``end``; never cancelled, so that a save is finished."""
        while not self._ended.is_set() and not isinstance(self._halt.ending, OSError):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), SAVE_S)
            await self._halt.guarded(self.save())

    def end(self) -> None:
        """Nothing more arrives."""
        self._ended.set()

    async def save(self) -> None:
        """Make certain what was kept until now; positions and pages are taken together, before anything is awaited."""
        if not self._moved and not self._unsaved:
            return
        pages, self._unsaved = self._unsaved, []
        walks = [copy(self._moved[number]) for number in sorted(self._moved)]
        self._moved.clear()
        await self._spool.sync()
        await save_positions(self._journal, walks, pages)
