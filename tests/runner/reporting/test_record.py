"""What a run notes of itself: kept over a kill, with the longest waits, and never in the way of the run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clerk_runner.journal import Journal
from clerk_runner.reporting.record import MOST_PAUSES, Pause, Record, open_record, read_notes
from clerk_runner.reporting.series import Series, summed
from clerk_runner.schema import open_reader
from clerk_runner.view import Gauge, Progress, Tally

GAUGE = Gauge("instance", 40, 700, 10.0)


def on(path: Path, scenario: Callable[[Record], Awaitable[None]]) -> None:
    async def play() -> None:
        journal = Journal(path, durable=False)
        try:
            await scenario(await open_record(journal))
        finally:
            journal.close()

    asyncio.run(play())


def noted(path: Path) -> tuple[Series, list[Pause], dict[str, list[float]]]:
    reader = open_reader(path)
    try:
        return read_notes(reader)
    finally:
        reader.close()


async def busy(record: Record, *, over: bool) -> None:
    for _ in range(10):
        record.attempted(200, 0.2)
    record.attempted(429, 0.1)
    record.attempted("connection lost", 1.0)
    await record.save(over=over)
    record.attempted(200, 0.2)


def test_what_a_killed_process_saved_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    on(path, lambda record: busy(record, over=False))
    on(path, lambda record: busy(record, over=True))
    whole = summed(noted(path)[0].buckets.values())
    assert (whole.requests, whole.throttled, whole.lost) == (24, 2, 2)
    reader = open_reader(path)
    ended = [row[0] for row in reader.execute("SELECT ended_ms IS NOT NULL FROM start ORDER BY id")]
    reader.close()
    assert ended == [0, 1]


def test_progress_is_noted_as_what_moved(tmp_path: Path) -> None:
    path = tmp_path / "run.db"

    async def scenario(record: Record) -> None:
        numbers = iter(range(100, 1_000_000, 7))

        def read() -> Progress:
            done = next(numbers)
            return Progress("x", done, 9, tally=Tally(done, 3, 0), gauges=(GAUGE,))

        follower = asyncio.ensure_future(record.follow(read))
        await asyncio.sleep(0)
        follower.cancel()
        await asyncio.wait([follower])
        await record.save(over=True)

    on(path, scenario)
    series, _, limits = noted(path)
    whole = summed(series.buckets.values())
    assert whole.done == 7, "what was done before this process is not counted again"
    assert whole.skipped == 0
    assert whole.most_used == {"instance": 40}
    assert limits == {"instance": [700, 10.0]}


def test_waits_that_go_on_are_one_and_the_longest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock = tmp_path / "run.db", [1_800_000_000.0]

    async def scenario(record: Record) -> None:
        monkeypatch.setattr(time, "time", lambda: clock[0])
        for _ in range(3):
            # Asked anew at once, as the engine does when its call changes.
            clock[0] += 1000
            record.waited("POST /invitations", 1000, granted=False)
        for waited_s in range(2 * MOST_PAUSES):
            clock[0] += 5000
            record.waited("GET /users", 10 + waited_s, granted=True)
        clock[0] += 100
        record.waited("GET /users", 0.1, granted=True)
        await record.save(over=True)

    on(path, scenario)
    pauses = noted(path)[1]
    assert len(pauses) == MOST_PAUSES
    assert Pause(1_800_000_000.0, 1_800_003_000.0, "POST /invitations") in pauses
    others = [round(pause.end_s - pause.begin_s) for pause in pauses if pause.operation == "GET /users"]
    assert min(others) > 50, "the shorter ones made room"


def test_a_worker_that_waited_while_others_were_served_was_no_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock = tmp_path / "run.db", [1_800_000_000.0]

    async def scenario(record: Record) -> None:
        monkeypatch.setattr(time, "time", lambda: clock[0])
        for _ in range(600):
            # Sixty workers, each served after six seconds: one of them every tenth of a second.
            clock[0] += 0.1
            record.waited("PATCH /users/{user_id}/metadata", 6.0, granted=True)
        await record.save(over=True)

    on(path, scenario)
    assert [round(pause.end_s - pause.begin_s) for pause in noted(path)[1]] == [6], "the first one, before all others"


def test_notes_that_cannot_be_written_end_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        journal = Journal(tmp_path / "run.db", durable=False)
        record = await open_record(journal)
        record.attempted(200, 0.1)
        journal.close()
        await record.save(over=True)
        assert isinstance(await open_record(journal), Record)

    asyncio.run(play())


def test_a_journal_without_notes_has_none(tmp_path: Path) -> None:
    Journal(tmp_path / "run.db", durable=False).close()
    series, pauses, limits = noted(tmp_path / "run.db")
    assert (series.buckets, pauses, limits) == ({}, [], {})
