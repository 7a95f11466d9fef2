"""The words that the rooms share: an item of work, a call to Clerk, Clerk's reply, and what became of the item.

The flow of one row (ARCHITECTURE.md has the picture)::

    row -> Draft -> Item -> Call -> Reply -> Outcome

What there are several of for each call is a named tuple: a frozen dataclass takes five times as long to make.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, NamedTuple, TypeAlias, TypeVar

from clerk_jobs.errors import ClerkBatchError

__all__ = [
    "Call",
    "Draft",
    "Item",
    "Lane",
    "Outcome",
    "Problem",
    "ReadRefused",
    "Reader",
    "Reply",
    "Safety",
    "State",
    "Talk",
]

T = TypeVar("T")
Reader: TypeAlias = Callable[[bytes | memoryview], Any]
"""Makes a body a value and keeps nothing of it; a ValueError says that it is not whole."""


class Safety(Enum):
    """What may be done with a call whose answer was lost."""

    READ = "read"
    """Changes nothing: repeated freely."""
    IDEMPOTENT = "idempotent"
    """Twice is the same as once: repeated for a minute, after that only once the current value has been read."""
    ONCE = "once"
    """Twice is a second effect: never repeated unless it is known not to have happened."""


class State(IntEnum):
    """Where an item stands; the numbers are stored in journals and never change their meaning."""

    PENDING = 0
    INTENT = 1
    DOUBT = 2
    DONE = 3
    SKIPPED = 4
    FAILED = 5
    UNRESOLVED = 6


class Draft(NamedTuple):
    """A valid row before the journal knows it.

    Attributes:
        key: digest of what makes two rows the same person or thing; equal keys have one effect.
        digest: digest of everything that will be sent; a changed row has another.
        group: what a bulk call may not mix (the organization's id, "" for the instance).
        name: digest by which rows of later steps refer to this one; None where none can.
    """

    key: bytes
    digest: bytes
    group: str = ""
    name: bytes | None = None


class Item(NamedTuple):
    """One row's work, as the journal holds it, with the payload read back from the source.

    Attributes:
        seq: place in the input, from 1; names the item for as long as its run exists.
        payload: the request's body, or one element of a bulk body.
        group: see ``Draft.group``.
        revoke: id of an invitation that has to be revoked before this one is sent.
        since_ms: server time of the first send that is in doubt (unix milliseconds), if there was one.
        target: id of what the item is about, where a read had to find it.
        before: digest of what the item touches, as it was before the first send; None where nobody noted it.
    """

    seq: int
    payload: Mapping[str, Any]
    group: str = ""
    revoke: str | None = None
    since_ms: int | None = None
    target: str | None = None
    before: bytes | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """One way to send.

    Attributes:
        operation: Clerk's operationId.
        template: the path as Clerk documents it; limits are counted by it.
        size: most items in one call.
        safety: what may be done with a call whose answer was lost.
        at_once: most calls in flight; one where a crash may leave no more than one in doubt.
    """

    name: str
    operation: str
    template: str
    size: int
    method: str = "POST"
    safety: Safety = Safety.ONCE
    at_once: int = 1


@dataclass(slots=True)
class Call:
    """One request to Clerk's Backend API.

    Nobody changes one, nor a `Reply`; they are not frozen because a frozen one takes six times as long to make.

    Attributes:
        operation: Clerk's operationId.
        method: in capitals.
        template: the path as Clerk documents it, ``/users/{user_id}``; limits are counted by it.
        path: the template filled in, without host and without ``/v1``.
        query: pairs in order; a repeated name is an array.
        body: a JSON value, or None for no body.
        subject: whose own limit counts this call (a user's, an organization's or a membership's id).
        items: how many items' effects this call carries, 0 for reads.
        reads: reads the body of a success; None for plain JSON.
    """

    operation: str
    method: str
    template: str
    path: str
    safety: Safety
    query: tuple[tuple[str, str], ...] = ()
    body: Any = field(default=None, repr=False)
    subject: str | None = None
    items: int = 0
    reads: Reader | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """One of the errors in a refusal of Clerk's."""

    code: str
    message: str
    meta: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class Reply:
    """A whole answer of Clerk's: the status, the parsed body, and the errors it names.

    Attributes:
        value: the parsed JSON body; None where a success had no readable body.
        problems: the errors of a refusal, never empty for a status of 400 and above.
        trace_id: Clerk's name for this request, for its support.
    """

    status: int
    value: Any = field(default=None, repr=False)
    problems: tuple[Problem, ...] = ()
    trace_id: str | None = None

    @property
    def ok(self) -> bool:
        """Whether Clerk did what was asked."""
        return 200 <= self.status < 300

    def rows(self, what: str) -> list[Any]:
        """The rows of a list answer, a bare array or ``{data, total_count}``.

        Raises:
            ReadRefused: the answer is a refusal, or no list.
        """
        value = self.value.get("data") if isinstance(self.value, dict) else self.value
        if not self.ok or not isinstance(value, list):
            raise ReadRefused(self, what)
        return value

    @property
    def code(self) -> str:
        """The first error's code, or the bare status."""
        return self.problems[0].code if self.problems else f"http_{self.status}"


class Outcome(NamedTuple):
    """What became of an item.

    Attributes:
        state: PENDING puts the item back to be sent again.
        code: Clerk's error code or our own word for the reason; empty for a plain success.
        message: one line for a person, without personal data.
        resource_id: id of what was created or found.
        alone: the item may not travel in a bulk call any more.
        revoke: see ``Item.revoke``.
    """

    seq: int
    state: State
    code: str = ""
    message: str = ""
    resource_id: str | None = None
    trace_id: str | None = None
    alone: bool = False
    revoke: str | None = None


class ReadRefused(ClerkBatchError):  # noqa: N818  it ends as items in doubt or unresolved, and is named so
    """A read whose answer cannot be believed: refused by Clerk, or not of the documented shape.

    Silence would be worse: an empty list that is not a list would pass for "nobody is invited".
    """

    def __init__(self, reply: Reply, what: str) -> None:
        """Keep the reply; ``what`` names the read, without personal data."""
        reason = "an unexpected shape" if reply.ok else f"{reply.status} {reply.code}"
        super().__init__(f"reading {what} failed: {reason}")
        self.reply = reply


Talk: TypeAlias = Generator[Call, Reply, T]
"""A conversation without I/O: yields calls, is sent replies, returns what it found out."""
