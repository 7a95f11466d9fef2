"""A run that this process holds and has opened: what its phases share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from clerk_jobs.catalog import Operation
from clerk_jobs.jobfile import ExportJob
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.increment import Basis
from clerk_runner.exporting.request import Surroundings
from clerk_runner.folders import RunFolder
from clerk_runner.journal import Journal
from clerk_runner.logs import Log
from clerk_runner.reporting.record import Record

__all__ = ["Opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An open run.

    Attributes:
        record: notes for its report; None where the walk is a part of other work.
    """

    around: Surroundings
    folder: RunFolder
    journal: Journal
    exchange: Exchange
    log: Log
    record: Record | None = None

    @property
    def job(self) -> ExportJob:
        """The job file."""
        return self.around.job

    @property
    def operation(self) -> Operation:
        """The list that is exported."""
        return self.around.request.operation

    @property
    def spool_path(self) -> Path:
        """Where the pages go; gone when the run is done."""
        return self.folder.path / "spool"

    @property
    def tail_path(self) -> Path:
        """What the journal does not say yet of the spool."""
        return self.folder.path / "spool.tail"

    async def basis(self) -> Basis | None:
        """What the export builds on; None where it is not incremental."""
        found = await self.journal.get("basis")
        return None if found is None else msgspec.convert(found, Basis)
