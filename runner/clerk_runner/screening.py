"""Screening: reads that settle, before the first write, whoever need not be sent to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from math import ceil

from clerk_jobs.call import Item, ReadRefused, State
from clerk_jobs.invite import Drafting, PendingPages, Screening
from clerk_runner.bounded import each
from clerk_runner.exchange import Exchange
from clerk_runner.groups import unwrapped
from clerk_runner.journal import Journal, OpenItem
from clerk_runner.logs import Log
from clerk_runner.work import Payloads

__all__ = ["Screener"]

AHEAD = 2_000
PAGES_AT_ONCE = 4
"""Pages of the list of pending invitations in flight: half a megabyte each."""
BATCH = 100
"""Addresses in one question. Source: Clerk's OpenAPI document 2026-05-12, GetUserList, email_address."""


class Screener:
    """Screens the pending items of a journal.

    Args:
        workers: questions in flight at once.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        exchange: Exchange,
        screening: Screening,
        drafting: Drafting,
        payloads: Payloads,
        log: Log,
        workers: int,
    ) -> None:
        """Start with nothing screened."""
        self._journal = journal
        self._exchange = exchange
        self._screening = screening
        self._drafting = drafting
        self._payloads = payloads
        self._log = log
        self._workers = workers
        self.screened = 0
        """Items about which everything is known, for the progress line."""

    async def run(self) -> None:
        """Screen everything that is pending: first who is invited, then who is a user or a member."""
        counts = await self._journal.counts()
        pending = counts[State.PENDING]
        if not pending:
            return
        await each(self._groups(), lambda group: self._invited(group, pending), self._workers)
        await each(self._batches(), self._members, self._workers)

    async def _groups(self) -> AsyncIterator[str]:
        for group in await self._journal.groups():
            yield group

    async def _invited(self, group: str, pending: int) -> None:
        """Settle who has a pending invitation already, by whichever way asks less."""
        try:
            if not group and pending < await self._pages(group):
                async for batch in self._batches():
                    for item in batch:
                        await self._journal.settle(await self._exchange.converse(self._screening.ask(item)))
                return
            pages = PendingPages(group)
            # An organization's list is short, and there may be thousands of them; the instance's is one and long.
            with unwrapped():
                async with asyncio.TaskGroup() as readers:
                    for number in range(1 if group else PAGES_AT_ONCE):
                        readers.create_task(self._read_pages(pages, group), name=f"pages {number}")
        except ReadRefused as error:
            # An organization that does not exist, say: its items will be told so one by one.
            self._log.warning("screening_refused", status=error.reply.status, code=error.reply.code)

    async def _read_pages(self, pages: PendingPages, group: str) -> None:
        while not pages.done:
            page = pages.read(await self._exchange.read(pages.call()))
            seen = {self._drafting.key(one.address, group): one for one in page}
            seqs = await self._journal.seqs_of(list(seen))
            outcomes = [self._screening.invited(seq, seen[key]) for key, seq in seqs.items()]
            await self._journal.settle(outcomes)
            self.screened += sum(outcome.state is not State.PENDING for outcome in outcomes)

    async def _pages(self, group: str) -> int:
        """How many pages the list of pending invitations has; 0 where Clerk does not tell."""
        reply = await self._exchange.read(self._screening.count_call(group))
        total = reply.value.get("total_count") if isinstance(reply.value, dict) else None
        return ceil(total / (PendingPages.STEP)) if isinstance(total, int) else 0

    async def _members(self, items: Sequence[Item]) -> None:
        try:
            await self._journal.settle(await self._exchange.converse(self._screening.members(items)))
        except ReadRefused as error:
            self._log.warning("screening_refused", status=error.reply.status, code=error.reply.code)
        self.screened += len(items)

    async def _batches(self) -> AsyncIterator[list[Item]]:
        """Pending items, up to 100 of one group at a time, read ahead by a bounded distance."""
        last = 0
        while opened := await self._journal.pending(last, AHEAD):
            last = opened[-1].seq
            groups: dict[str, list[OpenItem]] = {}
            for one in opened:
                groups.setdefault(one.group, []).append(one)
            for members in groups.values():
                for start in range(0, len(members), BATCH):
                    yield await asyncio.to_thread(self._payloads.items, members[start : start + BATCH])
