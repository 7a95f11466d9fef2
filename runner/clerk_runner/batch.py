"""One run of a job, from the loaded job file to the summary.

The order is that of the exit codes: what the user has to mend (2), key and scopes (3), the input (2), the question (3),
and only then the first write. A job with steps has as many parts: the rows of all are taken in and shown before the
question, and each is prepared (its references bound, Clerk read) when the one before has ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from clerk_jobs.call import State
from clerk_limits.clock import LoopClock
from clerk_runner.account import Account, AccountOptions, open_account, out_now
from clerk_runner.around import Around
from clerk_runner.backing_up import backup_targets
from clerk_runner.choosing import Choice, choose, choose_named
from clerk_runner.client import Client
from clerk_runner.errors import RunnerError
from clerk_runner.finishing import Ended, finish, repeated
from clerk_runner.folders import RunFacts, RunFolder, write_private
from clerk_runner.high_water import begin_start, require_newest
from clerk_runner.interrupts import Interrupts
from clerk_runner.journal import Journal
from clerk_runner.logs import open_log
from clerk_runner.parts import Part, fingerprints_of, named_rows, parts_of, plots_of
from clerk_runner.planner import DEFAULT_LATENCY_S, Forecast
from clerk_runner.preview import Known, Standing, Whole, previewed
from clerk_runner.report import Summary
from clerk_runner.reporting.record import open_record
from clerk_runner.request import RunRequest, check_instance, disk_error, opened_sources, past_of
from clerk_runner.safety import Consent, Scope, require_consent, require_count, require_scopes, scope_line
from clerk_runner.stepping import Stepper
from clerk_runner.view import STEPPING, View

__all__ = ["RunRequest", "run_job"]


async def run_job(request: RunRequest, consent: Consent, view: View, signals: Interrupts | None = None) -> Summary:
    """Run a job, or go on with its unfinished run.

    Args:
        signals: who may interrupt it; None takes the process's signals over.

    Raises:
        RunnerError: nothing was sent, or the run could not even be opened; whatever happens later is in the summary.
        ClerkBatchError: the job file or the input is wrong.
    """
    check_instance(request.job, request.credentials)
    plots = plots_of(request)
    for plot in plots:
        plot.kind.require_outputs(request, None)
    scopes: list[Scope] = list(dict.fromkeys(scope for plot in plots for scope in plot.kind.scopes))
    bypassed = require_scopes(request.credentials, scopes, consent)
    run: _Run | None = None
    with signals or Interrupts() as interrupts:
        try:
            copy = request.state.root / f"stdin-{request.state.new_id()}"
            try:
                with opened_sources(request, copy) as sources:
                    parts = parts_of(plots, sources)
                    run = _Run(request, parts, consent, view, interrupts, bypassed)
                    return await run.start(copy)
            finally:
                copy.unlink(missing_ok=True)
        except (asyncio.CancelledError, KeyboardInterrupt):
            if interrupts.received is None:
                raise
            said = (
                "interrupted; nothing was sent"
                if interrupts.drain is None
                else "interrupted while the reports were written"
            )
            error = RunnerError(said, code="interrupted", hint="run the same command again")
            error.exit = interrupts.exit
            raise error from None
        except (sqlite3.Error, OSError) as error:
            raise disk_error(error, None if run is None else run.id) from error


class _Run:
    """The phases of one run, in order."""

    def __init__(
        self,
        request: RunRequest,
        parts: Sequence[Part],
        consent: Consent,
        view: View,
        interrupts: Interrupts,
        bypassed: bool,
    ) -> None:
        self._request = request
        self._job = request.job
        self._credentials = request.credentials
        self._consent = consent
        self._view = view
        self._interrupts = interrupts
        self._bypassed = bypassed
        self._parts = parts
        self.id: str | None = None
        """The run's, once it is known which one it is."""
        self._once = any(part.kind.once for part in parts)
        self._clock = LoopClock()
        self._stepper = Stepper(request, parts, view, interrupts, self._clock)

    async def start(self, stdin_copy: Path) -> Summary:
        """Find out which run is meant, and work on it."""
        prints = await asyncio.to_thread(fingerprints_of, self._parts)
        options = AccountOptions(
            gate=self._request.gate_options,
            label=f"job {self._job.name}",
            note=self._view.stage,
            invites=tuple(dict.fromkeys(path for part in self._parts for path in part.kind.invites)),
        )
        async with (
            Client(self._credentials, self._job.api_version) as client,
            open_account(client, self._request.state, self._clock, options) as account,
        ):
            for part in self._parts:
                part.kind.require_outputs(self._request, account.instance)
            choice = self._choose(self._facts(account.instance, prints))
            if choice.action == "repeat":
                return repeated(choice.folder)
            self.id = choice.folder.id
            try:
                source = self._parts[0].job.source
                if choice.action == "new" and source is not None and source.path == "-":
                    # A second name, not a new place: the source is open by the first one until the process ends.
                    await asyncio.to_thread(choice.folder.input_copy.hardlink_to, stdin_copy)
                return await self._work_on(choice, account, prints)
            finally:
                choice.folder.release()

    def _facts(self, instance: str, prints: tuple[str, dict[str, str] | None]) -> RunFacts:
        job = self._job
        return RunFacts(
            id=self._request.state.new_id(),
            job=job.name,
            kind=job.kind,
            job_file=str(self._request.job_path.absolute()),
            overrides=self._request.overrides,
            identity=hashlib.sha256(job.name.encode() + b"\0" + job.effects_identity()).hexdigest(),
            fingerprint=prints[0],
            inputs=prints[1],
            source=self._request.source_name,
            instance=instance,
            instance_kind=self._credentials.key.kind.value,
            host=self._credentials.host,
            api_version=job.api_version,
            created_ms=int(time.time() * 1000),
            allow_outside=self._request.allow_outside,
            parent=self._request.parent,
        )

    def _choose(self, wanted: RunFacts) -> Choice:
        request = self._request
        if request.folder is None:
            return choose(
                request.state,
                wanted,
                fresh=request.fresh,
                accept_changes=request.accept_changes,
                once=self._once,
                lists=any(part.listing is not None for part in self._parts),
            )
        return choose_named(
            request.state,
            request.folder,
            wanted,
            accept_changes=request.accept_changes,
            reopen=request.unresolved is not None,
        )

    async def _work_on(self, choice: Choice, account: Account, prints: tuple[str, dict[str, str] | None]) -> Summary:
        folder, exchange, instance = choice.folder, account.exchange, account.instance
        log, log_file = open_log(folder.log_path, self._request.log, run=folder.id)
        journal = Journal(folder.journal_path, durable=True)
        named = named_rows(self._request.state, folder)
        for part in self._parts:
            part.drafted_by(named.look)
        try:
            await require_newest(folder, journal)
            exchange.attach(log, self._request.telemetry)
            self._request.telemetry.begin(folder.id, self._job.name, self._job.kind, self._credentials.host)
            await account.succeed(journal)
            self._stepper.log = log
            record = self._stepper.record = await open_record(journal)
            exchange.attach(log, self._request.telemetry, record)
            log.info("start", action=choice.action, job=self._job.name, host=self._credentials.host)
            past = past_of(self._request, instance, self._clock.wall())
            past.charge(exchange.gate)
            around = Around(folder, journal, exchange, log, named)
            self._stepper.backups = await backup_targets(self._job.folder, self._parts, choice, journal)
            await self._stepper.bring_rows(around)
            first = await self._take_in(choice, around)
            forecast = await self._show(choice, around, Standing(past, out_now(account.folder)), first)
            counts = await self._stepper.counts(journal)
            unlisted = any(part.given is None for part in self._parts)
            if unlisted or any(each[State.PENDING] + each[State.DOUBT] for each in counts):
                self._ask(choice, await self._deleted(journal))
            if choice.action == "change":
                self._rewrite_facts(folder, instance, prints)
            await journal.put(changing=False)
            await self._stepper.back_up(first, around)
            return await self._send(around, first, forecast)
        finally:
            self._stepper.close()
            named.close()
            journal.close()
            log_file.close()

    async def _deleted(self, journal: Journal) -> int | None:
        """How many rows the whole run deletes; None where no part of it is for that."""
        deleting = [part for part in self._parts if part.kind.deletes]
        found = [await part.kind.deleted(part.journal_of(journal)) for part in deleting]
        return sum(found) if found else None

    async def _show(self, choice: Choice, around: Around, standing: Standing, first: int) -> Forecast:
        """Show what will happen; returns the forecast.

        Args:
            first: the part that is worked on first: what later ones have to read is read when their turn comes.
        """
        known = Known(
            action=choice.action,
            source=self._request.source_name,
            run=around.folder.id,
            scopes=scope_line(self._credentials, bypassed=self._bypassed),
            screened=True,
            latency_s=around.exchange.latency_s or DEFAULT_LATENCY_S,
        )
        whole = Whole(self._job, self._credentials, first, self._stepper.screener)
        preview = await previewed(whole, self._parts, around.journal, standing, known)
        self._view.preview(preview)
        return preview.forecast

    def _ask(self, choice: Choice, deleted: int | None) -> None:
        """Ask for a yes; a new run that got none leaves nothing behind."""
        try:
            if deleted is not None:
                require_count(deleted, self._consent)
            words = self._parts[0].kind.words if len(self._parts) == 1 else STEPPING
            with self._interrupts.paused():
                require_consent(words.question, self._consent)
        except BaseException:
            if choice.action == "new":
                choice.folder.discard()
            raise

    def _rewrite_facts(self, folder: RunFolder, instance: str, prints: tuple[str, dict[str, str] | None]) -> None:
        """From now on the changed job file and input are the run's own."""
        old, new = folder.facts(), self._facts(instance, prints)
        kept = msgspec.structs.replace(new, id=old.id, created_ms=old.created_ms, parent=old.parent)
        write_private(folder.path / "run.json", msgspec.json.format(msgspec.json.encode(kept)))

    async def _take_in(self, choice: Choice, around: Around) -> int:
        """Bring the journal to where sending may begin; returns the part with which that is.

        Every row is known then, and what the first part has to read of Clerk was read.
        """
        journal, log = around.journal, around.log
        state = await journal.get("state") or "planned"
        # A change that was begun and not confirmed has moved the items: they are matched again, whatever the input.
        change = choice.action == "change" or bool(await journal.get("changing"))
        if state != "planned":
            log.info("resumed", doubtful=await journal.recover())
        if change:
            await journal.put(changing=True, prepared=0)
        elif state == "planned":
            finished = [run.id for run in choice.finished]
            await journal.put(prepared=0, finished=finished, steps=[part.name for part in self._parts])
        if change or state == "planned":
            self._view.stage(f"reading {self._request.source_name}")
            await self._stepper.read_inputs(around, change=change)
        if self._request.unresolved is not None:
            again = State.PENDING if self._request.unresolved == "retry" else State.SKIPPED
            await journal.answer_unresolved(again)
        if self._once and (change or state == "planned"):
            await self._stepper.outlast_others(around)
        first = await self._stepper.next_open(journal, 0)
        if first < len(self._parts):
            await self._stepper.prepare(first, around)
        return first

    async def _send(self, around: Around, first: int, forecast: Forecast) -> Summary:
        """Carry the parts through from the one that is prepared, and end the run."""
        await begin_start(around.folder, around.journal)
        error, interrupted = await self._stepper.carry(around, first, forecast)
        ended = Ended(
            error=error,
            interrupted=self._interrupts.exit if interrupted else None,
            requests=around.exchange.requests,
            throttled=around.exchange.throttled,
            elapsed_s=self._stepper.elapsed_s,
        )
        if self._stepper.record is not None:
            await self._stepper.record.save(over=True)
        summary = await finish(around.folder, around.journal, self._parts, ended, around.log)
        around.log.info("end", state=summary.state, exit=summary.exit, requests=summary.requests)
        return summary
