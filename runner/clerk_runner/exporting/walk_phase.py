"""The phase of a run that asks Clerk: from wherever the journal stands until every row is in the spool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from clerk_jobs.catalog import ListShape, Operation
from clerk_jobs.export.changes import MARGIN_MS
from clerk_jobs.export.lists import find_list
from clerk_runner.errors import LeftEarly
from clerk_runner.exporting.halt import Halt
from clerk_runner.exporting.keeper import Keeper
from clerk_runner.exporting.opened import Opened
from clerk_runner.exporting.pages import Pages
from clerk_runner.exporting.positions import Positions, forget_positions, load_positions
from clerk_runner.exporting.spool import Spool
from clerk_runner.exporting.stores import ParentStore, SpoolStore
from clerk_runner.exporting.tail import Tail, recover, require_end
from clerk_runner.exporting.walking import Walk, WalkParts, make_walk, walk_below, walk_changes
from clerk_runner.meter import Meter
from clerk_runner.remaining import Pace
from clerk_runner.view import Progress, Tally
from clerk_runner.watchdog import watch_loop

__all__ = ["WalkPhase"]

W = TypeVar("W", bound=Walk)

UNPAGED = 500
"""The page size of a list without pages, which is not sent."""


class WalkPhase:
    """Walks what a run exports.

    Args:
        doing: what the walk is called while it is watched.
    """

    def __init__(self, run: Opened, doing: str = "exporting") -> None:
        """Begin nothing yet."""
        self._run = run
        self._doing = doing

    async def walk(self) -> Halt:
        """Walk to the end, or until it has to stop; afterwards everything that came is journalled."""
        parent = self._run.job.for_each
        if parent is not None and not await self._run.journal.get("parents_known"):
            halt = await self._find_parents(find_list(parent, self._run.job.api_version))
            if halt.stopping:
                return halt
            await self._run.journal.put(parents_known=True)
        basis = await self._run.basis()
        if basis is not None and basis.mode == "changes":
            walk, halt = await self._walk_list(lambda given: walk_changes(given, basis.since_ms or 0))
            if not walk.too_dear:
                return halt
            self._run.around.view.stage("too much changed, or pages are slow: exporting all users")
            whole = msgspec.structs.replace(basis, mode="full", full_ms=basis.mark_ms + MARGIN_MS)
            await forget_positions(self._run.journal, basis=msgspec.to_builtins(whole))
        return (await self._walk_list(make_walk if parent is None else walk_below))[1]

    async def _walk_list(self, make: Callable[[WalkParts], Coroutine[Any, Any, W]]) -> tuple[W, Halt]:
        """Walk the list itself into the spool."""
        await recover(self._run.journal, self._run.spool_path, self._run.tail_path)
        positions = await load_positions(self._run.journal)
        spool = Spool(self._run.spool_path, positions.size)
        tail = Tail(self._run.tail_path)
        halt = Halt()
        try:
            await require_end(self._run.journal, spool)
            keeper = Keeper(SpoolStore(self._run.journal, spool, tail, positions.pages), halt)
            total = None if self._run.job.where else await self._run.journal.get("count_before")
            pages = self._pages(self._run.operation, self._run.job.page_size, halt)
            given = self._parts(
                self._run.operation, positions, spool, pages, keeper, total=total, where=self._run.job.where
            )
            walk = await make(given)
            await self._followed(walk, keeper, halt, f"{self._doing} {self._run.job.listing}", total or 0)
            return walk, halt
        finally:
            await asyncio.to_thread(spool.close)
            tail.close()

    async def _find_parents(self, operation: Operation) -> Halt:
        """Walk the list of the parents; each of them gets a part."""
        halt = Halt()
        keeper = Keeper(
            ParentStore(self._run.journal, paged=self._run.operation.list_shape is not ListShape.WHOLE), halt
        )
        pages = self._pages(operation, None, halt)
        positions = await load_positions(self._run.journal)
        given = self._parts(operation, positions, None, pages, keeper, total=None, where=())
        await self._followed(await make_walk(given), keeper, halt, f"looking up {self._run.job.for_each}", 0)
        return halt

    def _parts(
        self,
        operation: Operation,
        positions: Positions,
        spool: Spool | None,
        pages: Pages,
        keeper: Keeper,
        *,
        total: int | None,
        where: tuple[tuple[str, str], ...],
    ) -> WalkParts:
        return WalkParts(
            operation=operation,
            where=where,
            total=total,
            journal=self._run.journal,
            positions=positions,
            spool=spool,
            pages=pages,
            keeper=keeper,
            halt=pages.halt,
        )

    def _pages(self, operation: Operation, page_size: int | None, halt: Halt) -> Pages:
        assert operation.list_shape is not None
        return Pages(
            self._run.exchange,
            halt,
            self._run.log,
            operation.path.removeprefix("/"),
            operation.list_shape,
            page_size or operation.page_maximum or UNPAGED,
            self._run.around.request.max_wait_s,
            self._run.around.view.stage,
        )

    async def _followed(self, walk: Walk, keeper: Keeper, halt: Halt, label: str, total: int) -> None:
        """Walk while what arrives is saved and progress is shown, no longer than --max-time."""
        self._run.around.interrupts.drain = halt.interrupt
        if self._run.around.interrupts.received is not None:
            halt.interrupt()

        clock, pace, meter = self._run.around.clock, Pace(), Meter(self._run.exchange)

        def read() -> Progress:
            left_s = pace.left_s(clock.now(), walk.rows, total)
            ends_at = None if left_s is None else clock.wall() + left_s
            detail = self._run.exchange.trouble
            if halt.interrupted:
                detail = "stopping; Ctrl-C again quits at once"
            tally = Tally(done=walk.rows)
            now = Progress(label, walk.rows, max(total, walk.rows), detail, (), tally, ends_at=ends_at)
            return meter.complete(now)

        async with asyncio.TaskGroup() as group:
            helpers: list[Coroutine[Any, Any, None]] = [self._run.around.view.follow(read)]
            if self._run.record is not None:
                helpers.append(self._run.record.follow(read))
            if (max_time_s := self._run.around.request.max_time_s) is not None:
                helpers.append(_end_in_time(halt, max_time_s - self._run.around.elapsed_s))
            helpers.append(watch_loop(self._run.log))
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


async def _end_in_time(halt: Halt, max_time_s: float) -> None:
    await asyncio.sleep(max_time_s)
    halt.stop(LeftEarly("the time given by --max-time is over", code="max_time", hint="run the same command again"))
