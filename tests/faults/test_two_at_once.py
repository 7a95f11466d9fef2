"""Rows 11, 12, 49 to 51, 55, 57, 62 and 64 of the fault matrix: memory, clocks, keys, umasks, two at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.struck import check_files, check_limits, check_results, let_go, paused, run_struck

SPEED = "60"
PEOPLE = 30
INVITE = 'name: x\nkind: invite\nsource: people.csv\nemail: "{email}"\n'
EXPORT = "name: everybody\nkind: export\nlist: users\noutput: users.jsonl\npage_size: 20\nlimits: {share: 0.9}\n"
RUN = ("run", "job.yaml", "--yes", "--json")
ALLOWED = {"instance": 700, "invitation": 90, "invitation_bulk": 22}
MAIN = "\nfrom clerk_runner.cli import main\nmain()\n"
ELSEWHERE = """\
import time
wall, boot = time.time, time.clock_gettime
time.time = lambda: wall() + {shift_s}
time.clock_gettime = lambda clock: boot(clock) + 1_000_000
from clerk_limits import clock
from clerk_runner import account
clock.boot_id = account.boot_id = lambda: "another-machine"
"""
"""Another wall clock, another boot: what a run folder finds when it is carried to another machine."""
BLOCKED = """\
import asyncio, time
from clerk_runner.journal import Journal
begin = Journal.begin
async def blocking(self, intent):
    attempt = await begin(self, intent)
    if attempt % 4 == 1:
        ends_at = time.monotonic() + (2 if attempt == 1 else 0.5)
        while time.monotonic() < ends_at:
            pass
    return attempt
Journal.begin = blocking
"""
"""The loop stands still for three windows after each fourth intent."""


@pytest.fixture
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk(
        "--key=sk_live_one", "--key=sk_live_two", f"--speed={SPEED}", "--latency=20ms", "--duplicate-lag=600s"
    ) as started:
        yield started


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    return prepared(tmp_path / "place", clerk)


def prepared(folder: Path, clerk: SimulatedClerk) -> Workplace:
    given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED}
    workplace = Workplace(folder, given)
    workplace.write("job.yaml", INVITE)
    write_people(workplace.folder / "people.csv", (f"person{number}@example.com" for number in range(PEOPLE)))
    return workplace


def with_prelude(workplace: Workplace, prelude: str) -> Workplace:
    return replace(workplace, program=(sys.executable, "-c", prelude + MAIN))


def once_each(clerk: SimulatedClerk) -> None:
    effects = {address: len(times) for address, times in clerk.effects("CreateInvitation").items()}
    assert effects == {f"person{number}@example.com": 1 for number in range(PEOPLE)}


def goes_on(workplace: Workplace, clerk: SimulatedClerk) -> Ended:
    ended = workplace.run(*RUN)
    assert ended.code == 0, (ended.out, ended.err)
    assert check_results(ended, PEOPLE)["done"] == PEOPLE
    once_each(clerk)
    check_limits(clerk, ALLOWED)
    return ended


def test_row_11_out_of_memory_is_a_fault_of_ours_that_can_be_resumed(place: Workplace, clerk: SimulatedClerk) -> None:
    ended = run_struck(place, "after-answer", *RUN, signals="MEMORY")
    assert ended.code == 70, (ended.out, ended.err)
    assert ended.json["error"]["code"] == "fault"
    goes_on(place, clerk)


def test_row_12_a_run_that_was_suspended_goes_on_where_it_stood(place: Workplace, clerk: SimulatedClerk) -> None:
    with paused(place, "after-send", *RUN) as process:
        # Longer than a window and the life of a lease: what was under way has happened, and its slots are over.
        while not clerk.effects("CreateInvitation"):
            assert process.returncode is None
        elsewhere = place.run("api", "call", "GET", "/users/count", "--json")
        assert elsewhere.code == 0, elsewhere.err
        ended = let_go(process)
    assert ended.code == 0, (ended.out, ended.err)
    assert check_results(ended, PEOPLE)["done"] == PEOPLE
    once_each(clerk)
    check_limits(clerk, ALLOWED)


@pytest.mark.parametrize("shift_s", [-3600, 86_400 * 400])
def test_row_49_a_run_goes_on_under_another_machines_clock(
    place: Workplace, clerk: SimulatedClerk, shift_s: int
) -> None:
    run_struck(place, "after-answer", *RUN)
    elsewhere = with_prelude(place, ELSEWHERE.format(shift_s=shift_s))
    assert elsewhere.run(*RUN, "--max-time=20s").code in (0, 5)
    check_limits(clerk, ALLOWED)
    goes_on(place, clerk)


def test_row_50_a_second_process_on_a_run_sends_nothing(place: Workplace, clerk: SimulatedClerk) -> None:
    with paused(place, "after-intent", *RUN) as process:
        before = clerk.report()["requests_total"]
        for command in (RUN, ("resume", "last", "--yes", "--json")):
            second = place.run(*command)
            assert (second.code, second.json["error"]["code"]) == (75, "held"), second.out
            assert str(process.pid) in second.json["error"]["message"]
        assert clerk.report()["requests_total"] == before
        assert let_go(process).code == 0
    once_each(clerk)


def test_row_51_one_job_in_two_folders_is_one_run(tmp_path: Path, place: Workplace, clerk: SimulatedClerk) -> None:
    """The same state folder: the second one is told that the first is at work."""
    other = prepared(tmp_path / "other", clerk)
    shared = replace(other, variables={**other.variables, "CLERK_BATCH_HOME": str(place.state)})
    with paused(place, "after-intent", *RUN) as process:
        assert shared.run(*RUN).code == 75
        assert let_go(process).code == 0
    again = shared.run(*RUN)
    assert (again.code, again.json["repeated"]) == (0, True)
    once_each(clerk)


def test_row_51_two_state_folders_find_what_the_other_one_did(tmp_path: Path) -> None:
    """Two machines, each with a part of the limit: here Clerk's own refusal of duplicates is the barrier."""
    parts = ("--share", "0.3", "--quota-share", "0.4")
    with simulated_clerk("--key=sk_live_one", f"--speed={SPEED}", "--latency=20ms") as clerk:
        one, other = prepared(tmp_path / "one", clerk), prepared(tmp_path / "other", clerk)
        assert run_struck(one, "after-finish", *RUN, *parts, signals="TERM", hit=2).code == 143
        # Both at once: the first goes on where it stood, the second begins.
        process = other.start(*RUN, *parts)
        ends = [one.run(*RUN, *parts), let_go(process)]
        assert [ended.code for ended in ends] == [0, 0], [ended.out for ended in ends]
        words = [check_results(ended, PEOPLE) for ended in ends]
        assert sum(found.get("done", 0) for found in words) == PEOPLE
        once_each(clerk)
        check_limits(clerk, ALLOWED)


def test_row_55_a_loop_that_stands_still_makes_requests_late_and_never_too_many(
    place: Workplace, clerk: SimulatedClerk
) -> None:
    ended = with_prelude(place, BLOCKED).run(*RUN)
    assert ended.code == 0, ended.err
    events = [json.loads(line) for line in (place.only_run() / "log.jsonl").read_bytes().splitlines()]
    assert any(each["event"] == "stood_still" and each["late_s"] > 1 for each in events)
    once_each(clerk)
    check_limits(clerk, ALLOWED)


def test_row_57_a_key_of_another_instance_is_refused_and_another_key_of_the_same_one_is_not(
    place: Workplace, clerk: SimulatedClerk
) -> None:
    assert run_struck(place, "after-finish", *RUN, signals="TERM", hit=2).code == 143
    with simulated_clerk("--key=sk_live_other", f"--speed={SPEED}", "--seed=9") as stranger:
        wrong = replace(place, variables={**place.variables, **stranger.environment})
        refused = wrong.run("resume", "last", "--yes", "--json")
        assert (refused.code, refused.json["error"]["code"]) == (2, "run_differs"), refused.out
        assert "instance" in refused.json["error"]["message"]
        assert stranger.effects("CreateInvitation") == {}
    rotated = replace(place, variables={**place.variables, "CLERK_SECRET_KEY": "sk_live_two"})
    ended = rotated.run("resume", "last", "--yes", "--json")
    assert ended.code == 0, ended.out
    once_each(clerk)


def test_row_62_everything_is_for_this_user_alone_under_a_loose_umask(tmp_path: Path, clerk: SimulatedClerk) -> None:
    loose = with_prelude(prepared(tmp_path / "loose", clerk), "import os; os.umask(0)\n")
    assert loose.run(*RUN).code == 0
    check_files(loose.state)
    with simulated_clerk("--key=sk_live_x", f"--speed={SPEED}", "--users=50") as users:
        loose = replace(loose, variables={**loose.variables, **users.environment})
        loose.write("job.yaml", EXPORT)
        assert loose.run("run", "job.yaml").code == 0
    check_files(loose.state)
    assert (loose.folder / "users.jsonl").stat().st_mode & 0o777 == 0o600


def test_row_64_connections_that_died_during_a_wait_are_made_anew_without_a_stampede(tmp_path: Path) -> None:
    """Everything is refused for a second; whoever comes back on a kept connection finds it cut."""
    faults = ("--fail=GET /users:429:retry=1:first=4", "--fail=GET /users:drop-before-effect:skip=4:first=4")
    with simulated_clerk("--key=sk_test_x", "--users=900", "--user-quota=1000", "--speed=10", *faults) as clerk:
        workplace = Workplace(tmp_path / "place", {**clerk.environment, "CLERK_BATCH_SPEED": "10"})
        workplace.write("job.yaml", EXPORT)
        ended = workplace.run("run", "job.yaml", "--json")
        assert ended.code == 0, ended.err
        assert ended.json["proof"]["rows"] == 900
        check_limits(clerk, {"instance": 90})
        assert clerk.report()["faults"].keys() == {fault.removeprefix("--fail=") for fault in faults}
