"""The forecast of a run that no hourly quota paces: so many calls at once, as fast as the windows let them.

The first calls are played through the same gate in virtual time; after that the pace is the same to the end, so a
million calls cost no more to plan than two thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil

from clerk_jobs.call import Lane
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import LimitKind, limits_for
from clerk_limits.gate import Gate
from clerk_runner.planner import Course, Forecast

__all__ = ["is_steady", "steady_forecast"]

PLAYED = 1_000
"""Calls after which a run has found its pace; as many again tell what that is."""


def is_steady(course: Course) -> bool:
    """Whether nothing but short windows paces the run: one lane, and no limit by the hour or the day."""
    (lane, *others) = course.lanes
    quota = any(limit.kind is LimitKind.QUOTA for limit in limits_for(lane.method, lane.template, course.instance))
    return not others and not quota


def steady_forecast(course: Course, wall_s: float, charge: Callable[[Gate], None] = lambda _: None) -> Forecast:
    """Play the beginning of a run through in virtual time, and go on at its pace; see ``planner.forecast``.

    A limit of the job's own (``per_hour``) is played to its end, as it is slow enough.
    """
    (lane,) = course.lanes
    items = course.alone + sum(course.groups.values())
    calls = ceil(items / lane.size)
    own = course.options.per_hour is not None or course.options.per_day is not None
    limits = limits_for(lane.method, lane.template, course.instance)
    found = Forecast(
        calls={limit.name: calls for limit in reversed(limits)} if calls else {},
        lanes={lane.name: calls},
        quota_used=None,
    )

    def played(count: int) -> float:
        return run_virtual(_play(course, lane, count, wall_s, charge, found))

    if own or calls <= 2 * PLAYED:
        found.ends_s = played(calls)
    else:
        first, second = played(PLAYED), played(2 * PLAYED)
        found.ends_s = second + (calls - 2 * PLAYED) * (second - first) / PLAYED
    return found


async def _play(
    course: Course, lane: Lane, calls: int, wall_s: float, charge: Callable[[Gate], None], found: Forecast
) -> float:
    """Seconds until so many calls are answered; says in the forecast what the limits are."""
    clock = VirtualClock(wall_s)
    gate = Gate(course.instance, course.options, clock)
    charge(gate)
    left = iter(range(calls))

    async def work() -> None:
        for number in left:
            permit = await gate.acquire(lane.method, lane.template, subject=f"subject {number}", items=lane.size)
            await clock.sleep(course.latency_s)
            permit.settle()
            found.spend(gate, lane.size, clock.now())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(lane.at_once, calls)):
            tasks.create_task(work())
    names = {limit.name for limit in limits_for(lane.method, lane.template, course.instance) if not limit.per_subject}
    found.limits = gate.describe({*names, "per_hour", "per_day"})
    return clock.now()
