"""What was asked for, and what all phases of an export share."""

from __future__ import annotations

import time
from dataclasses import dataclass

from clerk_jobs.catalog import Operation
from clerk_jobs.export.lists import find_list
from clerk_jobs.jobfile import ExportJob
from clerk_limits.clock import LoopClock
from clerk_runner.interrupts import Interrupts
from clerk_runner.request import Request
from clerk_runner.view import View

__all__ = ["ExportRequest", "Surroundings"]


@dataclass(frozen=True, kw_only=True)
class ExportRequest(Request):
    """What the command line asked for of an export."""

    job: ExportJob

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
