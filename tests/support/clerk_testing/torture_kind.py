"""What a kind of job under torture is: how it is prepared, where it may be struck, and what must be true at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from clerk_testing.commands import Ended, Workplace
from clerk_testing.simulated import SimulatedClerk

__all__ = [
    "CALLING",
    "DEVELOPMENT",
    "ENDING",
    "PLANNING",
    "PRODUCTION",
    "Judge",
    "Kind",
    "Prepared",
    "effects",
    "once",
    "users",
]

Judge: TypeAlias = Callable[[Ended], None]
"""Looks at the end of a run; an AssertionError says what is wrong."""

PLANNING = ("after-intake", "before-preview")
CALLING = ("before-intent", "after-intent", "after-send", "after-answer", "after-finish", "in-ledger")
ENDING = ("before-reports", "before-summary", "after-summary")
DEVELOPMENT = {"instance": 90}
PRODUCTION = {"instance": 700, "invitation": 90, "invitation_bulk": 22}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that is ready to be run.

    Attributes:
        arguments: of the command that runs it, and goes on with it.
        rows: lines of ``results.csv`` at the end; None where the kind writes none, or not always as many.
        judge: what else must be true.
    """

    arguments: tuple[str, ...]
    rows: int | None
    judge: Judge


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job under torture.

    Attributes:
        simulator: options of the simulator.
        speed: of limits and quarantine, of the simulator and the job alike.
        steps: where it can be struck, see ``fail_points``.
        allowed: the most arrivals in a window by limit: the job's share.
        longest_s: about how long an undisturbed run takes: random kills fall within.
    """

    simulator: tuple[str, ...]
    speed: int
    steps: tuple[str, ...]
    allowed: Mapping[str, int]
    longest_s: float
    prepare: Callable[[Workplace, SimulatedClerk], Prepared]


def effects(clerk: SimulatedClerk, operation: str) -> dict[str, int]:
    return {key: len(times) for key, times in clerk.effects(operation).items()}


def once(clerk: SimulatedClerk, operation: str, wanted: list[str]) -> None:
    """An operation affected all of these, nobody else, and nobody more than once."""
    found = effects(clerk, operation)
    assert set(found) <= set(wanted), f"nobody asked for: {sorted(set(found) - set(wanted))}"
    twice = sorted(key for key, count in found.items() if count > 1)
    assert not twice, f"more than once: {', '.join(twice)}"
    assert set(wanted) <= set(found), f"left out: {sorted(set(wanted) - set(found))}"


def users(clerk: SimulatedClerk) -> dict[str, dict[str, Any]]:
    return {user["id"]: user for user in clerk.perform("GET", "/users?limit=500&order_by=%2Bcreated_at")}
