"""kill -9 at random moments of an import, with lost answers: each user once, the mapping exact, the undo empties it."""

from __future__ import annotations

import csv
import random
import signal
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.struck import run_struck

SPEED = "60"
EXISTING = 20
NEW = 280
KILLS = 3
POLL_S = 0.05
JOB = """\
name: import
kind: create-users
source: rows.csv
external_id: "{id}"
email_address: "{email}"
mapping: ids.csv
"""
FAULTS = tuple(
    f"--fail=POST /users:{fault}:2%"
    for fault in ("500-before", "503-after", "429:retry=1", "drop-before-effect", "drop-after-effect", "html")
)


def created(clerk: SimulatedClerk) -> int:
    return sum(map(len, clerk.effects("CreateUser").values()))


def ids_of(clerk: SimulatedClerk) -> dict[str, str]:
    return {user["external_id"]: user["id"] for user in clerk.perform("GET", "/users?limit=500")}


def killed(workplace: Workplace, clerk: SimulatedClerk, draw: random.Random, *command: str) -> None:
    """Start a command and kill it once it has created a random number of users more."""
    target = created(clerk) + draw.randint(1, NEW // (KILLS + 2))
    process = workplace.start(*command, measured=False)
    while created(clerk) < target and process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.crash
def test_an_import_that_is_killed_makes_everybody_once_and_its_undo_empties_it(tmp_path: Path) -> None:
    draw = random.Random(6)
    options = ("--key=sk_live_killed", f"--speed={SPEED}", f"--users={EXISTING}", "--latency=0.1s", *FAULTS)
    with simulated_clerk(*options) as clerk:
        given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write,delete", "CLERK_BATCH_SPEED": SPEED}
        workplace = Workplace(tmp_path, given)
        before = ids_of(clerk)
        lines = [f"ext-{number},user{number}@example.com\n" for number in range(EXISTING)]
        lines += [f"new-{number},new{number}@example.com\n" for number in range(NEW)]
        draw.shuffle(lines)
        workplace.write("rows.csv", "id,email\n" + "".join(lines))
        workplace.write("job.yaml", JOB)
        command = ("run", "job.yaml", "--yes", "--json")
        for _ in range(KILLS):
            killed(workplace, clerk, draw, *command)
        ended = workplace.run(*command)
        assert ended.code == 0, ended.out + ended.err
        assert (ended.json["items"]["done"], ended.json["items"]["skipped"]) == (NEW, EXISTING)
        assert created(clerk) == NEW
        now = ids_of(clerk)
        assert len(now) == EXISTING + NEW
        with (tmp_path / "ids.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["old_id", "new_id"]
        assert sorted(rows) == sorted(map(list, now.items()))
        undone = workplace.run("undo", ended.json["run"], "--yes", "--json", "--confirm-count", str(NEW))
        assert (undone.code, undone.json["items"]["done"]) == (0, NEW), undone.out + undone.err
        assert ids_of(clerk) == before


@pytest.mark.crash
def test_what_a_kill_leaves_open_is_looked_up_a_hundred_at_once(tmp_path: Path) -> None:
    """Sixty calls under way, half of which have had their effect: two looks by two keys, four reads and not 180."""
    half = 30
    faults = (f"--fail=POST /users:timeout:first={half}", f"--fail=POST /users:timeout-before:skip={half}:first={half}")
    with simulated_clerk("--key=sk_live_open", f"--speed={SPEED}", *faults) as clerk:
        given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED}
        workplace = Workplace(tmp_path, given)
        workplace.write("rows.csv", "id,email\n" + "".join(f"x-{n},n{n}@example.com\n" for n in range(2 * half)))
        workplace.write("job.yaml", JOB)
        command = ("run", "job.yaml", "--yes", "--json")
        process = workplace.start(*command, measured=False)
        while sum(clerk.report()["requests"].get("POST /users", {}).values()) < 2 * half and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before = sum(clerk.report()["requests"]["GET /users"].values())
        (journal,) = workplace.state.glob("runs/*/run.db")
        with closing(sqlite3.connect(journal)) as db, db:
            # As if the machine had been off for an hour: every quarantine is over.
            open_items = db.execute("SELECT count(*) FROM item WHERE state = 1").fetchone()[0]
            db.execute("UPDATE attempt SET intent_ms = intent_ms - 3600000")
        assert (created(clerk), open_items) == (half, 2 * half)
        ended = workplace.run(*command)
        assert (ended.code, ended.json["items"]["done"]) == (0, 2 * half), ended.out + ended.err
        assert sum(clerk.report()["requests"]["GET /users"].values()) - before == 4
        assert set(map(len, clerk.effects("CreateUser").values())) == {1}


def test_a_mapping_whose_process_died_after_the_last_user_is_ended_by_the_next_start(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_mapped", f"--speed={SPEED}") as clerk:
        given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED}
        workplace = Workplace(tmp_path, given)
        workplace.write("rows.csv", "id,email\n" + "".join(f"x-{n},n{n}@example.com\n" for n in range(5)))
        workplace.write("job.yaml", JOB)
        command = ("run", "job.yaml", "--yes", "--json")
        # The first time is that of the empty file; the second one comes when everybody is there.
        run_struck(workplace, "before-mapped", *command, hit=2)
        assert created(clerk) == 5
        ended = workplace.run(*command)
        assert (ended.code, ended.json["items"]["done"]) == (0, 5), ended.err
        lines = (tmp_path / "ids.csv").read_text(encoding="utf-8").splitlines()[1:]
        assert dict(line.split(",") for line in lines) == ids_of(clerk)
