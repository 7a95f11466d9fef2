"""A window whose permits are leased from a ledger: a small pool in hand, and a desk that fetches more.

The gate asks and is answered at once, from the pool. What is not there is asked of the desk, which trades with the
ledger in a thread and says when it has news. A leased permit that is not used within its life goes back.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from clerk_limits.budget import WindowSpec
from clerk_limits.ledger.terms import Answer, Ask, Return
from clerk_limits.window import UNWATCHED, Slot, Watcher

__all__ = ["BLOCK", "DEADLINE_S", "LEASE_S", "Desk", "LeasedWindow", "Stock", "life_of"]

BLOCK = 10
"""Permits of a short window that are leased at once, at most; who is alone gets what is waited for beside them."""
LEASE_S = 2.0
"""A permit that was leased and not used within so many seconds goes back, before `speed`."""
_LEASE_LEAST_S = 0.2
"""However high the speed: what would have to be leased anew for each few calls costs more than they do."""
DEADLINE_S = 65.0
"""An attempt has ended after so many seconds, whatever happened: a network deadline, so `speed` is no matter."""
_TRADE_LEAST_S = 0.05
"""Who is alone has no need to ask more often, however high the speed: a transaction costs as much as two calls."""
_POLL_S = 0.15
"""So often is asked again while somebody else holds permits that may come back at any time, before `speed`."""
_SOON_S = 0.02
"""Shortest time between two asks that were in vain, before `speed`: what returns meanwhile comes at once."""
_SPREAD_S = 0.005
"""Those who wait for the same moment ask within so many seconds after it, before `speed`."""
_LONG_S = 30.0
"""Longest time without asking: the machine may have slept, and its clock may have been set."""


def life_of(speed: float) -> float:
    """Seconds for which a leased permit may be used.

    Example:
        >>> life_of(1.0), life_of(60.0)
        (2.0, 0.2)
    """
    return max(LEASE_S / speed, _LEASE_LEAST_S)


class Desk(Protocol):
    """Who trades with the ledger for a window."""

    @property
    def steady(self) -> Callable[[], float]:
        """The clock by which the ledger's file counts."""
        ...

    def ask(self, window: "Stock") -> None:
        """It wants permits."""
        ...

    def bring_back(self, returned: Return) -> None:
        """Permits have ended."""
        ...

    def stocked(self, window: "Stock") -> None:
        """It has permits in hand: look at it again when they expire."""
        ...


class Stock(Protocol):
    """Permits in hand, for which a desk trades."""

    def wish(self) -> Ask | None:
        """What to ask of the ledger; None where nobody waits any more."""
        ...

    def answered(self, answer: Answer, now_s: float, jitter: float, asked_at_s: float) -> None:
        """The ledger's answer to the last wish."""
        ...

    def expires_at(self, now_s: float) -> float | None:
        """When the oldest permits in hand expire; those that have go back. None where none is in hand."""
        ...

    def clear(self, now_s: float) -> None:
        """Give back all that is in hand."""
        ...


@dataclass(slots=True)
class _Parcel:
    """Permits in hand that came together.

    Attributes:
        lease: That they are in.
        left: How many.
        ends_at_s: When they go back.
        void_at_s: When the ledger will count them no more, on its clock, less the time in which what was written last
            may still arrive, and a period.
    """

    lease: int
    left: int
    ends_at_s: float
    void_at_s: float


class _Leased(Slot):
    """A slot, and the leases that its permits came from.

    Attributes:
        steady: The clock by which the ledger counts them.
        void_at_s: Of the first of them, see `_Parcel`.
        parts: Permits of each lease.
    """

    __slots__ = ("parts", "steady", "void_at_s")

    def __init__(self, amount: int, taken_at_s: float, steady: Callable[[], float]) -> None:
        super().__init__(amount, taken_at_s)
        self.steady = steady
        self.void_at_s = math.inf
        self.parts: list[tuple[int, int]] = []

    def is_void(self) -> bool:
        """See `Slot.is_void`."""
        return self.steady() > self.void_at_s


class LeasedWindow:
    """A window as one process sees it.

    Args:
        spec: What it is made from.
        block: Permits to lease at once; 1 leases exactly what somebody waits for.
        desk: Who fetches them.
        speed: Divides the durations of ours.
    """

    def __init__(self, spec: WindowSpec, block: int, desk: Desk, speed: float) -> None:
        self._spec = spec
        self._block = block
        self._desk = desk
        self._speed = speed
        self._life_s = life_of(speed)
        self._least_alone = math.floor(spec.allowed / spec.period_s * _TRADE_LEAST_S)
        self._after_response_s = spec.after_response_s
        self._after_loss_s = spec.after_loss_s
        self._joins = 0
        """The lease that new permits are added to; 0 for one of their own."""
        self._joins_until_s = -math.inf
        """Not for ever, so that a permit of which nobody says how it ended is forgotten by time."""
        self._pool: deque[_Parcel] = deque()
        """Permits in hand, oldest first."""
        self._in_hand = 0
        """How many there are in the pool."""
        self._open = 0
        self._used = 0
        self._expected_at_s = -math.inf
        self._ask_again_at_s = -math.inf
        self._wanted: tuple[int, int] | None = None
        self._watcher = UNWATCHED

    @property
    def spec(self) -> WindowSpec:
        """What it is made from."""
        return self._spec

    @property
    def tells(self) -> bool:
        """Permits come with an answer of the ledger's, which is told."""
        return True

    @property
    def allowed(self) -> int:
        """Permits of our share."""
        return self._spec.allowed

    def free(self, now_s: float) -> int:
        """Permits in hand."""
        if self._in_hand and self._pool[0].ends_at_s <= now_s:
            self._return_expired(now_s)
        return self._in_hand

    def used(self, now_s: float) -> int:
        """Permits that are out in all processes, as the ledger said last."""
        return max(self._used, self._open + self.free(now_s))

    def idle(self, now_s: float) -> bool:
        """Whether nothing is open here and nothing in hand."""
        return not self._open and not self.free(now_s) and self._wanted is None

    def next_at(self, now_s: float, amount: int = 1, spare: int = 0) -> float | None:
        """When so many are expected: now where they are in hand or were never refused, None where nobody knows."""
        del spare  # the ledger knows it from `want`
        if self.free(now_s) >= amount:
            return now_s
        if self._expected_at_s == math.inf:
            return None
        # A refusal's forecast that has passed is no promise: only the ledger grants.
        return max(self._expected_at_s, math.nextafter(now_s, math.inf))

    def want(self, now_s: float, amount: int, spare: int) -> float | None:
        """Ask the desk, unless it was refused a moment ago."""
        if now_s < self._ask_again_at_s:
            return self._ask_again_at_s
        if self._wanted is None:
            self._wanted = (amount, spare)
            if now_s >= self._joins_until_s:
                self._joins = 0
            self._desk.ask(self)
        return None

    def watch(self, watcher: Watcher) -> None:
        """Tell this one after each trade for this window; as many permits as it waits for may be asked for."""
        self._watcher = watcher

    def take(self, now_s: float, amount: int = 1) -> Slot:
        """Take permits in hand, oldest first.

        Raises:
            ValueError: So many are not in hand; ask `free` first.
        """
        if amount < 1 or amount > self.free(now_s):
            raise ValueError(f"{amount} permits asked for, {self.free(now_s)} are in hand")
        slot = _Leased(amount, now_s, self._desk.steady)
        self._in_hand -= amount
        self._open += amount
        while amount:
            parcel = self._pool[0]
            taken = min(amount, parcel.left)
            slot.parts.append((parcel.lease, taken))
            slot.void_at_s = min(slot.void_at_s, parcel.void_at_s)
            parcel.left -= taken
            amount -= taken
            if not parcel.left:
                self._pool.popleft()
        return slot

    def settle(self, slot: Slot, now_s: float) -> None:
        """A response came: free again one period from then."""
        head_start_s = self._spec.early.head_start(slot.sent_at_s, now_s)
        self._end(slot, self._after_response_s - head_start_s, self._after_response_s)
        self._expect(now_s + self._after_response_s - head_start_s)

    def lose(self, slot: Slot, now_s: float) -> None:
        """No response will come: held for as long as the request may still arrive."""
        self._end(slot, self._after_loss_s, self._after_loss_s)
        self._expect(now_s + self._after_loss_s)

    def give_back(self, slot: Slot) -> None:
        """Nothing was sent: free at once, so whoever waits may ask."""
        self._end(slot, None, 0.0)
        self._ask_again_at_s = -math.inf

    def charge(self, ended_at_s: float, amount: int = 1) -> None:
        """Not for a shared window: what was spent elsewhere is in the ledger already."""
        raise NotImplementedError("charge the ledger, not one process's view of it")

    # ------------------------------------------------------------------ the desk's side

    def wish(self) -> Ask | None:
        """What to ask of the ledger; None where nobody waits any more."""
        if self._wanted is None:
            return None
        amount, spare = self._wanted
        spec = self._spec
        most = max(amount, self._block)
        hold_s = self._life_s + DEADLINE_S + self._after_loss_s
        # Whoever is alone need not come again for each ten; what nobody waits for are few all the same.
        alone = most + max(self._watcher.waiting(), self._least_alone) if spec.is_busy else most
        subject, joins = spec.subject or "", self._joins
        return Ask(spec.name, subject, amount, most, spare, spec.allowed, hold_s, spec.period_s, 0, joins, alone)

    def answered(self, answer: Answer, now_s: float, jitter: float, asked_at_s: float) -> None:
        """The ledger's answer to the last wish, and who waits is told of it.

        Args:
            asked_at_s: When it was asked, on the ledger's clock: a lease counts from then.
        """
        self._wanted = None
        self._used = answer.used
        if answer.granted:
            ends_s = now_s + self._life_s
            void_at_s = asked_at_s + self._life_s + DEADLINE_S
            self._pool.append(_Parcel(answer.lease, answer.granted, ends_s, void_at_s))
            self._in_hand += answer.granted
            if self._spec.is_busy and answer.lease != self._joins:
                # Many permits share a row where a window is asked many times a second.
                self._joins, self._joins_until_s = answer.lease, ends_s
            self._expected_at_s = self._ask_again_at_s = -math.inf
            self._desk.stocked(self)
        else:
            self._expected_at_s = math.inf if answer.wait_s is None else now_s + answer.wait_s
            wait_s = max(_LONG_S if answer.wait_s is None else answer.wait_s, _SOON_S / self._speed)
            most_s = _POLL_S / self._speed if answer.unsettled else _LONG_S
            # Spread over a moment, not over a part of the wait: after ten seconds that would be one of them.
            self._ask_again_at_s = now_s + min(wait_s, most_s) + jitter * _SPREAD_S / self._speed
        self._watcher.refilled()

    def expires_at(self, now_s: float) -> float | None:
        """When the oldest permits in hand expire; those that have go back. None where none is in hand."""
        self._return_expired(now_s)
        return self._pool[0].ends_at_s if self._pool else None

    def clear(self, now_s: float) -> None:
        """Give back all that is in hand."""
        del now_s
        for parcel in self._pool:
            self._bring(parcel.lease, parcel.left, None, 0.0)
        self._pool.clear()
        self._in_hand = 0

    def _return_expired(self, now_s: float) -> None:
        while self._pool and self._pool[0].ends_at_s <= now_s:
            parcel = self._pool.popleft()
            self._in_hand -= parcel.left
            self._bring(parcel.lease, parcel.left, None, 0.0)

    def _end(self, slot: Slot, hold_s: float | None, spent_s: float) -> None:
        assert isinstance(slot, _Leased)
        self._open -= slot.amount
        for lease, amount in slot.parts:
            self._bring(lease, amount, hold_s, spent_s)

    def _expect(self, back_at_s: float) -> None:
        """A permit of ours comes back then: the ledger, asked while it was under way, could not know when."""
        if back_at_s < self._ask_again_at_s:
            self._ask_again_at_s = back_at_s
            self._watcher.refilled()

    def _bring(self, lease: int, amount: int, hold_s: float | None, spent_s: float) -> None:
        spec = self._spec
        self._desk.bring_back(Return(lease, spec.name, spec.subject or "", amount, hold_s, spent_s))
