"""Ctrl-C at the very beginning and at the very end of a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPT = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
PROGRAM = """\
import sys
sys.path.insert(0, {folder!r})
sys.argv = ["clerk-batch", *{words!r}]
from clerk_runner import cli
{before}
cli.main()
"""


def ended(folder: Path, *words: str, before: str) -> subprocess.CompletedProcess[str]:
    code = PROGRAM.format(folder=str(folder), words=list(words), before=before)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


COMMAND_IS = "cli.COMMANDS['limits'] = ('{}', 'A command of the test.')"


def test_an_interrupt_in_an_import_ends_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "halfway.py").write_text(INTERRUPT + "command = None\n")
    found = ended(tmp_path, "limits", before=COMMAND_IS.format("halfway:command"))
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "clerk-batch: interrupted\n")


def test_it_is_told_to_scripts_as_everything_else_is(tmp_path: Path) -> None:
    (tmp_path / "halfway.py").write_text(INTERRUPT + "command = None\n")
    found = ended(tmp_path, "limits", "--json", before=COMMAND_IS.format("halfway:command"))
    assert (found.returncode, found.stderr) == (130, "")
    error = json.loads(found.stdout)["error"]
    assert error["exit"] == 130
    assert error.keys() == {"exit", "code", "message", "file", "line", "column", "hint"}


def test_an_interrupt_in_a_command_is_one_message(tmp_path: Path) -> None:
    body = "import os, signal, click\n@click.command()\ndef command():\n    os.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / "whole.py").write_text(body)
    found = ended(tmp_path, "limits", before=COMMAND_IS.format("whole:command"))
    assert (found.returncode, found.stderr) == (130, "clerk-batch: interrupted; nothing was sent\n")


def test_an_interrupt_while_the_command_line_itself_is_imported_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(INTERRUPT)
    first = f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code = f"{first}runpy.run_module('clerk_runner', run_name='__main__')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "clerk-batch: interrupted\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_when_all_is_said_changes_nothing(tmp_path: Path, name: str) -> None:
    late = f"import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.{name})"
    found = ended(tmp_path, "--version", before=late)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("clerk-batch ")
