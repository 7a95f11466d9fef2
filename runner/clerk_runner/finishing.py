"""The end of a run: its state, its reports and its summary."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from clerk_jobs.call import State
from clerk_jobs.rows import RowSource
from clerk_runner.engine import Engine
from clerk_runner.errors import Exit, LeftEarly, RunnerError, UsageError
from clerk_runner.folders import RunFolder, write_private
from clerk_runner.high_water import end_start
from clerk_runner.journal import Journal
from clerk_runner.leaving import clock_text
from clerk_runner.logs import Log
from clerk_runner.report import Summary, count_items, write_failed_file, write_results
from clerk_runner.reporting.leaving import leave_report
from clerk_runner.view import Progress, Tally, Words

__all__ = ["Ended", "engine_progress", "finish", "repeated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the sending of a run ended.

    Attributes:
        error: why it ended before its work did; None where everything is settled.
        interrupted: the exit code of the signal that ended it; None where none came.
        requests: all that this process sent.
        throttled: how many of them Clerk answered with 429.
        elapsed_s: since the command began.
    """

    error: RunnerError | None
    interrupted: Exit | None
    requests: int
    throttled: int
    elapsed_s: float

    @property
    def state(self) -> str:
        """What the journal calls it."""
        if self.interrupted is not None:
            return "interrupted"
        if self.error is None:
            return "finalizing"
        return "waiting" if isinstance(self.error, LeftEarly) else "stopped"


async def finish(folder: RunFolder, journal: Journal, source: RowSource, ended: Ended, log: Log) -> Summary:
    """Write the reports and say how the run stands.

    Raises:
        sqlite3.Error: the journal cannot be written.
        OSError: the reports cannot be.
    """
    requests = ended.requests + (await journal.get("requests") or 0)
    throttled = ended.throttled + (await journal.get("throttled") or 0)
    code = None if ended.error is None else ended.error.code
    await journal.put(state=ended.state, stop_code=code, requests=requests, throttled=throttled)
    await end_start(folder, journal)
    await asyncio.to_thread(_write_reports, folder, source)
    summary = _summary(folder, ended, requests, throttled)
    write_private(folder.path / "summary.json", msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    if trouble := await asyncio.to_thread(leave_report, folder, source):
        log.warning("report", reason=trouble)
    if ended.state == "finalizing":
        await journal.put(state="done")
    return summary


def repeated(folder: RunFolder) -> Summary:
    """The summary of a finished run, as it was, with a word that nothing happened now.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        summary = msgspec.json.decode((folder.path / "summary.json").read_bytes(), type=Summary)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(
            f"run {folder.id} is done, but its summary cannot be read",
            code="run_unreadable",
            hint="run it with --fresh",
        ) from error
    return msgspec.structs.replace(summary, repeated=True)


def engine_progress(engine: Engine, words: Words) -> Progress:
    """The engine's snapshot for people."""
    status = engine.status()
    counts = status.counts
    tally = Tally(*(counts[state] for state in (State.DONE, State.SKIPPED, State.FAILED, State.UNRESOLVED)))
    settled = tally.done + tally.skipped + tally.failed + tally.unresolved
    others = ((tally.failed, "failed"), (tally.skipped, "skipped"), (tally.unresolved, "unresolved"))
    parts = (f"{tally.done:,} {words.done}", *(f"{number:,} {word}" for number, word in others if number))
    told = []
    if status.checking_at is not None and status.doubtful:
        noun = words.doubtful if status.doubtful == 1 else f"{words.doubtful}s"
        told.append(f"checking {status.doubtful} {noun} at {clock_text(status.checking_at)}")
    if engine.interrupted:
        told.append("stopping; Ctrl-C again ends at once")
    elif status.trouble:
        told.append(f"Clerk is not answering: {status.trouble}")
    elif status.next_permit_s is not None and status.next_permit_s >= 1:
        told.append(f"waiting for the next permit until {clock_text(time.time() + status.next_permit_s)}")
    return Progress(words.doing, settled, sum(counts.values()), ", ".join(told), parts, tally)


def _write_reports(folder: RunFolder, source: RowSource) -> None:
    write_results(folder.journal_path, folder.path / "results.csv")
    write_failed_file(folder.journal_path, source, folder.path / "failed.csv")


def _summary(folder: RunFolder, ended: Ended, requests: int, throttled: int) -> Summary:
    facts, items, error = folder.facts(), count_items(folder.journal_path), ended.error
    mapping = [folder.meta()["mapping"]] if "mapping" in folder.meta() else []
    told: dict[str, Any] | None = None
    if ended.interrupted is not None:
        state, exit_code = "interrupted", ended.interrupted
    elif error is not None:
        state, exit_code = ended.state, error.exit
    elif items.failed or items.unresolved:
        state, exit_code = "failed", Exit.SOME_FAILED
    else:
        state, exit_code = "done", Exit.DONE
    if error is not None:
        place = {"file": None, "line": None, "column": None}
        told = {"exit": int(error.exit), "code": error.code, "message": error.message, **place, "hint": error.hint}
    return Summary(
        run=folder.id,
        job=facts.job,
        kind=facts.kind,
        state=state,
        items=items,
        requests=requests,
        throttled=throttled,
        elapsed_s=round(ended.elapsed_s, 3),
        outputs=[str(folder.path / name) for name in ("results.csv", "failed.csv")] + [*mapping, *_backups(folder)],
        run_dir=str(folder.path),
        exit=int(exit_code),
        parent=facts.parent,
        error=told,
        next_permit=error.until if isinstance(error, LeftEarly) else None,
    )


def _backups(folder: RunFolder) -> list[str]:
    meta = folder.meta()
    return [meta["backup"]["path"]] if meta.get("backup_done") else []
