"""Puts together what was asked for: the job, the key and the state folder, whether a shell asked or another program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clerk_jobs.jobfile import ExportJob, Job
from clerk_runner.credentials import Credentials, discover, no_key
from clerk_runner.errors import AccessError
from clerk_runner.exporting.request import ExportRequest
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.home import state_home
from clerk_runner.logs import LogOptions
from clerk_runner.request import RunRequest, WritingJob
from clerk_runner.telemetry import NO_TELEMETRY, Telemetry

__all__ = ["Asked", "request_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a start is asked for beside its job file; the fields are those of ``Request`` and ``RunRequest``.

    Attributes:
        offline: a plan that asks Clerk nothing, and so needs no key.
    """

    overrides: tuple[tuple[str, str], ...] = ()
    allow_outside: bool = False
    fresh: bool = False
    accept_changes: bool = False
    force: bool = False
    unresolved: str | None = None
    max_wait_s: float | None = None
    max_time_s: float | None = None
    folder: RunFolder | None = None
    parent: str | None = None
    log: LogOptions = field(default_factory=LogOptions)
    telemetry: Telemetry = NO_TELEMETRY
    offline: bool = False


def request_of(job: Job, path: Path, asked: Asked, environment: Mapping[str, str]) -> RunRequest | ExportRequest:
    """Find the key and the state folder, and put all of it together.

    Args:
        job: as it was loaded from ``path``.
        environment: the variables, CLERK_SECRET_KEY among them.

    Raises:
        AccessError: there is no key, or a malformed one.
        UsageError: the address, the speed or a proxy is malformed or not allowed.
    """
    shared: dict[str, Any] = {
        "job_path": path,
        "credentials": _credentials(job, environment, offline=asked.offline),
        "state": StateFolder(state_home(environment)),
        "overrides": asked.overrides,
        "allow_outside": asked.allow_outside,
        "fresh": asked.fresh,
        "force": asked.force,
        "folder": asked.folder,
        "max_wait_s": asked.max_wait_s,
        "max_time_s": asked.max_time_s,
        "log": asked.log,
        "telemetry": asked.telemetry,
    }
    if isinstance(job, ExportJob):
        return ExportRequest(job=job, **shared)
    assert isinstance(job, WritingJob)
    return RunRequest(
        job=job, accept_changes=asked.accept_changes, unresolved=asked.unresolved, parent=asked.parent, **shared
    )


def _credentials(job: Job, environment: Mapping[str, str], *, offline: bool) -> Credentials:
    try:
        return discover(environment, Path.cwd())
    except AccessError as error:
        if not offline or error.code != "key_missing":
            raise
        return no_key(environment, job.instance)
