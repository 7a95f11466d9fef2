"""The run's input: taken into the journal row by row, and read back when an item's turn comes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from clerk_jobs.call import Item
from clerk_jobs.errors import InputError, RowProblem
from clerk_jobs.rows import Row, RowFault, RowSource
from clerk_runner.errors import StoppedError
from clerk_runner.groups import unwrapped
from clerk_runner.journal import OpenItem, SourceRow
from clerk_runner.work import Drafts

__all__ = ["SourcePayloads", "drafted_row", "ingest"]

CHUNK = 2_000

Take: TypeAlias = Callable[[Sequence[SourceRow]], Coroutine[Any, Any, None]]


async def ingest(source: RowSource, drafting: Drafts, take: Take) -> int:
    """Draft every row and hand them over in order, a bounded number at a time; returns how many there were.

    While one chunk is taken the next is drafted.
    """
    rows = iter(source)
    count = 0
    taking: asyncio.Task[None] | None = None
    with unwrapped():
        async with asyncio.TaskGroup() as group:
            while chunk := await asyncio.to_thread(_drafted, rows, drafting):
                count += len(chunk)
                if taking is not None:
                    await taking
                taking = group.create_task(take(chunk), name="take in")
    return count


def _drafted(rows: Iterator[Row | RowFault], drafting: Drafts) -> list[SourceRow]:
    return [drafted_row(row, drafting, row.number) for row in islice(rows, CHUNK)]


def drafted_row(row: Row | RowFault, drafting: Drafts, seq: int) -> SourceRow:
    """A row on its way into the journal, under a number; what cannot be sent has the reason."""
    if isinstance(row, RowFault):
        return SourceRow(seq, row.line, row.offset, None, row.code, row.message)
    try:
        draft = drafting.draft(row.values)
    except RowProblem as problem:
        return SourceRow(seq, row.line, row.offset, None, problem.code, problem.message)
    return SourceRow(seq, row.line, row.offset, draft)


class SourcePayloads:
    """Reads the payloads of open items back from the source.

    The digest that the journal holds must be that of the row that is read: whoever was announced is who is sent to.
    """

    def __init__(self, source: RowSource, drafting: Drafts) -> None:
        """Several threads may ask; the source is read by one at a time."""
        self._source = source
        self._drafting = drafting
        self._lock = threading.Lock()

    def items(self, opened: Sequence[OpenItem]) -> list[Item]:
        """The items with their payloads.

        Raises:
            StoppedError: the source changed under the run.
        """
        with self._lock:
            return [self._item(one) for one in opened]

    def _item(self, opened: OpenItem) -> Item:
        try:
            row = self._source.read_at(opened.offset, opened.line, opened.seq)
        except InputError:
            row = None
        if isinstance(row, Row):
            try:
                group, payload = self._drafting.payload(row.values)
            except RowProblem:
                payload, group = {}, ""
            if payload and self._drafting.digest(group, payload) == opened.digest:
                return Item(opened.seq, payload, group, opened.revoke, opened.since_ms, opened.target)
        raise StoppedError(
            f"line {opened.line} of the input has changed since the run began",
            code="input_changed",
            hint="restore the file and resume, or run the job with --accept-changes",
        )
