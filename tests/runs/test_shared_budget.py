"""One budget for all commands of a machine: jobs and single calls beside one another, killed, and started again.

The simulator counts what arrives. Nothing here depends on how fast the machine is: tests wait for counts.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk

EXPORT = """\
name: {name}
kind: export
list: users
output: {name}.jsonl
page_size: 10
"""
INVITE = """\
name: {name}
kind: invite
source: {name}.csv
email: "{{email}}"
"""
SHARE_OF_DEVELOPMENT = 90
QUOTAS = {"invitation": 90, "invitation_bulk": 22}
"""Calls in an hour at the default share of 0.9."""
COLD_HOUR = 22 * 10 + 90 - 2 * 5
"""People whom two jobs invite in it at least: each keeps five single calls for re-sends."""
LIST = "GET /organizations"


@contextmanager
def started(workplace: Workplace, *commands: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Commands that run; whatever happens, they do not outlive the block."""
    every: list[subprocess.Popen[str]] = []
    try:
        every += (workplace.start(*command.split()) for command in commands)
        yield every
    finally:
        for process in every:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def wait_until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Wait for something while a command runs, which must not end before."""
    while not reached():
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"the command ended before: exit {process.returncode}")


def ended(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=120)
    return Ended(process.returncode, out, err)


def requests(clerk: SimulatedClerk, operation: str) -> int:
    return sum(clerk.report()["requests"].get(operation, {}).values())


def test_jobs_and_single_calls_together_keep_within_the_share(start: Any) -> None:
    workplace, clerk = start(
        "--users=1500", "--user-quota=2000", "--speed=5", key="sk_test_shared", CLERK_BATCH_SPEED="5"
    )
    for name in ("one", "two"):
        workplace.write(f"{name}.yaml", EXPORT.format(name=name))
    with started(workplace, "run one.yaml --json", "run two.yaml --json") as jobs:
        wait_until(jobs[0], lambda: requests(clerk, "GET /users") > 0)
        calls = [workplace.run("api", "call", "GET", "/users/count", "--json") for _ in range(3)]
        every = [ended(job) for job in jobs]
    assert [one.code for one in every + calls] == [0] * 5, [one.err for one in every + calls]
    report = clerk.report()
    assert report["throttled"] == 0
    assert report["limits"]["instance"]["worst_window"] <= SHARE_OF_DEVELOPMENT
    # Neither job had the window for itself: together they need it several times over.
    assert report["requests_total"] > 3 * SHARE_OF_DEVELOPMENT


def invited(clerk: SimulatedClerk) -> int:
    return len(clerk.effects("CreateInvitation"))


def within_the_quotas(clerk: SimulatedClerk) -> None:
    report = clerk.report()
    assert report["throttled"] == 0
    worst = {name: report["limits"][name]["worst_window"] for name in QUOTAS}
    assert all(worst[name] <= QUOTAS[name] for name in QUOTAS), worst


def test_two_invitation_jobs_share_the_quotas_however_often_they_are_killed(start: Any) -> None:
    workplace, clerk = start("--latency=50-150ms", key="sk_live_quotas")
    for name in ("one", "two"):
        write_people(workplace.folder / f"{name}.csv", (f"{name}{number}@example.com" for number in range(400)))
        workplace.write(f"{name}.yaml", INVITE.format(name=name))

    with started(workplace, *(f"run {name}.yaml --yes --json" for name in ("one", "two"))) as both:
        wait_until(both[0], lambda: invited(clerk) >= 100)
    within_the_quotas(clerk)
    # A job that leaves early takes what is left of the hour; run again, it finds that nothing is.
    for _ in range(2):
        commands = (f"run {name}.yaml --yes --json --max-wait 2s" for name in ("one", "two"))
        with started(workplace, *commands) as both:
            assert [ended(process).code for process in both] == [5, 5]
        within_the_quotas(clerk)
    # All but what the kills left in doubt, one call of either lane a job; and nobody was invited twice.
    assert invited(clerk) >= COLD_HOUR - 2 * 11
    assert all(len(times) == 1 for times in clerk.effects("CreateInvitation").values())


def test_what_a_429_closed_for_one_command_is_closed_for_the_next(start: Any) -> None:
    workplace, clerk = start(f"--fail={LIST}:429:retry=20:first=1", key="sk_live_closed")
    refused = workplace.run("api", "call", *LIST.split(), "--max-wait", "1s", "--json")
    assert (refused.code, requests(clerk, LIST)) == (5, 1), refused.err
    again = workplace.run("api", "call", *LIST.split(), "--max-wait", "1s", "--json")
    assert (again.code, requests(clerk, LIST)) == (5, 1), again.err
    assert workplace.run("api", "call", "GET", "/users/count", "--json").code == 0
    # The ledger is what remembers it: whoever cannot see that file runs into the same wall.
    for path in workplace.state.glob("ledger/*/*.db"):
        path.unlink()
    forgetful = workplace.run("api", "call", *LIST.split(), "--max-wait", "1s", "--json")
    assert (forgetful.code, requests(clerk, LIST)) == (5, 2), forgetful.err
