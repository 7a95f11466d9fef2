"""What goes into a run's journal and comes out of it.

Nobody changes any of it. What there is one of for each row or call is not frozen, because a frozen one takes six times
as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass

from clerk_jobs.call import Draft

__all__ = ["Doubt", "Intent", "OpenItem", "SourceRow"]


@dataclass(slots=True)
class SourceRow:
    """A row of the input on its way into the journal: a draft, or why there is none."""

    seq: int
    line: int
    offset: int
    draft: Draft | None
    code: str = ""
    message: str = ""


@dataclass(slots=True)
class OpenItem:
    """An item that is not settled, with what is needed to read its row back."""

    seq: int
    line: int
    offset: int
    digest: bytes
    group: str
    alone: bool
    doubts: int
    since_ms: int | None
    revoke: str | None
    target: str | None = None


@dataclass(slots=True)
class Intent:
    """What is about to be sent, and when: our wall clock, and the same moment on the server's."""

    method: str
    template: str
    seqs: tuple[int, ...]
    intent_ms: int
    server_ms: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """Items of one attempt whose answer was lost.

    Attributes:
        ended_ms: when the attempt ended on our wall clock; None where a crash hid it.
    """

    attempt: int
    intent_ms: int
    server_ms: int
    ended_ms: int | None
    items: tuple[OpenItem, ...]
