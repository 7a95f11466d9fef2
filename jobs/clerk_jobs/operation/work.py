"""A job over an operation as the engine sees it: one call for each row, and what an answer, or none, means."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from clerk_jobs.call import Call, Item, Lane, Outcome, Reply, State, Talk
from clerk_jobs.jobfile.operation_job import OperationJob
from clerk_jobs.operation.drafts import call_of

__all__ = ["OperationWork"]

GONE = frozenset({404, 410})
REVOKES = frozenset({"RevokeInvitation", "RevokeOrganizationInvitation"})
ALREADY_REVOKED = frozenset(
    {"invitation_already_revoked", "revoked_invitation", "organization_invitation_revoked_code"}
)
"""Refusals of a revocation that say that it is done. Source: Clerk's error codes."""


class OperationWork:
    """Everything that a loaded job decides about its calls.

    Args:
        in_flight: most calls at once.
    """

    def __init__(self, job: OperationJob, in_flight: int) -> None:
        """Name the one lane."""
        self._job = job
        facts = job.facts
        self._deletes = facts.method == "DELETE"
        self._revokes = facts.operation_id in REVOKES
        self.lanes = (Lane("call", facts.operation_id, facts.path, 1, facts.method, facts.safety, in_flight),)

    def prepare(self, lane: Lane, items: Sequence[Item]) -> Talk[Call | list[Outcome]]:  # noqa: ARG002  there is one
        """The request of one row."""
        (item,) = items
        yield from ()
        return dataclasses.replace(call_of(self._job, item.payload), items=1)

    def settle(self, lane: Lane, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:  # noqa: ARG002  as above
        """What a whole answer means; what a DELETE does not find is gone, which is what it is for."""
        (item,) = items
        if reply.ok:
            return [Outcome(item.seq, State.DONE, resource_id=_id_of(reply.value))]
        if self._deletes and reply.status in GONE:
            return [Outcome(item.seq, State.DONE, "already_absent", "it was not there any more")]
        if self._revokes and reply.code in ALREADY_REVOKED:
            return [Outcome(item.seq, State.DONE, "already_revoked", "it was revoked already")]
        message = reply.problems[0].message if reply.problems else f"Clerk answered {reply.status}"
        return [Outcome(item.seq, State.FAILED, reply.code, message, trace_id=reply.trace_id)]

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:  # noqa: ARG002  cannot be asked
        """Settle rows whose call got no answer.

        A DELETE or a revocation is sent again: nobody can have written anything newer there. Whether anything else
        happened cannot be asked in general, and sending it again could do it twice, or undo what somebody did since.
        """
        yield from ()
        if self._deletes or self._revokes:
            return [Outcome(item.seq, State.PENDING) for item in items]
        said = "it may have happened: look at it, then decide with resume --on-unresolved retry or skip"
        return [Outcome(item.seq, State.UNRESOLVED, "unresolved", said) for item in items]

    def after_refusal(self, items: Sequence[Item], since_ms: int, reply: Reply) -> Talk[list[Outcome]]:  # noqa: ARG002
        """Never asked for: ``settle`` always knows."""
        return self.reconcile(items, since_ms)


def _id_of(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
