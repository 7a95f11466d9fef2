"""The command line as a process of its own, in a state folder and a job folder of the test's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Ended", "Workplace", "unmeasured", "write_people"]

DEADLINE_S = 120

CLEAN = ("CLERK_SECRET_KEY", "CLERK_API_URL", "CLERK_REST_API_URL", "CLERK_BAPI_SCOPES", "CLERK_BATCH_SPEED")


def unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process whose coverage is not measured."""
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object that ``--json`` printed."""
        value: dict[str, Any] = json.loads(self.out)
        return value


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a test's commands run.

    Attributes:
        folder: the working directory, with the job files.
        variables: what the commands find in their environment beside the machine's own.
        program: what is run instead of the command line itself, for tests of the tests.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = (sys.executable, "-m", "clerk_runner")

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command."""
        clean = {name: value for name, value in os.environ.items() if name not in CLEAN}
        return {**clean, "CLERK_BATCH_HOME": str(self.state), "HOME": str(self.folder), **self.variables}

    @property
    def unmeasured(self) -> dict[str, str]:
        """The same for a command that is killed, or whose disk is full: coverage could not write its file whole."""
        return unmeasured(self.environment)

    def start(self, *arguments: str, measured: bool = True) -> subprocess.Popen[str]:
        """Start a command; the test ends it.

        Args:
            measured: whether its coverage is; say no where it may be killed.
        """
        return subprocess.Popen(
            [*self.program, *arguments],
            cwd=self.folder,
            env=self.environment if measured else self.unmeasured,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, stdin: str | None = None, measured: bool = True) -> Ended:
        """Run a command to its end."""
        ended = subprocess.run(
            [*self.program, *arguments],
            cwd=self.folder,
            env=self.environment if measured else self.unmeasured,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def only_run(self) -> Path:
        """The folder of the one run that there is."""
        runs = list((self.state / "runs").iterdir())
        assert len(runs) == 1, [run.name for run in runs]
        return runs[0]

    def write(self, name: str, text: str) -> Path:
        """Write a file into the working directory."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def write_people(path: Path, addresses: Iterable[str]) -> None:
    """Write a CSV of addresses with a column ``cohort``."""
    with path.open("w", encoding="utf-8") as file:
        file.write("email,cohort\n")
        file.writelines(f"{address},c{number % 7}\n" for number, address in enumerate(addresses))
