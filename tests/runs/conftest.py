"""A place to run jobs in, and the simulator beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

SPEED = "60"

Start = Callable[..., tuple[Workplace, SimulatedClerk]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a simulator with options, and give a workplace whose commands speak to it; ended with the test."""
    with ExitStack() as stack:

        def begin(*options: str, key: str = "sk_live_tests", **variables: str) -> tuple[Workplace, SimulatedClerk]:
            clerk = stack.enter_context(simulated_clerk(f"--key={key}", f"--speed={SPEED}", *options))
            given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED, **variables}
            return Workplace(tmp_path, given), clerk

        yield begin
