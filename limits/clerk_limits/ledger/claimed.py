"""A window for each subject without a lease for each: one lease is a permit for every subject at once.

A backfill writes once to each of a million users, and each has a window of its own. To lease a million permits one by
one costs more than the calls. So a process claims one permit of every subject together, a single row that counts
against each of them, and counts in memory whether it was used. Whoever needs more of a subject leases that.

**Law.** A claim is a lease of one permit in each window of its limit, so what may be sent to a subject never exceeds
what is out in the ledger: the claims of all processes and the leases of that subject. A claim's own permit of a subject
is free again one period after its response, as any other. Claims take at most half of a window together, so that there
are leases to be had for everybody else.
"""

import math
from collections.abc import Callable

from clerk_limits.budget import WindowSpec
from clerk_limits.ledger.leased import DEADLINE_S, Desk, LeasedWindow, life_of
from clerk_limits.ledger.terms import EVERY_SUBJECT, Answer, Ask, Return
from clerk_limits.window import UNWATCHED, Slot, Watcher

__all__ = ["Claim", "ClaimedWindow", "claims_of"]

_AGAIN_S = 1.0
"""A claim that was refused is asked for again after so many seconds, before `speed`."""
_EARLY = 0.4
"""A claim that is used is prolonged while so much of its life is left: nobody has to wait for it then."""


def claims_of(allowed: int) -> int:
    """How many processes may have a claim on windows of this size.

    Example:
        >>> claims_of(7), claims_of(1)
        (3, 0)
    """
    return allowed // 2


class Claim:
    """What this process has of every subject of one limit.

    Args:
        spec: What the windows are made from, whoever's.
        desk: Who trades with the ledger.
        speed: Divides the durations of ours.
    """

    def __init__(self, spec: WindowSpec, desk: Desk, speed: float) -> None:
        self._spec = spec
        self._desk = desk
        self._life_s = life_of(speed)
        self._again_s = _AGAIN_S / speed
        self._lease = 0
        self._usable_until_s = -math.inf
        self._refused_until_s = -math.inf
        self._asked = False
        self._open = 0
        self._held_until_s = -math.inf
        self._waiting: list[Callable[[], None]] = []
        self.void_at_s = -math.inf
        """When the ledger may have forgotten it, on the ledger's clock, less what was written last."""

    @property
    def steady(self) -> Callable[[], float]:
        """The clock by which the ledger counts."""
        return self._desk.steady

    def is_good(self, now_s: float) -> bool:
        """Whether permits may be taken from it now."""
        return now_s < self._usable_until_s

    def is_refused(self, now_s: float) -> bool:
        """Whether it was asked for a moment ago, and not to be had."""
        return now_s < self._refused_until_s

    def want(self, told: Callable[[], None] | None = None) -> None:
        """Ask for it, or for a longer life; `told` is called with the answer."""
        if told is not None:
            self._waiting.append(told)
        if not self._asked:
            self._asked = True
            self._desk.ask(self)

    def took(self, now_s: float) -> None:
        """A permit was taken; a claim that is used lives on."""
        self._open += 1
        if self._usable_until_s - now_s < self._life_s * _EARLY:
            self.want()

    def ended(self, free_at_s: float) -> None:
        """A permit ended, and counts until then."""
        self._open -= 1
        self._held_until_s = max(self._held_until_s, free_at_s)

    # ------------------------------------------------------------------ the desk's side

    def wish(self) -> Ask | None:
        """What to ask of the ledger."""
        spec = self._spec
        spare = spec.allowed - claims_of(spec.allowed)
        hold_s = self._life_s + DEADLINE_S + spec.after_loss_s
        return Ask(spec.name, EVERY_SUBJECT, 1, 1, spare, spec.allowed, hold_s, spec.period_s, self._lease)

    def answered(self, answer: Answer, now_s: float, jitter: float, asked_at_s: float) -> None:
        """The ledger's answer, and who waits is told of it; see `LeasedWindow.answered`."""
        del jitter
        self._asked = False
        self._lease = answer.lease
        if answer.granted:
            self._usable_until_s = now_s + self._life_s
            self.void_at_s = asked_at_s + self._life_s + DEADLINE_S
            self._desk.stocked(self)
        else:
            self._usable_until_s = -math.inf
            self._refused_until_s = now_s + self._again_s
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            told()

    def expires_at(self, now_s: float) -> float | None:
        """When to look again; one that nobody uses goes back. None where there is none."""
        if self._lease and now_s >= self._usable_until_s and not self._asked:
            if self._open:
                return now_s + self._life_s
            self._bring_back(now_s)
        return max(self._usable_until_s, now_s + self._life_s / 2) if self._lease else None

    def clear(self, now_s: float) -> None:
        """Give it back; with permits under way it ends by time."""
        if self._lease and not self._open:
            self._bring_back(now_s)

    def _bring_back(self, now_s: float) -> None:
        spec, left_s = self._spec, self._held_until_s - now_s
        hold_s = left_s if left_s > 0 else None
        self._desk.bring_back(Return(self._lease, spec.name, EVERY_SUBJECT, 1, hold_s, spec.after_loss_s))
        self._lease = 0
        self._usable_until_s = -math.inf


class _Claimed(Slot):
    """A permit of a claim, and when the ledger may have forgotten it."""

    __slots__ = ("claim", "void_at_s")

    def __init__(self, taken_at_s: float, claim: Claim) -> None:
        super().__init__(1, taken_at_s)
        self.claim = claim
        self.void_at_s = claim.void_at_s

    def is_void(self) -> bool:
        """See `Slot.is_void`."""
        return self.claim.steady() > self.void_at_s


class ClaimedWindow:
    """One subject's window: a permit of the claim, and leases beyond it.

    Args:
        claim: On every subject.
        lease: Makes this subject's own leased window, where it is needed.
    """

    __slots__ = ("_claim", "_free_at_s", "_lease", "_leased", "_open", "_spec", "_watcher")

    def __init__(self, spec: WindowSpec, claim: Claim, lease: Callable[[WindowSpec], LeasedWindow]) -> None:
        self._spec = spec
        self._claim = claim
        self._lease = lease
        self._leased: LeasedWindow | None = None
        self._open = False
        self._free_at_s = -math.inf
        self._watcher = UNWATCHED

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
        leased = 0 if self._leased is None else self._leased.free(now_s)
        return leased + (self._is_own_free(now_s) and self._claim.is_good(now_s))

    def used(self, now_s: float) -> int:
        """Permits that are out, as far as is known here."""
        return (not self._is_own_free(now_s)) + (0 if self._leased is None else self._leased.used(now_s))

    def idle(self, now_s: float) -> bool:
        """Whether nothing is open or held here, and nothing in hand."""
        return self._is_own_free(now_s) and (self._leased is None or self._leased.idle(now_s))

    def next_at(self, now_s: float, amount: int = 1, spare: int = 0) -> float | None:
        """When so many are expected; None where nobody knows."""
        if self.free(now_s) >= amount:
            return now_s
        if self._leased is not None:
            return self._leased.next_at(now_s, amount, spare)
        # Nobody has refused it: the ledger will tell soon.
        return math.nextafter(now_s, math.inf)

    def want(self, now_s: float, amount: int, spare: int) -> float | None:
        """Ask for the claim where that would do, else for a lease."""
        if amount == 1 and self._is_own_free(now_s) and not self._claim.is_refused(now_s):
            self._claim.want(self._watcher.refilled)
            return None
        if self._leased is None:
            self._leased = self._lease(self._spec)
            self._leased.watch(self._watcher)
        return self._leased.want(now_s, amount, spare)

    def watch(self, watcher: Watcher) -> None:
        """See `LeasedWindow.watch`."""
        self._watcher = watcher

    def take(self, now_s: float, amount: int = 1) -> Slot:
        """Take permits in hand, the claim's first.

        Raises:
            ValueError: So many are not in hand; ask `free` first.
        """
        if amount == 1 and self._is_own_free(now_s) and self._claim.is_good(now_s):
            self._open = True
            self._claim.took(now_s)
            return _Claimed(now_s, self._claim)
        if self._leased is None:
            raise ValueError(f"{amount} permits asked for, {self.free(now_s)} are in hand")
        return self._leased.take(now_s, amount)

    def settle(self, slot: Slot, now_s: float) -> None:
        """A response came: free again one period from then."""
        if isinstance(slot, _Claimed):
            head_start_s = self._spec.early.head_start(slot.sent_at_s, now_s)
            self._end(now_s + self._spec.after_response_s - head_start_s)
        elif self._leased is not None:
            self._leased.settle(slot, now_s)

    def lose(self, slot: Slot, now_s: float) -> None:
        """No response will come: held for as long as the request may still arrive."""
        if isinstance(slot, _Claimed):
            self._end(now_s + self._spec.after_loss_s)
        elif self._leased is not None:
            self._leased.lose(slot, now_s)

    def give_back(self, slot: Slot) -> None:
        """Nothing was sent: free at once."""
        if isinstance(slot, _Claimed):
            self._end(-math.inf)
        elif self._leased is not None:
            self._leased.give_back(slot)

    def charge(self, ended_at_s: float, amount: int = 1) -> None:
        """Not for a shared window, see `LeasedWindow.charge`."""
        raise NotImplementedError("charge the ledger, not one process's view of it")

    def _is_own_free(self, now_s: float) -> bool:
        """Whether the claim's permit of this subject is not used."""
        return not self._open and now_s >= self._free_at_s

    def _end(self, free_at_s: float) -> None:
        self._open = False
        self._free_at_s = max(self._free_at_s, free_at_s)
        self._claim.ended(free_at_s)
