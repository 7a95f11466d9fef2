"""Taking back a run that created users: those that it created are deleted, what it changed is put back.

A row is ``{"id": …, "does": "delete"}`` or ``{"id": …, "does": "restore", "changes": […]}``; see
`clerk_jobs.create_users.changes.Difference.image`. Whoever has signed in since uses the account by now: deleting it
is a conflict, as overwriting is where somebody else changed a value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clerk_jobs.call import Call, Item, Lane, Outcome, ReadRefused, Reply, Safety, State, Talk
from clerk_jobs.catalog import load
from clerk_jobs.catalog.prepare import Inputs, prepare
from clerk_jobs.create_users.changes import PROFILE, fields_of, write
from clerk_jobs.create_users.people import User, users_by
from clerk_jobs.jobfile.create_users_job import UndoCreatesJob
from clerk_jobs.metadata.screen import Verdict, decode_changes, refusal_of
from clerk_jobs.metadata.undo import Judged, judge
from clerk_jobs.reading import READ_BATCH
from clerk_jobs.undone import UndoneRows

__all__ = ["DELETE", "RESTORE", "UndoCreatesDrafting", "UndoCreatesWork"]

DELETE: Final = "delete"
RESTORE: Final = "restore"
GONE: Final = frozenset({404, 410})


class UndoCreatesDrafting(UndoneRows):
    """Reads rows that `clerk_runner.undoing` wrote; the group is what is done."""

    subject = "id"

    def _read(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        user_id, does, changes = values.get("id"), values.get("does"), values.get("changes", [])
        if not isinstance(user_id, str) or does not in (DELETE, RESTORE) or not isinstance(changes, list):
            return None
        return str(does), {"id": user_id, "changes": changes}


class UndoCreatesWork:
    """An undo as the engine sees it, and the reads before it.

    Args:
        in_flight: most calls at once.
    """

    asks_about = READ_BATCH

    def __init__(self, job: UndoCreatesJob, in_flight: int) -> None:
        """Name the one lane; values are put back without a lane of their own."""
        self._force = job.force
        self._delete = load(job.api_version).operation("DeleteUser")
        facts = self._delete
        self.lanes = (Lane("delete", facts.operation_id, facts.path, 1, "DELETE", Safety.IDEMPOTENT, in_flight),)

    def read(self, units: Sequence[Sequence[Item]]) -> Talk[list[Verdict]]:
        """Judge up to 100 users."""
        known = yield from users_by("user_id", [unit[0].payload["id"] for unit in units])
        return [Verdict((self._verdict(unit[0], known[unit[0].payload["id"]]),)) for unit in units]

    joined = read

    def unchanged(self, units: Sequence[Sequence[Item]]) -> list[Outcome]:  # noqa: ARG002  nothing was listed
        """Nothing is known before it is read."""
        return []

    def prepare(self, lane: Lane, items: Sequence[Item]) -> Talk[Call | list[Outcome]]:  # noqa: ARG002  there is one
        """Read the user again, right before they are deleted; values are put back right here."""
        (item,) = items
        user_id = item.payload["id"]
        try:
            known = (yield from users_by("user_id", [user_id]))[user_id]
            verdict = self._verdict(item, known)
            if verdict.state is not State.PENDING:
                return [verdict]
            if item.group == DELETE:
                return dataclasses.replace(prepare(self._delete, Inputs(path={"user_id": user_id})), items=1)
            assert not isinstance(known, Reply)
            return [(yield from self._restore(item, known[0]))]
        except ReadRefused as refused:
            return [refusal_of(item.seq, refused.reply)]

    def settle(self, lane: Lane, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:  # noqa: ARG002  as above
        """What a whole answer means; whoever is not there any more is deleted."""
        (item,) = items
        if reply.ok:
            return [Outcome(item.seq, State.DONE, resource_id=item.payload["id"])]
        if reply.status in GONE:
            return [_absent(item)]
        return [refusal_of(item.seq, reply)]

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:  # noqa: ARG002  nothing to ask
        """Delete once more: before that the user is read again anyway."""
        yield from ()
        return [Outcome(item.seq, State.PENDING) for item in items]

    def after_refusal(self, items: Sequence[Item], since_ms: int, reply: Reply) -> Talk[list[Outcome]]:  # noqa: ARG002
        """Never asked for: ``settle`` always knows."""
        return self.reconcile(items, since_ms)

    def _verdict(self, item: Item, known: list[User] | Reply) -> Outcome:
        """What becomes of a row by what Clerk has now; PENDING is done."""
        if isinstance(known, Reply):
            return refusal_of(item.seq, known)
        if not known:
            if item.group == DELETE:
                return _absent(item)
            return Outcome(item.seq, State.FAILED, "not_found", "Clerk no longer has this user")
        (user, *_) = known
        pending = Outcome(item.seq, State.PENDING, resource_id=item.payload["id"])
        if item.group == RESTORE:
            judged = self._judge(item, user)
            return pending if judged.patch else judged.outcome(item.seq, State.SKIPPED, item.payload["id"])
        if user.get("last_sign_in_at") is not None and not self._force:
            said = "this user has signed in since, and is left alone; --force deletes it too"
            return Outcome(item.seq, State.FAILED, "conflict", said, resource_id=item.payload["id"])
        return pending

    def _restore(self, item: Item, user: User) -> Talk[Outcome]:
        patch = dict(self._judge(item, user).patch)
        failed = yield from write(item.seq, item.payload["id"], patch.pop(PROFILE, {}), patch)
        if failed is not None:
            return failed
        known = (yield from users_by("user_id", [item.payload["id"]]))[item.payload["id"]]
        if isinstance(known, Reply) or not known:
            return Outcome(item.seq, State.DONE, resource_id=item.payload["id"])
        left = self._judge(item, known[0])
        if left.patch:
            said = "Clerk accepted the old values but shows others: look at this user, and correct it by hand"
            return Outcome(item.seq, State.FAILED, "not_restorable", said, resource_id=item.payload["id"])
        return left.outcome(item.seq, State.DONE, item.payload["id"])

    def _judge(self, item: Item, user: User) -> Judged:
        changes = decode_changes(item.payload["changes"])
        names = tuple(change.path[0] for kind, change in changes if kind == PROFILE)
        return judge(fields_of(user, names), changes, force=self._force)


def _absent(item: Item) -> Outcome:
    return Outcome(item.seq, State.DONE, "already_absent", "the user was already gone", resource_id=item.payload["id"])
