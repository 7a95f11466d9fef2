"""What earlier processes spent of the hourly quotas."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from clerk_jobs.call import Draft, Outcome, State
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.folders import RunFacts, RunFolder, StateFolder
from clerk_runner.history import NO_RESPONSE_S, UNKNOWN_END_S, Past, spent
from clerk_runner.journal import Intent, Journal, SourceRow

NOW_S = 1_800_000_000.0


def run_of(
    state: StateFolder, name: str, attempts: list[tuple[float, float | None, bool]], instance: str = "ins_1"
) -> RunFolder:
    """A run with attempts: (seconds ago it began, ended or None, whether it was answered)."""
    facts = RunFacts(
        id=name,
        job="beta",
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

    async def scenario() -> None:
        journal = Journal(run.journal_path, durable=False)
        await journal.ingest([SourceRow(n, n, n, Draft(b"k%d" % n, b"d")) for n in range(1, len(attempts) + 1)])
        for seq, (begun, ended, answered) in enumerate(attempts, 1):
            at_ms = int((NOW_S - begun) * 1000)
            attempt = await journal.begin(Intent("POST", "/invitations", (seq,), at_ms, at_ms))
            if ended is not None:
                outcome = Outcome(seq, State.DONE if answered else State.DOUBT)
                await journal.finish(attempt, int((NOW_S - ended) * 1000), [outcome], answered=answered)
        journal.close()

    asyncio.run(scenario())
    run.release()
    touch(run)
    return run


def touch(run: RunFolder) -> None:
    """Written to at the tests' own time, which is not today's."""
    for path in run.path.iterdir():
        os.utime(path, (NOW_S, NOW_S))


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state #1%")


def test_every_call_counts_from_its_end(state: StateFolder) -> None:
    run_of(
        state, "a", [(100, 99, True), (50, 40, False), (1000, None, False), (10, None, False), (99_000, 98_999, True)]
    )
    calls = spent(state, "ins_1", NOW_S, speed=1.0)
    assert sorted(round(call.released_s - NOW_S) for call in calls) == [
        -1000 + UNKNOWN_END_S + NO_RESPONSE_S,
        -99,
        -40 + NO_RESPONSE_S,
        NO_RESPONSE_S,
    ]
    assert {call.run for call in calls} == {"a"}


def test_only_the_instances_own_runs_count(state: StateFolder) -> None:
    run_of(state, "a", [(100, 99, True)])
    run_of(state, "b", [(100, 99, True)], instance="ins_2")
    assert [call.run for call in spent(state, "ins_2", NOW_S, speed=1.0)] == ["b"]


def test_a_journal_that_cannot_be_read_is_no_obstacle(state: StateFolder) -> None:
    run = run_of(state, "a", [(100, 99, True)])
    run_of(state, "b", [(100, 99, True)])
    run.journal_path.write_bytes(b"nothing" * 1000)
    touch(run)
    assert [call.run for call in spent(state, "ins_1", NOW_S, speed=1.0)] == ["b"]


def test_what_a_job_sent_counts_against_its_own_limit(state: StateFolder) -> None:
    run_of(state, "a", [(60, 59, True)] * 39)
    options = GateOptions(per_hour=40)

    async def scenario() -> tuple[float | None, float | None]:
        clock = VirtualClock(NOW_S)
        gate = Gate(InstanceKind.PRODUCTION, options, clock)
        past = Past(spent(state, "ins_1", NOW_S, speed=1.0), frozenset({"a"}), options)
        past.charge(gate)
        before = gate.next_in("POST", "/invitations", items=1)
        (await gate.acquire("POST", "/invitations", items=1)).settle()
        return before, gate.next_in("POST", "/invitations", items=1)

    before, after = run_virtual(scenario())
    assert before is not None
    assert after is not None
    assert before < 1
    assert 3500 < after < 3600
