"""Rows that name a protected id are skipped before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet

from clerk_jobs.call import Outcome, State
from clerk_runner.journal import Journal
from clerk_runner.work import Payloads

__all__ = ["Protector"]

AHEAD = 2_000


class Protector:
    """Skips pending items of an operation whose path names one of these ids."""

    def __init__(self, journal: Journal, payloads: Payloads, protected: AbstractSet[str]) -> None:
        """Start with nothing looked at."""
        self._journal = journal
        self._payloads = payloads
        self._protected = protected
        self.screened = 0
        """Items that were looked at, for the progress line."""

    async def run(self) -> None:
        """Look at everything that is pending; at nothing where nothing is protected."""
        last = 0
        while self._protected and (opened := await self._journal.pending(last, AHEAD)):
            last = opened[-1].seq
            items = await asyncio.to_thread(self._payloads.items, opened)
            named = [item for item in items if not self._protected.isdisjoint(item.payload["path"].values())]
            said = "the job file protects this id"
            await self._journal.settle([Outcome(item.seq, State.SKIPPED, "protected", said) for item in named])
            self.screened += len(items)
