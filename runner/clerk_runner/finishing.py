"""The end of a run: its state, its reports and its summary."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clerk_jobs.call import State
from clerk_runner.engine import Engine
from clerk_runner.errors import Exit, LeftEarly, RunnerError, UsageError
from clerk_runner.folders import RunFolder, write_private
from clerk_runner.high_water import end_start
from clerk_runner.journal import Journal
from clerk_runner.leaving import clock_text
from clerk_runner.logs import Log
from clerk_runner.parts import Part
from clerk_runner.report import StepItems, Summary, count_items, write_failed_file, write_results
from clerk_runner.reporting.leaving import leave_report
from clerk_runner.reporting.story import Given
from clerk_runner.spans import facts_of_steps
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


async def finish(folder: RunFolder, journal: Journal, parts: Sequence[Part], ended: Ended, log: Log) -> Summary:
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
    known = [part for part in parts if part.given is not None]
    outputs = await asyncio.to_thread(_write_reports, folder, parts, known)
    summary = _summary(folder, parts, ended, (requests, throttled), outputs)
    write_private(folder.path / "summary.json", msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    inputs = [Given(part.name, part.span, part.source) for part in known]
    if trouble := await asyncio.to_thread(leave_report, folder, inputs):
        log.warning("report", reason=trouble)
    if ended.state == "finalizing":
        await journal.put(state="done")
        await journal.shrink()
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


def engine_progress(engine: Engine, words: Words, step: str = "") -> Progress:
    """The engine's snapshot as a line for people; ``step`` is the one it works on."""
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
        told.append("stopping; Ctrl-C again quits at once")
    elif status.trouble:
        told.append(f"Clerk is not answering: {status.trouble}")
    elif status.next_permit_s is not None and status.next_permit_s >= 1:
        told.append(f"waiting for the next permit until {clock_text(time.time() + status.next_permit_s)}")
    label = f"{step}: {words.doing}" if step else words.doing
    return Progress(label, settled, sum(counts.values()), ", ".join(told), parts, tally)


def _write_reports(folder: RunFolder, parts: Sequence[Part], known: Sequence[Part]) -> list[str]:
    """Write ``results.csv`` and the failed rows, by step where there are some; returns the files.

    Args:
        known: the parts that have rows: others have not listed theirs yet.
    """
    written = [folder.path / "results.csv"]
    write_results(folder.journal_path, written[0], [part.name for part in parts if part.name])
    for part in known:
        written.append(folder.path / (f"failed-{part.name}.csv" if part.name else "failed.csv"))
        write_failed_file(folder.journal_path, part.source, written[-1], part.span)
    return [str(path) for path in written]


def stepped(journal: Path, parts: Sequence[Part]) -> list[StepItems] | msgspec.UnsetType:
    """How every step stands; nothing for a job without."""
    found = [
        StepItems(name=part.name, kind=part.job.kind, items=count_items(journal, part.span))
        for part in parts
        if part.name
    ]
    return found or msgspec.UNSET


def _summary(
    folder: RunFolder, parts: Sequence[Part], ended: Ended, sent: tuple[int, int], outputs: list[str]
) -> Summary:
    """How the run stands.

    Args:
        sent: requests of all its starts, and how many of them were throttled.
    """
    facts, items, error = folder.facts(), count_items(folder.journal_path), ended.error
    mappings = facts_of_steps(folder.meta(), "mapping").values()
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
        requests=sent[0],
        throttled=sent[1],
        elapsed_s=round(ended.elapsed_s, 3),
        outputs=[*outputs, *mappings, *_backups(folder)],
        run_dir=str(folder.path),
        exit=int(exit_code),
        parent=facts.parent,
        error=told,
        next_permit=error.until if isinstance(error, LeftEarly) else None,
        steps=stepped(folder.journal_path, parts),
    )


def _backups(folder: RunFolder) -> list[str]:
    meta = folder.meta()
    done = facts_of_steps(meta, "backup_done")
    return [backup["path"] for step, backup in facts_of_steps(meta, "backup").items() if done.get(step)]
