"""Which runs can be forgotten: removed with all that they know, so that a state folder does not grow for ever.

What a run knows is used after its end. An export's or a backfill's newest end is where the next one begins, and by
it an output is known as the job's own. A run that invited or created keeps a changed file from reaching somebody twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clerk_jobs.errors import ClerkBatchError
from clerk_runner.errors import RunHeldError
from clerk_runner.folders import RunFacts, RunFolder, StateFolder

__all__ = ["LEAST_AGE_S", "Forgettable", "forget", "forgettable"]

LEAST_AGE_S: Final = 86_400.0
"""Younger runs still count against the limits: an hour's quota, and a job's own ``per_day``."""
REPEATABLE: Final = frozenset({"export", "metadata"})
"""Kinds whose runs begin anew each time: no row of theirs is skipped because of an earlier one."""


@dataclass(frozen=True, slots=True)
class Forgettable:
    """A run that can be forgotten.

    Attributes:
        size: bytes of its files.
    """

    run: RunFolder
    facts: RunFacts
    size: int


def forgettable(state: StateFolder, now_s: float, age_s: float, *, every: bool) -> list[Forgettable]:
    """The runs that ended, are older, and are not needed any more, oldest first.

    Args:
        age_s: how old a run is at least, in seconds since it began; never less than a day.
        every: also those that invited, created or called anything else that an identical run would not repeat.
    """
    newest: set[tuple[str, str]] = set()
    found: list[Forgettable] = []
    runs = list(_readable(state))
    needed = {facts.parent for _, facts in runs if facts.parent}
    for run, facts in reversed(runs):
        if not _is_done(run):
            continue
        whose = (facts.job, facts.instance)
        is_newest = whose not in newest
        newest.add(whose)
        old = now_s - facts.created_ms / 1000 >= max(age_s, LEAST_AGE_S)
        if old and not is_newest and run.id not in needed and (every or facts.kind in REPEATABLE):
            found.append(Forgettable(run, facts, _size(run.path)))
    return found[::-1]


def forget(state: StateFolder, one: Forgettable) -> bool:
    """Remove a run's folder; False where another process took it meanwhile."""
    with state.deciding(one.facts.job, one.facts.instance):
        try:
            one.run.hold()
        except RunHeldError:
            return False
        one.run.discard()
    return True


def _readable(state: StateFolder) -> Iterator[tuple[RunFolder, RunFacts]]:
    """All runs with what they are; what cannot be read is nobody's to remove."""
    for run in state.list():
        try:
            yield run, run.facts()
        except ClerkBatchError:
            continue


def _is_done(run: RunFolder) -> bool:
    try:
        return run.state() == "done" and not run.is_held
    except (ClerkBatchError, OSError):
        return False


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
