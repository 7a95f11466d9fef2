"""A place to run commands in, whose Clerk is hostile or away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.hostile import HostileClerk, Say, hostile_clerk

Meet = Callable[..., tuple[Workplace, HostileClerk]]


@pytest.fixture
def meet(tmp_path: Path) -> Iterator[Meet]:
    """Start a hostile Clerk with a script, and give a workplace whose commands speak to it; ended with the test."""
    with ExitStack() as stack:

        def begin(script: dict[str, list[Say]], **variables: str) -> tuple[Workplace, HostileClerk]:
            clerk = stack.enter_context(hostile_clerk(script))
            return Workplace(tmp_path, {**clerk.environment, **variables}), clerk

        yield begin
