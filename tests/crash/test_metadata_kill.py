"""kill -9 at random moments of a backfill of 5,000 users, with 5 % faults of every class: it ends as a model says.

The model is the merge itself, applied to what the users had. Each write has its effect at least once, and again only
where its answer was lost or its process died: a repeat of the same merge, which is what its safety class allows. Of
eight classes together a third of all requests fails, so that on a slow machine a row may run out of tries: it is in the
report as unresolved, nobody else differs from the model, and it is done once somebody says so.
"""

from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from clerk_testing.commands import Ended, Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

SPEED = "60"
USERS = 5_000
CHANGED = 1_000
KILLS = 3
IN_FLIGHT = 70
"""Writes at once on a production key: more than that no death can leave open."""
POLL_S = 0.05
DECISIONS = 5
"""Times that somebody decides about what ran out of tries, at most."""
JOB = """\
name: backfill
kind: metadata
target: users
source: rows.csv
id: "{user_id}"
public_metadata: {plan: "{plan}", batch: {number: "{number:int}"}, seat: null}
"""
FAULTS = tuple(
    f"--fail={operation}:{fault}:5%"
    for operation in ("PATCH *", "GET /users")
    for fault in (
        "500-before",
        "503-after",
        "429:retry=0.05",
        "drop-before-effect",
        "drop-after-effect",
        "html",
        "truncated-json",
        "truncated-body",
    )
)


def metadata_of(clerk: SimulatedClerk) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for offset in range(0, USERS, 500):
        page = clerk.perform("GET", f"/users?limit=500&offset={offset}&order_by=%2Bcreated_at")
        found.update({user["id"]: user["public_metadata"] for user in page})
    return found


def wanted(before: dict[str, Any], plan: str, number: int) -> dict[str, Any]:
    kept = {key: value for key, value in before.items() if key != "seat"}
    return {**kept, "plan": plan, "batch": {"number": number}}


def writes(clerk: SimulatedClerk) -> dict[str, int]:
    return {key: len(times) for key, times in clerk.effects("UpdateUserMetadata").items()}


def unresolved(ended: Ended) -> set[str]:
    """Users of whom nobody knows whether they were written, by the report."""
    assert ended.out, ended.err
    with (Path(ended.json["run_dir"]) / "failed.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert {row["_status"] for row in rows} <= {"unresolved"}, rows[:3]
    return {row["user_id"] for row in rows}


def killed(workplace: Workplace, clerk: SimulatedClerk, draw: random.Random, *command: str) -> None:
    """Start a command and kill it once it has written a random number of times more."""
    target = sum(writes(clerk).values()) + draw.randint(1, CHANGED // (KILLS + 2))
    process = workplace.start(*command)
    while sum(writes(clerk).values()) < target and process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_backfill_that_is_killed_ends_as_the_model_says_and_its_undo_as_it_began(tmp_path: Path) -> None:
    draw = random.Random(5)
    with simulated_clerk("--key=sk_live_killed", f"--speed={SPEED}", f"--users={USERS}", *FAULTS) as clerk:
        given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED}
        workplace = Workplace(tmp_path, given)
        before = metadata_of(clerk)
        changing = set(draw.sample(sorted(before), CHANGED))
        for user_id in sorted(set(before) - changing):
            # What the others are to have they have already, set by the unseen hand.
            body = {"public_metadata": wanted(before[user_id], "pro", 0)}
            clerk.perform("PUT", f"/users/{user_id}/metadata", body)
        start = metadata_of(clerk)
        numbers = {user_id: int(user_id in changing) for user_id in before}
        lines = (f"{user_id},pro,{number}\n" for user_id, number in numbers.items())
        workplace.write("rows.csv", "user_id,plan,number\n" + "".join(lines))
        workplace.write("job.yaml", JOB)
        command = ("run", "job.yaml", "--yes", "--json")
        for _ in range(KILLS):
            killed(workplace, clerk, draw, *command)
        model = {user_id: wanted(start[user_id], "pro", number) for user_id, number in numbers.items()}
        ended = workplace.run(*command)
        for _ in range(DECISIONS):
            left = unresolved(ended)
            items = ended.json["items"]
            assert (ended.code, items["unresolved"]) == (1 if left else 0, len(left)), ended.err
            assert items["done"] + items["skipped"] + len(left) == USERS, items
            now = metadata_of(clerk)
            assert {user_id for user_id in model if now[user_id] != model[user_id]} <= left
            if not left:
                break
            ended = workplace.run("resume", ended.json["run"], "--yes", "--json", "--on-unresolved", "retry")
        assert ended.code == 0, ended.out
        made = writes(clerk)
        assert set(made) == changing
        repeats = sum(made.values()) - CHANGED
        answers = clerk.report()["requests"]["PATCH /users/{user_id}/metadata"]
        lost = sum(count for status, count in answers.items() if status != "200")
        assert repeats <= KILLS * IN_FLIGHT + lost, answers
        undone = workplace.run("undo", ended.json["run"], "--yes", "--json")
        for _ in range(DECISIONS if undone.json["items"]["unresolved"] else 0):
            undone = workplace.run("resume", undone.json["run"], "--yes", "--json", "--on-unresolved", "retry")
        assert undone.code == 0, undone.err
        assert undone.json["items"]["total"] == CHANGED
        assert json.dumps(metadata_of(clerk), sort_keys=True) == json.dumps(start, sort_keys=True)
