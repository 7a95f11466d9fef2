"""Recipes: folders of examples whose README says what to type, and what comes of it.

In a recipe's README a ``sh`` block starts the simulator that it is rehearsed with, ``console`` blocks hold commands,
each with ``# exit N`` behind it where that is not 0, and a ``text`` block what the command before it prints on stdout.
Files in the folder ``expected`` are what outputs of the same name hold. What differs from run to run is written as a
word in capitals: RUN, STATE, TIME, SHA256, BYTES.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clerk_testing.commands import Workplace
from clerk_testing.simulated import simulated_clerk

__all__ = ["EXAMPLES", "RECIPES", "Step", "play", "steps_of", "without_chance"]

EXAMPLES: Final = Path(__file__).resolve().parents[3] / "examples"
RECIPES: Final = sorted(page.parent for page in EXAMPLES.rglob("README.md") if page.parent != EXAMPLES)
BLOCK: Final = re.compile(r"^```(sh|console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHANCE: Final = (
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b"), "RUN"),
    (re.compile(r"/\S*/state/runs"), "STATE/runs"),
    (re.compile(r"/\S+/(?=[\w.-]+\.(jsonl|csv|sqlite|parquet))"), ""),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
    (re.compile(r"\b[\d,]+ bytes\b"), "BYTES bytes"),
    (re.compile(r"\bunder a second\b|\b[\d.,]+ (ms|s|min|h)\b( [\d]+ (s|min))?"), "TIME"),
    (re.compile(r"(\d{4}-\d\d-\d\d )?\b\d\d:\d\d(:\d\d)?\b"), "TIME"),
    (re.compile(r"[\d,]+ requests?"), "N requests"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a recipe.

    Attributes:
        printed: what it prints, chance left out; None where the recipe does not say.
    """

    command: str
    exit: int
    printed: str | None


def without_chance(text: str) -> str:
    """The text with what differs from run to run as words in capitals."""
    for pattern, word in CHANCE:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def steps_of(recipe: Path) -> list[Step]:
    """The commands of a recipe, in their order."""
    steps: list[Step] = []
    for kind, block in BLOCK.findall((recipe / "README.md").read_text(encoding="utf-8")):
        if kind == "console":
            for line in block.splitlines():
                command, _, comment = line.removeprefix("$ ").partition("  # exit ")
                steps.append(Step(command.strip(), int(comment or 0), None))
        elif kind == "text":
            steps[-1] = Step(steps[-1].command, steps[-1].exit, block.strip())
    return steps


def _rehearsal(recipe: Path) -> list[str]:
    """The simulator's options."""
    found = [block for kind, block in BLOCK.findall((recipe / "README.md").read_text("utf-8")) if kind == "sh"]
    return shlex.split(found[0])[2:] if found else []


def play(recipe: Path, folder: Path) -> Iterator[tuple[Step, subprocess.CompletedProcess[str]]]:
    """Play a recipe in a copy of it below a folder, step by step."""
    place = folder / recipe.name
    shutil.copytree(recipe, place)
    options = _rehearsal(recipe)
    with simulated_clerk("--key=sk_test_recipes", *options) as clerk:
        variables = {
            **clerk.environment,
            "CLERK_BAPI_SCOPES": "write,delete",
            "CLERK_BATCH_HOME": str(folder / "state"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        if "--speed" in options:
            variables["CLERK_BATCH_SPEED"] = options[options.index("--speed") + 1]
        environment = Workplace(place, variables).environment
        for step in steps_of(recipe):
            ended = subprocess.run(
                ["bash", "-c", step.command],
                cwd=place,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            yield step, ended
