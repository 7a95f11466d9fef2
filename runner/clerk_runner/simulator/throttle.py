"""Clerk's limits as this server enforces them, on the times at which requests arrive.

A request counts against every limit of its operation, or against none. Where one has no room, the answer is
429 with Retry-After in whole seconds, and the operation stays closed until those are over, whatever the
windows say.

The numbers are written down here once more, on purpose: the software under test must not be judged by its own
table. Source: https://clerk.com/docs/guides/how-clerk-works/system-limits, read in August 2026.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from .windows import Meter, Window, WindowKind, make_window

_HOUR_S = 3600.0
_SHORT_S = 10.0
_CLOSED_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in so many seconds, in all or for each subject.

    Attributes:
        name: what the report calls it.
        count: requests.
        period_s: seconds, before `speed` divides them.
        subject: names of path parameters that tell whom it counts for; empty means everybody together.
    """

    name: str
    count: int
    period_s: float
    subject: tuple[str, ...] = ()


INSTANCE_PRODUCTION = Limit("instance", 1000, _SHORT_S)
INSTANCE_DEVELOPMENT = Limit("instance", 100, _SHORT_S)
INVITATION = Limit("invitation", 100, _HOUR_S)
INVITATION_BULK = Limit("invitation_bulk", 25, _HOUR_S)
ORGANIZATION_INVITATION = Limit("organization_invitation", 250, _HOUR_S)
ORGANIZATION_INVITATION_BULK = Limit("organization_invitation_bulk", 50, _HOUR_S)
USER = Limit("user", 10, _SHORT_S, ("user_id",))
ORGANIZATION = Limit("organization", 10, _SHORT_S, ("organization_id",))
MEMBERSHIP = Limit("membership", 10, _SHORT_S, ("organization_id", "user_id"))


class Throttle:
    """Admits or refuses arrivals.

    Args:
        kind: how windows count.
        speed: divides every period.
        count_refused: whether refused requests count too.
    """

    def __init__(self, kind: WindowKind, speed: float, count_refused: bool) -> None:
        self._kind: WindowKind = kind
        self._speed = speed
        self._count_refused = count_refused
        self._gauges: dict[str, _Gauge] = {}
        self._closed_until_s: dict[tuple[str, ...], float] = {}

    def admit(self, operation: str, limits: tuple[Limit, ...], params: Mapping[str, str], now_s: float) -> int | None:
        """Admit an arrival (None), or refuse it: the seconds of its Retry-After."""
        subjects = [tuple([params[name] for name in limit.subject]) for limit in limits]
        counters = [
            self._gauge(limit).counters(subject, now_s) for limit, subject in zip(limits, subjects, strict=True)
        ]
        for _, meter in counters:
            meter.arrive(now_s)
        waits_s = [window.wait_s(now_s) for window, _ in counters]
        closed_s = max(
            (self._closed_until_s.get((operation, *subject), 0.0) - now_s for subject in subjects),
            default=0.0,
        )
        refused = closed_s > 0 or any(waits_s)
        if not refused or self._count_refused:
            for window, _ in counters:
                window.count(now_s)
        if not refused:
            return None
        for limit, subject, wait_s in zip(limits, subjects, waits_s, strict=True):
            if wait_s:
                self._gauge(limit).refused += 1
            # An operation that is closed already stays so until the time that was told first.
            if wait_s and closed_s <= 0:
                self.close(operation, wait_s, now_s, subject)
        return _whole_seconds(max(closed_s, *waits_s))

    def close(self, operation: str, wait_s: float, now_s: float, subject: tuple[str, ...] = ()) -> None:
        """Close an operation, for one subject or for all, for a time rounded up to whole seconds."""
        if len(self._closed_until_s) > _CLOSED_KEPT:
            self._closed_until_s = {key: end for key, end in self._closed_until_s.items() if end > now_s}
        self._closed_until_s[operation, *subject] = now_s + _whole_seconds(wait_s)

    def report(self) -> dict[str, object]:
        """Each limit that was met: its size, the worst window of arrivals, and how many found no room."""
        return {name: gauge.report() for name, gauge in self._gauges.items()}

    def _gauge(self, limit: Limit) -> "_Gauge":
        gauge = self._gauges.get(limit.name)
        if gauge is None:
            gauge = self._gauges[limit.name] = _Gauge(limit, self._kind, limit.period_s / self._speed)
        return gauge


def _whole_seconds(wait_s: float) -> int:
    return max(1, math.ceil(wait_s))


class _Gauge:
    """The windows and meters of one limit, one of each for a subject; idle subjects are forgotten."""

    def __init__(self, limit: Limit, kind: WindowKind, period_s: float) -> None:
        self._limit = limit
        self._kind: WindowKind = kind
        self._period_s = period_s
        self._subjects: OrderedDict[tuple[str, ...], tuple[Window, Meter]] = OrderedDict()
        self._worst = 0
        self.refused = 0

    def counters(self, subject: tuple[str, ...], now_s: float) -> tuple[Window, Meter]:
        found = self._subjects.get(subject)
        if found is None:
            self._forget_idle(now_s)
            window = make_window(self._kind, self._limit.count, self._period_s)
            found = self._subjects[subject] = window, Meter(self._period_s)
        elif self._limit.subject:
            self._subjects.move_to_end(subject)
        return found

    def report(self) -> dict[str, object]:
        return {
            "limit": self._limit.count,
            "period_s": self._period_s,
            "worst_window": max([self._worst, *(meter.worst for _, meter in self._subjects.values())]),
            "refused": self.refused,
        }

    def _forget_idle(self, now_s: float) -> None:
        """Forget up to two of the subjects that were met longest ago, so that they never grow for long."""
        for _ in range(2):
            oldest = next(iter(self._subjects), None)
            if oldest is None or not self._subjects[oldest][0].idle(now_s):
                return
            self._worst = max(self._worst, self._subjects.pop(oldest)[1].worst)
