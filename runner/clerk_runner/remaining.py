"""How long a run still takes: what the plan, the same gate in virtual time, needs from where the run is now."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final

__all__ = ["Pace", "remaining_s"]

LOOKBACK_S: Final = 30.0
"""Seconds of a walk by which the rest of it is judged."""
SOONEST_S: Final = 3.0
"""Seconds after which a pace can be told."""


def remaining_s(path: Sequence[tuple[float, int]], ends_s: float, settled: int, elapsed_s: float) -> float:
    """Seconds that a run still takes.

    The plan reaches ``settled`` items at a moment, or holds that number from one moment to another where it waits for
    a quota. A run that is on its plan has what the plan has left; one that is behind or ahead has what the plan has
    left from there, so a 429 or slow answers move the end by what they cost.

    Args:
        path: of the plan: (seconds from its start, items by then), both never falling.
        ends_s: seconds from its start to its end.
        settled: items that are settled since the run started.
        elapsed_s: seconds since then.

    Example:
        >>> hour = [(18.0, 90), (3600.0, 90), (3618.0, 180)]
        >>> [remaining_s(hour, 3618.0, *now) for now in ((45, 9.0), (90, 600.0), (90, 4000.0), (180, 3700.0))]
        [3609.0, 3018.0, 18.0, 0.0]
    """
    counts = [0, *(count for _, count in path)]
    times = [0.0, *(time_s for time_s, _ in path)]
    first, last = bisect_left(counts, settled), bisect_right(counts, settled) - 1
    if first == len(counts):
        return 0.0
    if first > last:
        # Between two points: on the straight line.
        part = (settled - counts[last]) / (counts[first] - counts[last])
        planned_s = times[last] + part * (times[first] - times[last])
    else:
        planned_s = min(max(elapsed_s, times[first]), times[last])
    return max(0.0, ends_s - planned_s)


class Pace:
    """How fast a walk of unknown length goes: its rows of the last half minute."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._seen: deque[tuple[float, int]] = deque()

    def left_s(self, now_s: float, rows: int, total: int) -> float | None:
        """Seconds until all rows are there, if it goes on like this; None where that cannot be told."""
        self._seen.append((now_s, rows))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - LOOKBACK_S:
            self._seen.popleft()
        began_s, before = self._seen[0]
        if now_s - began_s < SOONEST_S or rows <= before or rows >= total:
            return None
        return (total - rows) * (now_s - began_s) / (rows - before)
