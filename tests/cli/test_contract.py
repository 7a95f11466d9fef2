"""The command line's contract: messages and exit codes of everything that can be wrong, and that nothing was sent."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner

from clerk_runner.cli import COMMANDS, cli
from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

JOB = 'name: beta\nkind: invite\nsource: people.csv\nemail: "{email}"\npublic_metadata: {cohort: "{cohort}"}\n'


@pytest.fixture(scope="module")
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk("--key=sk_test_contract", "--speed=60") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    # Nobody whom another test has invited: the simulator is shared.
    write_people(tmp_path / "people.csv", [f"{name}.{uuid4().hex}@example.com" for name in ("jane", "joe")])
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")
    return Workplace(tmp_path, {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": "60"})


def changed(place: Workplace, **variables: str | None) -> Workplace:
    merged = {name: value for name, value in {**place.variables, **variables}.items() if value is not None}
    return Workplace(place.folder, merged)


def error(ended: Ended) -> dict[str, Any]:
    """The one JSON object of a command that ended with an error, and that nothing else went to stdout."""
    found: dict[str, Any] = ended.json["error"]
    assert {"exit", "code", "message", "file", "line", "column", "hint"} <= found.keys()
    assert found["exit"] == ended.code
    assert "Traceback" not in ended.err
    return found


def refused(place: Workplace, clerk: SimulatedClerk, *arguments: str) -> dict[str, Any]:
    """Run a command that must not write, and give its error."""
    before = clerk.report()["effects"]
    found = error(place.run(*arguments, "--json"))
    assert clerk.report()["effects"] == before
    return found


RUN = ("run", "job.yaml", "--yes")


def test_no_key(place: Workplace, clerk: SimulatedClerk) -> None:
    found = refused(changed(place, CLERK_SECRET_KEY=None), clerk, *RUN)
    assert (found["exit"], found["code"]) == (3, "key_missing")
    assert "CLERK_SECRET_KEY" in found["message"]
    assert str(place.folder) in found["message"]


@pytest.mark.parametrize("key", ["pk_test_abc", "sk_prod_abc", "nonsense", "sk_test_"])
def test_a_malformed_key_is_not_shown(place: Workplace, clerk: SimulatedClerk, key: str) -> None:
    found = refused(changed(place, CLERK_SECRET_KEY=key), clerk, *RUN)
    assert (found["exit"], found["code"]) == (3, "key_malformed")
    assert key not in json.dumps(found) or key == "sk_test_"


def test_a_wrong_key(place: Workplace, clerk: SimulatedClerk) -> None:
    found = refused(changed(place, CLERK_SECRET_KEY="sk_test_of_somebody_else"), clerk, *RUN)
    assert found["exit"] == 3
    assert "somebody_else" not in json.dumps(found)
    assert not list((place.state / "runs").iterdir())


def test_the_other_kind_of_instance(place: Workplace, clerk: SimulatedClerk) -> None:
    place.write("job.yaml", f"{JOB}instance: production\n")
    found = refused(place, clerk, *RUN)
    assert (found["exit"], found["code"]) == (3, "instance_kind")


def test_no_scope(place: Workplace, clerk: SimulatedClerk) -> None:
    found = refused(changed(place, CLERK_BAPI_SCOPES="read,writer"), clerk, *RUN)
    assert (found["exit"], found["code"]) == (3, "scope_missing")
    assert "Rerun with --admin to bypass?" in found["message"]


def test_no_terminal_and_no_yes(place: Workplace, clerk: SimulatedClerk) -> None:
    found = refused(place, clerk, "run", "job.yaml")
    assert (found["exit"], found["code"]) == (3, "confirmation_missing")
    assert not list((place.state / "runs").iterdir())


def test_a_rehearsal_is_for_this_machine_alone(place: Workplace, clerk: SimulatedClerk) -> None:
    found = refused(changed(place, CLERK_API_URL="https://api.clerk.com"), clerk, *RUN)
    assert (found["exit"], found["code"]) == (2, "speed_refused")


@pytest.mark.parametrize("url", ["http://api.clerk.com", "ftp://127.0.0.1", "https://a@api.clerk.com", "nonsense"])
def test_an_address_that_will_not_do(place: Workplace, clerk: SimulatedClerk, url: str) -> None:
    found = refused(changed(place, CLERK_API_URL=url), clerk, *RUN)
    # By its own fault, and not because a rehearsal may not go there.
    assert (found["exit"], found["code"].partition("_")[0]) == (2, "url")


@pytest.mark.parametrize(
    ("job", "line", "says", "hint"),
    [
        (JOB.replace("email:", "emial:"), 4, "emial", "email"),
        (JOB.replace("public_metadata", "publicMetadata"), 5, "publicMetadata", "public_metadata"),
        (JOB + "lanes: triple\n", 6, "lanes", ""),
        (JOB + "name: again\n", 6, "name", ""),
        (JOB.replace('"{email}"', "{email}"), 4, "email", "quote"),
        (JOB + "limits: {share: 2}\n", 6, "limits.share", ""),
        (JOB + "role: member\n", 6, "role", ""),
    ],
)
def test_a_wrong_job_file(place: Workplace, clerk: SimulatedClerk, job: str, line: int, says: str, hint: str) -> None:
    place.write("job.yaml", job)
    found = refused(place, clerk, *RUN)
    assert (found["exit"], found["file"], found["line"]) == (2, "job.yaml", line)
    assert says in found["message"]
    assert hint in found["hint"] + found["message"]
    plain = place.run(*RUN)
    assert plain.code == 2
    assert plain.err.startswith(f"job.yaml:{line}:")


def test_an_error_says_what_is_known_of_the_run(place: Workplace) -> None:
    ended = place.run("run", "job.yaml", "--json")
    assert ended.code == 3
    assert (ended.json["job"], ended.json["kind"]) == ("beta", "invite")


def test_no_job_file(place: Workplace, clerk: SimulatedClerk) -> None:
    found = refused(place, clerk, "run", "other.yaml", "--yes")
    assert (found["exit"], found["file"]) == (2, "other.yaml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"mail,cohort\na@b.co,x\n", "'email'"),
        (b"email,email,cohort\na@b.co,a@b.co,x\n", "email"),
        (b"email,cohort\n\xff\xfe\xfa,x\n", "byte 0xff"),
    ],
)
def test_a_wrong_input(place: Workplace, clerk: SimulatedClerk, content: bytes, says: str) -> None:
    (place.folder / "people.csv").write_bytes(content)
    found = refused(place, clerk, *RUN)
    assert (found["exit"], found["code"]) == (2, "input")
    assert says in found["message"]
    assert found["file"] == "people.csv"


def test_no_input(place: Workplace, clerk: SimulatedClerk) -> None:
    (place.folder / "people.csv").unlink()
    assert refused(place, clerk, *RUN)["exit"] == 2


def test_an_input_outside_of_the_folder(place: Workplace, clerk: SimulatedClerk) -> None:
    place.write("job.yaml", JOB.replace("people.csv", "../people.csv"))
    found = refused(place, clerk, *RUN)
    assert found["exit"] == 2
    assert "--allow-outside" in found["hint"] + found["message"]


def test_a_header_without_rows_is_done(place: Workplace) -> None:
    (place.folder / "people.csv").write_text("email,cohort\n", encoding="utf-8")
    ended = place.run(*RUN, "--json")
    assert ended.code == 0
    assert ended.json["items"]["total"] == 0
    assert "nothing to do" in ended.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rnu",), "'run'"),
        (("run",), "JOB"),
        (("run", "job.yaml", "--fersh"), "--fresh"),
        (("run", "job.yaml", "--max-wait", "soon"), "60s"),
        (("run", "job.yaml", "--set", "limits"), "KEY=VALUE"),
        (("run", "job.yaml", "--set", "limits.shaer=1"), "share"),
        (("resume", "nothing"), "nothing"),
        (("runs", "show", "last"), "last"),
    ],
)
def test_wrong_words(place: Workplace, arguments: tuple[str, ...], says: str) -> None:
    ended = place.run(*arguments)
    assert ended.code == 2, ended.err
    assert says in ended.err
    assert "Traceback" not in ended.err


def test_another_speed_than_a_quarantine_bears(place: Workplace, clerk: SimulatedClerk) -> None:
    assert refused(changed(place, CLERK_BATCH_SPEED="3600"), clerk, *RUN)["code"] == "speed_refused"


def test_a_state_folder_that_others_may_write_to(place: Workplace, clerk: SimulatedClerk) -> None:
    place.state.mkdir(mode=0o700)
    place.state.chmod(0o777)
    assert refused(place, clerk, *RUN)["code"] == "state_folder"


def test_runs_are_listed_shown_and_found_by_a_prefix(place: Workplace) -> None:
    assert place.run(*RUN).code == 0
    run_id = place.only_run().name
    assert run_id in place.run("runs", "list").out
    listed = place.run("runs", "list", "--json").json["runs"]
    assert [(row["run"], row["state"], row["items"]["done"] + row["items"]["skipped"]) for row in listed] == [
        (run_id, "done", 2)
    ]
    for word in (run_id, run_id[:-2], "last"):
        assert run_id in place.run("runs", "show", word).out
    assert json.loads(place.run("runs", "show", "last", "--json").out)["run"] == run_id


def test_failed_rows_can_be_mended_and_fed_back(place: Workplace) -> None:
    write_people(place.folder / "people.csv", ["ok@example.com", "not an address", "fine@example.com"])
    first = place.run(*RUN, "--json")
    assert first.code == 1
    failed = place.run("runs", "failed", "last")
    assert failed.out.splitlines()[0] == "email,cohort,_status,_code,_message,_trace_id"
    assert failed.out.splitlines()[1].startswith("not an address,c1,failed,invalid_email,")
    place.write("people.csv", failed.out.replace("not an address", "mended@example.com"))
    second = place.run(*RUN, "--json")
    assert (second.code, second.json["items"]["total"], second.json["items"]["done"]) == (0, 1, 1)


def test_a_plan_sends_nothing_and_leaves_nothing(place: Workplace, clerk: SimulatedClerk) -> None:
    before = clerk.report()
    ended = changed(place, CLERK_BAPI_SCOPES=None).run("plan", "job.yaml", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["state"] == "planned"
    assert ended.json["items"]["total"] == 2
    lines = "\n".join(ended.json["limits"])
    assert "bucket 22, refill 9/s; window 90 of 100 per 10 s, the rest left to your application" in lines
    assert "limits: {share: 1.0} takes all" in lines
    assert clerk.report()["effects"] == before["effects"]
    assert not list((place.state / "runs").iterdir())


@pytest.mark.parametrize("instance", ["", "production"])
def test_an_offline_plan_needs_no_key(tmp_path: Path, instance: str) -> None:
    place = Workplace(tmp_path)
    guard = f"instance: {instance}\n" if instance else ""
    place.write("people.csv", "email\nada@example.com\n")
    place.write("invite.yaml", f'name: a\nkind: invite\n{guard}source: people.csv\nemail: "{{email}}"\n')
    place.write("export.yaml", f"name: b\nkind: export\n{guard}list: users\noutput: b.jsonl\n")
    for job in ("invite.yaml", "export.yaml"):
        ended = place.run("plan", job, "--offline")
        assert ended.code == 0, ended.err
        assert f"  key        none: planned for a {instance or 'development'} instance" in ended.out
        assert place.run("plan", job).code == 3
    malformed = Workplace(tmp_path, {"CLERK_SECRET_KEY": "pk_test_a"}).run("plan", "invite.yaml", "--offline")
    assert malformed.code == 3


def test_an_offline_plan_asks_nobody(place: Workplace, clerk: SimulatedClerk) -> None:
    before = clerk.report()["requests_total"]
    assert place.run("plan", "job.yaml", "--offline").code == 0
    assert clerk.report()["requests_total"] == before


def test_limits_name_their_source(place: Workplace) -> None:
    ended = place.run("limits")
    assert ended.code == 0
    assert "https://clerk.com/docs" in ended.out
    assert "1,000 per 10 s" in ended.out
    assert json.loads(place.run("limits", "--json").out)["backend"]


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), ("runs", "list"), ("runs", "failed")])
def test_help_is_everywhere(command: tuple[str, ...], option: str) -> None:
    ended = CliRunner().invoke(cli, [*command, option])
    assert ended.exit_code == 0
    assert "sage" in ended.output or "api" in ended.output


def walk(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    yield name, command
    for below in getattr(command, "list_commands", lambda _: [])(click.Context(command)):
        yield from walk(command.get_command(click.Context(command), below), f"{name} {below}".strip())


def test_every_command_and_option_has_help() -> None:
    lacking = []
    for name, command in walk(cli):
        if not command.help:
            lacking.append(name)
        options = [one for one in command.params if one.param_type_name == "option"]
        lacking += [f"{name} {one.opts[0]}" for one in options if not one.help]
    assert lacking == []


@pytest.mark.parametrize(
    "words", [["--help"], ["api", "show", "GET", "/users"], ["api", "list", "users"]], ids=" ".join
)
def test_a_look_imports_nothing_heavy(words: list[str]) -> None:
    """To look something up has to stay within a blink: nothing is loaded for it but click and what is shown."""
    code = (
        f"import sys; sys.argv = ['clerk-batch', *{words}]\n"
        "from clerk_runner.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    # Measuring coverage loads modules of its own into every process that finds its variables.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean)
    loaded = set(json.loads(ended.stderr.replace("'", '"')))
    heavy = {"aiohttp", "aiolimiter", "asyncio", "msgspec", "orjson", "rich", "sqlite3", "ssl", "structlog", "yaml"}
    assert loaded & heavy == set()


def test_the_version_is_told() -> None:
    ended = CliRunner().invoke(cli, ["--version"])
    assert ended.exit_code == 0
    assert "0.1.0" in ended.output


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_no_fault(place: Workplace, closed: str) -> None:
    command = shlex.join(
        [*place.program, "api", "POST", "/invitations", "--dry-run", "--field", "email_address=a@b.co"]
    )
    line = ["sh", "-c", f"exec {command} {closed}"]
    ended = subprocess.run(line, check=False, cwd=place.folder, env=place.environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith('{"method": "POST"') is (">&-" not in closed.split())


def test_a_reader_that_leaves_is_no_fault(place: Workplace) -> None:
    process = place.start("limits")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
