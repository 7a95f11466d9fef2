"""kill -9 at random moments of an invitation run: every address is invited exactly once, without a 429.

An invitation takes the simulator 0.75 to 1.5 s and happens at the end of that; a list takes a twentieth of a second, so
whoever looks too early sees nothing. 2 % of the connections are dropped after the effect. Two invitations to one person
are let through where the second comes within seconds of the first, as by a service with replicas. So nothing but the
runner's own bookkeeping, and its quarantine, stands between a crash and a second e-mail.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clerk_jobs.call import State
from clerk_runner.attempts import last_attempt
from clerk_testing.commands import Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

SPEED = "40"
"""The quarantine is 3 s: twice as long as the slowest invitation."""
IN_FLIGHT = 11
"""Invitations in the first call of either lane: one and ten."""
JOB = """\
name: killed
kind: invite
instance: production
source: people.csv
email: "{email}"
public_metadata: {cohort: "{cohort}"}
"""
SIMULATOR = (
    "--key=sk_live_killed",
    f"--speed={SPEED}",
    "--latency=50ms",
    "--fail=POST /invitations*:drop-after-effect:2%",
    "--fail=POST /invitations*:slow:by=0.75-1.5s",
    "--duplicate-lag=3s",
)
NO_QUARANTINE = """\
from clerk_runner.doubts import Doubts
Doubts._quarantine_left = lambda self, doubt: 0.0
from clerk_runner.cli import main
main()
"""


@dataclass
class Kills:
    """How many kills fell in which state, and how many effects landed after theirs."""

    states: Counter[str] = field(default_factory=Counter)
    landed_later: int = 0


def torture(workplace: Workplace, clerk: SimulatedClerk, *, people: int, kills: int, seed: int) -> Kills:
    """Run the job, kill it at random moments, and let it end at last."""
    draw = random.Random(seed)
    write_people(workplace.folder / "people.csv", (f"person{number}@example.com" for number in range(people)))
    workplace.write("job.yaml", JOB)
    found = Kills()
    for _ in range(kills):
        process = workplace.start("run", "job.yaml", "--yes", "--json", measured=False)
        ended = threading.Event()
        # Not asleep: woken at once by a run that ends before its time.
        waiter = threading.Thread(target=lambda p=process, e=ended: (p.wait(), e.set()))
        waiter.start()
        early = until_the_kill(workplace, ended, draw)
        if not early:
            os.kill(process.pid, signal.SIGKILL)
        waiter.join()
        out, err = process.communicate()
        assert not early, f"the run ended before it was killed: {out} {err}"
        found.states[state_of(workplace)] += 1
    last = workplace.run("run", "job.yaml", "--yes", "--json")
    assert last.code == 0, last.err
    assert last.json["items"]["done"] == people, last.json
    found.landed_later = clerk.report()["effects_after_disconnect"]["total"]
    return found


def until_the_kill(workplace: Workplace, ended: threading.Event, draw: random.Random) -> bool:
    """Let a random time pass: from the start in some runs, from the first new call in most; True where it ended."""
    if draw.random() < 0.2:
        return ended.wait(draw.uniform(0.2, 3.0))
    sent = attempts(workplace)
    for _ in range(120):
        if attempts(workplace) != sent:
            break
        if ended.wait(0.05):
            return True
    return ended.wait(draw.uniform(0.0, 2.5))


def attempts(workplace: Workplace) -> int:
    """How many calls the journal knows."""
    for journal in workplace.state.glob("runs/*/run.db"):
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
            try:
                return last_attempt(db)
            except sqlite3.OperationalError:
                return 0
    return 0


def state_of(workplace: Workplace) -> str:
    """What the journal says that the kill interrupted."""
    journals = list(workplace.state.glob("runs/*/run.db"))
    if not journals or not journals[0].stat().st_size:
        return "before the journal"
    with closing(sqlite3.connect(journals[0])) as db:
        try:
            if db.execute("SELECT count(*) FROM item WHERE state = ?", (State.INTENT,)).fetchone()[0]:
                return "an intent open"
            if last_attempt(db):
                return "between two calls"
        except sqlite3.OperationalError:
            return "before the journal"
    return "before the first call"


def workplace_of(
    folder: Path, clerk: SimulatedClerk, program: tuple[str, ...] | None = None, speed: str = SPEED
) -> Workplace:
    variables = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": speed}
    folder.mkdir()
    return Workplace(folder, variables) if program is None else Workplace(folder, variables, program)


def invited_more_than_once(clerk: SimulatedClerk) -> dict[str, int]:
    effects = clerk.effects("CreateInvitation")
    return {address: len(times) for address, times in effects.items() if len(times) != 1}


@pytest.mark.crash
@pytest.mark.timeout(600)
def test_everybody_is_invited_exactly_once_however_often_the_run_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people, pairs, kills = 450, 2, 25

    def one(number: int) -> Kills:
        with simulated_clerk(*SIMULATOR, f"--seed={number}") as clerk:
            workplace = workplace_of(tmp_path / str(number), clerk)
            found = torture(workplace, clerk, people=people, kills=kills, seed=number)
            assert invited_more_than_once(clerk) == {}
            assert len(clerk.effects("CreateInvitation")) == people
            report = clerk.report()
            assert report["throttled"] == 0
            assert report["limits"]["invitation"]["refused"] == 0
            return found

    with ThreadPoolExecutor(pairs) as threads:
        every = list(threads.map(one, range(pairs)))
    states: Counter[str] = sum((found.states for found in every), Counter())
    landed_later = sum(found.landed_later for found in every)
    with capsys.disabled():
        told = ", ".join(f"{count} with {state}" for state, count in states.most_common())
        print(f"\n{pairs * kills} kills: {told}; {landed_later} effects landed after their kill")
    assert states["an intent open"] >= 10
    assert landed_later >= 5


def killed_once(workplace: Workplace, clerk: SimulatedClerk, *again: str) -> None:
    """Kill the run when both its first calls have arrived and none has had its effect, then let one end."""
    write_people(workplace.folder / "people.csv", (f"person{number}@example.com" for number in range(14)))
    workplace.write("job.yaml", JOB)
    process = workplace.start("run", "job.yaml", "--yes", "--json", measured=False)
    while sum("POST" in str(arrival) for arrival in clerk.report()["arrivals"]) < 2:
        assert process.poll() is None, process.communicate()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    last = workplace.run("run", "job.yaml", "--yes", "--json", *again)
    assert last.code == 0, last.err
    while clerk.report()["effects_after_disconnect"]["total"] < IN_FLIGHT:
        pass


SLOW = (
    "--key=sk_live_killed",
    "--speed=12",
    "--arrivals=100",
    "--fail=POST /invitations*:slow:by=6s:first=2",
    "--duplicate-lag=30s",
)
"""Effects land 6 s after they were asked for; the quarantine is 10 s."""


@pytest.mark.crash
def test_the_quarantine_outlives_an_effect_that_lands_late(tmp_path: Path) -> None:
    with simulated_clerk(*SLOW) as clerk:
        killed_once(workplace_of(tmp_path / "whole", clerk, speed="12"), clerk)
        assert invited_more_than_once(clerk) == {}


@pytest.mark.crash
def test_a_run_that_begins_anew_outlasts_the_calls_of_the_one_that_is_left_behind(tmp_path: Path) -> None:
    with simulated_clerk(*SLOW) as clerk:
        killed_once(workplace_of(tmp_path / "fresh", clerk, speed="12"), clerk, "--fresh")
        assert invited_more_than_once(clerk) == {}


@pytest.mark.crash
def test_without_the_quarantine_somebody_is_invited_twice(tmp_path: Path) -> None:
    """The test of the test: what holds the promise above is the quarantine, not the simulator's kindness."""
    with simulated_clerk(*SLOW) as clerk:
        killed_once(workplace_of(tmp_path / "defect", clerk, (sys.executable, "-c", NO_QUARANTINE), speed="12"), clerk)
        assert invited_more_than_once(clerk)
