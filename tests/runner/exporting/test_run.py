"""Exports of users from the command line against Clerk on this machine."""

from __future__ import annotations

import gzip
import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

JOB = "name: everybody\nkind: export\nlist: users\noutput: users.jsonl\nlimits: {share: 1.0}\n"
POLL_S = 0.05


def workplace_of(folder: Path, clerk: SimulatedClerk, job: str = JOB) -> Workplace:
    workplace = Workplace(folder, clerk.environment)
    workplace.write("job.yaml", job)
    return workplace


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--created-at-bounds=exclusive", "--deleted-cursor=refused"),
        ("--user-created=clumped:700", "--deleted-cursor=empty"),
        ("--user-created=burst:4h", "--created-at-bounds=exclusive"),
        ("--pretty",),
        ("--fail=GET /users:truncated-json:10%", "--fail=GET /users:html:10%", "--fail=GET /users:truncated-body:10%"),
    ],
    ids=["plain", "exclusive", "clumped", "burst", "pretty", "faults"],
)
def test_everybody_is_in_the_file_once(tmp_path: Path, options: tuple[str, ...]) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=3000", "--speed=50", *options) as clerk:
        workplace = workplace_of(tmp_path, clerk, JOB + "page_size: 200\n")
        ended = Workplace(tmp_path, {**clerk.environment, "CLERK_BATCH_SPEED": "50"}).run("run", "job.yaml", "--json")
        assert ended.code == 0, ended.err
    rows = rows_of(workplace.folder / "users.jsonl")
    keys = [(row["created_at"], row["id"]) for row in rows]
    assert len({row["id"] for row in rows}) == len(rows) == 3000
    assert keys == sorted(keys)
    proof = ended.json["proof"]
    assert (proof["distinct"], proof["worst_page_s"] > 0) == (3000, True)
    assert (proof["rows"], proof["count_before"], proof["count_after"], proof["drift"]) == (3000, 3000, 3000, 0)
    assert (workplace.folder / "users.jsonl").stat().st_mode & 0o777 == 0o600
    assert not (workplace.only_run() / "spool").exists()


@pytest.mark.parametrize("version", ["2025-03-12", "2026-05-12"])
def test_a_version_without_a_cursor_is_walked_by_time(tmp_path: Path, version: str) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=900", "--user-created=clumped:250") as clerk:
        workplace = workplace_of(tmp_path, clerk, JOB + f"page_size: 100\napi_version: {version}\n")
        assert workplace.run("run", "job.yaml").code == 0
    rows = rows_of(tmp_path / "users.jsonl")
    assert len({row["id"] for row in rows}) == len(rows) == 900


def test_pages_that_do_not_arrive_are_asked_for_with_half_of_their_rows(tmp_path: Path) -> None:
    options = ("--key=sk_live_x", "--users=2000", "--speed=20", "--fail=GET /users:504-before:skip=1:first=40")
    with simulated_clerk(*options) as clerk:
        workplace_of(tmp_path, clerk, JOB + "page_size: 200\n")
        ended = Workplace(tmp_path, {**clerk.environment, "CLERK_BATCH_SPEED": "20"}).run("run", "job.yaml")
    assert ended.code == 0, ended.err
    assert "asking for only 100 rows at once" in ended.err
    rows = rows_of(tmp_path / "users.jsonl")
    assert len({row["id"] for row in rows}) == len(rows) == 2000


def test_rows_are_as_clerk_sent_them(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=3") as clerk:
        workplace = workplace_of(tmp_path, clerk)
        assert workplace.run("run", "job.yaml").code == 0
        sent = clerk.perform("GET", "/users?order_by=%2Bcreated_at")
    assert rows_of(workplace.folder / "users.jsonl") == sent


def test_the_proof_is_shown_and_the_run_is_listed(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=3") as clerk:
        workplace = workplace_of(tmp_path, clerk)
        shown = workplace.run("run", "job.yaml").out
        (listed,) = workplace.run("runs", "list", "--json").json["runs"]
    assert "3 rows, 3 different ids" in shown
    assert "3 before and 3 after, so +0" in shown
    assert (listed["kind"], listed["state"], listed["items"]["done"]) == ("export", "done", 3)


def test_filters_choose_users_and_bounds_are_half_open(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=400") as clerk:
        every = clerk.perform("GET", "/users?order_by=%2Bcreated_at&limit=500")
        low, high = every[100]["created_at"], every[300]["created_at"]
        where = f"where: {{created_at_after: {low}, created_at_before: {high}}}\n"
        workplace = workplace_of(tmp_path, clerk, JOB + where)
        assert workplace.run("run", "job.yaml").code == 0
    assert [row["id"] for row in rows_of(tmp_path / "users.jsonl")] == [row["id"] for row in every[100:300]]


def test_nobody_makes_an_empty_file(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x") as clerk:
        workplace = workplace_of(tmp_path, clerk)
        assert workplace.run("run", "job.yaml").code == 0
    assert (tmp_path / "users.jsonl").read_bytes() == b""


def test_a_compressed_file_holds_the_same_rows(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=700") as clerk:
        workplace = workplace_of(tmp_path, clerk)
        assert workplace.run("run", "job.yaml").code == 0
        assert workplace.run("run", "job.yaml", "--set", "output=users.jsonl.gz").code == 0
    plain = (tmp_path / "users.jsonl").read_bytes()
    assert gzip.decompress((tmp_path / "users.jsonl.gz").read_bytes()) == plain


def test_our_own_output_is_replaced_and_nobody_elses(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=20") as clerk:
        workplace = workplace_of(tmp_path, clerk)
        workplace.write("users.jsonl", "precious")
        refused = workplace.run("run", "job.yaml", "--json")
        assert (refused.code, refused.json["error"]["code"]) == (2, "output_exists")
        assert clerk.report()["requests"] == {}
        assert workplace.run("run", "job.yaml", "--force").code == 0
        again = workplace.run("run", "job.yaml", "--json")
        assert (again.code, again.json["repeated"]) == (0, False)
        with (tmp_path / "users.jsonl").open("a") as file:
            file.write("{}\n")
        assert workplace.run("run", "job.yaml").code == 2
    assert len(list((workplace.state / "runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("where: {created_at: 5}\n", "where.created_at"),
        ("where: {limit: 5}\n", "is set by clerk-batch"),
        ("where: {banned: maybe}\n", "where.banned"),
        ("page_size: 501\n", "at most 500"),
        ("output: users.xlsx\n", "must end with"),
        ("output: users-{day}.jsonl\n", "{day}"),
        ("output: ../users.jsonl\n", "outside"),
        ("list: user\n", "did you mean users"),
    ],
)
def test_what_does_not_fit_is_told_before_the_first_request(tmp_path: Path, lines: str, said: str) -> None:
    key = lines.partition(":")[0]
    kept = "".join(line for line in JOB.splitlines(keepends=True) if not line.startswith(key))
    with simulated_clerk("--key=sk_live_x", "--users=20") as clerk:
        ended = workplace_of(tmp_path, clerk, kept + lines).run("run", "job.yaml")
        assert clerk.report()["requests"] == {}
    assert ended.code == 2
    assert said in ended.err


def test_users_deleted_meanwhile_cost_nobody_else(tmp_path: Path) -> None:
    options = ("--key=sk_live_x", "--users=4000", "--deleted-cursor=empty", "--latency=0.1-0.3s", "--speed=10")
    with simulated_clerk(*options) as clerk:
        workplace = workplace_of(tmp_path, clerk, JOB + "page_size: 50\n")
        every = [
            row["id"] for page in range(8) for row in clerk.perform("GET", f"/users?limit=500&offset={page * 500}")
        ]
        fast = Workplace(tmp_path, {**clerk.environment, "CLERK_BATCH_SPEED": "10"})
        process = fast.start("run", "job.yaml")
        gone = every[::7]
        for identifier in gone:
            clerk.perform("DELETE", f"/users/{identifier}")
        assert process.wait(60) == 0, process.communicate()
        process.communicate()
    ids = [row["id"] for row in rows_of(workplace.folder / "users.jsonl")]
    assert len(ids) == len(set(ids))
    assert set(every) - set(gone) <= set(ids) <= set(every)


def test_an_interrupted_export_goes_on(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=4000", "--latency=0.2-0.4s") as clerk:
        workplace = workplace_of(tmp_path, clerk, JOB + "page_size: 100\n")
        early = workplace.run("run", "job.yaml", "--json", "--max-time", "1s")
        assert (early.code, early.json["state"]) == (5, "waiting")
        assert not (tmp_path / "users.jsonl").exists()
        ended = workplace.run("resume", "last", "--json")
        assert ended.code == 0, ended.err
    assert ended.json["run"] == early.json["run"]
    assert len(rows_of(tmp_path / "users.jsonl")) == 4000


def test_a_full_disk_stops_the_export_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=4000", "--latency=0.2-0.3s") as clerk:
        whole = workplace_of(tmp_path, clerk)
        narrow = "import resource, signal, sys\n"
        narrow += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        narrow += "resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))\n"
        narrow += "from clerk_runner.cli import main\nmain()\n"
        stopped = Workplace(tmp_path, clerk.environment, (sys.executable, "-c", narrow)).run(
            "run", "job.yaml", "--json", measured=False
        )
        assert (stopped.code, stopped.json["error"]["code"]) == (4, "disk"), stopped.err
        assert not (tmp_path / "users.jsonl").exists()
        ended = whole.run("run", "job.yaml", "--json")
        assert ended.code == 0, ended.err
    assert ended.json["run"] == stopped.json["run"]
    assert len(rows_of(tmp_path / "users.jsonl")) == 4000


def test_a_second_start_leaves_at_once(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=4000", "--fail=GET /users:slow:by=60s") as clerk:
        workplace = workplace_of(tmp_path, clerk)
        process = workplace.start("run", "job.yaml", "--json", measured=False)
        while not list((workplace.state / "runs").glob("*/run.db")):
            assert process.poll() is None, process.communicate()
            time.sleep(POLL_S)
        second = workplace.run("run", "job.yaml", "--json")
        process.kill()
        process.communicate()
    assert (second.code, second.json["error"]["code"]) == (75, "held")


def pages_in(workplace: Workplace) -> int:
    """Pages that the one run of a state folder has made certain."""
    (journal,) = (workplace.state / "runs").glob("*/run.db")
    try:
        with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True, timeout=30)) as db:
            return int(db.execute("SELECT count(*) FROM extent").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_an_unfinished_export_whose_job_changed_is_refused_and_left_behind_on_request(tmp_path: Path) -> None:
    with simulated_clerk("--key=sk_live_x", "--users=4000", "--latency=0.5s") as clerk:
        workplace = workplace_of(tmp_path, clerk, JOB + "page_size: 10\n")
        process = workplace.start("run", "job.yaml", "--json", measured=False)
        while not list((workplace.state / "runs").glob("*/run.db")) or not pages_in(workplace):
            assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        workplace.write("job.yaml", JOB + "where: {query: nobody}\n")
        refused = workplace.run("run", "job.yaml", "--json")
        assert (refused.code, refused.json["error"]["code"]) == (2, "run_differs")
        assert refused.json["error"]["hint"] == "--fresh abandons it and starts over"
        anew = workplace.run("run", "job.yaml", "--json", "--fresh")
    assert (anew.code, anew.json["items"]["done"]) == (0, 0)
