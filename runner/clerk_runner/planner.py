"""The plan: the same gate under virtual time, so that its end is the end that the run will have.

The plan spends a virtual instance's windows and quotas exactly as the run will spend the real ones: same classes, same
shares, same charges from the past. Only the answers are made up, at the latency that was measured, else 0.2 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clerk_jobs.call import Lane
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind, LimitKind, limits_for
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.engine import RESERVE

__all__ = ["DEFAULT_LATENCY_S", "Course", "Forecast", "Wait", "forecast", "most_items"]

DEFAULT_LATENCY_S = 0.2
STEADY = 1_000
"""Calls after which a run without quotas has found its pace."""
NOTICED_WAIT_S = 5.0
"""Waits shorter than this are the ordinary pace of a window, not an event."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause in which no call of a lane may be sent.

    Attributes:
        lane: single or bulk.
        at_s: when it begins, in seconds from the start.
        for_s: how long it lasts, in seconds.
        sent: items that all lanes had sent by then.
    """

    lane: str
    at_s: float
    for_s: float
    sent: int


@dataclass(slots=True)
class Forecast:
    """What a run will do.

    Attributes:
        calls: calls by limit name of the lane's quota.
        ends_s: seconds from the start to the last answer.
        waits: the pauses, in order; the first hundred.
        limits: what is used and what stays free, a line for each limit that applies.
    """

    calls: dict[str, int] = field(default_factory=dict)
    ends_s: float = 0.0
    waits: list[Wait] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A run as far as its length depends on it.

    Attributes:
        groups: pending items by group, without those that travel alone.
        alone: how many items may not travel in a bulk call.
        latency_s: how long Clerk takes to answer.
    """

    lanes: Sequence[Lane]
    groups: Mapping[str, int]
    alone: int
    instance: InstanceKind
    options: GateOptions
    latency_s: float = DEFAULT_LATENCY_S


def most_items(options: GateOptions) -> int | None:
    """The most items that one call may carry under the job's own limits; None where it has none.

    Example:
        >>> most_items(GateOptions(per_hour=50, per_day=4)), most_items(GateOptions())
        (4, None)
    """
    return min((limit for limit in (options.per_hour, options.per_day) if limit is not None), default=None)


def forecast(course: Course, wall_s: float, charge: Callable[[Gate], None] = lambda _: None) -> Forecast:
    """Play a run through in virtual time; call it where no event loop runs.

    Args:
        wall_s: when the run begins (unix seconds).
        charge: charges the gate with what was spent before.
    """

    async def play(course: Course) -> Forecast:
        clock = VirtualClock(wall_s)
        gate = Gate(course.instance, course.options, clock)
        charge(gate)
        return await _Play(course, gate, clock).run()

    total = course.alone + sum(course.groups.values())
    if total <= 2 * STEADY or not _is_steady(course):
        return run_virtual(play(course))
    # Without quotas the second thousand calls go at the pace of all others.
    first = run_virtual(play(replace(course, groups={"": STEADY}, alone=0)))
    found = run_virtual(play(replace(course, groups={"": 2 * STEADY}, alone=0)))
    found.ends_s += (total - 2 * STEADY) * (found.ends_s - first.ends_s) / STEADY
    found.calls = dict.fromkeys(found.calls, total)
    return found


def _is_steady(course: Course) -> bool:
    """Whether only short windows pace the run: one lane, one item a call, no quota and no limit of the job's."""
    (lane, *others) = course.lanes
    quota = any(limit.kind is LimitKind.QUOTA for limit in limits_for(lane.method, lane.template, course.instance))
    return not others and lane.size == 1 and not quota and most_items(course.options) is None


class _Play:
    def __init__(self, course: Course, gate: Gate, clock: VirtualClock) -> None:
        self._gate = gate
        self._clock = clock
        self._lanes = course.lanes
        self._groups = {name: count for name, count in course.groups.items() if count}
        self._alone = course.alone
        self._latency_s = course.latency_s
        self._most = most_items(course.options) or self._alone + sum(self._groups.values())
        self._left = self._alone + sum(self._groups.values())
        self._total = self._left
        self._names = {lane.name: _limit_name(lane, course.instance) for lane in course.lanes}
        self._found = Forecast()
        self._asked = 0

    async def run(self) -> Forecast:
        async with asyncio.TaskGroup() as tasks:
            for lane in self._lanes:
                for _ in range(lane.at_once):
                    tasks.create_task(self._lane(lane), name=lane.name)
        self._found.waits.sort(key=lambda wait: wait.at_s)
        del self._found.waits[100:]
        self._found.limits = self._gate.describe({"instance", *self._names.values()})
        return self._found

    async def _lane(self, lane: Lane) -> None:
        alone = lane.size == 1 or len(self._lanes) == 1
        while self._groups or (alone and self._alone):
            spare = (
                RESERVE if len(self._lanes) > 1 and lane.size == 1 and not self._alone and self._left > RESERVE else 0
            )
            asked_s, sent = self._clock.now(), self._total - self._left
            expected = min(lane.size, self._most, self._left)
            self._asked += 1
            permit = await self._gate.acquire(
                lane.method, lane.template, items=expected, spare=spare, subject=f"subject {self._asked}"
            )
            taken = self._take(expected, alone=alone)
            if not taken:
                permit.give_back()
                return
            waited_s = self._clock.now() - asked_s
            if waited_s >= NOTICED_WAIT_S:
                self._found.waits.append(Wait(lane.name, asked_s, waited_s, sent))
            name = self._names[lane.name]
            self._found.calls[name] = self._found.calls.get(name, 0) + 1
            await self._clock.sleep(self._latency_s)
            permit.settle()
            self._found.ends_s = self._clock.now()

    def _take(self, size: int, *, alone: bool) -> int:
        """Take as the engine's feed does, by numbers alone."""
        if alone and self._alone:
            self._alone -= 1
            self._left -= 1
            return 1
        if not self._groups:
            return 0
        if size > 1:
            full = (name for name, count in self._groups.items() if count >= size)
            name = next(full, None) or max(self._groups, key=self._groups.__getitem__)
        else:
            name = min(self._groups, key=self._groups.__getitem__)
        taken = min(size, self._groups[name])
        self._groups[name] -= taken
        self._left -= taken
        if not self._groups[name]:
            del self._groups[name]
        return taken


def _limit_name(lane: Lane, instance: InstanceKind) -> str:
    """The quota that a lane spends, or its operation where it has none."""
    limits = limits_for(lane.method, lane.template, instance)
    operation = f"{lane.method} {lane.template}"
    return next((limit.name for limit in limits if limit.kind is LimitKind.QUOTA), operation)
