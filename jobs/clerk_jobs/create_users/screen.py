"""Who exists, and what becomes of their rows: before anything is created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clerk_jobs.call import Item, Outcome, State, Talk
from clerk_jobs.create_users.changes import difference
from clerk_jobs.create_users.people import Found, User, find
from clerk_jobs.jobfile.create_users_job import CreateUsersJob
from clerk_jobs.metadata.screen import Image, refusal_of
from clerk_jobs.metadata.trees import FIELD_BYTES, digest_of

__all__ = ["Judgement", "Screening", "conflict", "existing_outcome"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a row.

    Attributes:
        outcome: PENDING with the id of a user who is changed; None where there is nobody yet.
        image: what a change makes of the user, and what was there before.
    """

    outcome: Outcome | None = None
    image: Image | None = None


class Screening:
    """Compares rows with the users that there are."""

    def __init__(self, job: CreateUsersJob) -> None:
        """Keep the job."""
        self._job = job

    def read(self, items: Sequence[Item]) -> Talk[list[Judgement]]:
        """Judge up to 100 rows.

        Raises:
            ReadRefused: an answer that is not a list of users.
        """
        found = yield from find([item.payload for item in items])
        return [self._judged(item, one) for item, one in zip(items, found, strict=True)]

    def _judged(self, item: Item, found: Found) -> Judgement:
        if found.refusal is not None:
            return Judgement(refusal_of(item.seq, found.refusal))
        if not found.users:
            return Judgement()
        problem = conflict(item.seq, item.payload, found)
        if problem is not None:
            return Judgement(problem)
        (user,) = found.users.values()
        if self._job.on_existing != "update":
            return Judgement(existing_outcome(item.seq, user, self._job.on_existing))
        return self._changed(item, user)

    def _changed(self, item: Item, user: User) -> Judgement:
        user_id = str(user["id"])
        differs = difference(self._job, item.payload, user)
        if differs.nothing:
            return Judgement(Outcome(item.seq, State.SKIPPED, "unchanged", "", resource_id=user_id))
        if differs.too_large:
            said = f"{differs.too_large} would take more than {FIELD_BYTES:,} bytes once it is merged"
            return Judgement(Outcome(item.seq, State.FAILED, "metadata_too_large", said))
        image = Image(user_id, digest_of(differs.before), differs.image())
        return Judgement(Outcome(item.seq, State.PENDING, resource_id=user_id), image)


def conflict(seq: int, payload: Mapping[str, Any], found: Found) -> Outcome | None:
    """The failure of a row whose identifiers do not mean one user; None where they do."""
    if len(found.users) > 1:
        said = f"its identifiers belong to {len(found.users)} users: {', '.join(sorted(found.users)[:3])}"
        return Outcome(seq, State.FAILED, "ambiguous_user", said)
    (user,) = found.users.values()
    theirs, ours = user.get("external_id"), payload.get("external_id")
    if theirs and ours and theirs != ours:
        said = f"user {user['id']} has this address or number, but another external_id"
        return Outcome(seq, State.FAILED, "other_external_id", said)
    return None


def existing_outcome(seq: int, user: User, on_existing: str) -> Outcome:
    """What becomes of a row whose user exists and is not changed."""
    user_id = str(user["id"])
    if on_existing == "skip":
        return Outcome(seq, State.SKIPPED, "already_exists", "this user already exists", resource_id=user_id)
    if on_existing == "update":
        said = "this user was created in the meantime: clerk-batch retry RUN updates it"
        return Outcome(seq, State.FAILED, "exists_meanwhile", said)
    return Outcome(seq, State.FAILED, "already_exists", "this user already exists, and on_existing is fail")
