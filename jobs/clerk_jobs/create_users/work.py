"""A job that creates users, as the engine sees it: one call for each row, and what an answer, or none, means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clerk_jobs.absence import LOOKS
from clerk_jobs.call import Call, Item, Lane, Outcome, ReadRefused, Reply, Safety, State, Talk
from clerk_jobs.create_users.changes import difference, write
from clerk_jobs.create_users.drafts import CreateDrafting, keys_of
from clerk_jobs.create_users.people import Found, find, is_same_person, users_by
from clerk_jobs.create_users.screen import Screening, conflict, existing_outcome
from clerk_jobs.jobfile.create_users_job import CreateUsersJob
from clerk_jobs.metadata.screen import refusal_of
from clerk_jobs.reading import READ_BATCH

__all__ = ["CreateWork"]

EXISTS: Final = "form_identifier_exists"
"""Clerk's code for an identifier that somebody has. Source: Clerk's error codes."""
UNKNOWN: Final = (
    "the row has nothing by which Clerk could find it: look for it yourself, then decide with --on-unresolved"
)


class CreateWork:
    """Everything that a loaded job decides about its calls.

    Args:
        in_flight: most calls at once.
    """

    asks_about = READ_BATCH

    def __init__(self, job: CreateUsersJob, drafting: CreateDrafting, in_flight: int) -> None:
        """Name the one lane."""
        self._job = job
        self._drafting = drafting
        self.screening = Screening(job)
        self.lanes = (Lane("create", "CreateUser", "/users", 1, "POST", Safety.ONCE, in_flight),)

    def prepare(self, lane: Lane, items: Sequence[Item]) -> Talk[Call | list[Outcome]]:  # noqa: ARG002  there is one
        """The call that creates a row's user; one who exists is changed right here, because that may be repeated."""
        (item,) = items
        if item.target is None:
            return dataclasses.replace(self._drafting.call(item.payload, check=False), items=1)
        try:
            outcome = yield from self._change(item, item.target)
        except ReadRefused as refused:
            outcome = refusal_of(item.seq, refused.reply)
        return [outcome]

    def settle(self, lane: Lane, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:  # noqa: ARG002  as above
        """What a whole answer means; None for one that does not say whose the identifiers are, or the new id."""
        (item,) = items
        if reply.ok:
            user_id = reply.value.get("id") if isinstance(reply.value, dict) else None
            return [Outcome(item.seq, State.DONE, resource_id=user_id)] if isinstance(user_id, str) else None
        if any(problem.code == EXISTS for problem in reply.problems):
            return None
        return [refusal_of(item.seq, reply)]

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:  # noqa: ARG002  times tell nothing
        """Settle rows whose answers were lost, once their quarantine is over: who is absent twice is sent again."""
        outcomes = {
            item.seq: Outcome(item.seq, State.PENDING)
            if keys_of(item.payload)
            else Outcome(item.seq, State.UNRESOLVED, "unresolved", UNKNOWN)
            for item in items
        }
        for _ in range(LOOKS):
            absent = [item for item in items if outcomes[item.seq].state is State.PENDING]
            found = yield from find([item.payload for item in absent])
            for item, one in zip(absent, found, strict=True):
                outcomes[item.seq] = self._doubtful(item, one) or outcomes[item.seq]
        return list(outcomes.values())

    def after_refusal(self, items: Sequence[Item], since_ms: int, reply: Reply) -> Talk[list[Outcome]]:  # noqa: ARG002
        """Settle a row of which Clerk says that its identifiers are taken, or that it is made, and not its id."""
        (item,) = items
        (found,) = yield from find([item.payload], everything=True)
        if reply.ok:
            settled = self._made(item, found)
            return [settled or Outcome(item.seq, State.DOUBT)]
        if item.since_ms is not None and (ours := self._made(item, found)) is not None:
            return [ours]
        if found.refusal is not None or not found.users:
            # Taken by somebody whom the list does not show yet; where it may be our own lost call, nobody knows.
            return [Outcome(item.seq, State.DOUBT) if item.since_ms is not None else refusal_of(item.seq, reply)]
        return [self._existing(item.seq, item.payload, found)]

    def _change(self, item: Item, user_id: str) -> Talk[Outcome]:
        """Read a user again, and write what differs."""
        found = (yield from users_by("user_id", [user_id]))[user_id]
        if isinstance(found, Reply):
            return refusal_of(item.seq, found)
        if not found:
            return Outcome(item.seq, State.FAILED, "not_found", "Clerk no longer has this user", resource_id=user_id)
        differs = difference(self._job, item.payload, found[0])
        failed = yield from write(item.seq, user_id, differs.profile, differs.metadata)
        return failed or Outcome(item.seq, State.DONE, "updated", "an existing user was updated", resource_id=user_id)

    def _doubtful(self, item: Item, found: Found) -> Outcome | None:
        """What reading says of a lost call; None where it finds nobody."""
        if found.refusal is not None:
            why = ReadRefused(found.refusal, "the user of a lost call")
            said = f"it may have happened, and {why}: look at Clerk's own list before you send it again"
            return Outcome(item.seq, State.UNRESOLVED, "unresolved", said)
        if not found.users:
            return None
        return self._made(item, found) or self._existing(item.seq, item.payload, found)

    def _made(self, item: Item, found: Found) -> Outcome | None:
        """The one user who is what the row would have created."""
        ours = [user for user in found.users.values() if is_same_person(item.payload, user)]
        if len(ours) != 1:
            return None
        said = "the answer was lost, but Clerk had created the user"
        return Outcome(item.seq, State.DONE, "reconciled", said, resource_id=str(ours[0]["id"]))

    def _existing(self, seq: int, payload: Mapping[str, Any], found: Found) -> Outcome:
        problem = conflict(seq, payload, found)
        if problem is not None:
            return problem
        (user,) = found.users.values()
        return existing_outcome(seq, user, self._job.on_existing)
