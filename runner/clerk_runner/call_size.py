"""How many items the next call of a lane may carry, and when, where the job has limits of its own.

``per_hour`` and ``per_day`` count items and belong to both lanes together. A bulk call that insisted on ten would hold
up to nine of them idle, for an hour each time; one that took every crumb would spend its few calls on single people.

**Law.** A call asks for what is free and no more, so that no lane ever waits in front of another for items. A bulk call
takes at least

    least = ceil((items an hour - single calls an hour) / bulk calls an hour), between 1 and its size,

which is what its lane must carry on average for both lanes together to use up the job's own limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from clerk_jobs.invite import Lane
from clerk_limits.allowance import allowance
from clerk_limits.documented import DocumentedLimit, InstanceKind, LimitKind, limits_for
from clerk_limits.gate import Gate

__all__ = ["RECHECK_S", "RESERVE", "CallSizes", "quota_name"]

RESERVE = 5
"""Permits of the single lane's hour that are kept for re-sends while the bulk lane has work."""

RECHECK_S = 1.0
"""Seconds until another look where it depends on calls under way when there is room."""


class CallSizes:
    """What each lane may ask of a gate.

    Args:
        lanes: the lanes of the job.
        gate: whose permits they take; it knows the job's limits.
    """

    def __init__(self, lanes: Sequence[Lane], gate: Gate) -> None:
        """Work out what a bulk call has to carry."""
        self._gate = gate
        own = [limit for limit in (gate.options.per_hour, gate.options.per_day) if limit is not None]
        self._most = min(own, default=None)
        self._least = 1 if self._most is None else _least(self._most, lanes, gate)

    def ask(self, lane: Lane, carries: int) -> tuple[int, float]:
        """What to ask for now.

        Args:
            carries: items that the lane's next call would carry if nothing limited it; those of one organization.

        Returns:
            The items of the call and 0.0; or, where the job's own limits have no room for one that is worth it, 0 and
            the seconds after which to ask again.
        """
        if self._most is None:
            # Nothing counts items, so a call may grow while it waits.
            return (lane.size if carries else 0), 0.0
        most = min(carries, self._most)
        least = min(self._least, most) if lane.size > 1 else 1
        size = min(most, self._gate.items_free())
        if size >= least:
            return size, 0.0
        free_s = self._gate.items_free_in(least)
        return 0, RECHECK_S if free_s is None else free_s


def quota_name(lane: Lane, instance: InstanceKind) -> str:
    """The name of the lane's hourly quota."""
    return _quota(lane, instance).name


def _least(most: int, lanes: Sequence[Lane], gate: Gate) -> int:
    if all(lane.size == 1 or not _has_quota(lane, gate.instance) for lane in lanes):
        return 1
    quotas = [(lane, allowance(_quota(lane, gate.instance), gate.instance, gate.options).allowed) for lane in lanes]
    single = sum(allowed for lane, allowed in quotas if lane.size == 1)
    bulk = [allowed for lane, allowed in quotas if lane.size > 1]
    kept = RESERVE if single else 0
    return max(1, math.ceil((most - max(0, single - kept)) / bulk[0]))


def _has_quota(lane: Lane, instance: InstanceKind) -> bool:
    return any(limit.kind is LimitKind.QUOTA for limit in limits_for("POST", lane.template, instance))


def _quota(lane: Lane, instance: InstanceKind) -> DocumentedLimit:
    limits = limits_for("POST", lane.template, instance)
    return next(limit for limit in limits if limit.kind is LimitKind.QUOTA)
