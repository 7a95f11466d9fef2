"""The pages of promises name tests that there are; the table of faults is held by `test_matrix.py`."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@cache
def functions_of(path: Path) -> frozenset[str]:
    """The names of the functions of a module, those in classes too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("page", [ROOT / "RELIABILITY.md", ROOT / "SECURITY.md"], ids=lambda path: path.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = NAMED.findall(page.read_text(encoding="utf-8"))
    assert len(named) >= 10
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or (test and test not in functions_of(ROOT / file))
    ]
    assert missing == []


def test_every_promise_has_a_test() -> None:
    promises = re.findall(r"(?m)^\| (P\d+) \| (.*) \|$", (ROOT / "RELIABILITY.md").read_text(encoding="utf-8"))
    assert [name for name, _ in promises[:6]] == ["P1", "P2", "P3", "P4", "P5", "P6"]
    for name, text in promises:
        assert NAMED.search(text), name
