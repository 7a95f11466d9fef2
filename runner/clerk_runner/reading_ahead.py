"""Payloads of a call, read back together with those of the calls that come next.

Reading one row takes a turn of a thread, which costs more than the row. What was read ahead was compared with its
digest then; it is used for the very item that it was read for, or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from clerk_jobs.call import Item
from clerk_runner.errors import RunnerError
from clerk_runner.journal import OpenItem
from clerk_runner.work import Payloads

__all__ = ["ROWS_AHEAD", "ReadAhead"]

ROWS_AHEAD = 128
"""Rows that are read together."""
FEW = 64
"""Where no more are held, the next are read: nobody has to wait for them then."""
MOST_HELD = 2 * ROWS_AHEAD
"""Rows that are held at once, however wrong the guess was which come next."""


class Coming(Protocol):
    """Who knows which items come next; `clerk_runner.feed.Feeding` does."""

    def ahead(self, count: int) -> list[OpenItem]:
        """About so many of them."""
        ...


class ReadAhead:
    """Payloads for the carrier.

    Args:
        payloads: reads rows back, in a thread.
        feed: knows which items come next.
    """

    def __init__(self, payloads: Payloads, feed: Coming) -> None:
        """Start with nothing read."""
        self._payloads = payloads
        self._feed = feed
        self._read: dict[int, tuple[OpenItem, Item]] = {}
        self._asked: dict[int, OpenItem] = {}
        """What those wait for who came while others were read: no guess knows it any more."""
        self._changed = False
        """A row that comes later has changed: from now on each is read when its turn comes."""
        self._reading = asyncio.Lock()

    async def items(self, opened: Sequence[OpenItem]) -> list[Item]:
        """The items with their payloads.

        Raises:
            StoppedError: the source changed under the run.
        """
        if not self._has(opened):
            self._asked.update((one.seq, one) for one in opened)
            async with self._reading:
                # Who read before this one may have read these too.
                if not self._has(opened):
                    await self._fetch(opened)
        found = [self._read.pop(one.seq)[1] for one in opened]
        if len(self._read) <= FEW and not (self._changed or self._reading.locked()):
            # One of many callers pays with its own time, so that the others find theirs.
            async with self._reading:
                await self._fetch(())
        return found

    def _has(self, opened: Sequence[OpenItem]) -> bool:
        # An item that was pending before is another one now: it may have to know more.
        for one in opened:
            known = self._read.get(one.seq)
            if known is None or known[0] is not one:
                return False
        return True

    async def _fetch(self, opened: Sequence[OpenItem]) -> None:
        """Read these, what others wait for, and what comes next."""
        ahead = [] if self._changed else self._feed.ahead(ROWS_AHEAD + FEW)
        if len(self._read) > MOST_HELD:
            coming = {one.seq for one in ahead}
            self._read = {seq: known for seq, known in self._read.items() if seq in coming}
        wanted = {} if self._changed else dict(self._asked)
        wanted.update((one.seq, one) for one in ahead if one.seq not in self._read)
        wanted.update((one.seq, one) for one in opened)
        self._asked.clear()
        if not wanted:
            return
        try:
            items = await asyncio.to_thread(self._payloads.items, tuple(wanted.values()))
        except RunnerError:
            if self._changed:
                raise
            # It may be one whose turn has not come: what can be sent before is sent.
            self._changed = True
            items = await asyncio.to_thread(self._payloads.items, opened) if opened else []
        self._read.update((item.seq, (wanted[item.seq], item)) for item in items)
