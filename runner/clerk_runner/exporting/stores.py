"""Where the pages of a walk go: into the spool, or as parents whose lists are walked next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, Protocol

from clerk_jobs.export.distinct import digests
from clerk_jobs.export.page import Page
from clerk_jobs.export.part import Part
from clerk_jobs.export.slices import Slice
from clerk_runner.exporting.positions import save_positions
from clerk_runner.exporting.spool import Extent, Spool, Work
from clerk_runner.exporting.tail import Tail
from clerk_runner.journal import Journal

__all__ = ["ParentStore", "SpoolStore", "Store"]

MOST_WAITING: Final = 16 * 1024 * 1024
"""Bytes on their way to the disk above which no further walker starts: a slow disk must not fill the memory."""


class Store(Protocol):
    """Takes pages, and makes them certain together with the positions of their walks."""

    @property
    def is_behind(self) -> bool:
        """Whether the store is slower than the pages."""
        ...

    def note(self, walks: Iterable[Slice | Part]) -> None:
        """These walks moved without a page."""

    async def append(self, walk: Slice | Part, page: Page, places: Sequence[int]) -> None:
        """Take the rows at these places of a page; the order is placed before anything is awaited.

        Raises:
            OSError: they cannot be written.
        """

    async def commit(self, walks: Iterable[Slice | Part]) -> None:
        """Make certain what was taken until now, and where its walks stand.

        Raises:
            OSError: it cannot be written.
        """


class SpoolStore:
    """Pages go to the spool: they are appended, the file is synced, and only then are they journalled.

    Args:
        tail: takes a line for every page and every move, so that a kill between two commits loses none of them.
        pages: how many the journal has.
    """

    def __init__(self, journal: Journal, spool: Spool, tail: Tail, pages: int) -> None:
        """Go on behind what the journal has."""
        self._journal = journal
        self._spool = spool
        self._tail = tail
        self._pages = pages
        self._unsaved: list[tuple[Extent, bytes]] = []

    @property
    def is_behind(self) -> bool:
        """See `Store`."""
        return self._spool.waiting >= MOST_WAITING

    def note(self, walks: Iterable[Slice | Part]) -> None:
        """See `Store`."""
        self._spool.order(partial(self._tail.write, self._tail.line(None, walks)))

    async def append(self, walk: Slice | Part, page: Page, places: Sequence[int]) -> None:
        """See `Store`."""

        def noted(extent: Extent) -> Work:
            return partial(self._tail.write, self._tail.line(extent, [walk]))

        extent, written = self._spool.append(self._pages, walk.id, page, places, noted)
        self._pages += 1
        self._unsaved.append((extent, digests(page.ids[place] for place in places)))
        await written

    async def commit(self, walks: Iterable[Slice | Part]) -> None:
        """See `Store`."""
        pages, self._unsaved = self._unsaved, []
        mark = self._tail.mark
        await self._spool.sync()
        await save_positions(self._journal, walks, pages, mark=mark)


class ParentStore:
    """Rows become parents: each gets a part, the list below it.

    Args:
        paged: whether these lists have pages.
    """

    is_behind = False

    def __init__(self, journal: Journal, *, paged: bool) -> None:
        """Hold nothing yet."""
        self._journal = journal
        self._paged = paged
        self._unsaved: list[tuple[str, int, bool]] = []

    def note(self, walks: Iterable[Slice | Part]) -> None:
        """See `Store`."""

    async def append(self, walk: Slice | Part, page: Page, places: Sequence[int]) -> None:  # noqa: ARG002  of a Store
        """See `Store`."""
        self._unsaved += [(page.ids[place], page.created_ms[place], self._paged) for place in places]

    async def commit(self, walks: Iterable[Slice | Part]) -> None:
        """See `Store`."""
        parents, self._unsaved = self._unsaved, []
        await save_positions(self._journal, walks, parents=parents)
