"""The spool: what comes out is every row once, in order, whatever overlaps; what is not certain is cut off."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerk_jobs.export.distinct import count_distinct, digests
from clerk_jobs.export.page import Page
from clerk_runner.errors import StoppedError
from clerk_runner.exporting.spool import Extent, Spool, in_order


def page_of(rows: list[tuple[int, int]]) -> Page:
    lines = b"".join(b'{"id":"u%d","created_at":%d}\n' % (number, time) for time, number in rows)
    return Page([f"u{number}" for _, number in rows], [time for time, _ in rows], lines)


async def spooled(path: Path, pages: list[list[tuple[int, int]]]) -> tuple[list[Extent], bytes]:
    spool = Spool(path, 0)
    try:
        extents = []
        for number, rows in enumerate(pages):
            extent, written = spool.append(number, 0, page_of(rows), range(len(rows)))
            extents.append(extent)
            await written
        await spool.sync()
        return extents, b"".join(spool.read(offset, length) for offset, length in in_order(spool, extents))
    finally:
        spool.close()


@settings(max_examples=200, deadline=None)
@given(
    pages=st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=8), max_size=8),
    order=st.booleans(),
)
def test_every_row_comes_out_once_and_in_order(pages: list[list[int]], order: bool) -> None:
    numbers = iter(range(1000))
    rows = [[(time, next(numbers)) for time in page] for page in pages]
    if order:
        # As slices give them: neighbours share at most one millisecond.
        flat = sorted((row for page in rows for row in page), key=lambda row: row[0])
        sizes = [len(page) for page in rows]
        rows = [[flat.pop(0) for _ in range(size)] for size in sizes]
    with tempfile.TemporaryDirectory() as folder:
        _, data = asyncio.run(spooled(Path(folder) / "spool", rows))
    expected = sorted(((time, f"u{number}") for page in rows for time, number in page))
    found = [msgspec.json.decode(line) for line in data.splitlines()]
    assert [(row["created_at"], row["id"]) for row in found] == expected


def test_what_the_journal_does_not_name_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    extents, _ = asyncio.run(spooled(path, [[(1, 1)], [(2, 2)]]))
    Spool(path, extents[1].offset).close()
    assert path.stat().st_size == extents[0].length
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_spool_that_lost_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="journal says 10"):
        Spool(tmp_path / "spool", 10)


def test_a_full_disk_is_told_to_every_later_page(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = Spool(tmp_path / "spool", 0)
        try:
            spool.error = OSError(28, "No space left on device")
            _, written = spool.append(0, 0, page_of([(1, 1)]), [0])
            for pending in (written, spool.sync()):
                with pytest.raises(OSError, match="No space"):
                    await pending
        finally:
            spool.close()

    asyncio.run(scenario())


@given(st.lists(st.text(max_size=5)))
def test_different_ids_are_counted(ids: list[str]) -> None:
    half = len(ids) // 2
    assert count_distinct([digests(ids[:half]), digests(ids[half:])]) == len(set(ids))
