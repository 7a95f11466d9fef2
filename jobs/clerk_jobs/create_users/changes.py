"""What a row says otherwise than an existing user: the change of the profile, and of each kind of metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from clerk_jobs.call import Call, Outcome, Reply, Safety, State, Talk
from clerk_jobs.create_users.facts import METADATA, NEVER_COMPARED, TIMES
from clerk_jobs.create_users.moments import milliseconds_of, rfc3339
from clerk_jobs.create_users.people import User
from clerk_jobs.jobfile.create_users_job import CreateUsersJob
from clerk_jobs.metadata.screen import encode_changes, refusal_of
from clerk_jobs.metadata.targets import TARGETS, write_call
from clerk_jobs.metadata.trees import FIELD_BYTES, merged, same, size_of

__all__ = ["PROFILE", "Difference", "difference", "fields_of", "write"]

PROFILE: Final = "profile"
"""What the fields that are no metadata are called in an image, beside the kinds of metadata."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be written to an existing user.

    Attributes:
        profile: for UpdateUser.
        metadata: for UpdateUserMetadata, by kind.
        before: all of it as it is now, `PROFILE` and the kinds of metadata.
        after: the same as it will be.
        too_large: a kind of metadata that would take more than Clerk takes; empty where all fit.
    """

    profile: dict[str, Any]
    metadata: dict[str, Any]
    before: dict[str, Mapping[str, Any]]
    after: dict[str, Mapping[str, Any]]
    too_large: str = ""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to write."""
        return not self.profile and not self.metadata

    def image(self) -> bytes:
        """The places that change, with both values; see ``clerk_jobs.metadata.screen.encode_changes``."""
        return encode_changes(self.before, self.after)


def fields_of(user: User, names: tuple[str, ...]) -> dict[str, Mapping[str, Any]]:
    """The named fields of a user and all metadata, in the form in which they are written."""
    profile = {name: _written(name, user.get(name)) for name in names if user.get(name) is not None}
    return {PROFILE: profile, **{name: user.get(name) or {} for name in METADATA}}


def difference(job: CreateUsersJob, payload: Mapping[str, Any], user: User) -> Difference:
    """Compare a row with a user; passwords cannot be compared, so they are sent where the job says so."""
    names = tuple(name for name in job.updated() if name in payload)
    before = fields_of(user, names)
    hidden = {name: payload[name] for name in names if name in NEVER_COMPARED}
    if "skip_password_checks" in payload and hidden:
        hidden["skip_password_checks"] = payload["skip_password_checks"]
    shown = [name for name in names if name not in NEVER_COMPARED and name in user]
    profile = {name: payload[name] for name in shown if not _equal(name, before[PROFILE].get(name), payload[name])}
    wanted = {name: payload[name] for name in METADATA if name in payload}
    kinds = {name: merged(before[name], each) for name, each in wanted.items()}
    changed = {name: wanted[name] for name, each in kinds.items() if not same(before[name], each)}
    too_large = next((name for name in changed if size_of(kinds[name]) > FIELD_BYTES), "")
    after: dict[str, Mapping[str, Any]] = {PROFILE: {**before[PROFILE], **profile}, **kinds}
    return Difference({**profile, **hidden}, changed, before, after, too_large)


def write(seq: int, user_id: str, profile: Mapping[str, Any], metadata: Mapping[str, Any]) -> Talk[Outcome | None]:
    """Write both, each in its own request; None where Clerk took all, else the refusal."""
    calls = []
    if profile:
        path = f"/users/{quote(user_id, safe='')}"
        calls.append(
            Call(
                "UpdateUser",
                "PATCH",
                "/users/{user_id}",
                path,
                Safety.IDEMPOTENT,
                body=dict(profile),
                subject=user_id,
                items=1,
            )
        )
    if metadata:
        calls.append(write_call(TARGETS["users"], "merge", user_id, metadata, items=0 if profile else 1))
    for call in calls:
        reply: Reply = yield call
        if reply.status == 404:
            return Outcome(seq, State.FAILED, "not_found", "Clerk no longer has this user", resource_id=user_id)
        if not reply.ok:
            return refusal_of(seq, reply)
    return None


def _written(name: str, value: Any) -> Any:
    """A field of a user as a request has it: Clerk sends times as numbers and takes them as texts."""
    return rfc3339(value) if name in TIMES and isinstance(value, int) and value >= 100_000_000_000 else value


def _equal(name: str, has: Any, wanted: Any) -> bool:
    if name in TIMES and isinstance(has, str) and isinstance(wanted, str):
        return milliseconds_of(has) == milliseconds_of(wanted)
    return same(has, wanted)
