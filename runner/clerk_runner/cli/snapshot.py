"""A snapshot of a run in words: how fast, how much of each limit, and until when."""

from __future__ import annotations

import time
from collections import deque

from clerk_runner.cli.text import clock_time, duration
from clerk_runner.view import Gauge, Progress

__all__ = ["Rate", "end_text", "facts_of", "gauge_text", "plain_line"]

RATE_S = 10.0
"""Seconds over which the rate of requests is told."""
SLOWEST = 0.05
"""Requests a second that are told at least: less is shown as 0.0, which looks as if none had been sent."""


class Rate:
    """Requests a second, over the last ten seconds."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, now_s: float, requests: int) -> float:
        """Requests a second, with what was sent until ``now_s`` (any clock that goes on)."""
        self._seen.append((now_s, requests))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - RATE_S:
            self._seen.popleft()
        began_s, before = self._seen[0]
        return (requests - before) / (now_s - began_s) if now_s > began_s else 0.0


def gauge_text(gauge: Gauge) -> str:
    """How much of a window is in use.

    Example:
        >>> print(gauge_text(Gauge("instance", 512, 700, 10.0)))
        512 of 700 in 10 s
        >>> print(gauge_text(Gauge("invitations", 90, 90, 3600.0, closed_s=95.0)))
        90 of 90 an hour, closed by Clerk for 1 min 35 s
    """
    named = {3600.0: "an hour", 86_400.0: "a day"}.get(gauge.period_s)
    period = named or (f"in {gauge.period_s:.2g} s" if gauge.period_s < 60 else f"in {duration(gauge.period_s)}")
    closed = f", closed by Clerk for {duration(gauge.closed_s)}" if gauge.closed_s > 0 else ""
    return f"{gauge.used:,} of {gauge.allowed:,} {period}{closed}"


def end_text(ends_at: float) -> str:
    """When all will be done, and how long that is."""
    left_s = ends_at - time.time()
    return f"done about {clock_time(ends_at)}, in {duration(left_s)}" if left_s >= 1 else "nearly done"


def facts_of(now: Progress, rate: float) -> list[str]:
    """What else a snapshot tells, the most important first, each short enough for a line of its own."""
    facts = [", ".join(now.parts)] if now.parts else []
    if now.ends_at is not None and now.done < now.total:
        facts.append(end_text(now.ends_at))
    if now.requests and rate >= SLOWEST:
        facts.append(f"{rate:.{1 if rate < 100 else 0}f} requests/s")
    return facts


def plain_line(now: Progress, rate: float) -> str:
    """A snapshot in one line, for a log."""
    gauges = [f"{gauge.name} {gauge_text(gauge)}" for gauge in now.gauges if gauge.used or gauge.closed_s]
    detail = [now.detail] if now.detail else []
    return ", ".join([f"{now.label}: {now.done:,} of {now.total:,}", *detail, *facts_of(now, rate), *gauges])
