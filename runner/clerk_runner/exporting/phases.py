"""The phases of a run that is open: begin, walk, write the output, tell; each can be repeated after a crash."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec

from clerk_jobs.export.lists import is_sliced
from clerk_runner.errors import RunnerError, UsageError
from clerk_runner.exporting.increment import find_basis
from clerk_runner.exporting.opened import Opened
from clerk_runner.exporting.summary import ExportSummary, read_summary
from clerk_runner.exporting.tell_phase import TellPhase
from clerk_runner.exporting.walk_phase import WalkPhase
from clerk_runner.exporting.walking import count_users
from clerk_runner.exporting.write_phase import WritePhase
from clerk_runner.request import disk_error

__all__ = ["work_through"]

CLOCK_MARGIN_MS = 1000
"""The server's clock is known to half a second; who exists at the start must lie before the end of time."""


async def work_through(run: Opened, name_target: Callable[[], Path]) -> ExportSummary:
    """Go on from wherever the journal stands.

    Args:
        name_target: gives the output's name for a run that begins, after checking that it may be taken.
    """
    ending: RunnerError | None = None
    interrupted = False
    try:
        target = await _begin(run, name_target)
        state = await run.journal.get("state")
        if state == "done":
            return msgspec.structs.replace(read_summary(run.folder), repeated=True)
        if state != "finalizing":
            await run.journal.put(state="running")
            halt = await WalkPhase(run).walk()
            interrupted = halt.interrupted
            ending = (
                halt.ending if isinstance(halt.ending, RunnerError | None) else disk_error(halt.ending, run.folder.id)
            )
        if ending is None and not interrupted:
            await WritePhase(run).finalize(target)
    except RunnerError as error:
        ending = error
    except (sqlite3.Error, OSError) as error:
        ending = disk_error(error, run.folder.id)
    except asyncio.CancelledError:
        # The second signal: what the journal has stays.
        if run.around.interrupts.received is None:
            raise
        interrupted = True
    return await TellPhase(run).tell(ending, interrupted=interrupted)


async def _begin(run: Opened, name_target: Callable[[], Path]) -> Path:
    """The output's name, the end of the export's time and what it builds on, frozen when the run starts."""
    frozen = await run.journal.get("target")
    if frozen is not None:
        return Path(frozen)
    try:
        target = name_target()
        before = await count_users(run.exchange) if is_sliced(run.operation) else None
    except UsageError:
        run.folder.discard()
        raise
    now_ms = int((run.around.clock.wall() + run.exchange.client.offset_s) * 1000)
    request = run.around.request
    basis = await find_basis(run.job, request.state, run.folder, now_ms, fresh=request.fresh)
    await run.journal.put(
        target=str(target),
        end_ms=now_ms + CLOCK_MARGIN_MS,
        count_before=before,
        basis=msgspec.to_builtins(basis),
    )
    return target
