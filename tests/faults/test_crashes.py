"""Rows 1 to 8 of the fault matrix: kill -9 at every step of an item, of a page and of a run."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.struck import check_files, check_limits, check_results, run_struck

SPEED = "60"
PEOPLE = 13
"""One bulk call and three single ones."""
INVITE = """\
name: struck
kind: invite
source: people.csv
email: "{email}"
"""
EXPORT = "name: everybody\nkind: export\nlist: users\noutput: users.jsonl\npage_size: 50\nlimits: {share: 1.0}\n"
RUN = ("run", "job.yaml", "--yes", "--json")
INTENT, DOUBT = 1, 2


@pytest.fixture
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk(
        "--key=sk_live_struck", f"--speed={SPEED}", "--latency=20ms", "--duplicate-lag=600s", "--users=400"
    ) as started:
        yield started


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED}
    workplace = Workplace(tmp_path / "place", given)
    workplace.write("job.yaml", INVITE)
    write_people(workplace.folder / "people.csv", (f"person{number}@example.com" for number in range(PEOPLE)))
    return workplace


def states(workplace: Workplace) -> dict[int, int]:
    with closing(sqlite3.connect(workplace.only_run() / "run.db")) as db:
        return dict(db.execute("SELECT state, count(*) FROM item GROUP BY state"))


def invited(clerk: SimulatedClerk) -> dict[str, int]:
    return {address: len(times) for address, times in clerk.effects("CreateInvitation").items()}


def until(reached: Callable[[], bool]) -> None:
    """Wait for something that must come, a minute at most."""
    ends_at = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < ends_at, "it did not come"


def killed(workplace: Workplace, step: str, hit: int = 1) -> None:
    ended = run_struck(workplace, step, *RUN, hit=hit)
    assert ended.code == -signal.SIGKILL, ended.err
    check_files(workplace.state)


def resumed(workplace: Workplace, clerk: SimulatedClerk) -> Ended:
    """The run to its end: everybody was invited once."""
    ended = workplace.run(*RUN)
    assert ended.code == 0, ended.err
    assert check_results(ended, PEOPLE) == {"done": PEOPLE}
    assert invited(clerk) == {f"person{number}@example.com": 1 for number in range(PEOPLE)}
    check_files(workplace.state)
    return ended


def test_row_01_killed_before_the_intent(place: Workplace, clerk: SimulatedClerk) -> None:
    killed(place, "before-intent")
    assert invited(clerk) == {}
    assert states(place) == {0: PEOPLE}
    resumed(place, clerk)


def test_row_02_killed_between_intent_and_send(place: Workplace, clerk: SimulatedClerk) -> None:
    killed(place, "after-intent", hit=2)
    assert states(place)[INTENT] >= 1
    sent = set(invited(clerk))
    assert len(sent) < PEOPLE
    resumed(place, clerk)


def test_row_03_killed_between_send_and_answer(place: Workplace, clerk: SimulatedClerk) -> None:
    killed(place, "after-send")
    assert states(place)[INTENT] >= 1
    until(lambda: bool(invited(clerk)))
    resumed(place, clerk)


def test_row_04_killed_between_answer_and_its_record(place: Workplace, clerk: SimulatedClerk) -> None:
    killed(place, "after-answer")
    assert states(place)[INTENT] >= 1
    assert invited(clerk)
    resumed(place, clerk)


def test_row_05_killed_before_its_reports(place: Workplace, clerk: SimulatedClerk) -> None:
    for step in ("after-finish", "before-reports", "before-summary", "after-summary"):
        killed(place, step)
    ended = resumed(place, clerk)
    again = place.run(*RUN)
    assert (again.code, again.json["repeated"], again.json["run"]) == (0, True, ended.json["run"])


def test_row_06_killed_while_a_page_is_kept(place: Workplace) -> None:
    whole = replace(place, folder=place.folder.with_name("whole"))
    whole.write("job.yaml", EXPORT)
    assert whole.run(*RUN).code == 0
    chains = (("in-append", "in-tail", "before-sync", "before-recovered", "after-recovered"), ("before-positions",))
    for number, steps in enumerate((*chains, ("after-positions", "before-output"))):
        broken = replace(place, folder=place.folder.with_name(f"broken {number}"))
        broken.write("job.yaml", EXPORT)
        for step in steps:
            killed(broken, step)
        ended = broken.run(*RUN)
        assert ended.code == 0, ended.err
        assert (broken.folder / "users.jsonl").read_bytes() == (whole.folder / "users.jsonl").read_bytes()
        check_files(broken.state)


def test_row_08_killed_while_doubts_are_settled(place: Workplace, clerk: SimulatedClerk) -> None:
    killed(place, "after-answer")
    for step in ("in-reconcile", "before-settle"):
        killed(place, step)
        assert states(place)[DOUBT] >= 1
    resumed(place, clerk)


def test_row_08_killed_while_planning(place: Workplace, clerk: SimulatedClerk) -> None:
    planned = run_struck(place, "in-plan", "plan", "job.yaml", "--json")
    assert planned.code == -signal.SIGKILL
    check_files(place.state)
    for step in ("after-intake", "before-preview"):
        killed(place, step)
    assert invited(clerk) == {}
    resumed(place, clerk)


def test_row_08_killed_inside_of_the_ledger(place: Workplace, clerk: SimulatedClerk) -> None:
    for hit in (3, 5, 8):
        killed(place, "in-ledger", hit=hit)
    resumed(place, clerk)
    check_limits(clerk, {"instance": 700, "invitation": 90, "invitation_bulk": 22})
