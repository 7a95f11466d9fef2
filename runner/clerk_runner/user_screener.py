"""Who exists: the pending rows of a job that creates users are looked up, a hundred in a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from clerk_jobs.call import Item, ReadRefused, State
from clerk_jobs.create_users.screen import Screening
from clerk_jobs.reading import READ_BATCH
from clerk_runner.bounded import each
from clerk_runner.errors import StoppedError
from clerk_runner.exchange import Exchange
from clerk_runner.images import keep_images, prepare_images
from clerk_runner.journal import Journal
from clerk_runner.work import Payloads

__all__ = ["UserScreener"]

AHEAD = 2_000


class UserScreener:
    """Settles rows whose users exist, and keeps what is there before they are changed.

    Args:
        workers: questions in flight at once.
    """

    def __init__(
        self, *, journal: Journal, exchange: Exchange, screening: Screening, payloads: Payloads, workers: int
    ) -> None:
        """Start with nobody looked up."""
        self._journal = journal
        self._exchange = exchange
        self._screening = screening
        self._payloads = payloads
        self._workers = workers
        self.screened = 0
        """Items about which everything is known, for the progress line."""
        self.changed = 0
        """Existing users who will be changed."""

    async def run(self) -> None:
        """Look up everything that is pending.

        Raises:
            StoppedError: Clerk's answer cannot be believed, so that nobody may be created.
        """
        await self._journal.read(lambda db: prepare_images(db, self._journal.span))
        try:
            await each(self._batches(), self._judge, self._workers)
        except ReadRefused as error:
            raise StoppedError(
                f"existing users cannot be looked up, so none are created: {error}",
                code="unreadable",
                hint="check CLERK_API_URL and what answers there, then run the same command again",
            ) from error

    async def _judge(self, items: list[Item]) -> None:
        judgements = await self._exchange.converse(self._screening.read(items))
        images = {item.seq: one.image for item, one in zip(items, judgements, strict=True) if one.image is not None}
        outcomes = [one.outcome for one in judgements if one.outcome is not None]
        await self._journal.settle(outcomes, lambda db: keep_images(db, self._journal.span, images, undo=True))
        self.screened += len(items)
        self.changed += sum(one.outcome is not None and one.outcome.state is State.PENDING for one in judgements)

    async def _batches(self) -> AsyncIterator[list[Item]]:
        last = 0
        while opened := await self._journal.pending(last, AHEAD):
            last = opened[-1].seq
            for start in range(0, len(opened), READ_BATCH):
                yield await asyncio.to_thread(self._payloads.items, opened[start : start + READ_BATCH])
