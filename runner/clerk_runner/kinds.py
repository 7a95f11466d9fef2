"""The kinds of job, each made for one loaded job; those about users stand in `clerk_runner.creating`.

What differs between kinds stands here and in `clerk_jobs`; see `clerk_runner.kind`.
"""

from __future__ import annotations

from math import ceil

from clerk_jobs.call import Safety
from clerk_jobs.catalog.consequences import consequences_of, destroyed_by
from clerk_jobs.catalog.metadata import explain_kinds
from clerk_jobs.invite import Drafting, InviteWork
from clerk_jobs.jobfile import CreateUsersJob, InviteJob, Job, MetadataJob, OperationJob, UndoCreatesJob, UndoJob
from clerk_jobs.jobfile.metadata_job import FIELDS
from clerk_jobs.metadata.drafts import MetadataDrafting
from clerk_jobs.metadata.targets import TARGETS
from clerk_jobs.metadata.undo import UndoDrafting, UndoWork
from clerk_jobs.metadata.work import MetadataWork
from clerk_jobs.operation.drafts import OperationDrafting
from clerk_jobs.operation.work import OperationWork
from clerk_jobs.rows import RowSource
from clerk_limits.documented import InstanceKind, LimitKind, LimitScope, limits_for
from clerk_limits.gate import GateOptions
from clerk_runner.comparing import Comparer
from clerk_runner.creating import CreateUsersKind, UndoCreatesKind
from clerk_runner.errors import UsageError
from clerk_runner.journal import Journal
from clerk_runner.kind import SCREENERS, ComparingKind, Kind, Screens, Surroundings
from clerk_runner.protecting import Protector
from clerk_runner.screening import Screener
from clerk_runner.view import Words

__all__ = ["kind_of"]

SLOW_ANSWER_S = 1.0
"""Answers slower than this do not use the whole share: more calls in flight would only leave more in doubt."""
FEWEST = 4


class InviteKind(Kind):
    """``kind: invite``."""

    def __init__(self, job: InviteJob) -> None:
        """Render rows and choose lanes for this job."""
        self._drafting = Drafting(job)
        self._work = InviteWork(job)
        self.drafting, self.work = self._drafting, self._work

    def screener(self, around: Surroundings) -> Screens:
        """Who is invited, a user or a member already."""
        return Screener(
            journal=around.journal,
            exchange=around.exchange,
            screening=self._work.screening,
            drafting=self._drafting,
            payloads=around.payloads,
            log=around.log,
            workers=SCREENERS[around.instance.value],
        )

    def notes(self, screens: Screens | None) -> tuple[str, ...]:  # noqa: ARG002  says the same whatever was read
        """What can be taken back of it."""
        return ("undo: e-mails cannot be recalled; clerk-batch undo RUN revokes invitations that are still pending",)


class MetadataKind(ComparingKind):
    """``kind: metadata``."""

    def __init__(self, job: MetadataJob, in_flight: int) -> None:
        """Render rows and choose the operation for this job."""
        self._job = job
        self._target = TARGETS[job.target]
        work = MetadataWork(job, in_flight)
        self.drafting, self.work, self.screening = MetadataDrafting(job), work, work.screening
        self.joins = job.match is not None
        self.keeps = job.undo
        self.words = WRITING

    def notes(self, screens: Screens | None) -> tuple[str, ...]:
        """The kinds of metadata, what becomes of keys that are not named, and whether it can be taken back."""
        chosen = [name for name in FIELDS if getattr(self._job, name) is not None]
        if self._job.mode == "merge":
            how = "merge: keys that are not named stay, null removes a key"
        elif self._target.replace is None:
            how = "replace: Clerk has no such operation here, so each write reads first and merges the other keys away"
        else:
            how = "replace: each kind that is given is replaced as a whole"
        undo = (
            "undo: clerk-batch undo RUN puts the old values back where nobody changed them since, except stored nulls"
        )
        lines = [*explain_kinds(chosen), how, undo if self._job.undo else "undo: false, so it cannot be taken back"]
        if isinstance(screens, Comparer) and screens.large:
            lines.append(f"{screens.large:,} will hold more than 8 KB in all kinds together, which Clerk may refuse")
        return tuple(lines)

    def consequence(self, pending: int) -> str:
        """What is written."""
        return f"metadata of {pending:,} row{'' if pending == 1 else 's'} will be written to {self._job.target}"


class OperationKind(Kind):
    """``kind: operation``."""

    reads = False

    def __init__(self, job: OperationJob, in_flight: int) -> None:
        """Look the operation up, and what it does beyond its name."""
        self._job = job
        self._operation = job.facts
        self.drafting = OperationDrafting(job)
        work = self.work = OperationWork(job, in_flight)
        self._bulk = work.bulk
        self.saves = None if job.backup is None else (job.backup, work.reader)
        self.once = self._operation.safety is Safety.ONCE
        self.deletes = self._operation.method == "DELETE"
        self.scopes = ("write", "delete") if self.deletes else ("write",)
        self.words = CALLING

    def screener(self, around: Surroundings) -> Screens:
        """Rows that name something protected are skipped; Clerk is not asked."""
        return Protector(around.journal, around.payloads, frozenset(self._job.protect))

    async def take_in(self, source: RowSource, journal: Journal) -> None:
        """Refuse an input with more rows than the job allows."""
        await super().take_in(source, journal)
        total, most = sum((await journal.counts()).values()), self._job.max_rows
        if most is not None and total > most:
            raise UsageError(
                f"the input has {total:,} rows, and max_rows allows {most:,}",
                code="too_many_rows",
                hint="look at the input, then raise max_rows in the job file if it is right",
            )

    def notes(self, screens: Screens | None) -> tuple[str, ...]:  # noqa: ARG002  says the same whatever was read
        """What is destroyed, or set off; what becomes of a lost answer; and that there is no undo."""
        name = self._operation.operation_id
        does = destroyed_by(name) if self.deletes else consequences_of(name)
        lines = [f"{'destroys' if self.deletes else 'causes'}: {one}" for one in does]
        if self.saves is not None:
            lines.append(f"backup: what the rows name is saved to {self.saves[0]} before the first call")
        if self.once:
            lines.append("a call whose answer is lost ends as unresolved: it is never sent again by itself")
        return (*lines, "it cannot be taken back" if self.deletes else "no undo: clerk-batch cannot take it back")

    def consequence(self, pending: int) -> str:
        """How often it is called."""
        name, bulk = self._operation.operation_id, self._bulk
        calls = f"{name} will be called {pending:,} time{'' if pending == 1 else 's'}"
        if bulk is not None:
            calls = f"{name} for {pending:,} row{'' if pending == 1 else 's'}, {bulk.size} in a call"
        return f"{calls}; this is irreversible" if self.deletes else calls


class UndoKind(ComparingKind):
    """``kind: undo``."""

    def __init__(self, job: UndoJob, in_flight: int) -> None:
        """Read the changes of the run that is taken back."""
        self._job = job
        work = UndoWork(job, in_flight)
        self.drafting, self.work, self.screening = UndoDrafting(), work, work
        self.words = UNDOING

    def notes(self, screens: Screens | None) -> tuple[str, ...]:  # noqa: ARG002  says the same whatever was read
        """What becomes of values that somebody else changed."""
        since = "overwritten (--force)" if self._job.force else "left as they are, and listed as conflicts"
        return (
            f"values that somebody else changed since are {since}",
            "reading and writing are two requests: what is changed between them is overwritten",
        )

    def consequence(self, pending: int) -> str:
        """What is put back."""
        noun = TARGETS[self._job.target].noun if pending == 1 else self._job.target
        return f"the old metadata of {pending:,} {noun} will be put back"


CALLING = Words(
    question="Send these calls?",
    doing="calling",
    done="done",
    pending="to call",
    checking="checking the rows",
    offline="nothing is asked for this kind before the first call",
    doubtful="doubtful call",
)
UNDOING = Words(
    question="Put the old values back?",
    doing="putting back",
    done="put back",
    pending="to put back",
    checking="comparing with what Clerk has",
    offline="Clerk was not asked what it has: what somebody else changed since is not known yet",
    doubtful="doubtful write",
)
WRITING = Words(
    question="Write this metadata?",
    doing="writing",
    done="written",
    pending="to write",
    checking="comparing with what Clerk has",
    offline="Clerk was not asked what it has: rows that change nothing are not known yet",
    doubtful="doubtful write",
)


def kind_of(job: Job, instance: InstanceKind, options: GateOptions) -> Kind:
    """The kind of a loaded job."""
    match job:
        case InviteJob():
            return InviteKind(job)
        case MetadataJob():
            return MetadataKind(job, in_flight(instance, options))
        case OperationJob():
            facts = job.facts
            quotas = (limit.kind is LimitKind.QUOTA for limit in limits_for(facts.method, facts.path, instance))
            # An hourly quota needs no second call in flight: one at a time bounds what can be in doubt.
            return OperationKind(job, 1 if any(quotas) else in_flight(instance, options))
        case UndoJob():
            return UndoKind(job, in_flight(instance, options))
        case CreateUsersJob() | UndoCreatesJob():
            most = in_flight(instance, options)
            return CreateUsersKind(job, most) if isinstance(job, CreateUsersJob) else UndoCreatesKind(job, most)
        case _:
            raise AssertionError(f"a job of kind {job.kind} is run elsewhere")


def in_flight(instance: InstanceKind, options: GateOptions) -> int:
    """Writes at once that use the whole share although answers take a second: rate times time, Little's law."""
    whole = next(
        limit for limit in limits_for("PATCH", "/users/{user_id}", instance) if limit.scope is LimitScope.INSTANCE
    )
    rate = options.share_for(instance) * whole.permits / whole.period_s
    return max(FEWEST, ceil(rate * SLOW_ANSWER_S))
