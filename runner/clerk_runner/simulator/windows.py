"""Counting requests in time: the windows that judge, and the meter that measures.

A window answers one question about an arrival, "is there room?", and is told afterwards whether the arrival
counts. The two are apart because a request counts against several windows at once: all of them, or none.
Clerk does not say which kind it uses, so there are both:

- `SlidingWindow`: never more than N in any (t - T, t]. The strictest reading of "N per T".
- `FixedWindow`: never more than N in [k*T, (k+1)*T); up to 2N may pass around a boundary.

Times are seconds of one monotonic clock; they are told, never read here.
"""

from collections import deque
from typing import Literal, Protocol

WindowKind = Literal["strict", "fixed"]

_MEASURED_ARRIVALS = 200_000


class Window(Protocol):
    """A limit of N arrivals in T seconds."""

    def wait_s(self, now_s: float) -> float:
        """How long until there is room for an arrival; 0.0 when there is room at `now_s`."""
        ...

    def count(self, now_s: float) -> None:
        """Count an arrival at `now_s`; times never decrease."""
        ...

    def idle(self, now_s: float) -> bool:
        """Whether nothing that was counted matters any more, so that the window may be forgotten."""
        ...


class SlidingWindow:
    """Never more than `limit` arrivals in any window of `period_s` seconds."""

    __slots__ = ("_arrivals", "_limit", "_period_s")

    def __init__(self, limit: int, period_s: float) -> None:
        self._limit = limit
        self._period_s = period_s
        self._arrivals: deque[float] = deque(maxlen=limit)

    def wait_s(self, now_s: float) -> float:
        """How long until the oldest of the last N arrivals is a whole period ago."""
        if len(self._arrivals) < self._limit:
            return 0.0
        return max(0.0, self._arrivals[0] + self._period_s - now_s)

    def count(self, now_s: float) -> None:
        """Count an arrival; the oldest one beyond the limit is forgotten, as it can no longer matter."""
        self._arrivals.append(now_s)

    def idle(self, now_s: float) -> bool:
        """Whether the newest arrival is a whole period ago."""
        return not self._arrivals or self._arrivals[-1] + self._period_s <= now_s


class FixedWindow:
    """Never more than `limit` arrivals in each period [k*T, (k+1)*T), counted from the clock's zero."""

    __slots__ = ("_limit", "_number", "_period_s", "_used")

    def __init__(self, limit: int, period_s: float) -> None:
        self._limit = limit
        self._period_s = period_s
        self._number = -1
        self._used = 0

    def wait_s(self, now_s: float) -> float:
        """How long until the next period begins, where this one is used up."""
        number = int(now_s // self._period_s)
        if number != self._number or self._used < self._limit:
            return 0.0
        return max((number + 1) * self._period_s - now_s, 1e-9)

    def count(self, now_s: float) -> None:
        """Count an arrival in its period."""
        number = int(now_s // self._period_s)
        if number != self._number:
            self._number, self._used = number, 0
        self._used += 1

    def idle(self, now_s: float) -> bool:
        """Whether the period of the newest arrival is over."""
        return int(now_s // self._period_s) != self._number


def make_window(kind: WindowKind, limit: int, period_s: float) -> Window:
    """A window of the given kind."""
    return SlidingWindow(limit, period_s) if kind == "strict" else FixedWindow(limit, period_s)


class Meter:
    """The largest number of arrivals that any window (t - T, t] has held, refused ones among them.

    It keeps at most the newest 200,000 arrivals: a storm beyond that is reported as that number.
    """

    __slots__ = ("_arrivals", "_period_s", "worst")

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._arrivals: deque[float] = deque(maxlen=_MEASURED_ARRIVALS)
        self.worst = 0

    def arrive(self, now_s: float) -> None:
        """Measure an arrival."""
        arrivals = self._arrivals
        arrivals.append(now_s)
        oldest_s = now_s - self._period_s
        while arrivals[0] <= oldest_s:
            arrivals.popleft()
        self.worst = max(self.worst, len(arrivals))
