"""The plan: the same gate under virtual time, so that its end is the end that the run will have.

The plan spends a virtual instance's windows and quotas exactly as the run will spend the real ones: same classes, same
shares, same charges from the past. Only the answers are made up, at the latency that was measured, else 0.2 s.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from clerk_jobs.invite import Lane
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind, LimitScope
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.call_size import RECHECK_S, RESERVE, CallSizes, quota_name

__all__ = ["DEFAULT_LATENCY_S", "Course", "Forecast", "Wait", "forecast"]

DEFAULT_LATENCY_S = 0.2
NOTICED_WAIT_S = 5.0
"""Waits shorter than this are the ordinary pace of a window, not an event."""

POINTS = 256
"""Points of a forecast's path, about."""

_INSTANCE = LimitScope.INSTANCE.value
OWN = ("per_hour", "per_day")
"""A job's own limits, which count items."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause in which no call of a lane may be sent.

    Attributes:
        lane: single or bulk.
        at_s: when it begins, in seconds from the start.
        for_s: how long it lasts, in seconds.
        sent: items that all lanes had sent by then.
        limit: the limits that had no room, such as ``invitations-bulk`` or ``per_hour``.
    """

    lane: str
    at_s: float
    for_s: float
    sent: int
    limit: str


@dataclass(slots=True)
class Forecast:
    """What a run will do.

    Attributes:
        calls: calls by the name of each limit that they count against, the instance's last.
        lanes: the same calls by lane, single or bulk.
        quota_used: of what the lanes' quotas let through in an hour, the part that is used when the run ends, 0 to 1;
            None where no quota counts.
        ends_s: seconds from the start to the last answer.
        waits: the pauses, in order; the first hundred.
        limits: what is used and what stays free, a line for each limit that applies.
        path: (seconds from the start, items sent by then), both never falling; a straight line between two of them.
        spent: when answers came, in seconds from the start, by the name of each limit by the hour or the day; of the
            job's own limits once for each item.
    """

    calls: dict[str, int] = field(default_factory=dict)
    lanes: dict[str, int] = field(default_factory=dict)
    quota_used: float | None = 0.0
    ends_s: float = 0.0
    waits: list[Wait] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    path: list[tuple[float, int]] = field(default_factory=list)
    spent: dict[str, list[float]] = field(default_factory=dict)

    def spend(self, gate: Gate, items: int, at_s: float, quota: str | None = None) -> None:
        """Note a call that was answered, for what comes after this forecast; ``quota`` is its lane's."""
        if quota is not None and gate.window_spec(quota).quota:
            self.spent.setdefault(quota, []).append(at_s)
        for name in OWN:
            if getattr(gate.options, name) is not None:
                self.spent.setdefault(name, []).extend([at_s] * items)


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


def forecast(course: Course, wall_s: float, charge: Callable[[Gate], None] = lambda _: None) -> Forecast:
    """Play a run through in virtual time; call it where no event loop runs.

    Args:
        wall_s: when the run begins (unix seconds).
        charge: charges the gate with what was spent before.
    """

    async def play() -> Forecast:
        clock = VirtualClock(wall_s)
        gate = Gate(course.instance, course.options, clock)
        charge(gate)
        return await _Play(course, gate, clock).run()

    return run_virtual(play())


class _Play:
    def __init__(self, course: Course, gate: Gate, clock: VirtualClock) -> None:
        self._gate = gate
        self._clock = clock
        self._lanes = course.lanes
        # Names make no difference to time: how many groups have so many items left.
        self._groups = Counter(count for count in course.groups.values() if count)
        self._has_own = course.options.per_hour is not None or course.options.per_day is not None
        self._alone = course.alone
        self._latency_s = course.latency_s
        self._sizes = CallSizes(course.lanes, gate)
        self._left = self._alone + sum(course.groups.values())
        self._total = self._left
        self._names: dict[str, str] = {lane.name: quota_name(lane, course.instance) for lane in course.lanes}
        self._found = Forecast()
        self._traced = (0.0, 0)

    async def run(self) -> Forecast:
        async with asyncio.TaskGroup() as tasks:
            for lane in self._lanes:
                tasks.create_task(self._lane(lane), name=lane.name)
        self._found.waits.sort(key=lambda wait: wait.at_s)
        del self._found.waits[100:]
        self._found.limits = self._gate.describe({_INSTANCE, *self._names.values(), *OWN})
        self._found.calls = {self._names[name]: calls for name, calls in self._found.lanes.items()}
        if self._found.calls:
            self._found.calls[_INSTANCE] = sum(self._found.calls.values())
        return self._found

    def _trace(self) -> None:
        """Note how far it is: often enough to tell a wait from a slow pace, and no oftener."""
        path, now_s, sent = self._found.path, self._clock.now(), self._total - self._left
        last_s, last_sent = self._traced
        self._traced = now_s, sent
        if now_s - last_s >= NOTICED_WAIT_S and len(path) < 4 * POINTS:
            path += [(last_s, last_sent), (now_s, last_sent)]
        elif sent == self._total or sent - (path[-1][1] if path else 0) >= self._total / POINTS:
            path.append((now_s, sent))

    def _quota_used(self) -> float:
        """By items, as a call of the bulk lane is worth ten."""
        sizes = {self._names[lane.name]: lane.size for lane in self._lanes}
        quotas = [row for row in self._gate.usage() if row.name in sizes]
        used = sum(row.used * sizes[row.name] for row in quotas)
        return min(1.0, used / sum(row.allowed * sizes[row.name] for row in quotas))

    async def _lane(self, lane: Lane) -> None:
        alone = lane.size == 1 or len(self._lanes) == 1
        while self._groups or (alone and self._alone):
            asked_s, sent, short_of = self._clock.now(), self._total - self._left, self._short_of(lane)
            size = await self._room(lane, alone=alone)
            if not size:
                return
            permit = await self._gate.acquire("POST", lane.template, items=size, spare=self._spare(lane))
            taken = self._take(size, alone=alone)
            if not taken:
                permit.give_back()
                return
            waited_s = self._clock.now() - asked_s
            if waited_s >= NOTICED_WAIT_S:
                self._found.waits.append(Wait(lane.name, asked_s, waited_s, sent, short_of))
            self._found.lanes[lane.name] = self._found.lanes.get(lane.name, 0) + 1
            self._trace()
            await self._clock.sleep(self._latency_s)
            permit.settle()
            self._found.ends_s = self._clock.now()
            self._found.spend(self._gate, taken, self._clock.now(), self._names[lane.name])
            if not self._left:
                # Now, and not when the other lane has waited for a permit that it no longer needs.
                self._found.quota_used = self._quota_used()

    async def _room(self, lane: Lane, *, alone: bool) -> int:
        """Wait until the job's own limits have room for a call, and say for one of how many items; 0 is for none.

        Where it has such limits, after the wait for the quota: meanwhile the other lane uses the room.
        """
        while carries := self._carries(lane.size, alone=alone):
            wait_s = self._gate.next_in("POST", lane.template, spare=self._spare(lane)) if self._has_own else 0.0
            if wait_s == 0.0:
                size, wait_s = self._sizes.ask(lane, carries)
                if size:
                    return size
            await self._clock.sleep(RECHECK_S if wait_s is None else wait_s)
        return 0

    def _carries(self, size: int, *, alone: bool) -> int:
        """Items of the next call, see ``Feed.carries``."""
        if alone and self._alone:
            return 1
        return min(size, self._next_group(size)) if self._groups else 0

    def _short_of(self, lane: Lane) -> str:
        """The limits that leave no room for the lane's call now."""
        spare = self._spare(lane)
        wait_s = self._gate.next_in("POST", lane.template, items=1, spare=spare)
        if wait_s is not None and wait_s < NOTICED_WAIT_S:
            return ""
        quota = self._names[lane.name]
        rows = [row for row in self._gate.usage() if row.name in (quota, *OWN)]
        full = [row.name for row in rows if row.allowed - row.used <= (spare if row.name == quota else 0)]
        return " and ".join(full) or quota

    def _spare(self, lane: Lane) -> int:
        keeps = len(self._lanes) > 1 and lane.size == 1 and not self._alone and self._left > RESERVE
        return RESERVE if keeps else 0

    def _take(self, size: int, *, alone: bool) -> int:
        """Take as the engine's feed does, by numbers alone."""
        if alone and self._alone:
            self._alone -= 1
            self._left -= 1
            return 1
        if not self._groups:
            return 0
        items = self._next_group(size)
        taken = min(size, items)
        self._left -= taken
        self._groups[items] -= 1
        if not self._groups[items]:
            del self._groups[items]
        if items > taken:
            self._groups[items - taken] += 1
        return taken

    def _next_group(self, size: int) -> int:
        """The size of the group that gives its items next: tens stay together as long as there are any."""
        return max(self._groups) if size > 1 else min(self._groups)
