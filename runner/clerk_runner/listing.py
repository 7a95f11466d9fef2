"""Jobs that take their rows from a list of Clerk's: it is walked as an export walks it, then it is the run's input.

::

    runs/<id>/spool      pages as they arrive; gone when the list is known whole
    runs/<id>/input      the listed objects as Clerk sent them, a line each, oldest first; never changed again
    runs/<id>/input-2    the same of a step, by its number from 0, where the run has some

The run works on what the list was: whoever joins it later is left to the next run, which lists anew. A step's list is
walked when the step begins. A walk that was killed goes on where its journal stands. The journal's fact ``listed`` says
that the input is whole, of which list and filters it is, and when it was.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clerk_jobs.export.form import Form
from clerk_jobs.export.lists import is_sliced
from clerk_jobs.jobfile import ExportJob, Job, MetadataJob, OperationJob
from clerk_jobs.rows import RowSource, open_rows
from clerk_jobs.rows.source import JsonlSource
from clerk_runner.errors import RunnerError
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.opened import Opened
from clerk_runner.exporting.output import publish, write_partial
from clerk_runner.exporting.phases import CLOCK_MARGIN_MS
from clerk_runner.exporting.pieces import spooled
from clerk_runner.exporting.positions import forget_positions, load_extents, load_positions, prepare_tables
from clerk_runner.exporting.request import ExportRequest, Surroundings
from clerk_runner.exporting.spool import Spool, in_order
from clerk_runner.exporting.walk_phase import WalkPhase
from clerk_runner.exporting.walking import count_users
from clerk_runner.folders import RunFolder
from clerk_runner.interrupts import Interrupts
from clerk_runner.journal import Journal
from clerk_runner.logs import Log
from clerk_runner.request import RunRequest
from clerk_runner.spans import Span
from clerk_runner.view import View

__all__ = ["Listing", "listed_path", "listed_rows", "listing_of"]

FRESH_S = 60.0
"""How long what a list showed stands for what Clerk has."""


def listing_of(job: Job) -> ExportJob | None:
    """The walk through the list that a job takes its rows from; None for a job with rows of its own."""
    if not isinstance(job, MetadataJob | OperationJob) or job.listing is None or job.source is not None:
        return None
    return ExportJob(
        name=job.name,
        listing=job.listing,
        where=job.where,
        output="input.jsonl",
        limits=job.limits,
        api_version=job.api_version,
        folder=job.folder,
    )


def listed_path(folder: RunFolder, span: Span) -> Path:
    """Where the listed rows of a run, or of one of its steps, are kept."""
    return folder.path / f"input-{span.number}" if span.of_many else folder.input_copy


def listed_rows(folder: RunFolder, span: Span) -> RowSource:
    """The input of a run, or of a step, that listed its rows; the caller closes it.

    Raises:
        InputError: it is not there, or not readable.
    """
    return open_rows(JsonlSource(jsonl=listed_path(folder, span).name), folder.path)


@dataclass(frozen=True, slots=True)
class Listing:
    """Brings the list of a job into a run's folder.

    Attributes:
        job: as ``listing_of`` says.
        span: the step whose rows they are.
        interrupts: of the run; whatever was said to a signal before is said again afterwards.
    """

    job: ExportJob
    request: RunRequest
    folder: RunFolder
    journal: Journal
    exchange: Exchange
    view: View
    interrupts: Interrupts
    log: Log
    span: Span

    async def is_known(self) -> bool:
        """Whether this very list was walked to its end."""
        known = await self._listed()
        return known is not None and known["of"] == self._of

    async def bring(self) -> None:
        """See to it that the input is there, whole, and of this list; ends at once where it is.

        Raises:
            RunnerError: the list cannot be walked to its end now; what is known of it is kept.
            OSError: the run's files cannot be written.
        """
        if await self.is_known():
            self._opened().spool_path.unlink(missing_ok=True)
            return
        if await self._listed() is not None and not self.span.of_many:
            # The job file names another list than it did: what was taken in has to be matched with the new one.
            await self.journal.put(changing=True)
        await prepare_tables(self.journal)
        run = self._opened()
        await self._begin(run)
        former = self.interrupts.drain
        try:
            halt = await WalkPhase(run, "listing").walk()
        finally:
            self.interrupts.drain = former
        if halt.interrupted:
            said = "interrupted while the list was read; nothing was sent"
            error = RunnerError(said, code="interrupted", hint="run the same command again")
            error.exit = self.interrupts.exit
            raise error
        if halt.ending is not None:
            raise halt.ending
        await self._freeze(run)

    async def is_fresh(self) -> bool:
        """Whether the list was walked to its end less than a minute ago."""
        known = await self._listed()
        age_s = self._now_ms() / 1000 - known["at_ms"] / 1000
        return bool(0 <= age_s < FRESH_S)

    async def _listed(self) -> Any:
        return await self.journal.get(self.span.fact("listed"))

    @property
    def _of(self) -> list[Any]:
        step = [self.span.number] if self.span.of_many else []
        return [self.job.listing, [list(pair) for pair in self.job.where], self.job.api_version, *step]

    def _now_ms(self) -> int:
        return int((self.exchange.clock.wall() + self.exchange.client.offset_s) * 1000)

    def _opened(self) -> Opened:
        request = ExportRequest(
            job=self.job,
            job_path=self.request.job_path,
            credentials=self.request.credentials,
            state=self.request.state,
            max_wait_s=self.request.max_wait_s,
            max_time_s=self.request.max_time_s,
        )
        around = Surroundings(request, self.view, self.interrupts)
        return Opened(around, self.folder, self.journal, self.exchange, self.log)

    async def _begin(self, run: Opened) -> None:
        """The end of the list's time, frozen when it is asked first; another list's positions are of no use."""
        if await self.journal.get("listing") == self._of:
            return
        before = await count_users(self.exchange) if is_sliced(run.operation) else None
        facts = {"listing": self._of, "end_ms": self._now_ms() + CLOCK_MARGIN_MS, "count_before": before}
        await forget_positions(self.journal, **facts)

    async def _freeze(self, run: Opened) -> None:
        """Write the input from the spool, oldest first, and give it its name; again after a crash."""
        positions, extents = await load_positions(self.journal), await load_extents(self.journal)
        target = listed_path(self.folder, self.span)
        partial = target.with_name(f".{target.name}.partial")

        def write() -> None:
            spool = Spool(run.spool_path, positions.size)
            try:
                pieces = spooled(in_order(spool, extents), spool)
                write_partial(partial, Form("jsonl", None), pieces, target)
            finally:
                spool.close()
            publish(partial, target)

        await asyncio.to_thread(write)
        rows = positions.rows
        listed = {"of": self._of, "at_ms": self._now_ms(), "rows": rows}
        await forget_positions(self.journal, **{self.span.fact("listed"): listed})
        run.spool_path.unlink(missing_ok=True)
