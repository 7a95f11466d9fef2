"""The table of README.md: every row of the fault matrix once, and no test that does not exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROWS = 64
NOT_BUILT = {54}
"""Rows of what this project does not have."""
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def table(text: str) -> dict[int, list[tuple[str, str]]]:
    """The tests of each row, as (file, function)."""
    found: dict[int, list[tuple[str, str]]] = {}
    for line in text.splitlines():
        if begun := re.match(r"\| (\d+) \| ", line):
            assert int(begun[1]) not in found, line
            found[int(begun[1])] = [(path, f"test_{name}") for path, name in NAMED.findall(line)]
    return found


@cache
def functions(path: Path) -> set[str]:
    """The functions of a file; none where there is no file."""
    if not path.is_file():
        return set()
    parsed = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in parsed.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def missing(text: str) -> list[str]:
    """What the table names and is not there."""
    named = {one for tests in table(text).values() for one in tests}
    return [f"{path}::{name}" for path, name in sorted(named) if name not in functions(TESTS / path)]


@pytest.fixture(scope="module")
def text() -> str:
    return (Path(__file__).parent / "README.md").read_text(encoding="utf-8")


def test_every_row_is_there_in_its_order(text: str) -> None:
    assert list(table(text)) == list(range(1, ROWS + 1))


def test_every_row_has_a_test_or_says_why_not(text: str) -> None:
    assert {row for row, tests in table(text).items() if not tests} == NOT_BUILT


def test_every_test_exists(text: str) -> None:
    assert missing(text) == []
    assert missing("| 1 | x | `faults/test_matrix.py::nobody`, `faults/gone.py::x` | |") == [
        "faults/gone.py::test_x",
        "faults/test_matrix.py::test_nobody",
    ]


def test_every_test_of_a_row_is_in_the_table(text: str) -> None:
    """A test that is named after a row stands in that row."""
    known = {one for tests in table(text).values() for one in tests}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        rows = {name for name in functions(path) if name.startswith(("test_row_", "test_rows_"))}
        assert {name for name in rows if (f"faults/{path.name}", name) not in known} == set(), path.name
