"""The lists from which parts of a run take their rows: the first one's is walked before anything is shown and asked.

A later step's list is walked when the step begins: the steps before it may change what it holds. Once its rows are in
the journal the fact ``taken`` says so, and every later start finds them in the run's folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from clerk_runner.around import Around
from clerk_runner.interrupts import Interrupts
from clerk_runner.listing import Listing, listed_rows
from clerk_runner.parts import Part
from clerk_runner.request import RunRequest
from clerk_runner.view import View

__all__ = ["Bringer"]

TAKEN = "taken"


class Bringer:
    """Brings rows that are a list of Clerk's.

    Args:
        left_s: seconds that ``--max-time`` leaves; None where it sets no end.
    """

    def __init__(
        self,
        request: RunRequest,
        parts: Sequence[Part],
        view: View,
        interrupts: Interrupts,
        left_s: Callable[[], float | None],
    ) -> None:
        """Nothing is listed yet."""
        self._request = request
        self._parts = parts
        self._view = view
        self._interrupts = interrupts
        self._left_s = left_s

    async def begin(self, around: Around) -> None:
        """Bring the first part's list, and open what an earlier start has listed for the others.

        Raises:
            RunnerError: the list cannot be walked to its end now.
        """
        for number, part in enumerate(self._parts):
            listing = self._listing(part, around)
            if listing is None:
                continue
            if number == 0:
                await listing.bring()
            if number == 0 or (await around.journal.get(part.span.fact(TAKEN)) and await listing.is_known()):
                part.given = listed_rows(around.folder, part.span)

    async def bring(self, part: Part, around: Around) -> bool:
        """See to it that a part has its rows; whether they are new, and have to be taken in.

        Raises:
            RunnerError: the list cannot be walked to its end now.
        """
        listing = self._listing(part, around)
        if listing is None or part.given is not None:
            return False
        await listing.bring()
        part.given = listed_rows(around.folder, part.span)
        return True

    async def took_in(self, part: Part, around: Around) -> None:
        """Note that a part's rows are in the journal."""
        await around.journal.put(**{part.span.fact(TAKEN): True})

    async def is_fresh(self, part: Part, around: Around) -> bool:
        """Whether a part's rows were listed less than a minute ago."""
        listing = self._listing(part, around)
        return listing is not None and await listing.is_fresh()

    def close(self) -> None:
        """Close the inputs that came from lists; every other one is closed by whoever opened it."""
        for part in self._parts:
            if part.listing is not None and part.given is not None:
                part.given.close()

    def _listing(self, part: Part, around: Around) -> Listing | None:
        if part.listing is None:
            return None
        left_s = self._left_s()
        request = dataclasses.replace(self._request, max_time_s=None if left_s is None else max(left_s, 0.0))
        shared = (around.folder, around.journal, around.exchange, self._view, self._interrupts, around.log)
        return Listing(part.listing, request, *shared, part.span)
