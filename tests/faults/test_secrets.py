"""Rows 56, 58, 59, 60 and 62 of the fault matrix: the key, people's data, and text that commands."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clerk_testing.commands import Ended, Workplace
from clerk_testing.hostile import answer
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

KEY = "sk_test_Nobody4MayEver7SeeThis"
SECRET = KEY.removeprefix("sk_test_")
PERSON = "ada.lovelace@private.example"
JOBS = {
    "invite": 'kind: invite\nsource: rows.csv\nemail: "{email}"\n',
    "metadata": 'kind: metadata\ntarget: users\nsource: rows.csv\nid: "{user}"\npublic_metadata: {note: "{note}"}\n',
    "operation": 'kind: operation\noperation: BanUser\nsource: rows.csv\npath: {user_id: "{user}"}\n',
    "export": "kind: export\nlist: users\noutput: users.csv\n",
}


@pytest.fixture(scope="module")
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk(f"--key={KEY}", "--speed=60", "--users=30", "--user-email=user{n}@private.example") as started:
        yield started


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    users = [user["id"] for user in clerk.perform("GET", "/users?limit=3")]
    given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write,delete", "CLERK_BATCH_SPEED": "60"}
    workplace = Workplace(tmp_path, given, (sys.executable, "-c", LOOSE))
    lines = [f"{PERSON},{users[0]},x", f"grace@private.example,{users[1]},y", "no address,user_nobody,z"]
    workplace.write("rows.csv", "\n".join(("email,user,note", *lines, "")))
    for kind, text in JOBS.items():
        workplace.write(f"{kind}.yaml", f"name: {kind} of secrets\n{text}")
    return workplace


LOOSE = """\
import os
os.umask(0)
from clerk_runner.cli import main
main()
"""
"""The command line under the loosest umask there is."""

FAULTY = """\
import clerk_runner.batch as module
async def broken(*_):
    raise RuntimeError("Bearer " + __import__("os").environ["CLERK_SECRET_KEY"] + " of ada.lovelace@private.example")
module.run_job = broken
import clerk_runner.cli.working as working
working.run_job = broken
from clerk_runner.cli import main
main()
"""
"""The command line with a fault of its own, whose message holds everything that must not be told."""


def test_row_56_neither_key_nor_person_is_in_anything_that_runs_of_all_kinds_leave(
    place: Workplace, clerk: SimulatedClerk
) -> None:
    """Logs, journals, summaries, reports, ledgers, dry runs, plans, traces, and all that was printed."""
    said: list[Ended] = []
    for kind in JOBS:
        said += [place.run("plan", f"{kind}.yaml"), place.run("run", f"{kind}.yaml", "--yes", "--json")]
        assert said[-1].code in (0, 1), (kind, said[-1])
    said.append(place.run("runs", "show", "last"))
    said.append(place.run("api", "POST", "/users", "-d", '{"password": "of-a-person"}', "--dry-run", "--as", "curl"))
    said.append(replace(place, program=(sys.executable, "-c", FAULTY)).run("run", "invite.yaml", "--yes"))
    assert (said[-1].code, "RuntimeError" in said[-1].err) == (70, True)
    for one in said:
        assert SECRET not in one.out + one.err
        assert "private.example" not in one.err
    state = [path for path in place.state.rglob("*") if path.is_file()]
    names = {path.name for path in state}
    assert {"run.db", "log.jsonl", "summary.json", "results.csv", "failed.csv", "last-fault.txt", "quotas.db"} <= names
    for path in state:
        content = path.read_bytes()
        assert SECRET.encode() not in content, path
        if path.name != "failed.csv":
            # It has the input's own rows, to be fed back.
            assert b"private.example" not in content, path
        assert path.stat().st_mode & 0o077 == 0, path
    for folder in (place.state, *(path for path in place.state.rglob("*") if path.is_dir())):
        assert folder.stat().st_mode & 0o777 == 0o700, folder
    assert (place.folder / "users.csv").stat().st_mode & 0o777 == 0o600
    assert SECRET.encode() not in (place.folder / "users.csv").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked at in /proc")
def test_row_56_the_key_is_in_no_command_line_and_in_no_core(place: Workplace) -> None:
    """The environment of a process is for its user alone; its command line is for everybody."""
    process = place.start("simulate", "--json")
    try:
        assert process.stdout is not None
        process.stdout.readline()
        of_process = Path(f"/proc/{process.pid}")
        assert SECRET.encode() not in (of_process / "cmdline").read_bytes()
        assert (of_process / "environ").stat().st_mode & 0o077 == 0
        (core,) = [line for line in (of_process / "limits").read_text().splitlines() if line.startswith("Max core")]
        assert core.split()[4:6] == ["0", "0"]
    finally:
        process.terminate()
        process.communicate()
    refused = place.run("run", "invite.yaml", "--key", KEY)
    assert (refused.code, SECRET in refused.out + refused.err) == (2, False)


COMMANDS = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\r\nfake: all done"
"""A title, a cleared screen, a colour, text from right to left, and a line of somebody else's."""
FORMULA = "=HYPERLINK(0)"


def test_row_59_what_a_terminal_would_obey_reaches_neither_terminal_nor_log(meet: Any) -> None:
    """From Clerk's errors and from a CSV, by every command that shows them, in plain text and in JSON."""
    error = {"code": f"c{COMMANDS}", "message": f"m{COMMANDS} {PERSON} https://x.example/v1/tickets?ticket=abc {KEY}"}
    refusal = answer({"errors": [error], "clerk_trace_id": f"t{COMMANDS}"}, "422 Unprocessable")
    place, _ = meet({"POST /v1/invitations": [refusal], "GET /v1/users/user_1": [refusal]})
    place.write("job.yaml", 'name: beta\nkind: invite\nsource: rows.csv\nemail: "{email}"\n')
    row = f'"{COMMANDS.replace(chr(13), "").replace(chr(10), "")}",nobody\n'
    place.write("rows.csv", f"note,email\nx,{PERSON}\n{row}")
    said = [
        place.run("run", "job.yaml", "--yes"),
        place.run("runs", "show", "last"),
        place.run("runs", "show", "last", "--json"),
        place.run("api", "GET", "/users/user_1"),
        place.run("api", "GET", "/users/user_1", "--json"),
    ]
    assert [one.code for one in said] == [1, 0, 0, 1, 1], said
    log = (place.only_run() / "log.jsonl").read_text(encoding="utf-8")
    for text in (*(one.out + one.err for one in said), log):
        assert not set(text) & set("\x1b\x07\x9b\r\u202e\u2066")
        assert not any(line.startswith("fake:") for line in text.splitlines())
        assert "ticket=abc" not in text
        assert PERSON not in text
        assert SECRET not in text
    assert "\\x1b" in said[3].err


def test_row_58_a_message_that_is_a_formula_is_defused_and_a_cell_of_the_input_comes_back_as_it_was(meet: Any) -> None:
    error = {"code": "form_param_invalid", "message": FORMULA}
    place, _ = meet({"POST /v1/invitations": [answer({"errors": [error]}, "422 No")]})
    place.write("job.yaml", 'name: beta\nkind: invite\nsource: rows.csv\nemail: "{email}"\n')
    place.write("rows.csv", f"note,email\n{FORMULA},{PERSON}\n")
    assert place.run("run", "job.yaml", "--yes").code == 1
    with (place.only_run() / "failed.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["note"], row["_message"]) == (FORMULA, f"'{FORMULA}")


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("invite", "/etc/hostname"),
        ("invite", "link/file"),
        ("export", "../outside"),
        ("export", "~/file"),
        ("create-users", "../ids.csv"),
    ],
)
def test_row_60_a_job_file_names_no_path_outside_of_its_folder(meet: Any, kind: str, path: str) -> None:
    place, clerk = meet({})
    (place.folder / "jobs").mkdir()
    (place.folder / "jobs" / "link").symlink_to(place.folder)
    what = {
        "invite": f'kind: invite\nsource: {{csv: "{path}"}}\nemail: "{{email}}"\n',
        "create-users": f'kind: create-users\nsource: x.csv\nexternal_id: "{{id}}"\nmapping: "{path}"\n',
        "export": f'kind: export\nlist: users\nformat: jsonl\noutput: "{path}"\n',
    }
    place.write("jobs/job.yaml", f"name: leaving\n{what[kind]}")
    ended = place.run("run", "jobs/job.yaml", "--yes", "--json")
    assert (ended.code, ended.json["error"]["code"], clerk.arrived) == (2, "job_file", [])
    assert "--allow-outside" in ended.out or "~ is not expanded" in ended.out


def test_row_60_an_output_never_takes_the_place_of_a_device(meet: Any) -> None:
    place, clerk = meet({})
    os.mkfifo(place.folder / "pipe")
    place.write("job.yaml", "name: piped\nkind: export\nlist: users\nformat: jsonl\noutput: pipe\n")
    ended = place.run("run", "job.yaml", "--force", "--json")
    assert (ended.code, ended.json["error"]["code"], clerk.arrived) == (2, "output", [])
    assert (place.folder / "pipe").is_fifo()


@pytest.mark.parametrize("planted", ["ledger/keys", "runs"])
def test_row_60_a_link_planted_in_the_state_folder_is_not_followed(meet: Any, planted: str) -> None:
    place, _ = meet({})
    elsewhere = place.folder / "elsewhere"
    elsewhere.mkdir()
    (place.state / planted).parent.mkdir(mode=0o700, parents=True)
    (place.state / planted).symlink_to(elsewhere)
    ended = place.run("api", "GET", "/users")
    assert (ended.code, list(elsewhere.iterdir())) == (2, []), ended.err
    assert "is a symbolic link" in ended.err
