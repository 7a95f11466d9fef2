"""The spool: one append-only file into which pages go as they arrive, and the order in which they come out.

The law of a crash: pages are appended, the file is synced, and only then are the positions journalled; so what the
journal names is on the disk, and the rest is cut off and asked for again.

A page is kept as lines, sorted by (created_at, id). Its `Extent` knows where the rows of its first and of its last
millisecond lie: two pages share at most such a millisecond, so nearly all of the output is copied by the megabyte,
and only rows that share one are read and sorted. Memory grows with the pages and with the rows of one millisecond.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import lt
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from clerk_jobs.export.page import Page
from clerk_runner.errors import StoppedError

__all__ = ["Extent", "Ranges", "Spool", "Work", "in_order", "rows_of"]


Ranges: TypeAlias = Generator[tuple[int, int], None, None]
"""Places in the spool, as (offset, length), in the order of the output."""
Work: TypeAlias = Callable[[], None]
"""Something that the spool's thread does; an OSError ends all later work."""


class Extent(NamedTuple):
    """Where a page lies in the spool.

    Attributes:
        number: counts pages, from 0.
        walk: the slice or the part that it belongs to.
        first_ms, last_ms: creation of its first and last row.
        offset, length: in bytes.
        head: bytes of the rows of ``first_ms``.
        tail: where, counted from ``offset``, the rows of ``last_ms`` begin.
    """

    number: int
    walk: int
    first_ms: int
    last_ms: int
    rows: int
    offset: int
    length: int
    head: int
    tail: int


class _Row(NamedTuple):
    """One row that has to be sorted on its own."""

    created_ms: int
    id: str
    offset: int
    length: int


class _Head(msgspec.Struct, gc=False):
    id: str
    created_at: int | float | str | None = None


_HEAD = msgspec.json.Decoder(_Head)


class Spool:
    """Appends pages; all writing happens in order, in one thread of its own.

    Args:
        path: the file; made for this user alone where there is none.
        size: what the journal says of it; whatever lies behind is cut off.

    Raises:
        StoppedError: the file is shorter than the journal says.
    """

    def __init__(self, path: Path, size: int) -> None:
        flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        found = os.fstat(self._file).st_size
        if found < size:
            os.close(self._file)
            raise StoppedError(
                f"{path} has {found} bytes, and the journal says {size}",
                code="spool_short",
                hint="restore the run folder, or start over with --fresh",
            )
        os.ftruncate(self._file, size)
        self.path = path
        self.size = size
        self.waiting = 0
        """Bytes that were ordered and are not written yet."""
        self.error: OSError | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")

    def close(self) -> None:
        """Finish what was ordered, then close."""
        self._thread.shutdown()
        os.close(self._file)

    def append(
        self, number: int, part: int, page: Page, places: Sequence[int], then: Callable[[Extent], Work] | None = None
    ) -> tuple[Extent, asyncio.Future[None]]:
        """Order the rows at these places of a page to be written; the future ends when they are.

        The order is placed before this returns, and orders are kept: a later `sync` covers it.

        Args:
            then: called at once with the page's extent, gives what is done when the rows are written.
        """
        times, data = _in_time(page, places)
        head = _ends_after(data, bisect_right(times, times[0]))
        tail = _begins_last(data, len(times) - bisect_left(times, times[-1]))
        extent = Extent(number, part, times[0], times[-1], len(times), self.size, len(data), head, tail)
        self.size += len(data)
        self.waiting += len(data)
        work = (lambda: self._write(data, extent.offset), *(() if then is None else (then(extent),)))
        written = asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)
        written.add_done_callback(lambda _: self._written(len(data)))
        return extent, written

    def order(self, work: Work) -> None:
        """Order something to be done when all that was ordered before is written; a later `sync` tells how it ended."""
        ordered = asyncio.get_running_loop().run_in_executor(self._thread, self._work, (work,))
        ordered.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def sync(self) -> None:
        """Wait until everything that was ordered before is on the disk.

        Raises:
            OSError: some of it could not be written.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._check)
        # In another thread: pages go on being written while the disk takes those that were there before.
        await asyncio.to_thread(self.make_certain)

    def make_certain(self) -> None:
        """Wait for the disk.

        Raises:
            OSError: it did not take what was written.
        """
        os.fdatasync(self._file)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file."""
        data = os.pread(self._file, length, offset)
        if len(data) != length:
            raise OSError(f"the spool ends before byte {offset + length}")
        return data

    def _work(self, works: Sequence[Work]) -> None:
        self._check()
        try:
            for work in works:
                work()
        except OSError as error:
            self.error = error
            raise

    def _write(self, data: bytes, offset: int) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._file, rest, offset)
            rest, offset = rest[written:], offset + written

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def _written(self, size: int) -> None:
        self.waiting -= size


def _in_time(page: Page, places: Sequence[int]) -> tuple[Sequence[int], bytes]:
    """The rows at these places in the order (created_at, id): when each was created, and their lines."""
    times = page.created_ms
    if len(places) == len(page) and all(map(lt, times, times[1:])):
        return times, page.lines
    keys = sorted([(times[place], page.ids[place], place) for place in places])
    lines = page.split()
    return [created_ms for created_ms, _, _ in keys], b"\n".join((*[lines[place] for _, _, place in keys], b""))


def _ends_after(data: bytes, rows: int) -> int:
    """Where so many rows end, from the beginning."""
    end = 0
    for _ in range(rows):
        end = data.index(b"\n", end) + 1
    return end


def _begins_last(data: bytes, rows: int) -> int:
    """Where the last so many rows begin."""
    start = len(data)
    for _ in range(rows):
        start = data.rfind(b"\n", 0, start - 1) + 1
    return start


def rows_of(spool: Spool, extent: Extent, start: int = 0, end: int | None = None) -> list[_Row]:
    """The rows between two places of an extent, with where they lie."""
    found: list[_Row] = []
    offset = extent.offset + start
    for line in spool.read(offset, (extent.length if end is None else end) - start).splitlines(keepends=True):
        head = _HEAD.decode(line)
        created_ms = int(head.created_at) if isinstance(head.created_at, int | float) else 0
        found.append(_Row(created_ms, head.id, offset, len(line)))
        offset += len(line)
    return found


def in_order(spool: Spool, extents: Sequence[Extent]) -> Ranges:
    """Where the rows lie, as (offset, length) of one row or of many, in the order (created_at, id)."""
    ordered = sorted(extents, key=lambda extent: (extent.first_ms, extent.number))
    carried: list[_Row] = []
    for place, extent in enumerate(ordered):
        next_ms = ordered[place + 1].first_ms if place + 1 < len(ordered) else extent.last_ms + 1
        carried, final = _parted(carried, extent.first_ms)
        yield from final
        if next_ms < extent.last_ms or (carried and carried[-1].created_ms > extent.first_ms):
            carried = sorted(carried + rows_of(spool, extent))
            continue
        start = 0
        if carried:
            carried = sorted(carried + rows_of(spool, extent, 0, extent.head))
            start = extent.head
            if extent.last_ms > extent.first_ms:
                carried, final = _parted(carried, extent.last_ms)
                yield from final
        end = extent.length if next_ms > extent.last_ms else max(start, extent.tail)
        if end > start:
            yield extent.offset + start, end - start
        if end < extent.length:
            carried = sorted(carried + rows_of(spool, extent, end))
    yield from ((row.offset, row.length) for row in carried)


def _parted(carried: list[_Row], before_ms: int) -> tuple[list[_Row], list[tuple[int, int]]]:
    """What has to wait, and where the rows lie that come before a millisecond."""
    place = bisect_left(carried, before_ms, key=lambda row: row.created_ms)
    if not place:
        return carried, []
    return carried[place:], [(row.offset, row.length) for row in carried[:place]]
