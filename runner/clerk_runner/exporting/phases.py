"""The phases of a run that is open: begin, walk, write the output, tell; each can be repeated after a crash."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from clerk_jobs.export.lists import is_sliced
from clerk_runner.errors import Exit, LeftEarly, RunnerError, UsageError
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.keeper import Keeper
from clerk_runner.exporting.output import (
    STDOUT,
    OutputFacts,
    is_same,
    publish,
    require_room,
    write_partial,
    write_stdout,
)
from clerk_runner.exporting.pages import Pages
from clerk_runner.exporting.positions import Positions, distinct_ids, load_positions
from clerk_runner.exporting.request import Surroundings
from clerk_runner.exporting.spool import Spool, in_order
from clerk_runner.exporting.summary import ExportSummary, Proof, read_summary
from clerk_runner.exporting.walking import Walk, WalkParts, count_users, make_walk
from clerk_runner.folders import RunFolder, write_private
from clerk_runner.journal import Journal
from clerk_runner.logs import Log
from clerk_runner.report import Items
from clerk_runner.request import disk_error
from clerk_runner.view import Progress

__all__ = ["Export"]

UNPAGED = 500
"""The page size of a list without pages, which is not sent."""
CLOCK_MARGIN_MS = 1000
"""The server's clock is known to half a second; who exists at the start must lie before the end of time."""


class Export:
    """An export's run that this process holds."""

    def __init__(self, around: Surroundings, folder: RunFolder, journal: Journal, exchange: Exchange, log: Log) -> None:
        """Begin nothing yet."""
        self._around = around
        self._job = around.job
        self._operation = around.request.operation
        self._folder = folder
        self._journal = journal
        self._exchange = exchange
        self._log = log
        self._spool_path = folder.path / "spool"

    async def run(self, name_target: Callable[[], Path]) -> ExportSummary:
        """Go on from wherever the journal stands.

        Args:
            name_target: gives the output's name for a run that begins, after checking that it may be taken.
        """
        ending: RunnerError | None = None
        interrupted = False
        try:
            target = await self._begin(name_target)
            state = await self._journal.get("state")
            if state == "done":
                return msgspec.structs.replace(read_summary(self._folder), repeated=True)
            if state != "finalizing":
                halt = await self._walk()
                interrupted = halt.interrupted
                ending = halt.ending if isinstance(halt.ending, RunnerError | None) else disk_error(halt.ending)
            if ending is None and not interrupted:
                await self._finalize(target)
        except RunnerError as error:
            ending = error
        except (sqlite3.Error, OSError) as error:
            ending = disk_error(error)
        except asyncio.CancelledError:
            # The second signal: what the journal has stays.
            if self._around.interrupts.received is None:
                raise
            interrupted = True
        return await self._tell(ending, interrupted=interrupted)

    async def _begin(self, name_target: Callable[[], Path]) -> Path:
        """The output's name and the end of the export's time, frozen when the run starts."""
        frozen = await self._journal.get("target")
        if frozen is not None:
            return Path(frozen)
        try:
            target = name_target()
            before = await count_users(self._exchange) if is_sliced(self._operation) else None
        except UsageError:
            self._folder.discard()
            raise
        now_ms = int((self._around.clock.wall() + self._exchange.client.offset_s) * 1000)
        await self._journal.put(target=str(target), end_ms=now_ms + CLOCK_MARGIN_MS, count_before=before)
        return target

    async def _walk(self) -> Halt:
        await self._journal.put(state="running")
        positions = await load_positions(self._journal)
        spool = Spool(self._spool_path, positions.size)
        halt = Halt()
        try:
            keeper = Keeper(self._journal, spool, positions, halt)
            walk = await make_walk(
                WalkParts(
                    job=self._job,
                    operation=self._operation,
                    kind=self._around.request.credentials.key.kind.value,
                    journal=self._journal,
                    exchange=self._exchange,
                    spool=spool,
                    positions=positions,
                    pages=self._pages(halt),
                    keeper=keeper,
                    halt=halt,
                )
            )
            self._around.interrupts.drain = halt.interrupt
            if self._around.interrupts.received is not None:
                halt.interrupt()
            await self._followed(walk, keeper, halt)
            return halt
        finally:
            await asyncio.to_thread(spool.close)

    def _pages(self, halt: Halt) -> Pages:
        assert self._operation.list_shape is not None
        return Pages(
            self._exchange,
            halt,
            self._log,
            self._job.listing,
            self._operation.list_shape,
            self._job.page_size or self._operation.page_maximum or UNPAGED,
            self._around.request.max_wait_s,
            self._around.view.stage,
        )

    async def _followed(self, walk: Walk, keeper: Keeper, halt: Halt) -> None:
        """Walk while what arrives is saved and progress is shown, no longer than --max-time."""
        total = await self._journal.get("count_before") or 0
        label = f"exporting {self._job.listing}"

        def read() -> Progress:
            return Progress(label, walk.rows, max(total, walk.rows), self._exchange.trouble)

        async with asyncio.TaskGroup() as group:
            helpers: list[Coroutine[Any, Any, None]] = [self._around.view.follow(read)]
            if (max_time_s := self._around.request.max_time_s) is not None:
                helpers.append(_end_in_time(halt, max_time_s))
            tasks = [group.create_task(helper) for helper in helpers]
            saver = group.create_task(keeper.run(), name="save")
            try:
                await walk.run()
            finally:
                for task in tasks:
                    task.cancel()
                keeper.end()
            await saver
            if not isinstance(halt.ending, OSError):
                await halt.guarded(keeper.save())

    async def _finalize(self, target: Path) -> None:
        """Write the output from the spool and give it its name; safe to repeat after a crash at any point."""
        known = await self._journal.get("output")
        if known is not None:
            facts = msgspec.convert(known, OutputFacts)
            if await asyncio.to_thread(is_same, facts):
                return
        positions = await load_positions(self._journal)
        if is_sliced(self._operation):
            if await self._journal.get("count_after") is None:
                await self._journal.put(count_after=await count_users(self._exchange))
        else:
            totals = [(part.first_total, part.last_total) for part in positions.parts]
            before, after = (_sum(each) for each in zip(*totals, strict=True))
            await self._journal.put(count_before=before, count_after=after)
        await self._journal.put(state="finalizing", missing=sum(part.missing for part in positions.parts))
        spool = Spool(self._spool_path, positions.size)
        try:
            await self._write(target, spool, positions)
        finally:
            spool.close()

    async def _write(self, target: Path, spool: Spool, positions: Positions) -> None:
        form, ranges = self._job.form, in_order(spool, positions.extents)
        if target == STDOUT:
            # Whoever reads cannot be asked what arrived: after a crash it is written again from its beginning.
            facts = await asyncio.to_thread(write_stdout, form, ranges, spool)
            await self._journal.put(output=msgspec.to_builtins(facts))
            return
        self._around.view.stage(f"writing {target.name}")
        require_room(target, form, positions.size)
        partial = target.with_name(f".{target.name}.{self._folder.id}.partial")
        facts = await asyncio.to_thread(write_partial, partial, form, ranges, spool, target)
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
            elapsed_s=round(self._around.elapsed_s, 3),
            outputs=[] if proof.output in (None, str(STDOUT)) else [proof.output],
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
            self._spool_path.unlink(missing_ok=True)
        self._log.info("end", state=state, exit=int(code), requests=requests)
        return summary

    def _standing(self, ending: RunnerError | None, *, interrupted: bool) -> tuple[str, Exit]:
        if interrupted:
            return "interrupted", self._around.interrupts.exit
        if ending is None:
            return "done", Exit.DONE
        return ("waiting" if isinstance(ending, LeftEarly) else "stopped"), ending.exit

    async def _proof(self) -> Proof:
        positions = await load_positions(self._journal)
        before, after = await self._journal.get("count_before"), await self._journal.get("count_after")
        output = await self._journal.get("output") or {}
        return Proof(
            rows=positions.rows,
            distinct=await distinct_ids(self._journal),
            count_before=before,
            count_after=after,
            drift=None if before is None or after is None else after - before,
            missing=await self._journal.get("missing") or 0,
            pages=len(positions.extents),
            worst_page_s=round(await self._journal.get("worst_s") or 0.0, 3),
            output=output.get("path"),
            sha256=output.get("sha256"),
            size=output.get("size"),
            unfit=output.get("unfit") or 0,
        )


async def _end_in_time(halt: Halt, max_time_s: float) -> None:
    await asyncio.sleep(max_time_s)
    halt.stop(LeftEarly("the time given by --max-time is over", code="max_time", hint="run the same command again"))


def _sum(totals: tuple[int | None, ...]) -> int | None:
    known = [total for total in totals if total is not None]
    return sum(known) if len(known) == len(totals) else None
