"""One list that is walked by offset, so that nobody who stays is missed while others come and go.

An offset counts rows, so every deletion before it moves an unseen row out of the next page. Therefore pages overlap:
each begins ``OVERLAP`` rows before the last one ended, and has to begin with a row that is known. Where it does not,
or where it is empty, the walk steps back, by twice as much each time, and asks again. At the end the rows are compared
with the total that Clerk states, and where rows are missing the list is read once more.

Pure: it makes queries and takes pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from clerk_jobs.export.distinct import DIGEST_SIZE, digests
from clerk_jobs.export.page import Page

__all__ = ["LEAST_LIMIT", "Part", "PartState"]

OVERLAP = 20
"""Known rows that a page begins with; at most half of the page."""
LEAST_LIMIT = 2
"""Rows of the smallest page: one to be known and one to be new."""
MOST_READINGS = 2
"""How often a list is read at most because rows are missing by its total."""

PartState = Literal["open", "closed"]


@dataclass(slots=True)
class Part:
    """A list and the position of its walk.

    Attributes:
        parent: id of what the list belongs to; empty where it stands alone.
        created_ms: creation of the parent, which orders the output.
        paged: False where one answer brings all rows.
        offset: how many rows the next page leaves out.
        readings: how often the list was begun.
        kept: rows it gave.
        first_total, last_total: how many rows Clerk said there are, in the first and in the last page.
        missing: rows that Clerk counted at the end and that no page brought.
        asked: rows that were asked for last.
        seen: digests of all ids that were met, about 100 bytes of memory each.
    """

    id: int
    parent: str = ""
    created_ms: int = 0
    paged: bool = True
    offset: int = 0
    state: PartState = "open"
    readings: int = 1
    kept: int = 0
    first_total: int | None = None
    last_total: int | None = None
    missing: int = 0
    asked: int = 0
    seen: set[bytes] = field(default_factory=set, repr=False)
    _back: int = 0

    @property
    def anchored(self) -> bool:
        """Whether the last page followed the one before it."""
        return self._back == 0

    def query(self, limit: int) -> tuple[tuple[str, str], ...]:
        """The parameters of the next page of ``limit`` rows."""
        assert self.state == "open"
        assert limit >= LEAST_LIMIT
        self.asked = limit
        return (("limit", str(limit)), ("offset", str(self.offset))) if self.paged else ()

    def take(self, page: Page) -> Sequence[int]:
        """Take the page that the last query brought, and move on; returns the places of the rows that are new."""
        if page.total_count is not None:
            self.first_total = page.total_count if self.first_total is None else self.first_total
            self.last_total = page.total_count
        digest = digests(page.ids)
        found = [digest[start : start + DIGEST_SIZE] for start in range(0, len(digest), DIGEST_SIZE)]
        if self.offset and not (found and found[0] in self.seen):
            self._back = 2 * max(self._back, OVERLAP)
            self.offset = max(0, self.offset - self._back)
            return ()
        self._back = 0
        new = []
        for place, each in enumerate(found):
            if each not in self.seen:
                self.seen.add(each)
                new.append(place)
        self.kept += len(new)
        self._go_on(len(found))
        return new

    def close(self) -> None:
        """End the walk: what the list belongs to is gone, or nothing more is wanted."""
        self.state = "closed"

    def remember(self, digest: Iterable[bytes]) -> None:
        """After a restart: the digests of the rows that are kept already."""
        self.seen.update(digest)

    def _go_on(self, rows: int) -> None:
        if self.paged and rows >= self.asked:
            self.offset += rows - min(OVERLAP, self.asked // 2)
            return
        self.missing = 0 if self.last_total is None else max(0, self.last_total - len(self.seen))
        if self.paged and self.missing and self.readings < MOST_READINGS:
            self.readings += 1
            self.offset = 0
        else:
            self.state = "closed"
