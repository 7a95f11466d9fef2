"""What was asked for, and what a run and its plan have in common before they part."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from clerk_jobs.jobfile import (
    CreateUsersJob,
    InviteJob,
    Job,
    MetadataJob,
    OperationJob,
    Step,
    StepsJob,
    UndoCreatesJob,
    UndoJob,
)
from clerk_jobs.rows import RowSource, open_rows
from clerk_limits.gate import GateOptions
from clerk_runner.credentials import QUARANTINE_SPEED, Credentials
from clerk_runner.errors import AccessError, StoppedError, UsageError
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.history import Past, spent
from clerk_runner.logs import LogOptions
from clerk_runner.telemetry import NO_TELEMETRY, Telemetry

__all__ = [
    "Request",
    "RunRequest",
    "SourceJob",
    "WritingJob",
    "check_instance",
    "check_kind",
    "disk_error",
    "opened_sources",
    "past_of",
    "rows_of",
    "steps_of",
]

SourceJob: TypeAlias = InviteJob | MetadataJob | OperationJob | UndoJob | CreateUsersJob | UndoCreatesJob
"""Jobs that take rows and write."""
WritingJob: TypeAlias = SourceJob | StepsJob
"""The same, and several of them after each other."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asked for, whatever the job does.

    Attributes:
        force: replace an output that no run of this job wrote.
        folder: the run to resume; None where the job's own run is looked for.
        log: what the run's log holds, and where else it goes.
        telemetry: is told of the run and its requests.
    """

    job: Job
    job_path: Path
    credentials: Credentials
    state: StateFolder
    overrides: tuple[tuple[str, str], ...] = ()
    allow_outside: bool = False
    fresh: bool = False
    force: bool = False
    folder: RunFolder | None = None
    max_wait_s: float | None = None
    max_time_s: float | None = None
    log: LogOptions = field(default_factory=LogOptions)
    telemetry: Telemetry = NO_TELEMETRY

    @property
    def gate_options(self) -> GateOptions:
        """The job's share of the limits."""
        limits = self.job.limits
        return GateOptions(
            share=limits.share,
            quota_share=limits.quota_share,
            per_hour=limits.per_hour,
            per_day=limits.per_day,
            early_release_s=limits.early_release,
            speed=self.credentials.speed,
        )


@dataclass(frozen=True, kw_only=True)
class RunRequest(Request):
    """What the command line asked for of a job that writes.

    Attributes:
        parent: the run that a new one follows from: what it takes back, or does again.
        unresolved: what becomes of unresolved items: ``retry`` sends them again, ``skip`` leaves them.
    """

    job: WritingJob
    accept_changes: bool = False
    parent: str | None = None
    unresolved: str | None = None

    @property
    def source_name(self) -> str:
        """Where the rows come from, for messages."""
        return ", ".join(dict.fromkeys(rows_of(job) for _, job in steps_of(self.job)))


def steps_of(job: WritingJob) -> list[tuple[Step | None, SourceJob]]:
    """The steps of a job with their jobs; a job without steps is one that has no step."""
    if not isinstance(job, StepsJob):
        return [(None, job)]
    found: list[tuple[Step | None, SourceJob]] = []
    for step in job.steps:
        assert isinstance(step.job, SourceJob), "no other kind is loaded as a step"
        found.append((step, step.job))
    return found


def rows_of(job: SourceJob) -> str:
    """Where the rows of one job come from, for messages."""
    return job.source.name if job.source is not None else f"list {getattr(job, 'listing', '')}"


def check_kind(job: Job, credentials: Credentials) -> None:
    """Check the key's kind against the job's guard.

    Raises:
        AccessError: the key is of the other kind.
    """
    kind = credentials.key.kind
    if job.instance is not None and job.instance != kind:
        raise AccessError(
            f"the job is for a {job.instance} instance, and the key from {credentials.found_in} is a {kind} one",
            code="instance_kind",
            hint="use the other key, or change instance: in the job file",
        )


def check_instance(job: Job, credentials: Credentials) -> None:
    """Check the key's kind, and that a rehearsal is slow enough to prove anything.

    Raises:
        AccessError: the key is of the other kind.
        UsageError: the rehearsal is too fast for its quarantine.
    """
    check_kind(job, credentials)
    if credentials.speed > QUARANTINE_SPEED:
        raise UsageError(
            f"CLERK_BATCH_SPEED={credentials.speed:g} shortens the quarantine below what lost answers need",
            code="speed_refused",
            hint=f"use at most {QUARANTINE_SPEED}",
        )


def disk_error(error: sqlite3.Error | OSError, run: str | None = None) -> StoppedError:
    """What a failing disk or database means for a run; without an id none had begun."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    gone = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT)
    said = "the disk is full" if full else str(error)
    advice = "check that this file exists, and that you can read and write it" if gone else "free some disk space"
    then = "run the same command again" if run is None else f"clerk-batch resume {run}"
    stopped = StoppedError(
        f"the run's files cannot be read or written: {said}", code="disk", hint=f"{advice}, then: {then}"
    )
    if run is not None:
        stopped.known["run"] = run
    return stopped


def past_of(request: RunRequest, instance: str, now_s: float) -> Past:
    """What the job's own runs sent, which counts against its own limits."""
    calls = spent(request.state, instance, now_s, speed=request.credentials.speed)
    runs = frozenset(run.id for run in request.state.list() if run.facts().job == request.job.name)
    return Past(calls, runs, request.gate_options)


@contextmanager
def opened_sources(request: RunRequest, stdin_copy: Path) -> Iterator[list[RowSource | None]]:
    """Open the input of every step and check its columns.

    Standard input is copied first, to ``stdin_copy`` or the run's own copy. None for a job whose rows come from a list,
    which a run has to bring first.
    """
    copy = stdin_copy if request.folder is None else request.folder.input_copy
    with ExitStack() as stack:
        opened: list[RowSource | None] = []
        for step, job in steps_of(request.job):
            if job.source is None:
                opened.append(None)
                continue
            rows = open_rows(job.source, job.folder, stdin_copy=copy, allow_outside=request.allow_outside)
            opened.append(stack.enter_context(rows))
            if getattr(job, "listing", None) is None:
                rows.require(job.columns() if step is None else step.columns())
        yield opened
