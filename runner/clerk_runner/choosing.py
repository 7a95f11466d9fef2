"""Which run does ``run JOB`` mean? Decided under a lock on (job, instance), so that two starts cannot both begin.

An unfinished run of the same identity, input and instance is continued. A finished one of a job whose effects happen
once is not repeated. An unfinished one that differs is refused, with the difference named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clerk_runner.errors import RunHeldError, StoppedError, UsageError
from clerk_runner.folders import UNFINISHED, RunFacts, RunFolder, StateFolder
from clerk_runner.schema import open_reader

__all__ = ["Choice", "choose", "choose_named", "finished_runs", "has_sent"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The run that a command means, held by this process unless it is only repeated.

    Attributes:
        action: ``new`` was just made, ``continue`` goes on, ``change`` goes on with a changed input or job file,
            ``repeat`` is finished and says so.
        finished: runs of this job that finished earlier, oldest first, whose rows a new run skips.
    """

    folder: RunFolder
    action: Literal["new", "continue", "change", "repeat"]
    finished: tuple[RunFolder, ...] = ()


def choose(
    state: StateFolder,
    wanted: RunFacts,
    *,
    fresh: bool,
    accept_changes: bool,
    once: bool = True,
    lists: bool = False,
) -> Choice:
    """Find or make the run.

    Args:
        wanted: the facts of the run that would be new.
        fresh: leave unfinished runs behind and begin anew.
        accept_changes: go on with an unfinished run although its input or job file changed.
        once: whether the job's effects happen once, so that an identical finished run is not repeated.
        lists: whether rows come from a list of Clerk's, which may be another one by now: such a run is not identical.

    Raises:
        RunHeldError: another process works on the run.
        UsageError: an unfinished run of this job differs.
        StoppedError: the unfinished run was stopped by its error threshold.
    """
    with state.deciding(wanted.job, wanted.instance):
        known = [run for run in state.list() if run.facts().job == wanted.job]
        if fresh:
            for run in known:
                if not _left_behind(run) and _may_be_unfinished(run):
                    _leave_behind(run)
            return Choice(state.create(wanted), "new")
        finished = tuple(run for run in known if _counts_as_done(run, wanted.instance)) if once else ()
        for run in reversed(known):
            if not _left_behind(run) and run.state() in UNFINISHED:
                choice = _unfinished(run, wanted, finished, accept_changes=accept_changes)
                if choice is not None:
                    return choice
        for run in reversed(() if lists else finished):
            if not _differences(run.facts(), wanted):
                return Choice(run, "repeat")
        return Choice(state.create(wanted), "new", finished)


def choose_named(
    state: StateFolder, run: RunFolder, wanted: RunFacts, *, accept_changes: bool, reopen: bool = False
) -> Choice:
    """Go on with a run that the user named.

    Args:
        wanted: the facts as they are now: of the job file, the input and the key.
        reopen: open it although it is done, because there is a decision about its unresolved items.

    Raises:
        RunHeldError: another process works on this run, or on another one of its job.
        UsageError: the key is another instance's, or the job file or the input changed.
    """
    facts = run.facts()
    with state.deciding(facts.job, facts.instance):
        if "instance" in (differences := _differences(facts, wanted)):
            raise UsageError(
                f"run {facts.id} belongs to a different instance than this key",
                code="run_differs",
                hint="use the run's key",
            )
        if run.state() == "done" and not reopen:
            return Choice(run, "repeat")
        if differences and not accept_changes:
            raise UsageError(
                f"the {' and the '.join(differences)} changed since run {facts.id} began",
                code="run_differs",
                hint="--accept-changes continues it, matching rows by key",
            )
        # Two runs of one job at once could each send to the same people.
        for other in state.list():
            if other.id != run.id and (other.facts().job, other.facts().instance) == (facts.job, facts.instance):
                _refuse_held(other)
        run.hold()
        return Choice(run, "change" if differences else "continue")


def finished_runs(state: StateFolder, job: str, instance: str) -> tuple[RunFolder, ...]:
    """The runs of a job that finished, oldest first, whose rows a new run skips where its effects happen once."""
    return tuple(run for run in state.list() if run.facts().job == job and _counts_as_done(run, instance))


def _counts_as_done(run: RunFolder, instance: str) -> bool:
    if run.facts().instance != instance:
        return False
    try:
        return run.state() == "done"
    except StoppedError:
        if _left_behind(run):
            return False
        raise


def _may_be_unfinished(run: RunFolder) -> bool:
    """Whether ``--fresh`` leaves a run behind: also one whose journal is damaged, as its message advises."""
    try:
        return run.state() in UNFINISHED
    except StoppedError:
        return True


def _refuse_held(run: RunFolder) -> None:
    if run.is_held:
        raise RunHeldError(
            f"run {run.id} of the same job is running in another process",
            code="held",
            hint="wait for it to end, or look at it with: clerk-batch runs list",
        )


def _unfinished(
    run: RunFolder, wanted: RunFacts, finished: tuple[RunFolder, ...], *, accept_changes: bool
) -> Choice | None:
    differences = _differences(run.facts(), wanted)
    run.hold()
    try:
        if not differences:
            _refuse_stopped(run)
            return Choice(run, "continue", finished)
        if not has_sent(run):
            # It was only planned: nothing is lost when the job begins anew.
            run.discard()
            return None
        if accept_changes and "instance" not in differences:
            return Choice(run, "change")
    except BaseException:
        run.release()
        raise
    run.release()
    matched = "instance" not in differences and wanted.kind != "export"
    advice = "--accept-changes continues it, matching rows by key; " if matched else ""
    raise UsageError(
        f"run {run.id} of this job is unfinished, and since then the {' and the '.join(differences)} changed",
        code="run_differs",
        hint=f"{advice}--fresh abandons it and starts over",
    )


def _refuse_stopped(run: RunFolder) -> None:
    if run.state() == "stopped" and run.meta().get("stop_code") == "threshold":
        raise StoppedError(
            f"run {run.id} of this job was stopped because too many items failed",
            code="threshold",
            hint=f"fix the cause, then: clerk-batch resume {run.id} (or start over with --fresh)",
        )


def _differences(facts: RunFacts, wanted: RunFacts) -> list[str]:
    pairs = {
        "instance": (facts.instance, wanted.instance),
        "job file": (facts.identity, wanted.identity),
        **_inputs(facts, wanted),
    }
    return [name for name, (before, now) in pairs.items() if before != now]


def _inputs(facts: RunFacts, wanted: RunFacts) -> dict[str, tuple[str, str]]:
    """The inputs then and now: of a job with the same steps each by its name."""
    before, now = facts.inputs, wanted.inputs
    if before is None or now is None or before.keys() != now.keys():
        return {"input": (facts.fingerprint, wanted.fingerprint)}
    return {f"input of step {name}": (before[name], now[name]) for name in now}


def has_sent(run: RunFolder) -> bool:
    """Whether a run has begun to send, or has pages of an export."""
    if run.state() == "planned":
        return False
    reader = open_reader(run.journal_path)
    try:
        # An export's table is there once it has begun to walk.
        known = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('attempt', 'answered', 'extent')"
        tables = [name for (name,) in reader.execute(known)]
        return any(reader.execute(f"SELECT EXISTS (SELECT 1 FROM {name})").fetchone()[0] for name in tables)  # noqa: S608
    finally:
        reader.close()


def _left_behind(run: RunFolder) -> bool:
    return (run.path / "left-behind").exists()


def _leave_behind(run: RunFolder) -> None:
    """Mark a run that ``--fresh`` left behind; it can still be resumed by its id."""
    run.hold()
    (run.path / "left-behind").touch(mode=0o600)
    run.release()
