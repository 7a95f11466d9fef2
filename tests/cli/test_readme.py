"""The README and docs are held to the program: their commands run, and their tables say what the code says."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import click
import msgspec
import pytest

from clerk_jobs.jobfile import CreateUsersJob, ExportJob, InviteJob, Job, MetadataJob, load_job
from clerk_jobs.jobfile.models import Errors, Limits, Reconcile
from clerk_limits.documented import LIMITS, DocumentedLimit
from clerk_runner.cli import COMMANDS, cli
from clerk_runner.errors import Exit
from clerk_runner.report import Summary
from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/job-files.md", "docs/command-line.md", "docs/python.md")
"""What a user reads, in this order."""
README = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)

KEY = "sk_test_your_own_key"
BROKEN, FIXED = "grace(at)example.com", "grace@example.com"
PEOPLE = ("zoe@example.com", "lukasz@example.org", "ngoc+beta@example.net")
INSTALLATION = ("python3 -m venv .venv", ".venv/bin/pip install .", 'export PATH="$PWD/.venv/bin:$PATH"')
"""What prepares the machine; the tests run in such an environment already."""
SELF_DESCRIBING = {"simulate", "api"}
"""Commands whose options the README leaves to their help."""

Table = list[list[str]]


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command line of the pages, in order."""
    return [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]


def table(*header: str) -> Table:
    """The rows of the one table with these headings."""
    lines = README.splitlines()
    start = lines.index(f"| {' | '.join(header)} |")
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    assert rows
    return rows


def quoted(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk(f"--key={KEY}", "--speed=60", "--users=3") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    """A folder with the README's own files, and the program on the path."""
    variables = {
        "CLERK_API_URL": clerk.address,
        "CLERK_BATCH_SPEED": "60",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "EDITOR": "sed -i s/(at)/@/",
    }
    workplace = Workplace(tmp_path, variables)
    (dotenv,) = blocks("sh")
    job, *_ = blocks("yaml")
    workplace.write(".env", dotenv)
    workplace.write("job.yaml", job)
    (export,) = blocks("yml")
    workplace.write("export.yaml", export)
    rows = "".join(f"{address},early,{seats}\n" for seats, address in enumerate((*PEOPLE, BROKEN), 1))
    workplace.write("people.csv", f"email,cohort,seats\n{rows}")
    return workplace


def shell(place: Workplace, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=place.folder,
        env=place.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def starts_and_ends(place: Workplace, command: str) -> None:
    """A server: it announces itself, and ends when it is told to."""
    process = subprocess.Popen(
        shlex.split(command), cwd=place.folder, env=place.environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    announced = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert "listens at" in announced
    assert process.returncode == 0


def test_the_program_plans_and_runs_the_job(place: Workplace, clerk: SimulatedClerk) -> None:
    program, _ = blocks("python")
    place.write("program.py", program)
    ended = shell(place, f"CLERK_BAPI_SCOPES=write {shlex.quote(sys.executable)} program.py")
    assert ended.returncode == 0, ended.stderr
    planned, ran = ended.stdout.splitlines()
    assert "'pending': 3" in planned
    assert ran.startswith("failed Items(total=4, done=3,")
    assert len(clerk.effects("CreateInvitation")) == len(PEOPLE)


def test_the_gate_stands_alone() -> None:
    _, program = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(program, "README.md", "exec"), names)
    with simulated_clerk(f"--key={KEY}", "--users=3") as clerk:

        async def asked() -> int:
            headers = {"Authorization": f"Bearer {KEY}"}
            async with aiohttp.ClientSession(clerk.address, headers=headers) as session:
                return len(await names["main"](session))

        assert asyncio.run(asked()) == 3


def test_the_pictures_are_there_and_load_nothing_from_elsewhere() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures
    for picture in pictures:
        drawn = (ROOT / picture).read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[^\s\"'<)]+", drawn)) <= {"http://www.w3.org/2000/svg"}


def heads(page: str) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_leads_to_a_file_and_a_heading_that_exist() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("*/README.md")]
    broken, seen = [], 0
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            seen += 1
            if "://" in link:
                continue
            if not target.exists() or (anchor and anchor not in heads(target.read_text(encoding="utf-8"))):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []
    assert seen > len(pages)


def test_every_command_works_in_the_order_in_which_it_is_read(place: Workplace, clerk: SimulatedClerk) -> None:
    ran = 0
    for command in commands():
        if command in INSTALLATION:
            continue
        if command.startswith("make "):
            subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, check=True)
            continue
        ran += 1
        if command.startswith("clerk-batch simulate"):
            starts_and_ends(place, command)
            continue
        ended = shell(place, command)
        # Before it is fixed, one row cannot be sent, and every command that looks at it says so.
        knows_of_it = "job.yaml" in command or "resume" in command
        expected = 1 if knows_of_it and "fixed" not in command else 0
        assert ended.returncode == expected, (command, ended.stdout, ended.stderr)
    assert ran >= 15
    effects = clerk.effects("CreateInvitation")
    assert {address: len(times) for address, times in effects.items()} == dict.fromkeys((*PEOPLE, FIXED), 1)


def test_the_line_for_cron_works(place: Workplace, clerk: SimulatedClerk) -> None:
    (line,) = blocks("crontab")
    command = line.split(None, 5)[5].replace("/srv/invites", shlex.quote(str(place.folder)))
    assert shell(place, command).returncode == 1
    assert '"state":"failed"' in (place.folder / "runs.jsonl").read_text(encoding="utf-8")
    assert "people.csv" in (place.folder / "runs.log").read_text(encoding="utf-8")
    assert set(clerk.effects("CreateInvitation")) == set(PEOPLE)


def test_the_table_of_files_is_what_a_run_leaves(place: Workplace) -> None:
    job = (place.folder / "job.yaml").read_text(encoding="utf-8").replace("people.csv", '"-"')
    place.write("job.yaml", job)
    people = (place.folder / "people.csv").read_text(encoding="utf-8")
    ended = place.run("run", "job.yaml", "--yes", stdin=people)
    assert ended.code == 1, ended.err
    left = {path.name for path in place.only_run().iterdir()} - {"run.db-wal", "run.db-shm"}
    assert left == {name for row in table("file", "content") for name in quoted(row[0])}


def every_command() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group) and name not in SELF_DESCRIBING:
            yield from ((f"{name} {sub}", found) for sub, found in command.commands.items())
        else:
            yield name, command


def test_the_table_of_commands_is_what_help_lists() -> None:
    listed = {name: line for name, (_, line) in COMMANDS.items()}
    expected = {}
    for name, command in every_command():
        arguments = [
            param.make_metavar(click.Context(command))
            for param in command.params
            if param.param_type_name == "argument"
        ]
        words = ["clerk-batch", name, *([] if name in SELF_DESCRIBING else arguments)]
        expected[" ".join(words)] = listed.get(name) or (command.help or "").split("\n\n")[0].replace("\n", " ").strip()
    told = {quoted(row[0])[0]: row[1] for row in table("command", "what it does")}
    assert told == expected


def test_the_table_of_options_is_what_help_lists() -> None:
    told: dict[str, set[str]] = {}
    for names, of, _ in table("option", "of", "meaning"):
        for name in quoted(names):
            told[name] = {one.strip() for one in of.split(",")}
    expected: dict[str, set[str]] = {}
    for name, command in every_command():
        if name not in SELF_DESCRIBING:
            for param in command.params:
                if isinstance(param, click.Option):
                    expected.setdefault(param.opts[0], set()).add(name)
    assert told == expected


def test_the_table_of_exit_codes_is_complete() -> None:
    told = [int(code) for row in table("code", "meaning") for code in row[0].split(",")]
    assert told == [int(code) for code in Exit]


def test_the_table_of_json_keys_is_the_summary() -> None:
    told = [name for row in table("key", "meaning") for name in quoted(row[0])]
    assert sorted(told) == sorted(Summary.__struct_fields__)


def test_the_table_of_the_job_file_names_every_key_and_default() -> None:
    told = {quoted(row[0])[0]: row[2] for row in table("key", "meaning", "default")}
    nested = {"limits": Limits, "errors": Errors, "reconcile": Reconcile}
    plain = [name for name in InviteJob.__struct_fields__ if name not in {*nested, *InviteJob.given}]
    inner = [f"{group}.{name}" for group, model in nested.items() for name in model.__struct_fields__]
    assert sorted(told) == sorted(["kind", *plain, *inner])
    required = {field.name for field in msgspec.structs.fields(InviteJob) if field.required} - InviteJob.given
    assert {name for name, default in told.items() if default == "required"} == required | {"kind"}
    for field in msgspec.structs.fields(InviteJob):
        if isinstance(field.default, str):
            assert told[field.name] == f"`{field.default}`"
    assert told["limits.quota_share"] == str(Limits().quota_share)
    assert told["errors.stop_after"] == f"`{Errors().stop_after.share:.0%}`"
    assert told["reconcile.quarantine"] == f"`{Reconcile().quarantine:.0f}s`"


def test_the_table_of_metadata_jobs_names_every_key_and_default() -> None:
    told = {quoted(row[0])[0]: row[2] for row in table("key of metadata jobs", "meaning", "default")}
    shared = {*Job.__struct_fields__, "source"}
    assert list(told) == [name for name in MetadataJob.__struct_encode_fields__ if name not in shared]
    for field in msgspec.structs.fields(MetadataJob):
        if field.name in told and field.default not in (None, (), msgspec.NODEFAULT):
            assert told[field.name] == f"`{str(field.default).lower()}`"


def test_the_table_of_imports_names_every_key_that_is_no_field_of_clerks() -> None:
    told = {quoted(row[0])[0]: row[2] for row in table("key of an import", "meaning", "default")}
    shared = {*Job.__struct_fields__, "source"}
    assert list(told) == [name for name in CreateUsersJob.__struct_fields__ if name not in shared]
    for field in msgspec.structs.fields(CreateUsersJob):
        if field.name in told and field.default not in (None, msgspec.NODEFAULT):
            assert told[field.name] == f"`{str(field.default).lower()}`"


def test_every_job_file_that_is_shown_loads(tmp_path: Path) -> None:
    for number, text in enumerate(blocks("yaml")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text, encoding="utf-8")
        assert load_job(path).name


def test_the_table_of_variables_names_what_the_program_reads() -> None:
    told = {name for row in table("variable", "meaning") for name in quoted(row[0])}
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "runner" / "clerk_runner").rglob("*.py"))
    assert told == {name for source in sources for name in re.findall(r'"(CLERK_[A-Z_]+)"', source)}


def in_words(limit: DocumentedLimit) -> str:
    return f"{limit.permits:,} an hour" if limit.period_s == 3600 else f"{limit.permits:,} in {limit.period_s:g} s"


def test_the_table_of_limits_is_the_documented_one() -> None:
    told = [(row[0], row[2]) for row in table("limit", "counts", "Clerk allows")]
    kinds = {limit: f" ({limit.instance.value})" if limit.instance else "" for limit in LIMITS}
    assert told == [(f"`{limit.name}`{kinds[limit]}", in_words(limit)) for limit in LIMITS]
    assert all(limit.source in README for limit in LIMITS)
    for row in table("limit", "counts", "Clerk allows"):
        for operation in quoted(row[1]):
            assert any(operation in limit.operations for limit in LIMITS)


def test_the_architecture_names_files_and_tests_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    named = [path for path in re.findall(r"`([a-z]+/[\w/.]+)`", text) if path.split("/")[0] in {"tests", "examples"}]
    assert len(named) >= 5
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([\w-]+) \| (>=[^ ]+) \| [^|]{10,} \|$", text, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = dict(re.findall(r"^([\w-]+)(>=.*)$", "\n".join(project["dependencies"]), re.MULTILINE))
    assert told == found
    assert len(found) == len(project["dependencies"])


def test_the_table_of_an_export_names_every_key() -> None:
    told = {name for row in table("key of an export", "meaning", "default") for name in quoted(row[0])}
    shared = {"name", "instance", "limits.share", "api_version", "kind"}
    own = set(ExportJob.__struct_encode_fields__) - set(Job.__struct_fields__)
    assert told == shared | own
