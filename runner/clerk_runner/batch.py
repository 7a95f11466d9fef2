"""One run of an invitation job, from the loaded job file to the summary.

The order is that of the exit codes: what the user has to mend (2), key and scopes (3), the input (2), the question (3),
and only then the first write.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from clerk_jobs.call import State
from clerk_jobs.rows import RowSource
from clerk_limits.clock import LoopClock
from clerk_runner.account import Account, AccountOptions, open_account, out_now
from clerk_runner.backing_up import Backup, backup_target
from clerk_runner.choosing import Choice, choose, choose_named
from clerk_runner.client import Client
from clerk_runner.engine import Engine, EngineOptions
from clerk_runner.errors import RunnerError
from clerk_runner.exchange import Exchange
from clerk_runner.finishing import Ended, engine_progress, finish, repeated
from clerk_runner.folders import RunFacts, RunFolder, write_private
from clerk_runner.groups import unwrapped
from clerk_runner.high_water import begin_start, require_newest
from clerk_runner.interrupts import Interrupts
from clerk_runner.journal import Journal
from clerk_runner.kinds import SCREENERS, Kind, Screens, Surroundings, kind_of
from clerk_runner.landing import landing_s, told_or_left
from clerk_runner.leaving import clock_text, left_early
from clerk_runner.listing import Listing, listed_rows, listing_of
from clerk_runner.logs import Log, open_log
from clerk_runner.meter import Meter
from clerk_runner.planner import DEFAULT_LATENCY_S, Forecast
from clerk_runner.preview import Known, Standing, build_preview
from clerk_runner.report import Summary
from clerk_runner.reporting.record import Record, open_record
from clerk_runner.request import RunRequest, check_instance, disk_error, opened_source, past_of
from clerk_runner.safety import Consent, require_consent, require_count, require_scopes, scope_line
from clerk_runner.view import Progress, View

__all__ = ["RunRequest", "run_job"]

T = TypeVar("T")

WATCH_S = 0.25


async def run_job(request: RunRequest, consent: Consent, view: View, signals: Interrupts | None = None) -> Summary:
    """Run a job, or go on with its unfinished run.

    Args:
        signals: who may interrupt it; None takes the process's signals over.

    Raises:
        RunnerError: nothing was sent, or the run could not even be opened; whatever happens later is in the summary.
        ClerkBatchError: the job file or the input is wrong.
    """
    check_instance(request.job, request.credentials)
    kind = kind_of(request.job, request.credentials.key.kind, request.gate_options)
    kind.require_outputs(request, None)
    bypassed = require_scopes(request.credentials, kind.scopes, consent)
    with signals or Interrupts() as interrupts:
        try:
            copy = request.state.root / f"stdin-{request.state.new_id()}"
            try:
                with opened_source(request, copy) as source:
                    return await _Run(request, kind, consent, view, source, interrupts, bypassed).start(copy)
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
            raise disk_error(error) from error


class _Run:
    """The phases of one run, in order."""

    def __init__(
        self,
        request: RunRequest,
        kind: Kind,
        consent: Consent,
        view: View,
        source: RowSource | None,
        interrupts: Interrupts,
        bypassed: bool,
    ) -> None:
        self._request = request
        self._job = request.job
        self._credentials = request.credentials
        self._consent = consent
        self._view = view
        self._given = source
        self._listing: Listing | None = None
        self._interrupts = interrupts
        self._bypassed = bypassed
        self._kind = kind
        self._screener: Screens | None = None
        self._record: Record | None = None
        self._clock = LoopClock()
        self._began = time.monotonic()

    async def start(self, stdin_copy: Path) -> Summary:
        """Find out which run is meant, and work on it."""
        given = self._given
        fingerprint = "" if given is None else await asyncio.to_thread(lambda: given.fingerprint)
        options = AccountOptions(
            gate=self._request.gate_options,
            label=f"job {self._job.name}",
            note=self._view.stage,
            invites=self._kind.invites,
        )
        async with (
            Client(self._credentials, self._job.api_version) as client,
            open_account(client, self._request.state, self._clock, options) as account,
        ):
            self._kind.require_outputs(self._request, account.instance)
            choice = self._choose(self._facts(account.instance, fingerprint))
            if choice.action == "repeat":
                return repeated(choice.folder)
            try:
                if choice.action == "new" and self._job.source is not None and self._job.source.path == "-":
                    # A second name, not a new place: the source is open by the first one until the process ends.
                    await asyncio.to_thread(choice.folder.input_copy.hardlink_to, stdin_copy)
                return await self._work_on(choice, account, fingerprint)
            finally:
                choice.folder.release()

    def _facts(self, instance: str, fingerprint: str) -> RunFacts:
        job = self._job
        return RunFacts(
            id=self._request.state.new_id(),
            job=job.name,
            kind=job.kind,
            job_file=str(self._request.job_path.absolute()),
            overrides=self._request.overrides,
            identity=hashlib.sha256(job.name.encode() + b"\0" + job.effects_identity()).hexdigest(),
            fingerprint=fingerprint,
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
                once=self._kind.once and self._given is not None,
            )
        return choose_named(
            request.state,
            request.folder,
            wanted,
            accept_changes=request.accept_changes,
            reopen=request.unresolved is not None,
        )

    async def _work_on(self, choice: Choice, account: Account, fingerprint: str) -> Summary:
        folder, exchange, instance = choice.folder, account.exchange, account.instance
        log, log_file = open_log(folder.log_path, self._request.log, run=folder.id)
        journal = Journal(folder.journal_path, durable=True)
        try:
            await require_newest(folder, journal)
            exchange.attach(log, self._request.telemetry)
            self._request.telemetry.begin(folder.id, self._job.name, self._job.kind, self._credentials.host)
            await account.succeed(journal)
            record = self._record = await open_record(journal)
            exchange.attach(log, self._request.telemetry, record)
            log.info("start", action=choice.action, job=self._job.name, host=self._credentials.host)
            past = past_of(self._request, instance, self._clock.wall())
            past.charge(exchange.gate)
            target = await backup_target(self._job.folder, self._kind.saves, choice, journal)
            await self._bring_rows(folder, journal, exchange, log)
            await self._take_in(choice, journal, exchange, log)
            counts = await journal.counts()
            scopes = scope_line(self._credentials, bypassed=self._bypassed)
            latency_s = exchange.latency_s or DEFAULT_LATENCY_S
            known = Known(
                action=choice.action,
                source=self._request.source_name,
                run=folder.id,
                scopes=scopes,
                screened=True,
                latency_s=latency_s,
                notes=self._kind.notes(self._screener),
            )
            standing = Standing(past, out_now(account.folder))
            preview = await build_preview(self._job, self._credentials, self._kind, journal, standing, known)
            self._view.preview(preview)
            if counts[State.PENDING] + counts[State.DOUBT]:
                self._ask(choice, await self._kind.deleted(journal))
            if choice.action == "change":
                self._rewrite_facts(folder, instance, fingerprint)
            await journal.put(changing=False)
            if target is not None and counts[State.PENDING]:
                await self._back_up(target, counts[State.PENDING], journal, exchange)
            return await self._send(folder, journal, exchange, log, preview.forecast)
        finally:
            if self._listing is not None and self._given is not None:
                self._given.close()
            journal.close()
            log_file.close()

    @property
    def _source(self) -> RowSource:
        """The rows, once they are there."""
        assert self._given is not None, "a list is brought before its rows are asked for"
        return self._given

    async def _bring_rows(self, folder: RunFolder, journal: Journal, exchange: Exchange, log: Log) -> None:
        """See to it that a job that takes its rows from a list has them."""
        job = listing_of(self._job)
        if job is not None:
            around = (self._request, folder, journal, exchange, self._view, self._interrupts, log)
            self._listing = Listing(job, *around)
            await self._listing.bring()
            self._given = listed_rows(folder)

    async def _back_up(self, target: Path, pending: int, journal: Journal, exchange: Exchange) -> None:
        """Save what the rows name; nothing is sent before that is on the disk."""
        assert self._kind.saves is not None
        payloads = self._kind.payloads(self._source, journal.path)
        workers = SCREENERS[self._credentials.key.kind.value]
        backup = Backup(journal, exchange, payloads, self._kind.saves[1], target, workers)
        await self._followed(backup.write(), lambda: Progress("backing up", backup.seen, pending))

    def _ask(self, choice: Choice, deleted: int) -> None:
        """Ask for a yes; a new run that got none leaves nothing behind."""
        try:
            if self._kind.deletes:
                require_count(deleted, self._consent)
            with self._interrupts.paused():
                require_consent(self._kind.words.question, self._consent)
        except BaseException:
            if choice.action == "new":
                choice.folder.discard()
            raise

    def _rewrite_facts(self, folder: RunFolder, instance: str, fingerprint: str) -> None:
        """From now on the changed job file and input are the run's own."""
        old, new = folder.facts(), self._facts(instance, fingerprint)
        kept = msgspec.structs.replace(new, id=old.id, created_ms=old.created_ms, parent=old.parent)
        write_private(folder.path / "run.json", msgspec.json.format(msgspec.json.encode(kept)))

    async def _take_in(self, choice: Choice, journal: Journal, exchange: Exchange, log: Log) -> None:
        """Bring the journal to where sending may begin: every row known, and every known address settled."""
        state = await journal.get("state") or "planned"
        # A change that was begun and not confirmed has moved the items: they are matched again, whatever the input.
        change = choice.action == "change" or bool(await journal.get("changing"))
        if state != "planned":
            log.info("resumed", doubtful=await journal.recover())
        if change or state == "planned":
            self._view.stage(f"reading {self._request.source_name}")
        if change:
            await journal.put(changing=True)
            await self._kind.take_changes_in(self._source, journal)
        elif state == "planned":
            await self._kind.take_in(self._source, journal)
            for earlier in choice.finished:
                await journal.skip_done_in(earlier.journal_path)
        if self._request.unresolved is not None:
            again = State.PENDING if self._request.unresolved == "retry" else State.SKIPPED
            await journal.answer_unresolved(again)
        if change or state == "planned" or self._kind.rereads:
            if self._kind.once:
                await self._outlast_others(choice.folder, journal)
            await self._screen(journal, exchange, log)

    async def _outlast_others(self, folder: RunFolder, journal: Journal) -> None:
        """Wait until nothing that a run left behind had under way can arrive; looking people up before would err."""
        left_s = landing_s(
            self._request.state,
            folder,
            self._clock.wall(),
            quarantine_s=self._job.reconcile.quarantine,
            speed=self._credentials.speed,
        )
        if left_s > 0:
            told = told_or_left(left_s, self._clock.wall(), self._request.max_wait_s, self._time_left())
            pending = (await journal.counts())[State.PENDING]
            await self._followed(self._clock.sleep(left_s), lambda: Progress("waiting", 0, pending, told))

    async def _screen(self, journal: Journal, exchange: Exchange, log: Log) -> None:
        pending = (await journal.counts())[State.PENDING]
        payloads = self._kind.payloads(self._source, journal.path)
        listed = self._listing is not None and await self._listing.is_fresh()
        around = Surroundings(journal, exchange, payloads, log, self._credentials.key.kind, listed)
        screener = self._screener = self._kind.screener(around)

        def progress() -> Progress:
            until = self._closed_until(exchange)
            detail = f"Clerk closed a list until {clock_text(until)}" if until > self._clock.wall() else ""
            return meter.complete(Progress(self._kind.words.checking, min(screener.screened, pending), pending, detail))

        meter = Meter(exchange)
        await self._followed(screener.run(), progress, self._watch_reads(exchange))

    async def _watch_reads(self, exchange: Exchange) -> None:
        """Leave before the first write where the time is over, or where a 429 closes a list for too long."""
        max_wait_s = self._request.max_wait_s
        while max_wait_s is not None or self._request.max_time_s is not None:
            until, left_s = self._closed_until(exchange), self._time_left()
            if left_s is not None and left_s <= 0:
                permit_s = until if until > self._clock.wall() else None
                raise left_early("the time given with --max-time is over", "the next permit", permit_s)
            if max_wait_s is not None and until - self._clock.wall() > max_wait_s:
                raise left_early("a list is closed for longer than --max-wait", "its next permit", until)
            await self._clock.sleep(WATCH_S)

    def _closed_until(self, exchange: Exchange) -> float:
        """Unix time at which every list that a 429 closed is open again, in the past where none is closed."""
        blocked = exchange.gate.blocked_until().items()
        return max((until for name, until in blocked if name.startswith(("GET", "*"))), default=0.0)

    def _time_left(self) -> float | None:
        """Seconds of ``--max-time`` that are left; None without one."""
        given = self._request.max_time_s
        return None if given is None else given - (time.monotonic() - self._began)

    async def _send(
        self, folder: RunFolder, journal: Journal, exchange: Exchange, log: Log, forecast: Forecast
    ) -> Summary:
        await begin_start(folder, journal)
        left_s = self._time_left()
        counts = await journal.counts()
        engine = Engine(
            journal=journal,
            exchange=exchange,
            work=self._kind.work,
            payloads=self._kind.payloads(self._source, journal.path),
            feed=self._kind.feed(journal, counts[State.PENDING]),
            counts=counts,
            options=EngineOptions(
                quarantine_s=self._job.reconcile.quarantine,
                stop_after=self._job.errors.stop_after,
                max_wait_s=self._request.max_wait_s,
                max_time_s=None if left_s is None else max(left_s, 0.0),
                speed=self._credentials.speed,
            ),
            log=log,
        )
        self._interrupts.drain = engine.interrupt
        if self._interrupts.received is not None:
            engine.interrupt()
        beside = self._kind.beside(self._request, folder, journal)
        if beside is not None:
            await beside.begin()
        try:
            meter = Meter(exchange, forecast)
            follow = None if beside is None else beside.follow()
            await self._followed(
                engine.run(), lambda: meter.complete(engine_progress(engine, self._kind.words)), follow
            )
        except asyncio.CancelledError:
            # The second signal: calls in flight were cut off, and their open intents are the next run's doubts.
            if self._interrupts.received is None:
                raise
            engine.interrupt()
        trouble = None if beside is None else await beside.end()
        ended = Ended(
            error=engine.ending or trouble,
            interrupted=self._interrupts.exit if engine.interrupted else None,
            requests=exchange.requests,
            throttled=exchange.throttled,
            elapsed_s=time.monotonic() - self._began,
        )
        if self._record is not None:
            await self._record.save(over=True)
        summary = await finish(folder, journal, self._source, ended, log)
        log.info("end", state=summary.state, exit=summary.exit, requests=summary.requests)
        return summary

    async def _followed(
        self,
        work: Coroutine[Any, Any, T],
        read: Callable[[], Progress],
        watch: Coroutine[Any, Any, None] | None = None,
    ) -> T:
        """Do the work while its progress is shown, and while ``watch`` may end it by an error."""
        with unwrapped():
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(self._view.follow(read), name="progress")]
                if self._record is not None:
                    beside.append(group.create_task(self._record.follow(read), name="record"))
                if watch is not None:
                    beside.append(group.create_task(watch, name="watch"))
                try:
                    return await work
                finally:
                    for task in beside:
                        task.cancel()
