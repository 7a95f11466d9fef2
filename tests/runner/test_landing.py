"""How long a run that begins anew waits for what another one of its job may still have under way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clerk_jobs.call import Draft, Outcome, State
from clerk_runner.errors import LeftEarly
from clerk_runner.folders import RunFacts, RunFolder, StateFolder
from clerk_runner.journal import Intent, Journal, SourceRow
from clerk_runner.landing import landing_s, told_or_left

NOW_S = 1_800_000_000.0


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def run_of(state: StateFolder, name: str, *, job: str = "beta", instance: str = "ins_1") -> RunFolder:
    facts = RunFacts(
        id=name,
        job=job,
        kind="invite",
        job_file="/x",
        overrides=(),
        identity="i",
        fingerprint="f",
        source="p.csv",
        instance=instance,
        instance_kind="production",
        host="h",
        api_version="v",
        created_ms=1,
    )
    run = state.create(facts)
    run.release()
    return run


def attempted(run: RunFolder, began_s: float, ended_s: float | None = None, outcome: State = State.INTENT) -> None:
    """One call, with its times in seconds before now and what became of it."""

    async def scenario() -> None:
        journal = Journal(run.journal_path, durable=False)
        await journal.ingest([SourceRow(1, 1, 1, Draft(b"k", b"d"))])
        at_ms = int((NOW_S - began_s) * 1000)
        attempt = await journal.begin(Intent("POST", "/invitations", (1,), at_ms, at_ms))
        if ended_s is not None:
            ended_ms = int((NOW_S - ended_s) * 1000)
            await journal.finish(attempt, ended_ms, [Outcome(1, outcome)], answered=outcome is State.DONE)
        journal.close()

    asyncio.run(scenario())


def left_s(state: StateFolder, run: RunFolder, speed: float = 1.0) -> float:
    return landing_s(state, run, NOW_S, quarantine_s=120.0, speed=speed)


def test_a_call_in_doubt_counts_from_its_end_and_a_cut_off_one_from_its_intent(state: StateFolder) -> None:
    mine = run_of(state, "mine")
    assert left_s(state, mine) == 0.0
    attempted(run_of(state, "lost"), 80.0, 70.0, State.DOUBT)
    assert left_s(state, mine) == pytest.approx(50.0)
    attempted(run_of(state, "killed"), 40.0)
    assert left_s(state, mine) == pytest.approx(85.0)
    assert left_s(state, mine, speed=60.0) == 0.0


def test_what_is_settled_long_ago_or_another_jobs_is_not_waited_for(state: StateFolder) -> None:
    mine = run_of(state, "mine")
    attempted(run_of(state, "answered"), 10.0, 9.0, State.DONE)
    attempted(run_of(state, "old"), 1000.0)
    attempted(run_of(state, "other-job", job="gamma"), 10.0)
    attempted(run_of(state, "other-instance", instance="ins_2"), 10.0)
    attempted(mine, 10.0)
    run_of(state, "damaged").journal_path.write_bytes(b"nothing" * 1000)
    assert left_s(state, mine) == 0.0


def test_a_clock_that_was_set_back_makes_nobody_wait_for_longer_than_the_quarantine(state: StateFolder) -> None:
    attempted(run_of(state, "future"), -9000.0)
    assert left_s(state, run_of(state, "mine")) == 120.0


def test_a_longer_wait_than_was_asked_for_is_left(state: StateFolder) -> None:
    assert "may still arrive until " in told_or_left(50.0, NOW_S, 60.0, 60.0)
    assert told_or_left(50.0, NOW_S, None, None)
    for given, option in (((40.0, None), "--max-wait"), ((None, 40.0), "--max-time")):
        with pytest.raises(LeftEarly, match=f"beyond {option}") as left:
            told_or_left(50.0, NOW_S, *given)
        assert left.value.until is not None
