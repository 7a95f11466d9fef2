"""Pruning older outputs of a job: only files that its own runs wrote, and that still are as they were written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from clerk_runner.exporting.output import OutputFacts, is_same, written_by
from clerk_runner.folders import StateFolder

__all__ = ["prune_outputs"]


def prune_outputs(state: StateFolder, job: str, current: Path, keep: int) -> list[str]:
    """Remove all but the newest outputs of a job in the folder of the current one; returns what was removed.

    Args:
        current: the output that was just written; it is the first of those that stay.
        keep: how many stay, at least one.
    """
    outputs: dict[str, OutputFacts] = {}
    for run in reversed(state.list()):
        facts = written_by(run, job)
        if facts is not None and facts.path != str(current) and Path(facts.path).parent == current.parent:
            outputs.setdefault(facts.path, facts)
    there = [facts for facts in outputs.values() if Path(facts.path).is_file()]
    removed = []
    for facts in there[keep - 1 :]:
        if is_same(facts):
            # One that cannot be removed is tried again by the next run.
            with suppress(OSError):
                Path(facts.path).unlink()
                removed.append(facts.path)
    return removed
