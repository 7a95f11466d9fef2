"""``runs``: every run is listed, whatever became of it, and failed rows are those of the input that the run read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from clerk_runner.folders import RunFolder
from clerk_testing.commands import Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

JOB = 'name: beta\nkind: invite\nsource: people.csv\nemail: "{email}"\n'


@pytest.fixture(scope="module")
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk("--key=sk_test_runs", "--speed=60") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    name = tmp_path.name.replace("_", "-")
    # Others' tests invite too, in the same instance.
    write_people(tmp_path / "people.csv", [f"jane@{name}.example", "no address", f"joe@{name}.example"])
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")
    return Workplace(tmp_path, {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": "60"})


@pytest.fixture
def ran(place: Workplace) -> Path:
    assert place.run("run", "job.yaml", "--yes").code == 1
    return place.only_run()


def test_no_runs_yet(place: Workplace) -> None:
    assert place.run("runs", "list").out == "there are no runs yet\n"
    assert place.run("runs", "list", "--json").json == {"runs": []}
    ended = place.run("runs", "show", "last", "--json")
    assert (ended.code, ended.json["error"]["code"]) == (2, "run_unknown")


def test_a_run_that_cannot_be_read_does_not_hide_the_others(place: Workplace, ran: Path) -> None:
    broken, empty, damaged = (ran.parent / f"20200101-00000{number}-abcd" for number in range(3))
    for folder in (broken, empty, damaged):
        folder.mkdir()
    (broken / "run.json").write_text("{")
    (empty / "run.json").write_bytes((ran / "run.json").read_bytes())
    (damaged / "run.json").write_bytes((ran / "run.json").read_bytes())
    (damaged / "run.db").write_bytes(b"no database at all" * 1000)
    ended = place.run("runs", "list")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"{broken.name}  unreadable")
    assert lines[1].split()[1] == "planned"
    assert lines[2].startswith(f"{damaged.name}  unreadable")
    assert lines[3].startswith(f"{ran.name}  done")
    listed = place.run("runs", "list", "--json").json["runs"]
    assert [row["state"] for row in listed] == ["unreadable", "planned", "unreadable", "done"]
    assert place.run("runs", "show", broken.name).code == 2
    assert place.run("runs", "show", damaged.name).code in (2, 4)


def test_a_run_is_shown(place: Workplace, ran: Path) -> None:
    ended = place.run("runs", "show", "last")
    assert ended.code == 0
    for part in (f"run       {ran.name}, done, begun ", "job       'beta' (invite), ", "rows      3 total, 2 done"):
        assert part in ended.out
    assert "1 failed     invalid_email: " in ended.out
    shown = place.run("runs", "show", ran.name[:-1], "--json").json
    assert (shown["run"], shown["state"], shown["items"]["failed"]) == (ran.name, "done", 1)
    assert [(one["code"], one["items"]) for one in shown["outcomes"] if one["state"] == "failed"] == [
        ("invalid_email", 1)
    ]


def test_a_run_that_nobody_works_on_any_more_was_interrupted(place: Workplace, ran: Path) -> None:
    assert "\nnext " not in place.run("runs", "show", "last").out
    with sqlite3.connect(ran / "run.db") as db:
        db.execute("""UPDATE meta SET value = '"running"' WHERE name = 'state'""")
    db.close()
    held = RunFolder(ran)
    held.hold()
    assert place.run("runs", "show", "last", "--json").json["state"] == "running"
    held.release()
    assert place.run("runs", "list").out.split()[1] == "interrupted"
    assert place.run("runs", "show", "last").out.endswith(f"\nnext      clerk-batch resume {ran.name}\n")


def test_a_beginning_of_two_ids_is_refused(place: Workplace, ran: Path) -> None:
    other = ran.with_name(f"{ran.name[:-1]}{'0' if ran.name[-1] != '0' else '1'}")
    other.mkdir()
    (other / "run.json").write_bytes((ran / "run.json").read_bytes())
    for arguments in (("runs", "show"), ("runs", "failed"), ("resume",)):
        ended = place.run(*arguments, ran.name[:-1])
        assert ended.code == 2
        assert "2 runs begin with" in ended.err
    assert place.run("runs", "show", ran.name).code == 0


def test_failed_rows_are_counted_and_chosen_by_code(place: Workplace, ran: Path) -> None:
    assert place.run("runs", "failed", "last", "--count").out == "1\n"
    assert place.run("runs", "failed", "last", "--count", "--code", "other").out == "0\n"
    assert len(place.run("runs", "failed", "last", "--code", "invalid_email").out.splitlines()) == 2


def test_failed_rows_are_not_taken_from_a_file_that_changed(place: Workplace, ran: Path) -> None:
    write_people(place.folder / "people.csv", ["somebody@else.example", "no address"])
    ended = place.run("runs", "failed", "last")
    assert (ended.code, ended.out) == (2, "")
    assert "changed since run" in ended.err
    kept = str(ran / "failed.csv")
    assert kept in ended.err
    assert "no address" in Path(kept).read_text()


def test_a_run_that_sent_nothing_has_no_failed_rows(place: Workplace, ran: Path) -> None:
    (ran / "run.db").unlink()
    ended = place.run("runs", "failed", "last")
    assert ended.code == 4, "what was sent is not known any more"
    (ran / "run.mark").unlink()
    ended = place.run("runs", "failed", "last")
    assert ended.code == 2
    assert "sent nothing" in ended.err


def test_an_error_of_a_resumed_run_names_the_run(place: Workplace, ran: Path) -> None:
    found = Workplace(place.folder, {**place.variables, "CLERK_SECRET_KEY": ""}).run("resume", "last", "--json")
    assert found.code == 3
    assert (found.json["run"], found.json["job"], found.json["kind"]) == (ran.name, "beta", "invite")


def test_a_summary_that_nobody_reads_keeps_the_exit_code(place: Workplace) -> None:
    process = place.start("run", "job.yaml", "--yes", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1, err
    assert "Traceback" not in err
    assert json.loads((place.only_run() / "summary.json").read_bytes())["items"]["done"] == 2
