"""kill -9 at random moments of an export: the file is the one of an undisturbed run, byte for byte."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

USERS = 12_000
JOB = """\
name: everybody
kind: export
list: users
output: users.jsonl
page_size: 100
limits: {share: 1.0}
"""


def workplace_of(folder: Path, clerk: SimulatedClerk, job: str = JOB, speed: str = "20") -> Workplace:
    folder.mkdir()
    workplace = Workplace(folder, {**clerk.environment, "CLERK_BATCH_SPEED": speed})
    workplace.write("job.yaml", job)
    return workplace


def killed(workplace: Workplace, after_s: float) -> bool:
    """Start the run and kill it; False where it ended before."""
    process = workplace.start("run", "job.yaml", "--json", measured=False)
    try:
        process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


def killed_until_done(workplace: Workplace, after_s: Iterable[float]) -> int:
    """Kill the run again and again, and let it come to its end; how often it was killed.

    One that is done would begin anew.
    """
    kills = 0
    for each_s in after_s:
        if not killed(workplace, each_s):
            return kills
        kills += 1
        runs = workplace.run("runs", "list", "--json").json["runs"]
        if runs and runs[-1]["state"] == "done":
            # It had done all, and was killed on its way out.
            return kills
    ended = workplace.run("run", "job.yaml", "--json")
    assert ended.code == 0, ended.err
    return kills


@pytest.mark.crash
@pytest.mark.timeout(300)
@pytest.mark.parametrize("shape", ["uniform", "clumped:1500", "burst:4h"])
def test_a_killed_export_ends_with_the_bytes_of_an_undisturbed_one(tmp_path: Path, shape: str) -> None:
    options = ("--key=sk_live_x", f"--users={USERS}", f"--user-created={shape}", "--speed=20", "--latency=0.1-0.5s")
    with simulated_clerk(*options) as clerk:
        whole = workplace_of(tmp_path / "whole", clerk)
        assert whole.run("run", "job.yaml", "--json").code == 0
        broken = workplace_of(tmp_path / "broken", clerk)
        draw = random.Random(shape)
        kills = killed_until_done(broken, (draw.uniform(0.6, 1.4) for _ in range(8)))
        report = clerk.report()
    assert kills >= 3
    assert report["throttled"] == 0
    expected = (whole.folder / "users.jsonl").read_bytes()
    assert (broken.folder / "users.jsonl").read_bytes() == expected
    rows = [json.loads(line) for line in expected.splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) == USERS
    keys = [(row["created_at"], row["id"]) for row in rows]
    assert keys == sorted(keys)
    assert not list(broken.folder.glob(".*partial"))


@pytest.mark.crash
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("listed", "operation", "organizations", "under_way"),
    [
        # One page after the other; and as many lists at once as the limit lets through while an answer takes long.
        ("list: organizations", "GET /organizations", 3000, 2),
        ("for_each: organizations\nlist: memberships", "GET /organizations/{organization_id}/memberships", 700, 100),
    ],
    ids=["alone", "below"],
)
def test_a_killed_export_of_another_list_asks_again_only_for_what_was_under_way(
    tmp_path: Path, listed: str, operation: str, organizations: int, under_way: int
) -> None:
    size = (f"--organizations={organizations}", "--users=50", "--members=3")
    options = ("--key=sk_live_x", *size, "--latency=50-100ms")
    job = JOB.replace("list: users", listed)
    with simulated_clerk(*options) as clerk:
        whole = workplace_of(tmp_path / "whole", clerk, job, "1")
        undisturbed = whole.run("run", "job.yaml", "--json")
        assert undisturbed.code == 0, undisturbed.err
        before = clerk.report()["requests"][operation]
        broken = workplace_of(tmp_path / "broken", clerk, job, "1")
        draw = random.Random(5)
        kills = killed_until_done(broken, (draw.uniform(0.8, 1.6) for _ in range(6)))
        after = clerk.report()["requests"][operation]
    assert kills >= 2
    assert (broken.folder / "users.jsonl").read_bytes() == (whole.folder / "users.jsonl").read_bytes()
    # What came since the last save, half a second before, is not asked again.
    assert sum(after.values()) - 2 * sum(before.values()) <= kills * under_way
