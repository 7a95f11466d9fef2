"""Read before write: what is pending is compared with what Clerk has, a hundred subjects in a request."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from clerk_jobs.call import Item, Outcome, ReadRefused, Talk
from clerk_jobs.metadata.screen import Verdict
from clerk_jobs.reading import READ_BATCH
from clerk_runner.bounded import each
from clerk_runner.errors import StoppedError
from clerk_runner.exchange import Exchange
from clerk_runner.folding import Unit, join_subjects, units_after, units_of
from clerk_runner.images import before_of, keep_images, prepare_images
from clerk_runner.journal import Journal, OpenItem
from clerk_runner.schema import open_reader
from clerk_runner.work import Payloads

__all__ = ["Comparer", "ImagePayloads", "Screening"]

AHEAD = 2_000


class Screening(Protocol):
    """What a kind of job says about rows, once it has read what they are about."""

    def read(self, units: Sequence[Sequence[Item]]) -> Talk[list[Verdict]]:
        """Judge subjects of one group, each with its rows in order."""
        ...

    def joined(self, units: Sequence[Sequence[Item]]) -> Talk[list[Verdict]]:
        """The same for subjects that rows named in different ways."""
        ...

    def unchanged(self, units: Sequence[Sequence[Item]]) -> list[Outcome]:
        """Rows that change nothing of what the job's own list showed a moment ago."""
        ...


class ImagePayloads:
    """Payloads that know what was there before their first send, for items of which that is asked.

    Args:
        inner: reads the rows back.
        journal: the run's, with the images.
    """

    def __init__(self, inner: Payloads, journal: Journal) -> None:
        """Read through ``inner``."""
        self._inner = inner
        self._journal = journal

    def items(self, opened: Sequence[OpenItem]) -> list[Item]:
        """The items with their payloads.

        Raises:
            StoppedError: the source changed under the run.
        """
        items = self._inner.items(opened)
        doubtful = {item.seq: item.target for item in items if item.since_ms is not None and item.target is not None}
        if not doubtful:
            return items
        reader = open_reader(self._journal.path)
        try:
            before = before_of(reader, self._journal.span, doubtful)
        finally:
            reader.close()
        return [item._replace(before=before.get(item.target or "")) for item in items]


class Comparer:
    """Compares the pending items of a journal; what changes nothing is settled, and images of the rest are kept.

    Args:
        undo: whether the values that will be changed are kept.
        joins: whether rows may name one subject in different ways.
        listed: whether the rows were listed a moment ago, so that those that change nothing need no other read.
        workers: questions in flight at once.
    """

    def __init__(  # noqa: PLR0913  all by name
        self,
        *,
        journal: Journal,
        exchange: Exchange,
        screening: Screening,
        payloads: Payloads,
        undo: bool,
        joins: bool,
        listed: bool,
        workers: int,
    ) -> None:
        """Start with nothing compared."""
        self._journal = journal
        self._exchange = exchange
        self._screening = screening
        self._payloads = payloads
        self._undo = undo
        self._joins = joins
        self._listed = listed
        self._workers = workers
        self.screened = 0
        """Items about which everything is known, for the progress line."""
        self.large = 0
        """Subjects that will hold more than 8 KB in all."""

    async def run(self) -> None:
        """Compare everything that is pending.

        Raises:
            StoppedError: Clerk's answer cannot be believed, so that nothing may be written.
        """
        span = self._journal.span
        await self._journal.read(lambda db: prepare_images(db, span))
        if self._listed:
            async for units in self._batches():
                await self._settle_unchanged(units)
        try:
            await each(self._batches(), lambda units: self._compare(units, self._screening.read), self._workers)
            if self._joins and (leads := await self._journal.read(lambda db: join_subjects(db, span))):
                joined = self._cut(await self._journal.read(lambda db: units_of(db, leads)))
                await each(joined, lambda units: self._compare(units, self._screening.joined), self._workers)
        except ReadRefused as error:
            raise StoppedError(
                f"what Clerk has now cannot be read, so nothing is overwritten: {error}",
                code="unreadable",
                hint="check CLERK_API_URL and what answers there, then run the same command again",
            ) from error

    async def _compare(self, units: list[Unit], judge: Callable[[list[list[Item]]], Talk[list[Verdict]]]) -> None:
        items = await asyncio.to_thread(self._read_back, units)
        verdicts = await self._exchange.converse(judge(items))
        outcomes = [outcome for verdict in verdicts for outcome in verdict.outcomes]
        images = {verdict.outcomes[0].seq: verdict.image for verdict in verdicts if verdict.image is not None}
        folded = [outcome.seq for verdict in verdicts for outcome in verdict.outcomes[1:]]
        span, undo = self._journal.span, self._undo
        await self._journal.settle(outcomes, lambda db: keep_images(db, span, images, undo=undo, folded=folded))
        self.screened += len(outcomes)
        self.large += sum(verdict.large for verdict in verdicts)

    async def _settle_unchanged(self, units: list[Unit]) -> None:
        items = await asyncio.to_thread(self._read_back, units)
        outcomes = self._screening.unchanged(items)
        await self._journal.settle(outcomes)
        self.screened += len(outcomes)

    def _read_back(self, units: list[Unit]) -> list[list[Item]]:
        flat = iter(self._payloads.items([one for unit in units for one in unit]))
        return [[next(flat) for _ in unit] for unit in units]

    async def _batches(self) -> AsyncIterator[list[Unit]]:
        """Pending units, up to 100 of one group at a time, read ahead by a bounded distance."""
        last = 0

        def ahead(db: sqlite3.Connection) -> list[Unit]:
            return units_after(db, self._journal.span, last, AHEAD)

        while units := await self._journal.read(ahead):
            last = units[-1][0].seq
            async for batch in self._cut(units):
                yield batch

    async def _cut(self, units: Sequence[Unit]) -> AsyncIterator[list[Unit]]:
        groups: dict[str, list[Unit]] = {}
        for unit in units:
            groups.setdefault(unit[0].group, []).append(unit)
        for members in groups.values():
            for start in range(0, len(members), READ_BATCH):
                yield members[start : start + READ_BATCH]
