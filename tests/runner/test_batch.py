"""Whole runs as processes: what they leave behind when they do not come to their end, and what they cost."""

from __future__ import annotations

import csv
import json
import os
import pty
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

JOB = """\
name: beta
kind: invite
source: people.csv
email: "{email}"
public_metadata: {cohort: "{cohort}"}
"""
RUN = ("run", "job.yaml", "--yes", "--json")

Start = Callable[..., tuple[Workplace, SimulatedClerk]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(
            *options: str, people: int = 20, job: str = JOB, **variables: str
        ) -> tuple[Workplace, SimulatedClerk]:
            clerk = stack.enter_context(simulated_clerk("--key=sk_live_batch", "--speed=60", *options))
            given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": "60"}
            workplace = Workplace(tmp_path, given)
            workplace.write("job.yaml", job)
            write_people(tmp_path / "people.csv", (f"p{number}@example.com" for number in range(people)))
            return workplace, clerk

        yield begin


def runs(workplace: Workplace) -> list[Path]:
    folder = workplace.state / "runs"
    return sorted(folder.iterdir()) if folder.exists() else []


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def invited(clerk: SimulatedClerk) -> dict[str, int]:
    return {address: len(times) for address, times in clerk.effects("CreateInvitation").items()}


def until_seen(clerk: SimulatedClerk, what: str, process: subprocess.Popen[str]) -> None:
    """Wait until a request of that kind arrived."""
    while not any(what in str(arrival) for arrival in clerk.report()["arrivals"]):
        assert process.poll() is None, process.communicate()


# ------------------------------------------------------------------ nothing sent, nothing left


def test_a_run_without_a_yes_leaves_nothing_behind(start: Start) -> None:
    workplace, clerk = start()
    ended = workplace.run("run", "job.yaml", "--json")
    assert ended.code == 3
    assert ended.json["error"]["code"] == "confirmation_missing"
    assert runs(workplace) == []
    assert workplace.run(*RUN).json["items"]["done"] == 20
    assert set(invited(clerk).values()) == {1}


def on_a_terminal(workplace: Workplace, answer: Callable[[subprocess.Popen[bytes], int], object], *words: str) -> int:
    """Run a command on a terminal of its own, and do something once it asks; returns its exit code."""
    leader, follower = pty.openpty()
    command = [*workplace.program, *words]
    process = subprocess.Popen(
        command, cwd=workplace.folder, env=workplace.environment, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    seen = b""
    answered = False
    try:
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
            if not answered and b"[y/N]" in seen:
                answered = True
                answer(process, leader)
        assert answered, seen
        return process.wait(60)
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def sending(number: int) -> Callable[[subprocess.Popen[bytes], int], None]:
    return lambda process, _: process.send_signal(number)


def test_a_no_and_a_signal_at_the_question_leave_nothing_behind(start: Start) -> None:
    workplace, clerk = start()
    assert on_a_terminal(workplace, lambda _, leader: os.write(leader, b"n\n"), "run", "job.yaml") == 3
    assert runs(workplace) == []
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        assert on_a_terminal(workplace, sending(number), "run", "job.yaml") == code
        assert runs(workplace) == []
    assert invited(clerk) == {}
    assert on_a_terminal(workplace, lambda _, leader: os.write(leader, b"y\n"), "run", "job.yaml") == 0
    assert len(invited(clerk)) == 20


def test_an_interrupt_while_looking_people_up_harms_nobody(start: Start) -> None:
    workplace, clerk = start("--latency=700ms", "--arrivals=100", people=3000)
    process = workplace.start(*RUN)
    until_seen(clerk, "/users", process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing was sent" in out
    write_people(workplace.folder / "people.csv", (f"q{number}@example.com" for number in range(5)))
    assert workplace.run(*RUN).json["items"] == {
        "total": 5,
        "done": 5,
        "skipped": 0,
        "failed": 0,
        "unresolved": 0,
        "pending": 0,
    }
    assert set(invited(clerk)) == {f"q{number}@example.com" for number in range(5)}
    assert len(runs(workplace)) == 1


def test_a_declined_change_can_be_taken_back(start: Start) -> None:
    workplace, clerk = start("--latency=300ms", "--arrivals=100", people=200)
    process = workplace.start(*RUN)
    until_seen(clerk, "POST", process)
    process.send_signal(signal.SIGINT)
    first = json.loads(process.communicate(timeout=60)[0])
    assert first["state"] == "interrupted"
    before = (workplace.folder / "people.csv").read_text()
    shuffled = before.splitlines(keepends=True)
    (workplace.folder / "people.csv").write_text("".join([shuffled[0], *reversed(shuffled[100:])]))
    refused = workplace.run(*RUN)
    assert refused.code == 2
    assert refused.json["error"]["code"] == "run_differs"
    declined = workplace.run("run", "job.yaml", "--json", "--accept-changes")
    assert declined.code == 3
    (workplace.folder / "people.csv").write_text(before)
    last = workplace.run(*RUN)
    assert last.code == 0, last.err
    assert last.json["run"] == first["run"]
    assert last.json["items"]["done"] == 200
    assert set(invited(clerk).values()) == {1}
    assert len(invited(clerk)) == 200


def test_a_refused_list_ends_with_its_own_exit_code(start: Start) -> None:
    workplace, _ = start("--fail=GET /users:403:code=authorization_invalid")
    ended = workplace.run(*RUN)
    assert ended.code == 3, ended.out
    assert ended.json["error"]["code"] == "authorization_invalid"


def test_the_time_that_is_given_counts_from_the_start(start: Start) -> None:
    workplace, clerk = start("--latency=1s", people=20_000)
    ended = workplace.run(*RUN, "--max-time", "2s")
    assert ended.code == 5, ended.err
    assert invited(clerk) == {}


# ------------------------------------------------------------------ one run


@pytest.mark.parametrize("attempt", range(3))
def test_two_starts_at_the_same_moment_make_one_run(start: Start, attempt: int) -> None:
    workplace, clerk = start("--latency=50ms")
    processes = [workplace.start(*RUN) for _ in range(2)]
    codes = []
    for process in processes:
        process.communicate(timeout=60)
        codes.append(process.returncode)
    assert len(runs(workplace)) == 1
    assert 0 in codes
    assert set(codes) <= {0, 75}
    assert set(invited(clerk).values()) == {1}
    assert len(invited(clerk)) == 20


def test_what_failed_can_be_mended_and_fed_back(start: Start) -> None:
    workplace, clerk = start()
    with (workplace.folder / "people.csv").open("a") as file:
        file.write('nobody,"c, 1"\n=sum@example,c2\nragged@example.com\nmany@example.com,c3,4,"five, six"\n')
    first = workplace.run(*RUN)
    assert first.code == 1
    folder = Path(first.json["run_dir"])
    results = rows(folder / "results.csv")
    assert [int(one["row"]) for one in results] == list(range(1, 25))
    failed = rows(folder / "failed.csv")
    assert [one["_code"] for one in failed] == ["invalid_email", "invalid_email", "ragged_row", "ragged_row"]
    # What a row had too many of is kept where it can be looked at, and dropped on input.
    assert [one["_surplus"] for one in failed] == ["", "", "", '4,"five, six"']
    assert failed[3]["cohort"] == "c3"
    assert failed[0]["cohort"] == "c, 1"
    mended = (
        (folder / "failed.csv")
        .read_text()
        .replace("nobody", "somebody@example.com")
        .replace("=sum@example,", "s@example.com,")
    )
    (workplace.folder / "people.csv").write_text(mended)
    second = workplace.run(*RUN)
    assert second.json["items"]["total"] == 4
    assert invited(clerk)["many@example.com"] == 1
    assert invited(clerk)["somebody@example.com"] == 1
    assert invited(clerk)["s@example.com"] == 1


def test_what_one_run_left_unresolved_the_next_does_not_send(start: Start) -> None:
    fault = "--fail=POST /invitations*:drop-before-effect:first=1"
    job = JOB + "lanes: single\n"
    workplace, clerk = start(fault, people=1, job=job)
    workplace.run(*RUN)
    with closing(sqlite3.connect(runs(workplace)[0] / "run.db")) as db:
        # As after five lost answers, for which a test would wait for minutes.
        db.execute("UPDATE item SET state = 6")
        db.commit()
    sent = sum(invited(clerk).values())
    write_people(workplace.folder / "people.csv", ["p0@example.com", "p1@example.com"])
    second = workplace.run(*RUN)
    assert second.code == 1
    assert second.json["items"]["unresolved"] == 1
    assert sum(invited(clerk).values()) == sent + 1


# ------------------------------------------------------------------ the disk


def limited(workplace: Workplace, size: int) -> Ended:
    """Run with files of at most so many bytes, as on a full disk."""
    ended = subprocess.run(
        [*workplace.program, *RUN],
        cwd=workplace.folder,
        env=workplace.unmeasured,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize("size", [3_000, 30_000, 80_000, 120_000, 200_000, 400_000])
def test_a_full_disk_stops_before_the_next_send_and_resumes(start: Start, size: int) -> None:
    workplace, clerk = start(people=150)
    ended = limited(workplace, size)
    if ended.code != 0:
        assert ended.code == 4, (ended.out, ended.err)
        # Whoever finds it stopped learns which run to go on with, if one had begun.
        for run in runs(workplace):
            assert ended.json["run"] == run.name, ended.out
    last = workplace.run(*RUN)
    assert last.code == 0, (last.out, last.err)
    assert last.json["items"]["done"] == 150
    assert set(invited(clerk).values()) == {1}
    assert len(invited(clerk)) == 150


# ------------------------------------------------------------------ memory


MEASURED = """\
import runpy, sys
sys.argv = ["clerk-batch", "run", "job.yaml", "--yes", "--json"]
try:
    runpy.run_module("clerk_runner", run_name="__main__")
finally:
    # Not ru_maxrss: that begins with what the process was before its exec, which is the size of this test.
    with open("/proc/self/status") as status:
        print(next(line for line in status if line.startswith("VmHWM")).split()[1], file=sys.stderr)
"""


def resident_kb(folder: Path, count: int) -> int:
    folder.mkdir()
    with simulated_clerk("--key=sk_live_batch", f"--invitations={count}") as clerk:
        workplace = Workplace(
            folder, {**clerk.environment, "CLERK_BAPI_SCOPES": "write"}, (sys.executable, "-c", MEASURED)
        )
        workplace.write("job.yaml", JOB)
        write_people(folder / "people.csv", (f"invited{number}@example.com" for number in range(count)))
        # Coverage would be measured too: it keeps what it saw.
        ended = workplace.run(measured=False)
    assert ended.json["items"]["skipped"] == count
    return int(ended.err.split()[-1])


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    # So many that what is bounded is full in both: the journal's page cache alone may take 16 MB.
    few, many = resident_kb(tmp_path / "few", 150_000), resident_kb(tmp_path / "many", 300_000)
    assert many - few < 20_000
    assert many < 130_000
