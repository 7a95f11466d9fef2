"""What a 429 that was not ours does to our share: it shrinks at once and grows back slowly (AIMD).

**Law.** A 429 multiplies the share by 0.75, once for each incident, down to a tenth of the window. After three
quiet periods every further period gives back one hundredth of the window, until the share is whole again. Whoever
else spends from the instance's budget gets room within a second, and the job creeps back to what it was promised.

The policy is a pure function of a small state, so that processes can share it: `Shrunk` is all that is stored.
"""

import math
from typing import NamedTuple

__all__ = ["WHOLE", "Share", "Shrunk", "factor_at", "shrink"]

_DECREASE = 0.75
_INCREASE = 0.01
_QUIET_PERIODS = 3
_FLOOR = 0.1
_INCIDENT_PERIODS = 0.1
"""429s that come so soon after one another (in periods) were under way together and count once."""


class Shrunk(NamedTuple):
    """The state: what the last 429 left.

    Attributes:
        factor: Part of the share that was left then, from 0.1 to 1.
        at_s: When that was, on the clock that all who share it read; minus infinity for never.
    """

    factor: float
    at_s: float


WHOLE = Shrunk(1.0, -math.inf)
"""No 429 was ever seen."""


def factor_at(state: Shrunk, now_s: float, period_s: float) -> float:
    """The part of the share that may be used now.

    Example:
        >>> [factor_at(Shrunk(0.75, 0.0), now_s, 10.0) for now_s in (0.0, 39.0, 40.0, 1000.0)]
        [0.75, 0.75, 0.76, 1.0]
    """
    if state.factor >= 1.0:
        return 1.0
    quiet = math.floor((now_s - state.at_s) / period_s) - _QUIET_PERIODS
    return min(1.0, round(state.factor + _INCREASE * max(0, quiet), 6))


def shrink(state: Shrunk, now_s: float, period_s: float) -> Shrunk:
    """The state after a 429; unchanged for one that belongs to the incident before.

    Example:
        >>> first = shrink(WHOLE, 0.0, 10.0)
        >>> first, shrink(first, 0.5, 10.0) == first
        (Shrunk(factor=0.75, at_s=0.0), True)
    """
    if now_s - state.at_s < _INCIDENT_PERIODS * period_s:
        return state
    return Shrunk(max(_FLOOR, factor_at(state, now_s, period_s) * _DECREASE), now_s)


class Share:
    """The share of one window, for one process.

    Args:
        period_s: The window's period, in seconds.
    """

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.state = WHOLE

    def of(self, allowed: int, now_s: float) -> int:
        """So many of `allowed` permits may be out now; at least one."""
        if self.state is WHOLE:
            return allowed
        return max(1, math.floor(allowed * factor_at(self.state, now_s, self.period_s)))

    def shrink(self, now_s: float) -> None:
        """A 429 came."""
        self.state = shrink(self.state, now_s, self.period_s)
