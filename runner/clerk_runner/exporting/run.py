"""One run of an export, from the loaded job file to the summary."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from clerk_jobs.call import Call, Safety
from clerk_jobs.catalog import load
from clerk_jobs.export.sharing import Sharing
from clerk_jobs.jobfile import ExportJob
from clerk_limits.clock import LoopClock
from clerk_limits.gate import GateOptions
from clerk_runner.account import AccountOptions, open_account
from clerk_runner.choosing import Choice, choose
from clerk_runner.client import Client
from clerk_runner.credentials import Credentials
from clerk_runner.errors import AccessError, Exit, LeftEarly, RunnerError, StoppedError, UsageError
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.output import OutputFacts, is_same, output_path, publish, require_free, write_partial
from clerk_runner.exporting.positions import Positions, distinct_ids, load_positions, prepare_tables, save_positions
from clerk_runner.exporting.spool import Spool, in_order, rows_of
from clerk_runner.exporting.walkers import USERS, Walkers
from clerk_runner.folders import RunFacts, RunFolder, StateFolder, write_private
from clerk_runner.interrupts import Interrupts
from clerk_runner.journal import Journal
from clerk_runner.logs import Log, open_log
from clerk_runner.report import Items, Summary
from clerk_runner.request import disk_error
from clerk_runner.view import Progress, View

__all__ = ["ExportRequest", "ExportSummary", "run_export"]

COUNT = Call("GetUsersCount", "GET", "/users/count", "/users/count", Safety.READ)
FIRST_PARTS = {"production": 16, "development": 4}
"""Parts that the time is cut into at the start: walkers that the limit of each kind feeds at 0.2 s an answer."""
CLOCK_MARGIN_MS = 1000
"""The server's clock is known to half a second; who exists at the start must lie before the end of time."""


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

    @property
    def gate_options(self) -> GateOptions:
        """The job's share of the limits."""
        limits = self.job.limits
        return GateOptions(share=limits.share, quota_share=limits.quota_share, speed=self.credentials.speed)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What shows that an export is whole.

    Attributes:
        rows: lines of the output.
        distinct: different ids among them; equal to ``rows``.
        count_before, count_after: all users by Clerk's count, at the start and at the end.
        drift: ``count_after - count_before``: users created less users deleted while it ran.
        pages: answers that are in the output.
        worst_page_s: how long the slowest answer took, in seconds.
        output: the file; None before it was written.
        sha256: of the output.
        size: of the output, in bytes.
    """

    rows: int
    distinct: int
    count_before: int | None
    count_after: int | None
    drift: int | None
    pages: int
    worst_page_s: float
    output: str | None = None
    sha256: str | None = None
    size: int | None = None


class ExportSummary(Summary, frozen=True, kw_only=True):
    """The end of an export."""

    proof: Proof | None = None


async def run_export(request: ExportRequest, view: View) -> ExportSummary:
    """Run an export, or go on with its unfinished run.

    Raises:
        RunnerError: nothing was written, or the run could not even be opened; whatever happens later is in the summary.
    """
    kind = request.credentials.key.kind
    if request.job.instance is not None and request.job.instance != kind:
        raise AccessError(
            f"the job is for a {request.job.instance} instance, and the key from {request.credentials.found_in} is "
            f"a {kind} one",
            code="instance_kind",
            hint="use the other key, or change instance: in the job file",
        )
    with Interrupts() as interrupts:
        try:
            return await _Run(request, view, interrupts).start()
        except asyncio.CancelledError:
            if interrupts.received is None:
                raise
            error = RunnerError("interrupted", code="interrupted", hint="run the same command again")
            error.exit = interrupts.exit
            raise error from None
        except (sqlite3.Error, OSError) as error:
            raise disk_error(error) from error


class _Run:
    """The phases of one export, in order."""

    def __init__(self, request: ExportRequest, view: View, interrupts: Interrupts) -> None:
        self._request = request
        self._job = request.job
        self._credentials = request.credentials
        self._view = view
        self._interrupts = interrupts
        self._clock = LoopClock()
        self._began = time.monotonic()

    async def start(self) -> ExportSummary:
        """Find out which run is meant, and work on it."""
        async with Client(self._credentials, self._job.api_version) as client:
            if self._request.folder is None:
                # Before anything is asked: a wrong name costs no request. A new run may get another {run}.
                self._target_of("run", int(time.time() * 1000), check=not self._unfinished())
            options = AccountOptions(gate=self._request.gate_options, label=f"job {self._job.name}")
            async with open_account(client, self._request.state, self._clock, options) as account:
                choice = self._choose(self._facts(account.instance))
                try:
                    return await self._work_on(choice.folder, account.exchange)
                finally:
                    choice.folder.release()

    def _unfinished(self) -> bool:
        runs = (run for run in self._request.state.list() if run.facts().job == self._job.name)
        return any(run.state() != "done" for run in runs)

    def _target_of(self, run: str, created_ms: int, *, check: bool) -> Path:
        path = output_path(self._job.folder, self._job.output, run=run, created_ms=created_ms)
        if check:
            require_free(path, self._request.state, self._job.name, force=self._request.force)
        return path

    def _facts(self, instance: str) -> RunFacts:
        job = self._job
        return RunFacts(
            id=self._request.state.new_id(),
            job=job.name,
            kind=job.kind,
            job_file=str(self._request.job_path.absolute()),
            overrides=self._request.overrides,
            identity=hashlib.sha256(job.name.encode() + b"\0" + job.effects_identity()).hexdigest(),
            fingerprint="",
            source=job.list,
            instance=instance,
            instance_kind=self._credentials.key.kind.value,
            host=self._credentials.host,
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
                hint="begin anew with: clerk-batch run --fresh",
            )
        request.folder.hold()
        return Choice(request.folder, "continue")

    async def _work_on(self, folder: RunFolder, exchange: Exchange) -> ExportSummary:
        log, log_file = open_log(folder.log_path, run=folder.id)
        journal = Journal(folder.journal_path, durable=False)
        try:
            exchange.attach(log)
            log.info("start", job=self._job.name, host=self._credentials.host)
            await prepare_tables(journal)
            return await _Export(self, folder, journal, exchange, log).run()
        finally:
            journal.close()
            log_file.close()


class _Export:
    """A run that is open: walk, write, tell."""

    def __init__(self, run: _Run, folder: RunFolder, journal: Journal, exchange: Exchange, log: Log) -> None:
        self._outer = run
        self._request = run._request  # noqa: SLF001  one class in two phases
        self._job = run._job  # noqa: SLF001
        self._view = run._view  # noqa: SLF001
        self._interrupts = run._interrupts  # noqa: SLF001
        self._folder = folder
        self._journal = journal
        self._exchange = exchange
        self._log = log

    async def run(self) -> ExportSummary:
        """Go on from wherever the journal stands."""
        ending: RunnerError | None = None
        interrupted = False
        try:
            target = await self._begin()
            if await self._journal.get("state") == "done":
                return self._again()
            if await self._journal.get("state") != "finalizing":
                walkers = await self._walk()
                interrupted = walkers.interrupted
                if walkers.ending is not None:
                    known = walkers.ending
                    ending = known if isinstance(known, RunnerError) else disk_error(known)
            if ending is None and not interrupted:
                await self._finalize(target)
        except RunnerError as error:
            ending = error
        except OSError as error:
            ending = disk_error(error)
        except asyncio.CancelledError:
            # The second signal: what the journal has stays.
            if self._interrupts.received is None:
                raise
            interrupted = True
        return await self._tell(ending, interrupted=interrupted)

    def _again(self) -> ExportSummary:
        try:
            found = msgspec.json.decode((self._folder.path / "summary.json").read_bytes(), type=ExportSummary)
        except (OSError, msgspec.MsgspecError) as error:
            raise UsageError(
                f"run {self._folder.id} is done, but its summary cannot be read", code="run_unreadable", hint=""
            ) from error
        return msgspec.structs.replace(found, repeated=True)

    async def _begin(self) -> Path:
        """The output's name and the end of the export's time, frozen when the run starts."""
        frozen = await self._journal.get("target")
        if frozen is not None:
            return Path(frozen)
        facts = self._folder.facts()
        try:
            target = self._outer._target_of(facts.id, facts.created_ms, check=True)  # noqa: SLF001
            before = await self._count()
        except UsageError:
            self._folder.discard()
            raise
        now_ms = int((self._outer._clock.wall() + self._exchange.client.offset_s) * 1000)  # noqa: SLF001
        await self._journal.put(target=str(target), end_ms=now_ms + CLOCK_MARGIN_MS, count_before=before)
        return target

    async def _count(self) -> int | None:
        """All users, unfiltered: a filtered count may take minutes."""
        reply = await self._exchange.read(COUNT)
        total = reply.value.get("total_count") if reply.ok and isinstance(reply.value, dict) else None
        return total if isinstance(total, int) else None

    async def _walk(self) -> Walkers:
        await self._journal.put(state="running")
        positions = await load_positions(self._journal)
        spool = Spool(self._folder.path / "spool", positions.size)
        try:
            filters = tuple(pair for pair in self._job.where if not pair[0].startswith("created_at_"))
            sharing = await self._sharing(positions, spool, filters)
            walkers = Walkers(
                exchange=self._exchange,
                journal=self._journal,
                spool=spool,
                sharing=sharing,
                extents=list(positions.extents),
                where=filters,
                rate_per_s=self._rate(),
                log=self._log,
                max_wait_s=self._request.max_wait_s,
                page_size=self._job.page_size,
                note=self._view.stage,
            )
            self._interrupts.drain = walkers.interrupt
            if self._interrupts.received is not None:
                walkers.interrupt()
            await self._followed(walkers)
            return walkers
        finally:
            await asyncio.to_thread(spool.close)

    def _rate(self) -> float:
        usage = self._exchange.gate.usage()[0]
        return usage.allowed / usage.period_s

    async def _followed(self, walkers: Walkers) -> None:
        """Walk while progress is shown, no longer than --max-time."""
        total = await self._journal.get("count_before") or 0
        label = f"exporting {self._job.list}"

        def read() -> Progress:
            return Progress(label, walkers.rows, max(total, walkers.rows), self._exchange.trouble)

        async with asyncio.TaskGroup() as group:
            helpers: list[Coroutine[Any, Any, None]] = [self._view.follow(read)]
            if self._request.max_time_s is not None:
                helpers.append(self._end_in_time(walkers, self._request.max_time_s))
            tasks = [group.create_task(helper) for helper in helpers]
            try:
                await walkers.run()
            finally:
                for task in tasks:
                    task.cancel()

    async def _end_in_time(self, walkers: Walkers, max_time_s: float) -> None:
        await asyncio.sleep(max_time_s)
        walkers.stop(
            LeftEarly("the time given by --max-time is over", code="max_time", hint="run the same command again")
        )

    async def _sharing(self, positions: Positions, spool: Spool, filters: tuple[tuple[str, str], ...]) -> Sharing:
        """All slices: as the journal has them, or cut anew."""
        total = None if self._job.where else await self._journal.get("count_before")
        if positions.slices:
            sharing = Sharing(self._job.page_size, total, {one.id: one for one in positions.slices})
            for extent in positions.extents:
                one = sharing.slices[extent.slice]
                if one.state != "closed" and extent.last_ms == one.position_ms:
                    one.remember(row.id for row in rows_of(spool, extent, extent.tail))
            return sharing
        bounds = dict(self._job.where)
        low_ms = await self._first_ms(filters)
        low_ms = max(low_ms, int(bounds.get("created_at_after") or low_ms))
        high_ms: int = await self._journal.get("end_ms")
        high_ms = max(low_ms + 1, min(high_ms, int(bounds.get("created_at_before") or high_ms)))
        by_cursor = load(self._job.api_version).operation("GetUserList").parameter("starting_after") is not None
        sharing = Sharing.cut(
            low_ms,
            high_ms,
            FIRST_PARTS[self._credentials_kind()],
            page_size=self._job.page_size,
            total=total,
            by_cursor=by_cursor,
        )
        await save_positions(self._journal, sharing.slices.values(), ())
        return sharing

    def _credentials_kind(self) -> str:
        return self._request.credentials.key.kind.value

    async def _first_ms(self, filters: tuple[tuple[str, str], ...]) -> int:
        """When the first user was created; 0 where there is none."""
        query = (*filters, ("order_by", "+created_at"), ("limit", "1"))
        reply = await self._exchange.read(replace(USERS, query=query))
        if not reply.ok:
            raise StoppedError(
                f"Clerk refused the list of users: {reply.status} {reply.code}",
                code=reply.code,
                hint="look at where: in the job file",
            )
        rows = reply.rows("the first user")
        first = rows[0].get("created_at") if rows and isinstance(rows[0], dict) else None
        return first if isinstance(first, int) else 0

    async def _finalize(self, target: Path) -> None:
        """Write the output from the spool and give it its name; safe to repeat after a crash at any point."""
        known = await self._journal.get("output")
        if known is not None:
            facts = msgspec.convert(known, OutputFacts)
            if await asyncio.to_thread(is_same, facts):
                return
        if await self._journal.get("count_after") is None:
            await self._journal.put(count_after=await self._count())
        await self._journal.put(state="finalizing")
        self._view.stage(f"writing {target.name}")
        positions = await load_positions(self._journal)
        partial = target.with_name(f".{target.name}.{self._folder.id}.partial")
        spool = Spool(self._folder.path / "spool", positions.size)
        try:
            ranges = in_order(spool, positions.extents)
            facts = await asyncio.to_thread(write_partial, partial, ranges, spool, target)
        finally:
            spool.close()
        await self._journal.put(output=msgspec.to_builtins(facts))
        await asyncio.to_thread(publish, partial, target)

    async def _tell(self, ending: RunnerError | None, *, interrupted: bool) -> ExportSummary:
        """Write the summary and say how the run stands."""
        done = ending is None and not interrupted
        state, code = self._standing(ending, interrupted=interrupted)
        requests = (await self._journal.get("requests") or 0) + self._exchange.requests
        throttled = (await self._journal.get("throttled") or 0) + self._exchange.throttled
        if not done and await self._journal.get("state") != "finalizing":
            await self._journal.put(state=state)
        worst_s = max(await self._journal.get("worst_s") or 0.0, self._exchange.worst_s)
        await self._journal.put(requests=requests, throttled=throttled, worst_s=worst_s)
        proof = await self._proof()
        summary = ExportSummary(
            run=self._folder.id,
            job=self._job.name,
            kind=self._job.kind,
            state=state,
            items=Items(total=proof.rows, done=proof.rows),
            requests=requests,
            throttled=throttled,
            elapsed_s=round(time.monotonic() - self._outer._began, 3),  # noqa: SLF001
            outputs=[proof.output] if proof.output is not None else [],
            run_dir=str(self._folder.path),
            exit=int(code),
            error=None
            if ending is None
            else {"exit": int(ending.exit), "code": ending.code, "message": ending.message, "hint": ending.hint},
            proof=proof,
        )
        write_private(self._folder.path / "summary.json", msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
        if done:
            await self._journal.put(state="done")
            (self._folder.path / "spool").unlink(missing_ok=True)
        self._log.info("end", state=state, exit=int(code), requests=requests)
        return summary

    def _standing(self, ending: RunnerError | None, *, interrupted: bool) -> tuple[str, Exit]:
        if interrupted:
            return "interrupted", self._interrupts.exit
        if ending is None:
            return "done", Exit.DONE
        return ("waiting" if isinstance(ending, LeftEarly) else "stopped"), ending.exit

    async def _proof(self) -> Proof:
        positions = await load_positions(self._journal)
        before, after = await self._journal.get("count_before"), await self._journal.get("count_after")
        output = await self._journal.get("output") or {}
        rows = sum(extent.rows for extent in positions.extents)
        return Proof(
            rows=rows,
            distinct=await distinct_ids(self._journal),
            count_before=before,
            count_after=after,
            drift=None if before is None or after is None else after - before,
            pages=len(positions.extents),
            worst_page_s=round(await self._journal.get("worst_s") or 0.0, 3),
            output=output.get("path"),
            sha256=output.get("sha256"),
            size=output.get("size"),
        )
