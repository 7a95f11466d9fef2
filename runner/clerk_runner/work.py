"""What the engine asks of a kind of job, and of its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from clerk_jobs.call import Call, Draft, Item, Lane, Outcome, Reply, Talk
from clerk_runner.journal import OpenItem

__all__ = ["Drafts", "Payloads", "Work"]


class Drafts(Protocol):
    """What a kind of job makes of a row."""

    def draft(self, values: Mapping[str, Any]) -> Draft:
        """Check a row and name it.

        Raises:
            RowProblem: the row cannot be sent.
        """
        ...

    def payload(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The group and the payload of a row.

        Raises:
            RowProblem: a template does not fit the row's values.
        """
        ...

    def digest(self, group: str, payload: Mapping[str, Any]) -> bytes:
        """The digest of everything that is sent for a row."""
        ...


class Work(Protocol):
    """What the engine needs to know of a kind of job that writes."""

    @property
    def lanes(self) -> Sequence[Lane]:
        """The ways to send."""
        ...

    def prepare(self, lane: Lane, items: Sequence[Item]) -> Talk[Call | list[Outcome]]:
        """Do what has to be done first, then name the one request that carries these items.

        It may be done again before the same request. Outcomes instead of a request settle the items without one.
        """
        ...

    def settle(self, lane: Lane, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:
        """What a definite answer means; None where only reading can tell."""
        ...

    @property
    def asks_about(self) -> int:
        """Most items that one ``reconcile`` asks about, of whatever attempts; 0 where each attempt is asked alone."""
        ...

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:
        """Settle items whose answer was lost.

        Args:
            since_ms: server time of the earliest send of these items; each item has its own, too.
        """
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
