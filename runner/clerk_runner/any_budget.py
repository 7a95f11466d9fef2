"""Permits of a key of which nobody knows yet whose it is: its first request counts in every budget that may be meant.

Two keys can open one instance, so a key that was never used here may spend from a window that is full. Until Clerk has
answered whose it is, a permit is one of each ledger of the address and the key's kind.
"""

from __future__ import annotations

from collections.abc import Sequence

from clerk_limits.clock import Clock
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions, Permit
from clerk_limits.permit import Ending

__all__ = ["AnyBudget"]


class AnyBudget(Gate):
    """A gate of its own whose permits are taken from others too.

    What a 429 closes is closed here alone: it says nothing of the others.

    Args:
        others: the gates of all budgets that may be meant, always in the same order.
    """

    def __init__(self, others: Sequence[Gate], instance: InstanceKind, options: GateOptions, clock: Clock) -> None:
        """Count here what is counted there too."""
        super().__init__(instance, options, clock)
        self._others = others

    async def acquire(
        self, method: str, template: str, *, subject: str | None = None, items: int = 0, spare: int = 0
    ) -> Permit:
        """See `Gate.acquire`; of all gates, or of none."""
        own = await super().acquire(method, template, subject=subject, items=items, spare=spare)
        permits = [own]
        try:
            for other in self._others:
                permits.append(  # noqa: PERF401  those that were granted must be known to be given back
                    await other.acquire(method, template, subject=subject, items=items, spare=spare)
                )
        except BaseException:
            for permit in permits:
                permit.give_back()
            raise

        def end(_: Permit, ending: Ending) -> None:
            for permit in permits:
                permit.end(ending)

        taken = tuple(slot for permit in permits for slot in permit.taken)
        return Permit(own.endpoint, taken, permits[-1].granted_at_s, end)

    def acquire_at_once(
        self, method: str, template: str, *, subject: str | None = None, items: int = 0, spare: int = 0
    ) -> Permit | None:
        """None, whatever is free: one after the other they have to be asked, by `acquire`."""
        del method, template, subject, items, spare
        return None
