"""One run of an export, from the loaded job file to the summary: which run is meant, and who works on it."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from pathlib import Path

from clerk_runner.account import Account, AccountOptions, open_account
from clerk_runner.choosing import Choice, choose
from clerk_runner.client import Client
from clerk_runner.errors import RunnerError, UsageError
from clerk_runner.exporting.opened import Opened
from clerk_runner.exporting.output import STDOUT, output_path, require_free
from clerk_runner.exporting.phases import work_through
from clerk_runner.exporting.positions import prepare_tables
from clerk_runner.exporting.request import ExportRequest, Surroundings
from clerk_runner.exporting.sinks import require_extra
from clerk_runner.exporting.summary import ExportSummary
from clerk_runner.folders import RunFacts, RunFolder
from clerk_runner.groups import unwrapped
from clerk_runner.interrupts import Interrupts
from clerk_runner.journal import Journal
from clerk_runner.logs import open_log
from clerk_runner.reporting.record import open_record
from clerk_runner.request import check_kind, disk_error
from clerk_runner.view import View

__all__ = ["ExportRequest", "ExportSummary", "run_export"]


async def run_export(request: ExportRequest, view: View, signals: Interrupts | None = None) -> ExportSummary:
    """Run an export, or go on with its unfinished run.

    Args:
        signals: who may interrupt it; None takes the process's signals over.

    Raises:
        RunnerError: nothing was written, or the run could not even be opened; whatever happens later is in the summary.
    """
    check_kind(request.job, request.credentials)
    require_extra(request.job.form)
    with signals or Interrupts() as interrupts:
        try:
            with unwrapped():
                return await _Run(Surroundings(request, view, interrupts)).start()
        except asyncio.CancelledError:
            if interrupts.received is None:
                raise
            error = RunnerError("interrupted", code="interrupted", hint="run the same command again")
            error.exit = interrupts.exit
            raise error from None
        except (sqlite3.Error, OSError) as error:
            raise disk_error(error) from error


class _Run:
    """Finds the run, opens it, and hands it to its phases."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._request = around.request
        self._job = around.job

    async def start(self) -> ExportSummary:
        """Find out which run is meant, and work on it."""
        credentials, around = self._request.credentials, self._around
        async with Client(credentials, self._job.api_version) as client:
            if self._request.folder is None:
                # Before anything is asked: a wrong name costs no request. A new run may get another {run}.
                self._target("run", int(time.time() * 1000), check=not self._unfinished())
            options = AccountOptions(
                gate=self._request.gate_options, label=f"job {self._job.name}", note=around.view.stage
            )
            async with open_account(client, self._request.state, around.clock, options) as account:
                choice = self._choose(self._facts(account.instance))
                try:
                    return await self._work_on(choice.folder, account)
                finally:
                    choice.folder.release()

    def _unfinished(self) -> bool:
        runs = (run for run in self._request.state.list() if run.facts().job == self._job.name)
        return any(run.state() != "done" for run in runs)

    def _target(self, run: str, created_ms: int, *, check: bool) -> Path:
        """The output of a run; checked whether it may take its name."""
        path = output_path(self._job.folder, self._job.output, run=run, created_ms=created_ms)
        if check and path != STDOUT:
            require_free(path, self._request.state, self._job.name, force=self._request.force)
        return path

    def _facts(self, instance: str) -> RunFacts:
        job, credentials = self._job, self._request.credentials
        return RunFacts(
            id=self._request.state.new_id(),
            job=job.name,
            kind=job.kind,
            job_file=str(self._request.job_path.absolute()),
            overrides=self._request.overrides,
            identity=hashlib.sha256(job.name.encode() + b"\0" + job.effects_identity()).hexdigest(),
            fingerprint="",
            source=job.listing,
            instance=instance,
            instance_kind=credentials.key.kind.value,
            host=credentials.host,
            api_version=job.api_version,
            created_ms=int(time.time() * 1000),
            allow_outside=self._request.allow_outside,
        )

    def _choose(self, wanted: RunFacts) -> Choice:
        request = self._request
        if request.folder is None:
            return choose(request.state, wanted, fresh=request.fresh, accept_changes=False, once=False)
        facts = request.folder.facts()
        if (facts.identity, facts.instance) != (wanted.identity, wanted.instance):
            raise UsageError(
                f"the job file or the key's instance changed since run {facts.id} began",
                code="run_differs",
                hint="start over with: clerk-batch run --fresh",
            )
        request.folder.hold()
        return Choice(request.folder, "continue")

    async def _work_on(self, folder: RunFolder, account: Account) -> ExportSummary:
        exchange = account.exchange
        log, log_file = open_log(folder.log_path, self._request.log, run=folder.id)
        journal = Journal(folder.journal_path, durable=False)
        try:
            exchange.attach(log, self._request.telemetry)
            self._request.telemetry.begin(folder.id, self._job.name, self._job.kind, self._request.credentials.host)
            await account.succeed(journal)
            log.info("start", job=self._job.name, host=self._request.credentials.host)
            await prepare_tables(journal)
            facts = folder.facts()
            record = await open_record(journal)
            exchange.attach(log, self._request.telemetry, record)
            opened = Opened(self._around, folder, journal, exchange, log, record)
            return await work_through(opened, lambda: self._target(facts.id, facts.created_ms, check=True))
        finally:
            journal.close()
            log_file.close()
