"""What a shell is offered: commands, job files, runs, operations and tags, without a load of imports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from clerk_runner.cli import COMPLETE, PROGRAM, cli
from clerk_testing.commands import Workplace
from clerk_testing.terminal import Terminal


def offered(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What is offered for the last of these words, as a shell is told."""
    found = BashComplete(cli, {}, PROGRAM, COMPLETE).get_completions(list(words[:-1]), words[-1])
    return [item.value for item in found if item.type == "plain"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLERK_BATCH_HOME", str(tmp_path / "state"))
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    for name in ("invite.yaml", "export.yml", "people.csv", ".hidden.yaml"):
        (jobs / name).touch()
    (tmp_path / "top.yaml").touch()
    for number, job in enumerate(("beta", "nightly")):
        run = tmp_path / "state" / "runs" / f"2026010{number}-030405-abcd"
        run.mkdir(parents=True)
        (run / "run.json").write_text(json.dumps({"job": job}), encoding="utf-8")
    (tmp_path / "state" / "runs" / "20260109-030405-torn").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("comp",), ["completion"]),
        (("init", "m"), ["metadata"]),
        (("run", ""), ["top.yaml"]),
        (("run", "jobs/"), ["jobs/export.yml", "jobs/invite.yaml"]),
        (("plan", "jobs/i"), ["jobs/invite.yaml"]),
        (("run", "nowhere/"), []),
        (("resume", "202601010"), []),
        (("resume", "20260101"), ["20260101-030405-abcd"]),
        (("runs", "report", "la"), ["last"]),
        (("undo", ""), ["last", "20260109-030405-torn", "20260101-030405-abcd", "20260100-030405-abcd"]),
        (("api", "show", "updateuserm"), ["UpdateUserMetadata"]),
        (("api", "call", "DELETE", "/invit"), []),
        (("api", "call", "POST", "/invitations/{"), ["/invitations/{invitation_id}/revoke"]),
        (("api", "list", "invit"), ["Invitations"]),
    ],
)
def test_what_is_offered(
    place: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], expected: list[str]
) -> None:
    assert offered(monkeypatch, *words) == expected


def test_a_run_is_told_by_its_job(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = BashComplete(cli, {}, PROGRAM, COMPLETE).get_completions(["retry"], "2")
    assert [item.help for item in found] == ["", "nightly", "beta"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(tmp_path: Path, shell: str) -> None:
    ended = Workplace(tmp_path).run("completion", shell)
    assert (ended.code, ended.err) == (0, "")
    assert f"{COMPLETE}={shell}_complete" in ended.out


def test_bash_completes_with_it(place: Path) -> None:
    """In a real bash: the script is read, and its function asked."""
    script = (
        f'eval "$({sys.executable} -m clerk_runner completion bash)"\n'
        f'clerk-batch() {{ {sys.executable} -m clerk_runner "$@"; }}\n'
        "COMP_WORDS=(clerk-batch runs show 20260101); COMP_CWORD=3\n"
        "compopt() { :; }\n"
        f'_clerk_batch_completion "{place}/clerk-batch"; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    program = place / "clerk-batch"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m clerk_runner "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    workplace = Workplace(place)
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=workplace.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.split() == ["20260101-030405-abcd"], ended.stderr


SETTING_UP = {
    "zsh": (".zshrc", 'autoload -Uz compinit; compinit -u -D\neval "$(clerk-batch completion zsh)"\nPS1="ready> "\n'),
    "fish": (".config/fish/config.fish", "function fish_prompt; echo 'ready> '; end\n"),
}
"""The file that a shell reads when it starts, and what a user writes there."""
ASKED = f"""#!/bin/sh
if [ -z "${COMPLETE}" ] && [ "$1" != completion ]; then echo "ran: $*"; exit; fi
exec {sys.executable} -m clerk_runner "$@"
"""
"""The program, which only says with which words it was started, unless a shell asks it what may come next."""


@pytest.mark.parametrize("shell", SETTING_UP)
def test_a_shell_completes_what_somebody_types(place: Path, shell: str) -> None:
    """On a terminal: each line is typed, completed by Tab, and started."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    tools = place / ".tools"
    tools.mkdir()
    (tools / "clerk-batch").write_text(ASKED, encoding="utf-8")
    (tools / "clerk-batch").chmod(0o755)
    settings, text = SETTING_UP[shell]
    (place / settings).parent.mkdir(parents=True, exist_ok=True)
    (place / settings).write_text(text, encoding="utf-8")
    if shell == "fish":
        there = place / ".config/fish/completions/clerk-batch.fish"
        there.parent.mkdir()
        there.write_text(Workplace(place).run("completion", "fish").out, encoding="utf-8")
    plain = {"PATH": f"{tools}:/usr/bin:/bin", "ZDOTDIR": str(place), "XDG_CONFIG_HOME": str(place / ".config")}
    with closing(Terminal(Workplace(place, plain, (program, "-i")))) as terminal:
        terminal.wait_for("ready> ")
        for typed, completed in (
            ("und", "undo"),
            ("run --acc", "run --accept-changes"),
            ("run t", "run top.yaml"),
            ("run jobs/i", "run jobs/invite.yaml"),
            ("resume 20260101", "resume 20260101-030405-abcd"),
            ("api show UpdateUserM", "api show UpdateUserMetadata"),
            ("api list Mac", "api list Machines"),
        ):
            terminal.type(f"clerk-batch {typed}\t\n")
            terminal.wait_for(f"ran: {re.escape(completed)}\\s")
        terminal.type("exit\n")
        assert terminal.end() == 0


def test_nothing_heavy_is_loaded_while_somebody_types(tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.argv = ['clerk-batch']\n"
        "from clerk_runner.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'aiohttp', 'rich', 'asyncio', 'structlog', 'prompt_toolkit'}\n"
        "print(*(heavy & set(sys.modules)), file=sys.stderr)"
    )
    workplace = Workplace(tmp_path)
    for words in ("clerk-batch run x", "clerk-batch resume x", "clerk-batch api show Upd"):
        asked = {COMPLETE: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env=workplace.unmeasured | asked,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert ended.stderr.strip() == "", words


def test_a_fault_offers_nothing_and_writes_no_trace(place: Path) -> None:
    (place / "state" / "runs").rename(place / "gone")
    asked = {COMPLETE: "bash_complete", "COMP_WORDS": "clerk-batch resume ", "COMP_CWORD": "nonsense"}
    ended = Workplace(place, asked).run()
    assert (ended.code, ended.out, ended.err) == (1, "", "")
