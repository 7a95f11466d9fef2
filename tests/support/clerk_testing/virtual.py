"""A server's view of limits, in virtual time: what arrived when, and the fullest window among it.

Shares nothing with the windows it judges: it keeps every arrival and counts.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clerk_limits.gate import Gate

__all__ = ["Arrivals", "CallEnd", "CallScript", "fullest_fixed_window", "fullest_window", "play"]


def fullest_window(times: Iterable[float], period_s: float) -> int:
    """The most arrivals in any half-open interval of `period_s`: what a strict sliding window would count.

    Example:
        >>> fullest_window([0.0, 1.0, 9.9, 10.0], 10.0)
        3
    """
    ordered = sorted(times)
    worst = first = 0
    for index, moment in enumerate(ordered):
        while moment - ordered[first] >= period_s:
            first += 1
        worst = max(worst, index - first + 1)
    return worst


def fullest_fixed_window(times: Iterable[float], period_s: float, phase_s: float) -> int:
    """The most arrivals in any interval of a grid of `period_s` that begins at `phase_s`.

    Example:
        >>> fullest_fixed_window([0.0, 1.0, 9.9, 10.0], 10.0, 9.5)
        2
    """
    counts: dict[int, int] = defaultdict(int)
    for moment in times:
        counts[math.floor((moment - phase_s) / period_s)] += 1
    return max(counts.values(), default=0)


LOST_HOLD_S = 30.0


class CallEnd(StrEnum):
    """How a scripted call ends."""

    RESPONSE = "response"
    LOST = "lost"
    NEVER_SENT = "never sent"


@dataclass(frozen=True)
class CallScript:
    """One call: when it asks, how long it takes, where in that time the server sees it, how it ends."""

    method: str
    template: str
    subject: str | None = None
    asks_at_s: float = 0.0
    latency_s: float = 0.0
    seen_at: float = 0.0
    end: CallEnd = CallEnd.RESPONSE
    cancel_after_s: float | None = None


class Arrivals:
    """What the server saw, by operation and subject."""

    def __init__(self) -> None:
        self.times: list[tuple[float, str, str | None]] = []

    def of(self, *operations: str, subject: str | None = None) -> list[float]:
        """Times of these operations (all of them without a name), of one subject where it is named."""
        return [
            moment
            for moment, operation, whose in self.times
            if (not operations or operation in operations) and subject in (None, whose)
        ]

    @classmethod
    def together(cls, every: Iterable["Arrivals"]) -> "Arrivals":
        """What a server saw of several clients."""
        merged = cls()
        for arrivals in every:
            merged.times.extend(arrivals.times)
        return merged

    def subjects(self) -> set[str]:
        """Every subject that was seen."""
        return {whose for _, _, whose in self.times if whose is not None}


async def play(gate: Gate, scripts: Sequence[CallScript], arrivals: Arrivals | None = None) -> Arrivals:
    """Run every scripted call through a gate; returns what the server saw, added to what it had seen."""
    arrivals = Arrivals() if arrivals is None else arrivals
    async with asyncio.TaskGroup() as group:
        for script in scripts:
            group.create_task(_cancellable(gate, script, arrivals))
    return arrivals


async def _cancellable(gate: Gate, script: CallScript, arrivals: Arrivals) -> None:
    await asyncio.sleep(script.asks_at_s)
    try:
        async with asyncio.timeout(script.cancel_after_s):
            await _call(gate, script, arrivals)
    except TimeoutError:
        return


async def _call(gate: Gate, script: CallScript, arrivals: Arrivals) -> None:
    with await gate.acquire(script.method, script.template, subject=script.subject) as permit:
        if script.end is CallEnd.NEVER_SENT:
            permit.give_back()
            return
        sent_at_s = asyncio.get_running_loop().time()
        late_s = LOST_HOLD_S
        try:
            await asyncio.sleep(script.latency_s)
            if script.end is CallEnd.RESPONSE:
                permit.settle()
                late_s = 0.0
        finally:
            # Without a response the request may still be delivered for as long as its slot is held.
            span_s = asyncio.get_running_loop().time() + late_s - sent_at_s
            arrivals.times.append(
                (sent_at_s + script.seen_at * span_s, f"{script.method} {script.template}", script.subject)
            )
