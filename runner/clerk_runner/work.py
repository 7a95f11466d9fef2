"""What the engine asks of a kind of job, and of its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from clerk_jobs.call import Call, Item, Outcome, Reply, Talk
from clerk_jobs.invite import Lane
from clerk_runner.journal import OpenItem

__all__ = ["Payloads", "Work"]


class Work(Protocol):
    """What the engine needs to know of a kind of job whose calls have an effect each time."""

    @property
    def lanes(self) -> Sequence[Lane]:
        """The ways to send, each one request at a time."""
        ...

    def call(self, lane: Lane, items: Sequence[Item]) -> Call:
        """The one request that carries these items."""
        ...

    def revoke(self, item: Item) -> Call:
        """The request that clears the way for an item with ``revoke`` set."""
        ...

    def settle(self, lane: Lane, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:
        """What a definite answer means; None where only reading can tell."""
        ...

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:
        """Settle items whose answer was lost."""
        ...

    def after_refusal(self, items: Sequence[Item], since_ms: int, reply: Reply) -> Talk[list[Outcome]]:
        """Settle items of a refused call, where ``settle`` could not tell.

        Args:
            since_ms: server time of the earliest send of these items whose effect is not known.
        """
        ...


class Payloads(Protocol):
    """Reads payloads back from the source."""

    def items(self, opened: Sequence[OpenItem]) -> list[Item]:
        """The items with their payloads.

        Raises:
            StoppedError: the source changed under the run.
        """
        ...
