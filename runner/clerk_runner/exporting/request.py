"""What was asked for, and what all phases of an export share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from clerk_jobs.catalog import Operation
from clerk_jobs.export.lists import find_list
from clerk_jobs.jobfile import ExportJob
from clerk_limits.clock import LoopClock
from clerk_limits.gate import GateOptions
from clerk_runner.credentials import Credentials
from clerk_runner.errors import AccessError
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.interrupts import Interrupts
from clerk_runner.logs import LogOptions
from clerk_runner.telemetry import NO_TELEMETRY, Telemetry
from clerk_runner.view import View

__all__ = ["ExportRequest", "Surroundings", "check_instance"]


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What the command line asked for.

    Attributes:
        folder: the run to resume; None where the job's own run is looked for.
        force: replace an output that no run of this job wrote.
    """

    job: ExportJob
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
            early_release_s=limits.early_release,
            speed=self.credentials.speed,
        )

    @property
    def operation(self) -> Operation:
        """The list that is exported."""
        return find_list(self.job.listing, self.job.api_version, self.job.for_each)


class Surroundings:
    """What lives as long as the command: the request, the clock, the view, the signals."""

    def __init__(self, request: ExportRequest, view: View, interrupts: Interrupts) -> None:
        """Begin to count the time of this start."""
        self.request = request
        self.job = request.job
        self.view = view
        self.interrupts = interrupts
        self.clock = LoopClock()
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began


def check_instance(request: ExportRequest) -> None:
    """Check the key's kind against the job's guard.

    Raises:
        AccessError: the key is of the other kind.
    """
    kind = request.credentials.key.kind
    if request.job.instance is not None and request.job.instance != kind:
        raise AccessError(
            f"the job is for a {request.job.instance} instance, and the key from {request.credentials.found_in} is "
            f"a {kind} one",
            code="instance_kind",
            hint="use the other key, or change instance: in the job file",
        )
