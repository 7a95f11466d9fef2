"""The phase of a run that writes the output from the spool and gives it its name; it can be repeated after a crash."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from clerk_jobs.export.lists import is_sliced
from clerk_runner.exporting.increment import made_whole
from clerk_runner.exporting.opened import Opened
from clerk_runner.exporting.output import (
    STDOUT,
    OutputFacts,
    is_same,
    publish,
    require_room,
    write_partial,
    write_stdout,
)
from clerk_runner.exporting.pieces import Pieces, Tally, spooled
from clerk_runner.exporting.positions import load_extents, load_positions, ranges_by_parent, totals_of
from clerk_runner.exporting.pruning import prune_outputs
from clerk_runner.exporting.spool import Spool, in_order
from clerk_runner.exporting.tail import require_end
from clerk_runner.exporting.walking import count_users

__all__ = ["WritePhase"]


class WritePhase:
    """Makes the output of a run."""

    def __init__(self, run: Opened) -> None:
        """Begin nothing yet."""
        self._run = run

    async def finalize(self, target: Path) -> None:
        """Write the output from the spool and give it its name; safe to repeat after a crash at any point."""
        known = await self._run.journal.get("output")
        if known is not None:
            facts = msgspec.convert(known, OutputFacts)
            if await asyncio.to_thread(is_same, facts):
                return
        positions = await load_positions(self._run.journal)
        await self._count_after()
        await self._run.journal.put(state="finalizing")
        spool = Spool(self._run.spool_path, positions.size)
        try:
            await require_end(self._run.journal, spool)
            await self._write(target, spool)
        finally:
            spool.close()

    async def _count_after(self) -> None:
        """How many rows Clerk counts at the end, beside those that it counted at the start."""
        if is_sliced(self._run.operation):
            if await self._run.journal.get("count_after") is None:
                await self._run.journal.put(count_after=await count_users(self._run.exchange))
            return
        totals = await totals_of(self._run.journal, below=self._run.job.for_each is not None)
        parents = totals.parts if self._run.job.for_each is not None else None
        await self._run.journal.put(
            count_before=totals.first, count_after=totals.last, missing=totals.missing, parents=parents
        )

    async def _write(self, target: Path, spool: Spool) -> None:
        if self._run.job.for_each is None:
            ranges = in_order(spool, await load_extents(self._run.journal))
        else:
            ranges = ranges_by_parent(self._run.journal.path, spool)
        pieces = spooled(ranges, spool)
        basis = await self._run.basis()
        tally = None
        if basis is not None:
            tally = Tally()
            pieces = tally.counted(await asyncio.to_thread(made_whole, basis, self._run.job, pieces))
        facts = await self._put(target, pieces, spool.size)
        if tally is not None:
            await self._run.journal.put(rows=tally.rows, distinct=tally.distinct)
        await self._run.journal.put(output=msgspec.to_builtins(facts))
        if target != STDOUT:
            await asyncio.to_thread(publish, self._partial(target), target)
            await self._prune(target)

    async def _prune(self, target: Path) -> None:
        keep = self._run.job.keep_outputs
        if keep is not None:
            state, job = self._run.around.request.state, self._run.job.name
            removed = await asyncio.to_thread(prune_outputs, state, job, target, keep)
            await self._run.journal.put(pruned=removed)

    async def _put(self, target: Path, pieces: Pieces, size: int) -> OutputFacts:
        form = self._run.job.form
        if target == STDOUT:
            # Whoever reads cannot be asked what arrived: after a crash it is written again from its beginning.
            return await asyncio.to_thread(write_stdout, form, pieces)
        self._run.around.view.stage(f"writing {target.name}")
        require_room(target, form, size)
        return await asyncio.to_thread(write_partial, self._partial(target), form, pieces, target)

    def _partial(self, target: Path) -> Path:
        """The file that becomes the output: beside it, as a rename cannot leave a file system."""
        return target.with_name(f".{target.name}.{self._run.folder.id}.partial")
