"""What the program says: no word that people have to guess at, and an example at the end of every help text."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clerk_runner.cli import cli

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for room in ("jobs", "limits", "runner") for path in sorted((ROOT / room).glob("*/**/*.py"))]
UNWANTED = re.compile(
    r"\b(?:please|sorry|oops|anew|amiss|mend(?:ed|s)?|whilst|no more|any ?more)\b"
    r"|(?<!there )\bis no (?!longer)[a-z]|\bthere is not\b|[a-z]!(?:$|\s)",
    re.IGNORECASE,
)
"""What a message does without: courtesy and exclamation, and turns that readers of English stumble over."""


def docstrings(tree: ast.Module) -> Iterator[ast.expr]:
    """Texts for whoever reads the source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Texts of a module that could be shown to people, with their lines: those with a blank in them."""
    tree = ast.parse(source)
    left_out = {id(node) for node in docstrings(tree)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in left_out)
    for one in constants:
        if isinstance(one.value, str) and " " in one.value.strip():
            yield one.lineno, one.value


def unwanted(source: str) -> list[tuple[int, str]]:
    return [(line, text) for line, text in texts(source) if UNWANTED.search(text)]


def test_messages_have_no_words_that_people_stumble_over() -> None:
    found = {str(path.relative_to(ROOT)): unwanted(path.read_text(encoding="utf-8")) for path in SOURCES}
    # The simulator speaks as Clerk does, and words that somebody may type to `api ask` are not ours.
    ours = {name: lines for name, lines in found.items() if "/simulator/" not in name and "/words/" not in name}
    assert {name: lines for name, lines in ours.items() if lines} == {}
    assert len(ours) > 200


@pytest.mark.parametrize(
    "text",
    ["Please wait", "this is no path", "mend it", "begin anew with --fresh", "done!", "it was not there any more"],
)
def test_such_a_word_is_seen(text: str) -> None:
    assert unwanted(f'raise ValueError({text!r} " and more", f"{{x}} and more")')
    assert not unwanted(f'def f():\n    """{text}."""\n    raise ValueError("it is no longer there")')


def leaves(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its words."""
    if not isinstance(command, click.Group):
        yield names, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, *names, name)


def test_every_help_text_ends_with_examples_that_can_be_typed() -> None:
    commands, above = dict(leaves(cli)), click.Context(cli, **cli.context_settings)
    assert len(commands) >= 20
    for names, command in commands.items():
        shown = [line[2:] for line in (command.epilog or "").splitlines() if line.startswith("  clerk-batch ")]
        assert shown, f"clerk-batch {' '.join(names)} shows no example"
        for line in shown:
            program, *words = shlex.split(line.partition(" > ")[0])
            assert (program, tuple(words[: len(names)])) == ("clerk-batch", names), line
            # Parsed, not run: unknown options and missing arguments are errors here.
            command.make_context(" ".join(names), words[len(names) :], parent=above)
