"""Waiting for an hour's quota, an hour of a minute: the plan comes true; the wait is cheap, told and interruptible."""

from __future__ import annotations

import datetime
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

ROWS = 400
JOB = 'name: beta\nkind: invite\nsource: people.csv\nemail: "{email}"\n'
WAITING = re.compile(r"waiting for the next permit until ([0-9:]{8})(?:,|$)")
RUN = ("run", "job.yaml", "--yes", "--json")
STAT = Path("/proc/self/stat")


def workplace_in(folder: Path, clerk: SimulatedClerk, rows: int) -> Workplace:
    variables = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": "60"}
    place = Workplace(folder, variables)
    write_people(folder / "people.csv", [f"person{number}@example.com" for number in range(rows)])
    place.write("job.yaml", JOB)
    return place


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, also one that ended and was not asked for its end yet."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_it_waits(process: subprocess.Popen[str]) -> float:
    """Read what a run says until it says until when it waits; that time, as unix time."""
    assert process.stderr is not None
    for line in process.stderr:
        found = WAITING.search(line.strip())
        if found is not None:
            today = datetime.datetime.now().astimezone()
            hour, minute, second = map(int, found[1].split(":"))
            when = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
            # Around midnight the time may be tomorrow's.
            return (when if when > today - datetime.timedelta(hours=12) else when + datetime.timedelta(1)).timestamp()
    raise AssertionError(f"it never said that it waits, and ended with {process.wait()}")


@dataclass(frozen=True)
class Waited:
    """A job that was planned, left early, and was run again through the wait to its end.

    Attributes:
        effects_s: unix times at which each person was invited, in order.
        told_s: until when the second run said that it waits.
        cpu_s: CPU time that it used from then to its end.
        waited_s: how long that was.
    """

    plan: dict[str, Any]
    left: Ended
    ended: Ended
    effects_s: list[float]
    told_s: float
    cpu_s: float
    waited_s: float
    report: dict[str, Any]


@pytest.fixture(scope="module")
def waited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waited]:
    options = ("--key=sk_live_waiting", "--speed=60", "--latency=50ms", "--application=20%")
    with simulated_clerk(*options) as clerk:
        place = workplace_in(tmp_path_factory.mktemp("waited"), clerk, ROWS)
        plan = place.run("plan", "job.yaml", "--json").json
        left = place.run(*RUN, "--max-wait=5s")
        process = place.start(*RUN)
        told_s, begun_s = until_it_waits(process), time.monotonic()
        before_s = cpu_s(process.pid) if STAT.exists() else 0.0
        assert process.stderr is not None
        # The next line comes when the wait is over, so this costs the machine nothing either.
        process.stderr.readline()
        waited_s = time.monotonic() - begun_s
        used_s = cpu_s(process.pid) - before_s if STAT.exists() else 0.0
        out, err = process.communicate()
        effects = clerk.effects("CreateInvitation")
        yield Waited(
            plan=plan,
            left=left,
            ended=Ended(process.returncode, out, err),
            effects_s=sorted(moment / 1000 for moments in effects.values() for moment in moments),
            told_s=told_s,
            cpu_s=used_s,
            waited_s=waited_s,
            report=clerk.report(),
        )


def test_the_plan_comes_true_within_three_percent(waited: Waited) -> None:
    assert waited.ended.code == 0, waited.ended.err
    assert len(waited.effects_s) == ROWS
    took_s = waited.effects_s[-1] - waited.effects_s[0]
    assert took_s == pytest.approx(waited.plan["ends_s"], rel=0.03)
    assert took_s > 55


def test_the_plan_counts_the_calls_that_are_sent(waited: Waited) -> None:
    sent = {
        name: sum(waited.report["requests"][f"POST /{name}"].values()) for name in ("invitations", "invitations/bulk")
    }
    calls = waited.plan["calls"]
    # Which lane takes the odd ten depends on whose answer comes first.
    assert sent["invitations/bulk"] == pytest.approx(calls["invitations-bulk"], abs=2)
    assert sent["invitations"] == pytest.approx(calls["invitations"], abs=20)
    assert calls["instance"] == calls["invitations"] + calls["invitations-bulk"]


def test_leaving_early_tells_when_to_come_again(waited: Waited) -> None:
    left = waited.left.json
    assert (waited.left.code, left["state"], left["exit"]) == (5, "waiting", 5)
    permit = datetime.datetime.fromisoformat(left["next_permit"])
    assert f"it comes at {permit:%H:%M:%S}" in left["error"]["message"]
    resumed_s = waited.effects_s[left["items"]["done"]]
    assert -1.0 <= resumed_s - permit.timestamp() < 10.0


def test_a_run_that_waits_says_until_when(waited: Waited) -> None:
    resumed_s = waited.effects_s[waited.left.json["items"]["done"]]
    assert -1.0 <= resumed_s - waited.told_s < 10.0


@pytest.mark.skipif(not STAT.exists(), reason="CPU time of another process is read from /proc")
def test_waiting_uses_no_cpu(waited: Waited) -> None:
    assert waited.waited_s > 15
    # A hundredth of a core for the wait, and half a second for the calls and reports after it.
    assert waited.cpu_s < 0.01 * waited.waited_s + 0.5


def test_nobody_saw_a_429(waited: Waited) -> None:
    """Neither the job nor the live application, which spent a fifth of the window all the time."""
    assert waited.ended.json["throttled"] == 0
    clients = waited.report["clients"]
    assert {name: client["throttled"] for name, client in clients.items()} == {"application": 0, "key 1": 0}
    assert clients["application"]["requests"] > 1000


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    with simulated_clerk("--key=sk_live_waiting", "--speed=60") as clerk:
        yield workplace_in(tmp_path, clerk, 30)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_wait_at_once(place: Workplace, number: signal.Signals, code: int) -> None:
    process = place.start(*RUN, "--per-hour=10")
    until_s = until_it_waits(process)
    process.send_signal(number)
    out, err = process.communicate()
    assert time.time() < until_s, "it ended when the permit came, and not when it was told to"
    ended = Ended(process.returncode, out, err)
    assert (ended.code, ended.json["state"]) == (code, "interrupted"), err
    assert ended.json["items"]["pending"] == 20


def test_the_time_given_ends_a_wait(place: Workplace) -> None:
    ended = place.run(*RUN, "--per-hour=10", "--max-time=5s")
    assert (ended.code, ended.json["state"]) == (5, "waiting"), ended.err
    assert ended.json["items"]["done"] == 10
    permit = datetime.datetime.fromisoformat(ended.json["next_permit"])
    assert f"--max-time is over: the next permit comes at {permit:%H:%M:%S}" in ended.json["error"]["message"]
    # A run remembers what it was begun with, so the limit holds until another is given.
    again = place.run("resume", "last", "--yes", "--json", "--max-wait=1s")
    assert (again.code, again.json["items"]["done"]) == (5, 10), again.err
    lifted = place.run("resume", "last", "--yes", "--json", "--per-hour=1000")
    assert (lifted.code, lifted.json["items"]["done"]) == (0, 30), lifted.err


def test_limits_given_as_options_move_the_plan(place: Workplace) -> None:
    def planned(*options: str) -> dict[str, Any]:
        found: dict[str, Any] = place.run("plan", "job.yaml", "--offline", "--json", *options).json
        return found

    at_ease, slow = planned(), planned("--per-hour=10")
    assert at_ease["ends_s"] < 60 <= slow["ends_s"] < 180
    assert [line for line in slow["limits"] if line.startswith("per_hour: ")]
    assert slow["waits"][0]["limit"] == "per_hour"
    whole = "\n".join(planned("--share=1.0", "--quota-share=1.0")["limits"])
    assert "window 1000 of 1000 per 10 s, nothing left to your application" in whole
    assert "window 25 of 25 per hour, nothing left to your application" in whole
    assert planned("--per-day=12")["ends_s"] > 1000
    refused = place.run("plan", "job.yaml", "--offline", "--json", "--share=0")
    assert refused.code == 2


@pytest.mark.parametrize("option", ["--max-wait=2s", "--max-time=4s"])
def test_a_list_that_is_closed_for_too_long_is_left_before_the_first_write(tmp_path: Path, option: str) -> None:
    with simulated_clerk("--key=sk_live_waiting", "--speed=60", "--fail=GET /users:429:retry=12:first=1") as clerk:
        place = workplace_in(tmp_path, clerk, 30)
        left = place.run(*RUN, option)
        assert (left.code, left.json["state"], left.json["job"]) == (5, "waiting", "beta"), left.err
        permit = datetime.datetime.fromisoformat(left.json["next_permit"])
        assert f"comes at {permit:%H:%M:%S}" in left.json["error"]["message"]
        assert clerk.effects("CreateInvitation") == {}
        again = place.run(*RUN)
        assert (again.code, again.json["items"]["done"], again.json["throttled"]) == (0, 30, 0), again.err
        first_s = min(moment for (moment,) in clerk.effects("CreateInvitation").values()) / 1000
        assert first_s >= permit.timestamp() - 1.0
