"""Incremental exports: what changed, a snapshot that it is merged into, and the way back to a full export."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from clerk_runner.exporting import changes
from clerk_testing.commands import Workplace
from clerk_testing.exports import export
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

KEY = "--key=sk_live_x"
JOB = "name: nightly\nkind: export\nlist: users\nlimits: {share: 1.0}\npage_size: 50\n"
SNAPSHOT = JOB + "incremental: snapshot\noutput: users.jsonl.gz\n"
CHANGES = JOB + 'incremental: changes\noutput: "{run}.jsonl"\n'


def everybody(clerk: SimulatedClerk) -> list[dict[str, Any]]:
    """All users as they are now, oldest first."""
    found: list[dict[str, Any]] = []
    while page := clerk.perform("GET", f"/users?order_by=%2Bcreated_at&limit=500&offset={len(found)}"):
        found += page
    return sorted(found, key=lambda row: (row["created_at"], row["id"]))


def change(clerk: SimulatedClerk, users: list[dict[str, Any]], number: int) -> None:
    for row in users[:: len(users) // number][:number]:
        clerk.perform("PATCH", f"/users/{row['id']}", {"first_name": "Changed"})


def lines_of(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


def test_a_snapshot_takes_changes_in_and_a_full_export_finds_the_deleted(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--users=900") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", SNAPSHOT)
        first = workplace.run("run", "job.yaml", "--json").json
        users = everybody(clerk)
        change(clerk, users, 120)
        clerk.perform("POST", "/users", {"email_address": ["new@example.com"]})
        gone = clerk.perform("DELETE", f"/users/{users[8]['id']}")["id"]
        before = sum(clerk.report()["requests"]["GET /users"].values())
        second = workplace.run("run", "job.yaml", "--json").json
        asked = sum(clerk.report()["requests"]["GET /users"].values()) - before
        merged = lines_of(tmp_path / "users.jsonl.gz")
        shown = workplace.run("run", "job.yaml").out
        third = workplace.run("run", "job.yaml", "--fresh", "--json").json
        now = everybody(clerk)
    assert (first["increment"]["mode"], first["increment"]["since_ms"]) == ("full", None)
    assert (second["increment"]["mode"], second["increment"]["changed"]) == ("changes", 121)
    assert second["increment"]["stale"][0] == "deleted users"
    assert [row for row in merged if row["id"] != gone] == now
    assert (second["proof"]["rows"], second["proof"]["distinct"]) == (len(merged), len(merged)) == (901, 901)
    assert asked <= 6, "121 changes are five pages of 50 that overlap by 20"
    assert "stale: deleted users" in shown
    assert third["increment"]["mode"] == "full"
    assert lines_of(tmp_path / "users.jsonl.gz") == now


def test_changes_alone_are_a_file_of_their_own(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--users=300") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", CHANGES)
        assert workplace.run("run", "job.yaml", "--json").json["proof"]["rows"] == 300
        change(clerk, everybody(clerk), 10)
        second = workplace.run("run", "job.yaml", "--json").json
    rows = lines_of(Path(second["outputs"][0]))
    assert [row["first_name"] for row in rows] == ["Changed"] * 10
    assert rows == sorted(rows, key=lambda row: (row["created_at"], row["id"]))


@pytest.mark.parametrize("incremental", ["changes", "snapshot"])
def test_too_many_changes_are_a_full_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, incremental: str) -> None:
    monkeypatch.setattr(changes, "MOST_CHANGES", 60)
    keys = {"incremental": incremental, "output": "'{run}.jsonl'", "page_size": "20"}
    with simulated_clerk(KEY, "--users=200") as clerk:
        export(tmp_path, clerk, "users", **keys)
        change(clerk, everybody(clerk), 100)
        second = export(tmp_path, clerk, "users", **keys)
        now = everybody(clerk)
    assert second.increment is not None
    assert second.increment.mode == "full"
    rows = lines_of(Path(second.outputs[0]))
    wanted = now if incremental == "snapshot" else [row for row in now if row["first_name"] == "Changed"]
    assert rows == wanted


def test_a_snapshot_that_somebody_changed_is_made_anew(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--users=60") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", SNAPSHOT)
        assert workplace.run("run", "job.yaml").code == 0
        (tmp_path / "users.jsonl.gz").unlink()
        again = workplace.run("run", "job.yaml", "--json").json
    assert (again["increment"]["mode"], again["proof"]["rows"]) == ("full", 60)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("list: invitations\noutput: a.jsonl\nincremental: changes\n", "is only for users"),
        ("list: users\noutput: a.jsonl\nincremental: changes\nwhere: {banned: true}\n", "cannot have filters"),
        ("list: users\noutput: a.csv\nincremental: snapshot\n", "needs a file of JSON Lines"),
        ("list: users\noutput: a.jsonl\nincremental: snapshot\nfull_every: 5s\n", "must be from 3600s"),
    ],
)
def test_what_cannot_be_incremental_is_told(tmp_path: Path, lines: str, said: str) -> None:
    workplace = Workplace(tmp_path)
    workplace.write("job.yaml", f"name: a\nkind: export\n{lines}")
    ended = workplace.run("run", "job.yaml")
    assert ended.code == 2
    assert said in ended.err, ended.err
