"""The spool's tail: what a kill leaves between two commits is found again, and nothing half is believed."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clerk_jobs.export.page import Page
from clerk_jobs.export.part import Part
from clerk_jobs.export.slices import Slice
from clerk_limits.clock import boot_id
from clerk_runner.exporting.positions import Positions, distinct_ids, load_positions, prepare_tables
from clerk_runner.exporting.spool import Spool
from clerk_runner.exporting.stores import SpoolStore
from clerk_runner.exporting.tail import Tail, recover
from clerk_runner.journal import Journal
from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

BEFORE, AFTER = 2, 3
"""Pages that are committed, and pages of which only the tail knows."""


@contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    journal = Journal(folder / "run.db", durable=False)
    try:
        yield journal
    finally:
        journal.close()


async def left_behind(journal: Journal, folder: Path) -> None:
    """What a process leaves that is killed between two commits."""
    await prepare_tables(journal)
    spool, tail = Spool(folder / "spool", 0), Tail(folder / "tail")
    store = SpoolStore(journal, spool, tail, 0)
    one, part = Slice(3, 0, 100), Part(7)
    for number in range(BEFORE + AFTER):
        if number == BEFORE:
            await store.commit([one])
        one.position_ms, one.kept = number, 2 * number + 2
        lines = b"".join(b'{"id":"u%d_%d","created_at":%d}\n' % (number, row, number) for row in range(2))
        await store.append(one, Page([f"u{number}_0", f"u{number}_1"], [number, number], lines), range(2))
    part.offset = 40
    store.note([part])
    await asyncio.to_thread(spool.close)
    tail.close()


def found(folder: Path, spoil: Callable[[Path], None] = lambda _: None) -> tuple[Positions, int]:
    """Positions and different ids after a recovery, and after another one that finds nothing new."""
    with opened(folder) as journal:

        async def scenario() -> tuple[Positions, int]:
            await left_behind(journal, folder)
            spoil(folder)
            for _ in range(2):
                await recover(journal, folder / "spool", folder / "tail")
            return await load_positions(journal), await distinct_ids(journal)

        return asyncio.run(scenario())


def test_what_the_journal_does_not_say_is_found(tmp_path: Path) -> None:
    positions, distinct = found(tmp_path)
    assert (positions.pages, positions.rows, distinct) == (5, 10, 10)
    assert positions.size == (tmp_path / "spool").stat().st_size
    assert [(one.id, one.position_ms, one.kept) for one in positions.slices] == [(3, 4, 10)]
    assert positions.part is not None
    assert (positions.part.id, positions.part.offset) == (7, 40)


def test_the_next_process_goes_on_with_a_tail_of_its_own(tmp_path: Path) -> None:
    found(tmp_path)
    with opened(tmp_path) as journal:

        async def scenario() -> Positions:
            positions = await load_positions(journal)
            spool, tail = Spool(tmp_path / "spool", positions.size), Tail(tmp_path / "tail")
            store = SpoolStore(journal, spool, tail, positions.pages)
            await store.append(positions.slices[0], Page(["v"], [9], b'{"id":"v","created_at":9}\n'), [0])
            await asyncio.to_thread(spool.close)
            tail.close()
            await recover(journal, tmp_path / "spool", tmp_path / "tail")
            return await load_positions(journal)

        assert asyncio.run(scenario()).pages == BEFORE + AFTER + 1


def _torn(folder: Path) -> None:
    path = folder / "tail"
    path.write_bytes(path.read_bytes()[:-30])


def test_a_line_that_is_not_whole_is_left_out(tmp_path: Path) -> None:
    positions, _ = found(tmp_path, _torn)
    assert (positions.pages, positions.part) == (BEFORE + AFTER, None)


def _rebooted(folder: Path) -> None:
    path = folder / "tail"
    path.write_bytes(path.read_bytes().replace(boot_id().encode(), b"another boot"))


def _short(folder: Path) -> None:
    path = folder / "spool"
    path.write_bytes(path.read_bytes()[:-5])


def _zeros(folder: Path) -> None:
    path = folder / "spool"
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))


def _garbled(folder: Path) -> None:
    (folder / "tail").write_bytes(b"{}\n[]\n")


def _changed(folder: Path) -> None:
    path = folder / "tail"
    path.write_bytes(path.read_bytes().replace(b"],[", b"];["))


def _gone(folder: Path) -> None:
    (folder / "tail").unlink()


@pytest.mark.parametrize("spoil", [_rebooted, _short, _zeros, _garbled, _changed, _gone])
def test_nothing_is_believed_that_may_be_incomplete(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    positions, distinct = found(tmp_path, spoil)
    assert (positions.pages, positions.rows, distinct) == (BEFORE, 4, 4)
    assert [one.position_ms for one in positions.slices] == [1]


KILLED = """\
import os, signal
from clerk_runner.exporting import keeper, tail
keeper.SAVE_S = 1000.0
real, left = tail.Tail.write, [40]
def write(self, line):
    real(self, line)
    left[0] -= not line.startswith((b"[null", b"{"))
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
tail.Tail.write = write
from clerk_runner.cli import main
main()
"""
"""Dies when 40 pages are in the spool, and none of them in the journal."""
JOB = "name: a\nkind: export\noutput: rows.jsonl\nlimits: {share: 1.0}\npage_size: 100\n"


def asked(clerk: SimulatedClerk, operation: str) -> int:
    return sum(clerk.report()["requests"][operation].values())


@pytest.mark.parametrize(
    ("listed", "operation"),
    [
        ("list: users", "GET /users"),
        ("list: organizations", "GET /organizations"),
        ("for_each: organizations\nlist: memberships", "GET /organizations/{organization_id}/memberships"),
    ],
    ids=["users", "a list", "lists below"],
)
def test_after_a_kill_only_pages_under_way_are_asked_for_again(tmp_path: Path, listed: str, operation: str) -> None:
    small = "below" in operation or "{" in operation
    sizes = ("--users=40", "--organizations=120", "--members=3") if small else ("--users=6000", "--organizations=6000")
    with simulated_clerk("--key=sk_live_x", "--latency=20ms", *sizes) as clerk:
        whole = Workplace(tmp_path / "whole", clerk.environment)
        whole.write("job.yaml", JOB + listed + "\n")
        assert whole.run("run", "job.yaml").code == 0
        undisturbed = asked(clerk, operation)
        broken = Workplace(tmp_path / "broken", clerk.environment)
        broken.write("job.yaml", JOB + listed + "\n")
        killed = Workplace(broken.folder, clerk.environment, (sys.executable, "-c", KILLED)).run("run", "job.yaml")
        assert killed.code == -signal.SIGKILL, killed.err
        under_way = asked(clerk, operation) - undisturbed - 40
        ended = broken.run("run", "job.yaml", "--json")
        assert ended.code == 0, ended.err
        again = asked(clerk, operation) - 2 * undisturbed
    assert (broken.folder / "rows.jsonl").read_bytes() == (whole.folder / "rows.jsonl").read_bytes()
    # Where parts of slices are cut depends on who comes first, so the number of pages differs by a few.
    assert again <= under_way + 15
