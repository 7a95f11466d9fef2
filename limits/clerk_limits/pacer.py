"""The token bucket in front of a window: it spreads a burst, the window keeps the promise.

A window alone lets N calls out at once and then nothing for a period: a convoy that leaves no room for
anybody else on the same instance. A bucket of aiolimiter, a quarter of the window deep and refilled at the
window's own rate, turns it into a short burst and an even stream, at the same throughput. Safety never
depends on it: a bucket of N tokens refilled at N per period lets 2N through in its first period.
"""

import math
from collections.abc import Coroutine

from aiolimiter import AsyncLimiter

__all__ = ["Pacer", "burst_capacity"]

_RETRY_S = 0.001
"""Seconds to wait where our sum and the bucket's differ by rounding: late by a hair, never spinning."""

_CLOSE = 0.5
"""Tokens by which the two sums never differ: a bucket asked every microsecond for years is off by less."""

_BURST_FRACTION = 4


def burst_capacity(allowed: int) -> int:
    """Tokens for a limit that is over in seconds: a quarter of the window, at least one.

    Hourly quotas and per-subject limits get the whole window instead. There the calls come one at a time and
    a cold hour may be spent at once: holding back three quarters of it would only make a job of ninety
    invitations late.

    Example:
        >>> burst_capacity(700), burst_capacity(3)
        (175, 1)
    """
    return max(1, allowed // _BURST_FRACTION)


class Pacer:
    """A named token bucket: `capacity` tokens, refilled at `rate_per_s`, first full.

    The tokens are aiolimiter's; it alone decides. Its interface tells whether there is room, not when there
    will be, and takes nothing back. So the level is kept here a second time, by the same law (it falls by
    `rate_per_s` and is never below zero), to know when to ask again; and tokens of calls that were never sent
    are kept as credit, to be spent before new ones, for as long as the bucket would still remember having
    given them out.

    Args:
        name: Of the limit that it smooths, for messages.
        capacity: Tokens at most, at least 1.
        rate_per_s: Tokens a second, above 0.

    Raises:
        ValueError: For a bucket that could never give a token.

    Example:
        >>> from clerk_limits.clock import run_virtual
        >>> async def scenario() -> tuple[float, float]:
        ...     pacer = Pacer("instance", capacity=2, rate_per_s=4.0)
        ...     pacer.take(0.0, 2)
        ...     return pacer.next_at(0.0), round(pacer.next_at(0.0, 2), 3)
        >>> run_virtual(scenario())
        (0.250001, 0.5)
    """

    def __init__(self, name: str, capacity: int, rate_per_s: float) -> None:
        if capacity < 1 or not rate_per_s > 0:
            raise ValueError(f"bucket {name} needs a token and a refill above zero, not {capacity} at {rate_per_s}/s")
        self.name = name
        self.capacity = capacity
        self.rate_per_s = rate_per_s
        self._bucket = AsyncLimiter(capacity, capacity / rate_per_s)
        self._level = 0.0
        self._level_at_s = 0.0
        self._credit = 0

    def next_at(self, now_s: float, amount: int = 1) -> float:
        """When `amount` tokens are to be had if nobody takes one before; `now_s` if they are there."""
        needed = amount - self._credit_at(now_s)
        if needed <= 0:
            return now_s
        excess = self._level + needed - self.capacity
        # Both levels are the same to a rounding: only where it is close has the bucket to be asked before it is taken.
        if excess <= -_CLOSE or (excess <= 0 and self._bucket.has_capacity(needed)):
            return now_s
        # A microsecond late on purpose: by then both levels have fallen far enough, whatever was rounded.
        return now_s + max(excess / self.rate_per_s + 1e-6, _RETRY_S)

    def take(self, now_s: float, amount: int = 1) -> None:
        """Take `amount` tokens now.

        Raises:
            ValueError: When they are not there; ask `next_at` first.
        """
        credit = min(amount, self._credit_at(now_s))
        needed = amount - credit
        if needed:
            if not _finished(self._bucket.acquire(needed)):
                raise ValueError(f"bucket {self.name} has no {needed} tokens left")
            self._level += needed
        self._credit -= credit

    def give_back(self, amount: int = 1) -> None:
        """Return tokens whose call was never sent."""
        self._credit += amount

    def _credit_at(self, now_s: float) -> int:
        """Let the level fall to now; credit beyond what the bucket remembers is spilt, as in a full one."""
        self._level = max(0.0, self._level - (now_s - self._level_at_s) * self.rate_per_s)
        self._level_at_s = now_s
        if self._credit > self._level:
            self._credit = math.ceil(self._level)
        return self._credit


def _finished(acquisition: Coroutine[None, None, None]) -> bool:
    """Run a coroutine that should have nothing to wait for, without a task; whether that was so."""
    try:
        acquisition.send(None)
    except StopIteration:
        return True
    acquisition.close()
    return False
