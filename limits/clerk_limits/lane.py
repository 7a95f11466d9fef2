"""What waits for a permit, and where: equal waiters form a lane, and a lane that cannot go on is parked.

All waiters of a lane need exactly the same, so only the first of them has to be looked at.
"""

import math
from asyncio import Future
from collections import OrderedDict
from typing import NamedTuple, Protocol, TypeAlias

from clerk_limits.pacer import Pacer
from clerk_limits.window import Slot, Window

__all__ = ["Door", "Lane", "Need", "Place", "Scope", "Taken", "Usher", "Waiter"]


class Place:
    """Where lanes are parked until something changes here.

    Attributes:
        parked: The lanes that are looked at again when it does.
        wake_at_s: The earliest time at which it will have changed by itself, infinite when not known.
    """

    __slots__ = ("parked", "wake_at_s")

    def __init__(self) -> None:
        self.parked: set[Lane] = set()
        self.wake_at_s = math.inf


class Door(Place):
    """An endpoint that a 429 may have closed.

    Attributes:
        opens_at_s: When it lets calls through again, on the loop's clock.
    """

    __slots__ = ("opens_at_s",)

    def __init__(self) -> None:
        super().__init__()
        self.opens_at_s = -math.inf


class Usher(Protocol):
    """Who lets the lanes of a scope through."""

    def refilled(self, scope: "Scope") -> None:
        """Permits came to this scope from outside, or it is known now when they will."""
        ...

    def waiting(self, scope: "Scope") -> int:
        """How many wait for this scope and may go as soon as it has room."""
        ...


class Scope(Place):
    """One window and the bucket in front of it: one thing that a call counts against; it watches its window.

    Attributes:
        name: Of the limit.
        window: Keeps the promise.
        pacer: Smooths the burst; None where the window lets through no more than a bucket would.
        general: Whether nearly every call needs it (the instance's own window).
        claims: Lanes that wait their turn here, with the reserve that each leaves untouched.
        lanes: How many lanes refer to it; one that is referred to is never evicted.
    """

    __slots__ = ("_usher", "claims", "general", "lanes", "name", "pacer", "window")

    def __init__(self, name: str, window: Window, pacer: Pacer | None, usher: Usher, *, general: bool) -> None:
        super().__init__()
        self._usher = usher
        self.name = name
        self.window = window
        self.pacer = pacer
        self.general = general
        self.claims: dict[Lane, int] = {}
        self.lanes = 0
        window.watch(self)

    def refilled(self) -> None:
        """Permits came to the window from outside, or it is known now when they will."""
        self._usher.refilled(self)

    def waiting(self) -> int:
        """How many wait for the window."""
        return self._usher.waiting(self)

    def next_at(self, now_s: float, amount: int, spare: int) -> float | None:
        """When window and bucket both have `amount`: `now_s`, later, or None while open permits decide."""
        window_at = self.window.next_at(now_s, amount, spare)
        if window_at is None or self.pacer is None:
            return window_at
        return max(window_at, self.pacer.next_at(now_s, amount))

    def short(self, now_s: float, amount: int, spare: int) -> tuple[bool, float | None]:
        """Whether a waiter cannot have `amount` now and, if so, when to look again (None: that will be told)."""
        window_at = self.window.next_at(now_s, amount, spare)
        if window_at is not None and window_at <= now_s:
            if self.pacer is None:
                return False, now_s
            paced_at = self.pacer.next_at(now_s, amount)
            return paced_at > now_s, paced_at
        return True, self.window.want(now_s, amount, spare)

    def take(self, now_s: float, amount: int) -> Slot:
        """Take from both; the caller has seen that `next_at` is now."""
        slot = self.window.take(now_s, amount)
        if self.pacer is not None:
            self.pacer.take(now_s, amount)
        return slot


class Need(NamedTuple):
    """What one call takes from one scope.

    Attributes:
        scope: Where from.
        amount: Permits.
        spare: Permits that must stay untouched.
    """

    scope: Scope
    amount: int
    spare: int


Taken: TypeAlias = tuple[tuple[Scope, Slot], ...]
"""A slot of every scope that a call needs."""


class Waiter:
    """One call that asked for a permit.

    Attributes:
        ticket: Its turn; smaller came earlier.
        future: What its task awaits, once it has to.
        taken: What was taken for it once its turn came.
    """

    __slots__ = ("future", "taken", "ticket")

    def __init__(self, ticket: int) -> None:
        self.ticket = ticket
        self.future: Future[None] | None = None
        self.taken: Taken | None = None


class Lane:
    """Waiters with the same needs, first come first served.

    Attributes:
        door: The endpoint that they call.
        needs: What each takes, the most specific scope first and the instance last.
        subject: The subject whose own window is among the needs, else None.
        waiters: By ticket, in order.
        ticket: Of the first waiter, while the lane is parked.
        in_line: Whether it stands in the turnstile's line.
        parked_at: Where it is parked, if it is.
        claimed: The needs whose scopes it claims while parked.
    """

    __slots__ = ("claimed", "door", "in_line", "needs", "parked_at", "subject", "ticket", "waiters")

    def __init__(self, door: Door, needs: tuple[Need, ...], subject: str | None) -> None:
        self.door = door
        self.needs = needs
        self.subject = subject
        self.waiters: OrderedDict[int, Waiter] = OrderedDict()
        self.ticket = 0
        self.in_line = False
        self.parked_at: Place | None = None
        self.claimed: tuple[Need, ...] = ()

    def head(self) -> Waiter | None:
        """The first waiter that still waits; those whose task was cancelled meanwhile step aside."""
        while self.waiters:
            waiter = next(iter(self.waiters.values()))
            if waiter.future is None or not waiter.future.cancelled():
                return waiter
            del self.waiters[waiter.ticket]
        return None

    def park(self, place: Place, ticket: int, claimed: tuple[Need, ...]) -> None:
        """Stand aside at `place`, keeping the turn in every scope of `claimed`."""
        self.ticket = ticket
        self.parked_at = place
        place.parked.add(self)
        self.claimed = claimed
        for need in claimed:
            need.scope.claims[self] = need.spare

    def unpark(self) -> tuple[Need, ...]:
        """Stop standing aside, where it did; returns the needs whose scopes are no longer claimed."""
        assert self.parked_at is not None
        self.parked_at.parked.remove(self)
        self.parked_at = None
        released, self.claimed = self.claimed, ()
        for need in released:
            del need.scope.claims[self]
        return released

    def shortage(self, ticket: int, now_s: float) -> tuple[int, float | None] | None:
        """The index of the first need that cannot be met and when it can (None: not known yet), if any."""
        for index, need in enumerate(self.needs):
            scope = need.scope
            if scope.claims and any(
                spare <= need.spare and lane.ticket < ticket for lane, spare in scope.claims.items()
            ):
                return index, None
            is_short, when = scope.short(now_s, need.amount, need.spare)
            if is_short:
                return index, when
        return None
