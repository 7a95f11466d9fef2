"""Whole exports into each format, and to standard output."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
from pathlib import Path

import pytest
import zstandard
from pyarrow import parquet

from clerk_testing.commands import Workplace
from clerk_testing.exports import export, rows_of
from clerk_testing.simulated import simulated_clerk

KEY = "--key=sk_live_x"
USERS = 730
STDOUT = 'name: a\nkind: export\nlist: users\noutput: "-"\nlimits: {share: 1.0}\n'


def test_one_list_in_every_format_holds_the_same_users(tmp_path: Path) -> None:
    with simulated_clerk(KEY, f"--users={USERS}") as clerk:
        rows = rows_of(export(tmp_path, clerk, "users"))
        found = {
            end: Path(export(tmp_path, clerk, "users", output=f"'{{run}}.{end}'").outputs[0])
            for end in ("csv", "sqlite", "parquet", "jsonl.zst", "csv.gz")
        }
    assert len(rows) == USERS
    emails = [row["email_addresses"][0]["email_address"] for row in rows]
    with found["csv"].open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["primary_email"] for row in table] == emails
    assert [json.loads(row["public_metadata"]) for row in table] == [row["public_metadata"] for row in rows]
    db = sqlite3.connect(found["sqlite"])
    try:
        assert [row[0] for row in db.execute("SELECT primary_email FROM users ORDER BY rowid")] == emails
    finally:
        db.close()
    read = parquet.read_table(found["parquet"]).to_pylist()
    assert [row["created_at"] for row in read] == [row["created_at"] for row in rows]
    unpacked = zstandard.ZstdDecompressor().decompressobj().decompress(found["jsonl.zst"].read_bytes())
    assert [json.loads(line) for line in unpacked.splitlines()] == rows
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in found.values())


def test_columns_are_chosen_by_path(tmp_path: Path) -> None:
    columns = "[id, email: primary_email, {name: since, path: created_at, type: time}]"
    with simulated_clerk(KEY, "--users=3") as clerk:
        summary = export(tmp_path, clerk, "users", output="users.csv", columns=columns)
    lines = Path(summary.outputs[0]).read_text().splitlines()
    assert lines[0] == "id,email,since"
    assert all(line.endswith("Z") for line in lines[1:])


def test_stdout_gets_the_rows_and_stderr_the_summary(tmp_path: Path) -> None:
    with simulated_clerk(KEY, f"--users={USERS}") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", STDOUT)
        ended = workplace.run("run", "job.yaml", "--json")
        again = workplace.run("run", "job.yaml", "--set", "format=csv")
    assert ended.code == 0, ended.err
    assert len({json.loads(line)["id"] for line in ended.out.splitlines()}) == USERS
    summary = json.loads(ended.err.splitlines()[-1])
    assert (summary["proof"]["rows"], summary["proof"]["output"], summary["outputs"]) == (USERS, "-", [])
    assert len(again.out.splitlines()) == USERS + 1
    assert "different ids" in again.err


def test_a_reader_that_has_enough_may_leave(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--users=3000") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", STDOUT)
        process = workplace.start("run", "job.yaml")
        assert process.stdout is not None
        first = subprocess.run(["head", "-n", "1"], stdin=process.stdout, capture_output=True, check=True)
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate(timeout=60)
    assert json.loads(first.stdout)["object"] == "user"
    assert process.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("output: users.xlsx\n", "must end with one of .jsonl"),
        ("output: users.parquet.gz\n", "already compressed"),
        ('output: "-"\nformat: sqlite\n', "cannot be piped"),
        ("output: a.jsonl\ncolumns: [id]\n", "JSON Lines has every field"),
        ("output: a.csv\ncolumns: [id, Id]\n", "more than once"),
        ("output: a.csv\ncolumns: [primary_mail]\n", "not a documented field of users"),
        ("output: a.csv\ncolumns: [frist_name]\n", "did you mean first_name?"),
        ("output: a.csv\ncolumns: []\n", "must be a list of columns"),
        ("output: a.csv\ncolumns: [[id]]\n", "must be a path"),
        ("output: a.csv\ncolumns: [{path: id, type: txt}]\n", "did you mean text?"),
    ],
)
def test_a_form_that_does_not_fit_is_told_before_the_first_request(tmp_path: Path, lines: str, said: str) -> None:
    with simulated_clerk(KEY) as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", f"name: a\nkind: export\nlist: users\n{lines}")
        ended = workplace.run("run", "job.yaml")
        assert clerk.report()["requests"] == {}
    assert ended.code == 2
    assert said in ended.err, ended.err
