"""A short crash torture of every kind of job; ``make torture`` is the long one. See ``clerk_testing.torture``."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.fail_points import STEPS
from clerk_testing.simulated import simulated_clerk
from clerk_testing.struck import check_results, run_struck
from clerk_testing.torture import Tally, drawn, play
from clerk_testing.torture_compound import COMPOUND
from clerk_testing.torture_kinds import KINDS

SEED = 7
FORGETFUL = """\
from clerk_runner import journal
from clerk_jobs.call import State
async def recover(self):
    work = lambda db: db.execute("UPDATE item SET state = 0 WHERE state = ?", (State.INTENT,)).rowcount
    return await self._writer.run(work)
journal.Journal.recover = recover
from clerk_runner.cli import main
main()
"""
"""What was begun when the process died counts as not begun."""


@pytest.mark.crash
@pytest.mark.parametrize("name", KINDS)
def test_whatever_kills_a_job_it_ends_as_if_nothing_had(tmp_path: Path, name: str) -> None:
    tally = Tally()
    one = drawn(SEED, list(KINDS).index(name))
    assert one.kind == name
    if name in COMPOUND:
        # Each has undisturbed work before the first strike, or several jobs in it: the long torture strikes more often.
        one = replace(one, strikes=one.strikes[: 2 if name == "steps" else 1])
    play(tmp_path / name, one, tally, threading.Lock())
    assert tally.strikes >= 1, one


@pytest.mark.parametrize("name", STEPS)
def test_every_step_is_a_place_in_the_software(name: str) -> None:
    module, _, cls = STEPS[name].owner.partition(":")
    owner = import_module(module)
    assert hasattr(getattr(owner, cls) if cls else owner, STEPS[name].function)


def test_the_same_seed_makes_the_same_choices() -> None:
    first = [drawn(5, number) for number in range(200)]
    assert first == [drawn(5, number) for number in range(200)]
    assert first != [drawn(6, number) for number in range(200)]
    used = {strike.step for one in first for strike in one.strikes}
    assert used - {None} <= STEPS.keys()
    assert {step for kind in KINDS.values() for step in kind.steps} <= used


def test_a_run_that_forgets_its_intents_is_found_out(tmp_path: Path) -> None:
    """The test of the test."""
    kind = KINDS["invite"]
    with simulated_clerk(*kind.simulator, f"--speed={kind.speed}") as clerk:
        given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": str(kind.speed)}
        place = Workplace(tmp_path / "place", given)
        place.folder.mkdir()
        prepared = kind.prepare(place, clerk)
        assert prepared.rows is not None
        run_struck(place, "after-answer", *prepared.arguments)
        ended = Workplace(place.folder, given, (sys.executable, "-c", FORGETFUL)).run(*prepared.arguments)
        check_results(ended, prepared.rows)
        with pytest.raises(AssertionError, match="more than once: person"):
            prepared.judge(ended)
