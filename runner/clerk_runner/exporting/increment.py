"""Whether an export of users is a full one or only of what changed, and since when.

It hangs on the last run of the same job that is done: its mark says down to where one has to look, and a snapshot is
merged into its output, if that still is as it was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from clerk_jobs.export.changes import MARGIN_MS, STALE, changed_since, merged
from clerk_jobs.jobfile import ExportJob
from clerk_runner.errors import StoppedError
from clerk_runner.exporting.output import OutputFacts, is_same
from clerk_runner.exporting.pieces import Pieces, in_pieces, lines_in, snapshot_lines
from clerk_runner.exporting.summary import Increment
from clerk_runner.folders import RunFolder, StateFolder

__all__ = ["Basis", "find_basis", "made_whole", "told"]


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What an export builds on; journalled when its run starts.

    Attributes:
        mode: ``changes`` walks what changed, ``full`` everything.
        mark_ms: server time down to which the next export has to look.
        since_ms: the former export's mark; None for the first one.
        former: the snapshot that changes are merged into.
        full_ms: when the last full export began; deletions are found by those alone.
    """

    mode: Literal["full", "changes"]
    mark_ms: int
    since_ms: int | None = None
    former: OutputFacts | None = None
    full_ms: int


async def find_basis(
    job: ExportJob, state: StateFolder, folder: RunFolder, end_ms: int, *, fresh: bool
) -> Basis | None:
    """What a run that begins builds on; None where the job is not incremental.

    Args:
        end_ms: server time at the start.
        fresh: build on nothing.
    """
    if job.incremental is None:
        return None
    whole = Basis(mode="full", mark_ms=end_ms - MARGIN_MS, full_ms=end_ms)
    found = None if fresh else _last_done(state, folder)
    if found is None:
        return whole
    basis, output = found
    if job.incremental == "changes":
        return msgspec.structs.replace(whole, mode="changes", since_ms=basis.mark_ms, full_ms=basis.full_ms)
    due = end_ms - basis.full_ms >= job.full_every * 1000
    if due or not await asyncio.to_thread(is_same, output):
        return msgspec.structs.replace(whole, since_ms=basis.mark_ms)
    return msgspec.structs.replace(whole, mode="changes", since_ms=basis.mark_ms, former=output, full_ms=basis.full_ms)


def _last_done(state: StateFolder, folder: RunFolder) -> tuple[Basis, OutputFacts] | None:
    facts = folder.facts()
    for run in reversed(state.list()):
        theirs = run.facts()
        if (theirs.identity, theirs.instance) != (facts.identity, facts.instance) or run.state() != "done":
            continue
        meta = run.meta()
        if meta.get("basis") is not None and meta.get("output") is not None:
            return msgspec.convert(meta["basis"], Basis), msgspec.convert(meta["output"], OutputFacts)
    return None


def made_whole(basis: Basis, job: ExportJob, pieces: Pieces) -> Pieces:
    """The output's bytes from those of the walk: merged into the former snapshot, or only what changed.

    Raises:
        StoppedError: the former snapshot changed since the run began.
    """
    if job.incremental == "snapshot" and basis.former is not None and basis.mode == "changes":
        if not is_same(basis.former):
            raise StoppedError(
                f"the previous snapshot {basis.former.path} changed during this run",
                code="snapshot_changed",
                hint="restore it and resume the run, or start over with --fresh",
            )
        return in_pieces(merged(snapshot_lines(Path(basis.former.path)), lines_in(pieces)))
    if job.incremental == "changes" and basis.since_ms is not None and basis.mode == "full":
        return in_pieces(_only_changed(pieces, basis.since_ms))
    return pieces


def _only_changed(pieces: Pieces, since_ms: int) -> Iterator[bytes]:
    return (line for line in lines_in(pieces) if changed_since(line, since_ms))


def told(basis: Basis, changed: int | None) -> Increment:
    """What the summary says of it."""
    return Increment(
        mode=basis.mode,
        since_ms=basis.since_ms,
        changed=changed,
        full_ms=basis.full_ms,
        stale=list(STALE) if basis.mode == "changes" else [],
    )
