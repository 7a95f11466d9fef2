"""The exact sliding window: never more than N permits in any period, whatever the network does.

**Law.** A slot is taken when its permit is granted, before the request is sent, and is free again one period
(plus a guard) after the response came back. The server saw the request somewhere between the two. So two
requests that use the same slot arrive at least one period apart, and N slots let at most N requests arrive in
any half-open window of one period: sliding or fixed, whatever the latency, its jitter or the order of
arrivals.

A window keyed by the time of sending does not have this property: a slow request followed a period later by a
fast one arrive closer together than a period.
"""

import heapq
from typing import Final, Protocol

from clerk_limits.aimd import Share

__all__ = [
    "DEFAULT_GUARD_S",
    "DEFAULT_LOST_HOLD_S",
    "UNWATCHED",
    "EarlyRelease",
    "SlidingWindow",
    "Slot",
    "Watcher",
    "Window",
]

DEFAULT_GUARD_S = 0.020
"""Seconds added to every period: clocks tie, floats round, and the server's clock is not ours."""

DEFAULT_LOST_HOLD_S = 30.0
"""Seconds beyond the period for which a request without a response is held: a proxy may still deliver it."""


class Slot:
    """What was taken from a window at once, until it is settled, lost or given back.

    Attributes:
        amount: Permits in it.
        taken_at_s: When it was taken, on the loop's clock.
        sent_at_s: When the first byte of its request was about to be written; where nobody told, `taken_at_s`.
    """

    __slots__ = ("amount", "sent_at_s", "taken_at_s")

    def __init__(self, amount: int, taken_at_s: float) -> None:
        self.amount = amount
        self.taken_at_s = self.sent_at_s = taken_at_s

    def is_void(self) -> bool:
        """Whether whoever counts it may have forgotten it by now, so that nothing may be sent under it any more."""
        return False


class EarlyRelease:
    """When a slot's period begins to run: with the response, or a little after the send where that is earlier.

    Strict (the response) holds under any latency. Early (so many seconds after the send) holds where a request
    arrives within that time, and uses more of the window where answers are slow.

    Args:
        after_send_s: Seconds after the send; None for strict.

    Example:
        >>> early = EarlyRelease(0.25)
        >>> early.head_start(sent_at_s=10.0, now_s=11.5), early.head_start(sent_at_s=10.0, now_s=10.1)
        (1.25, 0.0)
        >>> early.switch_off()
        >>> early.head_start(sent_at_s=10.0, now_s=11.5)
        0.0
    """

    def __init__(self, after_send_s: float | None = None) -> None:
        self._after_send_s = after_send_s

    def head_start(self, sent_at_s: float, now_s: float) -> float:
        """Seconds by which the period of a slot that is settled now began before now."""
        return 0.0 if self._after_send_s is None else max(0.0, now_s - sent_at_s - self._after_send_s)

    def switch_off(self) -> None:
        """Be strict from now on."""
        self._after_send_s = None


class Watcher(Protocol):
    """Who waits for what a window gets from outside."""

    def refilled(self) -> None:
        """Permits came, or were refused."""
        ...

    def waiting(self) -> int:
        """How many wait for this window now, and may go as soon as it has room."""
        ...


class _Nobody:
    """Watches nothing."""

    def refilled(self) -> None:
        """Nobody has to know."""

    def waiting(self) -> int:
        """Whoever asks for a permit, alone."""
        return 1


UNWATCHED: Final[Watcher] = _Nobody()
"""The watcher of a window that nobody watches yet."""


class Window(Protocol):
    """What a gate asks of a window; all times are seconds on the loop's clock and never go back.

    Every answer comes at once and from memory: whoever stands behind a window, this process alone or a store
    that several share, has a permit in hand before `free` counts it.
    """

    @property
    def tells(self) -> bool:
        """Whether who watches is told of all that could let a waiter through, save what is given back here."""
        ...

    @property
    def allowed(self) -> int:
        """Permits that may be out at any time."""
        ...

    def free(self, now_s: float) -> int:
        """Permits to be had this instant; below zero where more was charged than is allowed."""
        ...

    def used(self, now_s: float) -> int:
        """Permits that are out, open or held, as far as is known."""
        ...

    def idle(self, now_s: float) -> bool:
        """Whether nothing would be lost if this window were forgotten."""
        ...

    def next_at(self, now_s: float, amount: int = 1, spare: int = 0) -> float | None:
        """When `amount` permits beside `spare` are free if nobody takes one; None while that is not known."""
        ...

    def want(self, now_s: float, amount: int, spare: int) -> float | None:
        """Somebody waits for so many: when to look again; None where a slot's end or `watch` will tell."""
        ...

    def watch(self, watcher: Watcher) -> None:
        """Tell this one of all that comes from outside."""
        ...

    def take(self, now_s: float, amount: int = 1) -> Slot:
        """Take `amount` permits, all or none. Raises ValueError where so many are not free."""
        ...

    def settle(self, slot: Slot, now_s: float) -> None:
        """A response came: the slot is free again one period after now."""
        ...

    def lose(self, slot: Slot, now_s: float) -> None:
        """The attempt ended without a response: held for as long as the request may still arrive."""
        ...

    def give_back(self, slot: Slot) -> None:
        """Nothing was sent: the slot is free at once."""
        ...

    def charge(self, ended_at_s: float, amount: int = 1) -> None:
        """Count permits spent elsewhere, whose response came at `ended_at_s` (which may be below zero)."""
        ...


class SlidingWindow:
    """A window for one process, kept in memory.

    `free`, `take` and `settle` cost O(log N) for N permits; memory is one pair for each slot that is not
    free.

    Args:
        allowed: Permits in any period, at least 1.
        period_s: Seconds of the period, above 0.
        guard_s: Seconds added to the period, see `DEFAULT_GUARD_S`.
        lost_hold_s: Seconds added where no response came, see `DEFAULT_LOST_HOLD_S`.
        share: What 429s have made of the window; None where they make nothing of it.
        early: When a slot's period begins; strict unless told otherwise.

    Raises:
        ValueError: For a window that could never let anything through, or everything.

    Example:
        >>> window = SlidingWindow(allowed=2, period_s=10.0)
        >>> slow, fast = window.take(0.0), window.take(0.0)
        >>> window.free(0.0), window.next_at(0.0)
        (0, None)
        >>> window.settle(slow, now_s=3.0)
        >>> window.next_at(3.0)
        13.02
        >>> window.give_back(fast)
        >>> window.free(3.0)
        1
    """

    def __init__(
        self,
        allowed: int,
        period_s: float,
        *,
        guard_s: float = DEFAULT_GUARD_S,
        lost_hold_s: float = DEFAULT_LOST_HOLD_S,
        share: Share | None = None,
        early: EarlyRelease | None = None,
    ) -> None:
        if allowed < 1 or not period_s > 0 or guard_s < 0 or lost_hold_s < 0:
            raise ValueError(
                f"a window needs at least one permit and a period above zero, not {allowed} per {period_s} s "
                f"(guard {guard_s} s, hold {lost_hold_s} s)"
            )
        self._allowed = allowed
        self._share = share
        self._early = early or EarlyRelease()
        self._after_response_s = period_s + guard_s
        self._after_loss_s = period_s + max(lost_hold_s, guard_s)
        self._open = 0
        self._held = 0
        self._returns: list[tuple[float, int]] = []
        """Heap of (when free again, amount) for every slot that has ended and is still held."""

    @property
    def tells(self) -> bool:
        """Nothing comes from outside, so nothing is told."""
        return False

    @property
    def allowed(self) -> int:
        """Permits that may be out at any time."""
        return self._allowed

    def free(self, now_s: float) -> int:
        """Permits to be had this instant; below zero where more is out than the share allows now."""
        allowed = self._allowed if self._share is None else self._share.of(self._allowed, now_s)
        return allowed - self.used(now_s)

    def used(self, now_s: float) -> int:
        """Permits that are out, open or held."""
        returns = self._returns
        while returns and returns[0][0] <= now_s:
            self._held -= heapq.heappop(returns)[1]
        return self._open + self._held

    def idle(self, now_s: float) -> bool:
        """Whether every permit is free."""
        return self.used(now_s) == 0

    def next_at(self, now_s: float, amount: int = 1, spare: int = 0) -> float | None:
        """When `amount` permits beside `spare` are free if nobody takes one; None while open slots decide."""
        missing = amount + spare - self.free(now_s)
        if missing <= 0:
            return now_s
        if missing == 1 and self._returns:
            return self._returns[0][0]
        for when, returned in heapq.nsmallest(missing, self._returns):
            missing -= returned
            if missing <= 0:
                return when
        return None

    def want(self, now_s: float, amount: int, spare: int) -> float | None:
        """When to look again: as `next_at`, since nobody else takes from this window."""
        return self.next_at(now_s, amount, spare)

    def watch(self, watcher: Watcher) -> None:
        """Nothing comes from outside."""

    def take(self, now_s: float, amount: int = 1) -> Slot:
        """Take `amount` permits, all or none.

        Raises:
            ValueError: When so many are not free; ask `free` first.
        """
        if amount < 1 or amount > self.free(now_s):
            raise ValueError(f"{amount} permits asked for, {self.free(now_s)} of {self._allowed} are free")
        self._open += amount
        return Slot(amount, now_s)

    def settle(self, slot: Slot, now_s: float) -> None:
        """A response came: free again `period + guard` from then."""
        head_start_s = self._early.head_start(slot.sent_at_s, now_s)
        self._hold(slot, now_s + self._after_response_s - head_start_s)

    def lose(self, slot: Slot, now_s: float) -> None:
        """No response will come: free again `period + lost_hold` from now."""
        self._hold(slot, now_s + self._after_loss_s)

    def give_back(self, slot: Slot) -> None:
        """Nothing was sent: free at once."""
        self._open -= slot.amount

    def charge(self, ended_at_s: float, amount: int = 1) -> None:
        """Count permits spent elsewhere; free again `period + guard` after `ended_at_s`."""
        self._held += amount
        heapq.heappush(self._returns, (ended_at_s + self._after_response_s, amount))

    def _hold(self, slot: Slot, until_s: float) -> None:
        self._open -= slot.amount
        self._held += slot.amount
        heapq.heappush(self._returns, (until_s, slot.amount))
