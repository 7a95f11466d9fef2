"""A job over an operation as the engine sees it: a call for each row, or for fifty, and what an answer means."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from clerk_jobs.call import Call, Item, Lane, Outcome, Reply, Safety, State, Talk
from clerk_jobs.catalog import load
from clerk_jobs.jobfile.operation_job import OperationJob
from clerk_jobs.operation.bulk import bulk_of
from clerk_jobs.operation.drafts import call_of
from clerk_jobs.operation.effects import settled_by
from clerk_jobs.operation.reading import ObjectReader
from clerk_jobs.operation.slugs import ASK, made_by_slug, slug_of
from clerk_jobs.operation.waitlist import on_waitlist
from clerk_jobs.reading import READ_BATCH

__all__ = ["OperationWork"]

GONE = frozenset({404, 410})
REVOKES = frozenset({"RevokeInvitation", "RevokeOrganizationInvitation"})
ALREADY_REVOKED = frozenset(
    {"invitation_already_revoked", "revoked_invitation", "organization_invitation_revoked_code"}
)
"""Refusals of a revocation that say that it is done. Source: Clerk's error codes."""
BULK_AT_ONCE = 8
"""Bulk calls in flight: four hundred rows, which is as many as a crash can leave to be looked up."""


class OperationWork:
    """Everything that a loaded job decides about its calls.

    Args:
        in_flight: most calls at once.

    Attributes:
        bulk: the form by which one call carries fifty rows; None where there is none, or where the job wants none.
        reader: reads back what calls are about.
    """

    asks_about = READ_BATCH

    def __init__(self, job: OperationJob, in_flight: int) -> None:
        """Name the one lane."""
        self._job = job
        facts, catalog = job.facts, load(job.api_version)
        self._deletes = facts.method == "DELETE"
        self._revokes = facts.operation_id in REVOKES
        self._has_slug = facts.operation_id == "CreateOrganization"
        self.bulk = bulk_of(facts, catalog) if job.lanes == "bulk" else None
        self.reader = ObjectReader(catalog, facts.path)
        sends, size, at_once = facts, 1, in_flight
        if self.bulk is not None:
            sends, size, at_once = self.bulk.operation, self.bulk.size, min(in_flight, BULK_AT_ONCE)
        self.lanes = (Lane("call", sends.operation_id, sends.path, size, sends.method, facts.safety, at_once),)

    def prepare(self, lane: Lane, items: Sequence[Item]) -> Talk[Call | list[Outcome]]:  # noqa: ARG002  there is one
        """The request of one row, or of as many as the bulk form takes."""
        yield from ()
        if self._goes_in_bulk(items):
            assert self.bulk is not None
            return self.bulk.call(items)
        (item,) = items
        return dataclasses.replace(call_of(self._job, item.payload), items=1)

    def settle(self, lane: Lane, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:  # noqa: ARG002  as above
        """What a whole answer means; what a DELETE does not find is gone, which is what it is for."""
        if self._goes_in_bulk(items) and (reply.ok or len(items) > 1):
            assert self.bulk is not None
            return self.bulk.settle(items, reply)
        (item,) = items
        if reply.ok:
            return [Outcome(item.seq, State.DONE, resource_id=_id_of(reply.value))]
        if self._deletes and reply.status in GONE:
            return [Outcome(item.seq, State.DONE, "already_absent", "it was already gone")]
        if self._revokes and reply.code in ALREADY_REVOKED:
            return [Outcome(item.seq, State.DONE, "already_revoked", "it was already revoked")]
        if self._has_slug and item.since_ms is not None and slug_of(item):
            # The slug may be taken by our own lost call.
            return None
        return [_refused(item, reply)]

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:
        """Settle rows whose call got no answer.

        A DELETE or a revocation is sent again: nobody can have written anything newer there. Of what else can be
        repeated the object is read and compared. An organization is found by its slug. Whether anything else happened
        cannot be asked in general, and sending it again could do it twice.
        """
        facts = self._job.facts
        if self._deletes or self._revokes:
            return [Outcome(item.seq, State.PENDING) for item in items]
        if self._has_slug:
            return (yield from made_by_slug(items, since_ms))
        if facts.operation_id == "CreateWaitlistEntry":
            return (yield from on_waitlist(items))
        if facts.safety is Safety.IDEMPOTENT and self.reader.can_read:
            found = yield from self.reader.read([item.payload["path"] for item in items])
            return [
                settled_by(item.seq, facts, item.payload["body"], seen, item.since_ms or since_ms)
                for item, seen in zip(items, found, strict=True)
            ]
        return [Outcome(item.seq, State.UNRESOLVED, "unresolved", ASK) for item in items]

    def after_refusal(self, items: Sequence[Item], since_ms: int, reply: Reply) -> Talk[list[Outcome]]:
        """Settle what was refused after an answer was lost: where it is not our own, the refusal holds."""
        outcomes = yield from self.reconcile(items, since_ms)
        return [
            _refused(item, reply) if one.state is State.PENDING else one
            for item, one in zip(items, outcomes, strict=True)
        ]

    def _goes_in_bulk(self, items: Sequence[Item]) -> bool:
        return self.bulk is not None and (len(items) > 1 or self.bulk.takes_one)


def _refused(item: Item, reply: Reply) -> Outcome:
    message = reply.problems[0].message if reply.problems else f"Clerk answered {reply.status}"
    return Outcome(item.seq, State.FAILED, reply.code, message, trace_id=reply.trace_id)


def _id_of(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
