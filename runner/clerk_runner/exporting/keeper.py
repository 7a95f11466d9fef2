"""Keeping what walks bring, and making it certain about twice a second.

Between two saves the spool's tail keeps it through a kill; a machine that stops loses it, and it is asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from copy import copy
from typing import Final

from clerk_jobs.export.page import Page
from clerk_jobs.export.part import Part
from clerk_jobs.export.slices import Slice
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.stores import Store

__all__ = ["Keeper"]

SAVE_S: Final = 0.5


class Keeper:
    """Keeps the pages and the positions of the walks of one export."""

    def __init__(self, store: Store, halt: Halt) -> None:
        """Hold nothing yet."""
        self._store = store
        self._halt = halt
        self._moved: dict[int, Slice | Part] = {}
        self._ended = asyncio.Event()

    @property
    def is_behind(self) -> bool:
        """Whether pages come faster than they can be kept."""
        return self._store.is_behind

    def moved(self, *walks: Slice | Part) -> None:
        """These positions have to be saved."""
        self._moved.update((walk.id, walk) for walk in walks)
        self._store.note(walks)

    async def keep(self, walk: Slice | Part, page: Page, places: Sequence[int]) -> None:
        """Keep the rows at these places of a page; ends when they are written.

        Raises:
            OSError: they cannot be written.
        """
        self._moved[walk.id] = walk
        if places:
            await self._store.append(walk, page, places)
        else:
            self._store.note([walk])

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
        """Make certain what was kept until now; every page is kept by a walk that moved.

        Raises:
            OSError: it cannot be written.
        """
        if not self._moved:
            return
        # Positions and pages are taken together, before anything is awaited.
        walks = [copy(self._moved[number]) for number in sorted(self._moved)]
        self._moved.clear()
        await self._store.commit(walks)
