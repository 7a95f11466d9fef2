"""The kinds of job about users: creating them, and taking that back; see `clerk_runner.kind`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from clerk_jobs.call import State
from clerk_jobs.catalog.consequences import destroyed_by
from clerk_jobs.create_users.drafts import CreateDrafting
from clerk_jobs.create_users.undo import DELETE, UndoCreatesDrafting, UndoCreatesWork
from clerk_jobs.create_users.work import CreateWork
from clerk_jobs.jobfile import CreateUsersJob, UndoCreatesJob
from clerk_jobs.rows import open_rows
from clerk_runner.folders import RunFolder
from clerk_runner.journal import Journal
from clerk_runner.kind import SCREENERS, Beside, ComparingKind, Kind, Screens, Surroundings
from clerk_runner.mapping import MappingKeeper, owners_of, require_mapping
from clerk_runner.request import RunRequest
from clerk_runner.spans import Span
from clerk_runner.user_screener import UserScreener
from clerk_runner.view import Words

__all__ = ["CreateUsersKind", "UndoCreatesKind"]

CREATING = Words(
    question="Create these users?",
    doing="creating",
    done="created",
    pending="to create",
    checking="looking up existing users",
    offline="Clerk was not asked for existing users: fewer may be created",
    doubtful="doubtful user",
)
EXISTING = {
    "skip": "existing users (by external_id or e-mail) are skipped",
    "update": "existing users (by external_id or e-mail) are updated where the row differs",
    "fail": "existing users (by external_id or e-mail) fail",
}


class CreateUsersKind(Kind):
    """``kind: create-users``."""

    words = CREATING

    def __init__(self, job: CreateUsersJob, in_flight: int) -> None:
        """Render rows and make calls for this job."""
        self._job = job
        drafting = CreateDrafting(job)
        self._work = CreateWork(job, drafting, in_flight)
        self._drafting = drafting
        self.drafting, self.work = drafting, self._work

    def screener(self, around: Surroundings) -> Screens:
        """Who exists already."""
        return UserScreener(
            journal=around.journal,
            exchange=around.exchange,
            screening=self._work.screening,
            payloads=around.payloads,
            workers=SCREENERS[around.instance.value],
        )

    def require_outputs(self, request: RunRequest, instance: str | None) -> None:
        """See `Kind.require_outputs`: the mapping."""
        if (path := self._mapping) is not None:
            require_mapping(path, request.state, request.job.name, instance, force=request.force)

    def beside(self, request: RunRequest, folder: RunFolder, journal: Journal) -> Beside | None:
        """Keep the mapping, from an input of its own: another thread reads the run's."""
        if (path := self._mapping) is None:
            return None
        outside = request.allow_outside
        rows = open_rows(self._job.source, self._job.folder, stdin_copy=folder.input_copy, allow_outside=outside)
        ours = not path.exists() or folder.facts().instance in owners_of(path, request.state, request.job.name)
        return MappingKeeper(path, journal, self._drafting, rows, fresh=not ours)

    @property
    def _mapping(self) -> Path | None:
        mapping = self._job.mapping
        return None if mapping is None else (self._job.folder / mapping.file).absolute()

    def notes(self, screens: Screens | None) -> tuple[str, ...]:
        """Who is left alone, what is not changed, how addresses arrive, and what an undo does."""
        job, fields = self._job, self._job.fields()
        lines = [EXISTING[job.on_existing]]
        if isinstance(screens, UserScreener) and screens.changed:
            lines.append(f"{screens.changed:,} exist and are updated, by at most two calls each")
        if job.on_existing == "update":
            lines += self._spared()
        for name, states in STATES.items():
            if name in fields and states not in fields:
                lines.append(f"each {name} arrives verified: the job gives no {states}")
        if self._mapping is not None:
            lines.append(f"old and new ids go to {self._mapping}")
        if not {"external_id", "email_address"} & fields.keys():
            lines.append("without external_id and email_address users are found by phone_number, username or wallet")
        lines.append(
            "undo: clerk-batch undo RUN deletes the users that it creates, except those who have signed in since"
        )
        return tuple(lines)

    def _spared(self) -> list[str]:
        spared = [name for name in self._job.fields() if name not in (*self._job.updated(), *KEPT)]
        return [f"of existing users these are not changed: {', '.join(spared)}"] if spared else []

    def consequence(self, pending: int) -> str:
        """What happens to the pending rows."""
        noun = "user" if pending == 1 else "users"
        changed = " or updated" if self._job.on_existing == "update" else ""
        return f"{pending:,} {noun} will be created{changed}"


class UndoCreatesKind(ComparingKind):
    """``kind: undo-create-users``."""

    deletes = True
    scopes = ("write", "delete")
    keeps = False

    def __init__(self, job: UndoCreatesJob, in_flight: int) -> None:
        """Read what the run that is taken back did."""
        self._force = job.force
        work = UndoCreatesWork(job, in_flight)
        self.drafting, self.work, self.screening = UndoCreatesDrafting(), work, work
        self.words = UNDOING_CREATES

    async def deleted(self, journal: Journal) -> int:
        """The users that the run created; what is put back is not deleted."""
        return await journal.read(lambda db: _deleted(db, journal.span))

    def notes(self, screens: Screens | None) -> tuple[str, ...]:  # noqa: ARG002  says the same whatever was read
        """What is destroyed, and who is left alone."""
        since = "deleted too (--force)" if self._force else "left alone, and listed as conflicts"
        lines = [f"destroys: {one}" for one in destroyed_by("DeleteUser")]
        return (
            *lines,
            "only users that the run created are deleted; who existed before stays",
            f"users who have signed in since are {since}",
            "values that the run changed are put back where nobody changed them since; passwords are not",
            "it cannot be taken back; a mapping file stays as it is",
        )

    def consequence(self, pending: int) -> str:
        """What happens to the pending rows."""
        noun = "user" if pending == 1 else "users"
        return f"{pending:,} {noun} will be deleted or put back; this is irreversible"


def _deleted(db: sqlite3.Connection, span: Span) -> int:
    states = (State.PENDING, State.INTENT, State.DOUBT, State.DONE)
    query = (
        "SELECT count(*) FROM item JOIN grp ON grp.id = item.grp WHERE grp.name = ? AND item.state IN (?, ?, ?, ?) "
        "AND item.seq BETWEEN ? AND ?"
    )
    return int(db.execute(query, (DELETE, *states, span.first, span.last)).fetchone()[0])


UNDOING_CREATES = Words(
    question="Delete these users?",
    doing="deleting",
    done="deleted or put back",
    pending="to delete or put back",
    checking="checking them once more",
    offline="Clerk was not asked who has signed in since: those will be left alone",
    doubtful="doubtful deletion",
)
STATES = {
    "email_address": "email_address_identification_status",
    "phone_number": "phone_number_identification_status",
}
KEPT = (
    "public_metadata",
    "private_metadata",
    "unsafe_metadata",
    "skip_password_checks",
    "skip_password_requirement",
    "skip_legal_checks",
    "skip_user_requirement",
    "email_address_identification_status",
    "phone_number_identification_status",
)
"""What is either changed by another operation than the profile, or says nothing of the user."""
