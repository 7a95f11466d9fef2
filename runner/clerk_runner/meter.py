"""What a run's progress shows beside its items: requests, the windows in use, and the end that they allow."""

from __future__ import annotations

import time
from dataclasses import replace

from clerk_limits.documented import LIMITS, LimitScope
from clerk_runner.exchange import Exchange
from clerk_runner.planner import Forecast
from clerk_runner.remaining import remaining_s
from clerk_runner.view import Gauge, Progress

__all__ = ["Meter", "gauges_of"]

PER_SUBJECT = frozenset(limit.name for limit in LIMITS if limit.per_subject)
INSTANCE = LimitScope.INSTANCE.value


def gauges_of(exchange: Exchange) -> tuple[Gauge, ...]:
    """The windows in use: the instance's always, a quota or a limit of the job's own from its first permit on.

    Windows of one user, organization or membership are left out: there are as many as subjects, and they are over
    in ten seconds.
    """
    found = []
    for row in exchange.gate.usage():
        general = row.name == INSTANCE
        if row.name in PER_SUBJECT or not (general or row.used or row.blocked > 0):
            continue
        allowed = max(1, int(row.allowed * exchange.gate.share_left)) if general else row.allowed
        found.append(Gauge(row.name, row.used, allowed, row.period_s, max(0.0, row.blocked)))
    return tuple(found)


class Meter:
    """Completes the snapshots of one piece of work.

    Args:
        forecast: the plan of what is pending when the work starts; None where its end is not planned.
    """

    def __init__(self, exchange: Exchange, forecast: Forecast | None = None) -> None:
        """Start to count time."""
        self._exchange = exchange
        self._forecast = forecast
        self._began_s = exchange.clock.now()
        self._settled_before: int | None = None

    def complete(self, now: Progress) -> Progress:
        """The snapshot with requests, gauges and the end."""
        if self._settled_before is None:
            self._settled_before = now.done
        return replace(
            now,
            requests=self._exchange.requests,
            gauges=gauges_of(self._exchange),
            ends_at=now.ends_at or self._ends_at(now.done - self._settled_before, now.total - self._settled_before),
        )

    def _ends_at(self, settled: int, pending: int) -> float | None:
        plan = self._forecast
        if plan is None or not plan.ends_s:
            return None
        elapsed_s = self._exchange.clock.now() - self._began_s
        path = plan.path or [(plan.ends_s, sum(plan.lanes.values()))]
        # Rows that travel together are one on the path.
        planned = settled * path[-1][1] // max(1, pending)
        return time.time() + remaining_s(path, plan.ends_s, planned, elapsed_s)
