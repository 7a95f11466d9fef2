"""A home of its own for each test, `api` as a function, somebody at the terminal, and Clerk on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clerk_runner.cli.api import api
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

Api = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder; no key and no proxy in the environment."""
    folder = tmp_path / "state"
    for name in ("CLERK_SECRET_KEY", "CLERK_API_URL", "CLERK_REST_API_URL", "CLERK_BAPI_SCOPES", "CLERK_BATCH_SPEED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLERK_BATCH_HOME", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def run_api(home: Path) -> Api:
    """Runs `api` with words. The exit code is `return_value`; errors of ours are left in `exception`."""

    def run(*words: str, input: str | None = None) -> Result:  # noqa: A002 (CliRunner's name)
        return CliRunner().invoke(api, words, input=input, standalone_mode=False)

    return run


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody can be asked: what a test gives as `input` are the answers."""
    monkeypatch.setattr("clerk_runner.cli.api.prompt.interactive", lambda: True)


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatedClerk]:
    """One simulated Clerk for the tests of a module."""
    with simulated_clerk("--users", "1203", "--organizations", "12", "--members", "3") as clerk:
        yield clerk


@pytest.fixture
def clerk(simulator: SimulatedClerk, home: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedClerk:
    """The simulated Clerk, found by the environment, with a key and without scopes."""
    for name, value in simulator.environment.items():
        monkeypatch.setenv(name, value)
    return simulator
