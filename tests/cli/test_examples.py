"""The examples work as they stand: each can be planned, and the demo tells the truth and ends what it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
JOBS = sorted(EXAMPLES.rglob("*.yaml"))
DEMO = EXAMPLES / "invites" / "demo.py"
LONGEST_S = 120


def start_demo(folder: Path) -> subprocess.Popen[str]:
    """In a session of its own, with a temporary folder that shows what is left behind."""
    return subprocess.Popen(
        [sys.executable, str(DEMO)],
        env={**os.environ, "TMPDIR": str(folder), "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def processes_with(folder: Path) -> list[str]:
    """Commands whose environment names the folder: the demo's own, wherever they were moved to."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.parent.name}-{job.stem}")
def test_every_example_can_be_planned(job: Path, tmp_path: Path) -> None:
    workplace = Workplace(tmp_path, {"CLERK_SECRET_KEY": "sk_test_examples"})
    planned = workplace.run("plan", str(job), "--offline", "--json")
    assert planned.code in (0, 1), planned.err
    # What a list holds only Clerk knows.
    lists = any(line.startswith("list:") for line in job.read_text(encoding="utf-8").splitlines())
    assert planned.json["items"]["pending"] > 0 or lists


def test_the_example_shows_every_kind_of_row_that_cannot_be_sent(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path, {"CLERK_SECRET_KEY": "sk_test_examples"})
    planned = workplace.run("plan", str(DEMO.with_name("job.yaml")), "--offline", "--json").json
    codes = {problem["code"] for problem in planned["problems"]}
    assert codes == {"invalid_email", "conflicting_rows", "cast_failed", "ragged_row", "missing_value"}
    assert planned["items"]["skipped"] >= 1, "a row that repeats another one"


@pytest.mark.crash
@pytest.mark.timeout(LONGEST_S + 60)
def test_the_demo_invites_everybody_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    out, _ = demo.communicate(timeout=LONGEST_S)
    assert demo.returncode == 0, out
    for promised in ("Killed, after", "continue 'beta-invites'", "failed: run", "_status,_code,_message,_trace_id"):
        assert promised in out
    assert "    0 of them more than once" in out
    assert "    0 of them were refused for coming too fast (429)" in out
    assert "\x1b" not in out, "no terminal, no control characters"
    assert not processes_with(tmp_path)
    assert not list(tmp_path.glob("clerk-batch-*"))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by their environment")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_the_demo_ends_what_it_started_when_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    demo = start_demo(tmp_path)
    assert demo.stdout is not None
    told = ""
    while "looking up who is already invited" not in told:
        line = demo.stdout.readline()
        assert line, told
        told += line
    assert len(processes_with(tmp_path)) >= 2, "the demo and the simulator"
    os.killpg(demo.pid, number) if number is signal.SIGINT else demo.send_signal(number)
    demo.communicate(timeout=30)
    assert demo.returncode == 128 + number
    assert not processes_with(tmp_path)
    assert not list(tmp_path.glob("clerk-batch-*"))
