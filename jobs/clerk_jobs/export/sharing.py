"""Who walks what: slices of time shared among walkers, without asking how many users lie in a slice.

A walker that has nothing to do takes a part of the slice with the most users left. How many these are is believed,
not counted: the density of the slice's last page times the time that is left, scaled so that all slices together have
what the unfiltered count leaves. What is believed too much costs a request, never a user.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from clerk_jobs.export.slices import Slice

__all__ = ["GUESSES", "LEAST_PAGES", "Sharing"]

LEAST_PAGES = 2
"""Pages that a slice must have left, beside the one on its way, before half of them is taken from it."""
LEAST_SHARED = 0.85
"""Pages, that one included, from which on its rest is taken: at the end a page more costs less than a round more."""
SURELY_FITS = 0.8
"""Part of a page that a density of 500 rows is trusted to fill and not to overflow: it errs by a tenth at most."""
GUESSES = 8
"""One in so many open slices may be a guess: a part of which nobody knows whether there is anything in it."""


@dataclass(slots=True)
class Sharing:
    """All slices of an export.

    Attributes:
        slices: by id; together they cover the export's time exactly, no millisecond twice.
        page_size: rows asked for at once.
        total: users by Clerk's unfiltered count; None where the job filters.
    """

    page_size: int
    total: int | None = None
    slices: dict[int, Slice] = field(default_factory=dict)

    @classmethod
    def cut(
        cls, low_ms: int, high_ms: int, parts: int, *, page_size: int, total: int | None, by_cursor: bool = True
    ) -> Sharing:
        """Cut the time from ``low_ms`` to before ``high_ms`` into equal parts, as many as a page's worth of rows."""
        if total is not None:
            parts = min(parts, total // page_size + 1)
        parts = max(1, min(parts, high_ms - low_ms))
        edges = [low_ms + (high_ms - low_ms) * part // parts for part in range(parts + 1)]
        made = cls(page_size, total)
        for number, (low, high) in enumerate(itertools.pairwise(edges)):
            made.slices[number] = Slice(number, low, high, by_cursor)
        return made

    @property
    def kept(self) -> int:
        """Users that all slices gave."""
        return sum(each.kept for each in self.slices.values())

    @property
    def finished(self) -> bool:
        """Whether every slice is closed."""
        return all(each.state == "closed" for each in self.slices.values())

    def open(self) -> list[Slice]:
        """The slices that have pages to ask for."""
        return [each for each in self.slices.values() if each.state == "open"]

    def to_check(self) -> list[Slice]:
        """The slices that wait for the proof of their cursor."""
        return [each for each in self.slices.values() if each.state == "check"]

    def take_part(self) -> tuple[Slice, Slice] | None:
        """Cut a part off the slice with the most rows left; None where no slice has enough.

        Returns the giver and the part. The giver keeps the page that it is waiting for, and half of what comes after
        it where that is much.
        """
        opened = self.open()
        if not opened:
            # Every slice waits for its proof: who is still missing was deleted, or is behind a dead cursor.
            return None
        left = math.inf if self.total is None else max(0, self.total - self.kept)
        rows = [each.believed(left) for each in opened]
        scale = min(1.0, left / max(1.0, sum(rows)))
        most, giver = max((each * scale, place) for place, each in enumerate(rows))
        if most >= (LEAST_PAGES + 1) * self.page_size:
            # The page on its way, and half of the rest.
            return self._give(opened[giver], most, self.page_size + (most - self.page_size) / 2)
        if most >= LEAST_SHARED * self.page_size:
            # The page on its way becomes its last, and the rest is asked for meanwhile instead of afterwards.
            return self._give(opened[giver], most, min(self.page_size, most) * SURELY_FITS)
        return self._guess(opened, left - sum(rows)) if self.total is not None else None

    def _give(self, giver: Slice, rows: float, kept: float) -> tuple[Slice, Slice] | None:
        """Cut where the giver has so many of its rows behind it, if its density lasts."""
        per_ms = max(giver.per_ms or 0.0, rows / (giver.high_ms - giver.position_ms))
        return self._cut_at(giver, giver.position_ms + int(kept / per_ms), rows - kept)

    def _guess(self, opened: list[Slice], unseen: float) -> tuple[Slice, Slice] | None:
        """There are rows that no density explains: look for them in the middle of the longest time."""
        guesses = sum(each.per_ms is None for each in opened)
        if unseen < (LEAST_PAGES + 1) * self.page_size or guesses >= max(2, len(opened) // GUESSES):
            return None
        giver = max(opened, key=lambda each: each.high_ms - each.position_ms)
        shared = self._cut_at(giver, (giver.position_ms + giver.high_ms) // 2, None)
        if shared is not None:
            shared[1].per_ms = None
        return shared

    def _cut_at(self, giver: Slice, edge_ms: int, rows: float | None) -> tuple[Slice, Slice] | None:
        if giver.high_ms - giver.position_ms < 2:
            return None
        number = max(self.slices) + 1
        edge_ms = min(max(edge_ms, giver.position_ms + 1), giver.high_ms - 1)
        given = self.slices[number] = giver.give(edge_ms, number, rows)
        return giver, given
