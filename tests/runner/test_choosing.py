"""Which run a command means."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clerk_jobs.call import Draft
from clerk_runner.choosing import Choice, choose, choose_named, has_sent
from clerk_runner.errors import Exit, RunHeldError, StoppedError, UsageError
from clerk_runner.folders import RunFacts, RunFolder, StateFolder
from clerk_runner.journal import Intent, Journal, SourceRow


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


_numbers = iter(range(1, 1_000_000))


def wanted(**more: Any) -> RunFacts:
    facts = RunFacts(
        id=f"run-{next(_numbers):06}",
        job="beta",
        kind="invite",
        job_file="/x/job.yaml",
        overrides=(),
        identity="job file 1",
        fingerprint="input 1",
        source="people.csv",
        instance="ins_1",
        instance_kind="production",
        host="127.0.0.1",
        api_version="2026-05-12",
        created_ms=1,
    )
    return msgspec.structs.replace(facts, **more)


def at(run: RunFolder, state: str, *, sent: bool = True, **meta: Any) -> RunFolder:
    """Bring a run's journal to a state."""

    async def scenario() -> None:
        journal = Journal(run.journal_path, durable=False)
        await journal.ingest([SourceRow(1, 2, 10, Draft(b"k", b"d"))])
        await journal.seal()
        if sent:
            await journal.begin(Intent("POST", "/invitations", (1,), 1, 1))
        await journal.put(state=state, **meta)
        journal.close()

    asyncio.run(scenario())
    run.release()
    return run


def chosen(state: StateFolder, facts: RunFacts, *, fresh: bool = False, accept_changes: bool = False) -> Choice:
    choice = choose(state, facts, fresh=fresh, accept_changes=accept_changes)
    choice.folder.release()
    return choice


def test_a_first_run_is_new_and_held(state: StateFolder) -> None:
    choice = choose(state, wanted(), fresh=False, accept_changes=False)
    assert choice.action == "new"
    assert choice.folder.is_held
    with pytest.raises(RunHeldError):
        choose(state, wanted(), fresh=False, accept_changes=False)
    choice.folder.release()


@pytest.mark.parametrize("where", ["planned", "running", "waiting", "interrupted", "stopped", "finalizing"])
def test_an_unfinished_run_is_continued(state: StateFolder, where: str) -> None:
    first = at(chosen(state, wanted()).folder, where)
    choice = chosen(state, wanted())
    assert (choice.action, choice.folder.id) == ("continue", first.id)


def test_a_finished_run_is_repeated_unless_fresh(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "done")
    choice = chosen(state, wanted())
    assert (choice.action, choice.folder.id) == ("repeat", first.id)
    again = chosen(state, wanted(), fresh=True)
    assert again.action == "new"
    assert again.finished == ()


def test_a_job_that_lists_begins_anew_and_knows_what_happened_once(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "done")
    again = choose(state, wanted(), fresh=False, accept_changes=False, lists=True)
    assert (again.action, [run.id for run in again.finished]) == ("new", [first.id])
    at(again.folder, "done")
    often = choose(state, wanted(), fresh=False, accept_changes=False, once=False, lists=True)
    assert (often.action, often.finished) == ("new", ())


def test_a_changed_file_is_a_new_run_that_knows_the_earlier_ones(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "done")
    second = chosen(state, wanted(fingerprint="input 2"))
    assert second.action == "new"
    assert [run.id for run in second.finished] == [first.id]
    at(second.folder, "done")
    third = chosen(state, wanted(fingerprint="input 3"))
    assert [run.id for run in third.finished] == [first.id, second.folder.id]
    # A plan that was begun before and is taken up again knows them too.
    fourth = chosen(state, wanted(fingerprint="input 3"))
    assert (fourth.action, fourth.folder.id) == ("continue", third.folder.id)
    assert [run.id for run in fourth.finished] == [first.id, second.folder.id]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fingerprint": "input 2"}, "the input changed"),
        ({"identity": "job file 2"}, "the job file changed"),
        ({"fingerprint": "input 2", "identity": "job file 2"}, "the job file and the input changed"),
        ({"instance": "ins_2"}, "the instance changed"),
    ],
)
def test_an_unfinished_run_that_differs_is_refused_with_the_difference(
    state: StateFolder, change: dict[str, str], named: str
) -> None:
    first = at(chosen(state, wanted()).folder, "interrupted")
    with pytest.raises(UsageError, match=named) as error:
        chosen(state, wanted(**change))
    assert error.value.exit is Exit.USAGE
    assert first.id in error.value.message
    assert not first.is_held
    assert "--fresh" in error.value.hint
    assert ("--accept-changes" in error.value.hint) is ("instance" not in change)


def test_accepted_changes_go_on_with_the_run(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "interrupted")
    choice = chosen(state, wanted(fingerprint="input 2"), accept_changes=True)
    assert (choice.action, choice.folder.id) == ("change", first.id)
    with pytest.raises(UsageError, match="instance"):
        chosen(state, wanted(instance="ins_2"), accept_changes=True)


@pytest.mark.parametrize("where", ["planned", "interrupted"])
def test_a_stale_plan_does_not_block_and_is_discarded(state: StateFolder, where: str) -> None:
    first = at(chosen(state, wanted()).folder, where, sent=False)
    assert not has_sent(first)
    choice = chosen(state, wanted(fingerprint="input 2"))
    assert choice.action == "new"
    assert [run.id for run in state.list()] == [choice.folder.id]


def test_a_plan_that_waits_for_its_answer_elsewhere_is_not_run_beside(state: StateFolder) -> None:
    """Both could be answered with yes, and nearly the same people be sent to twice."""
    first = choose(state, wanted(), fresh=False, accept_changes=False)
    with pytest.raises(RunHeldError):
        choose(state, wanted(fingerprint="input 2"), fresh=False, accept_changes=False)
    with pytest.raises(RunHeldError):
        choose(state, wanted(), fresh=True, accept_changes=False)
    first.folder.release()


def test_fresh_leaves_an_unfinished_run_behind_for_good(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "interrupted")
    second = chosen(state, wanted(fingerprint="input 2"), fresh=True)
    assert second.action == "new"
    third = chosen(state, wanted())
    assert third.folder.id != first.id


def test_a_run_over_its_threshold_goes_on_only_by_its_name(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "stopped", stop_code="threshold")
    with pytest.raises(StoppedError, match="too many") as error:
        chosen(state, wanted())
    assert f"resume {first.id}" in error.value.hint
    assert not first.is_held
    choice = choose_named(state, first, wanted(), accept_changes=False)
    assert choice.action == "continue"
    choice.folder.release()


def test_a_damaged_journal_is_named_and_fresh_goes_past_it(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "interrupted")
    first.journal_path.write_bytes(b"no journal" * 1000)
    with pytest.raises(StoppedError, match="damaged") as error:
        chosen(state, wanted())
    assert "--fresh" in error.value.hint
    second = chosen(state, wanted(), fresh=True)
    assert second.action == "new"
    at(second.folder, "done")
    assert chosen(state, wanted()).folder.id == second.folder.id


def test_another_jobs_runs_do_not_matter(state: StateFolder) -> None:
    at(chosen(state, wanted(job="other")).folder, "interrupted")
    assert chosen(state, wanted()).action == "new"


# ------------------------------------------------------------------ by name


def test_a_named_run_that_is_done_is_repeated_or_reopened(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "done")
    assert choose_named(state, first, wanted(), accept_changes=False).action == "repeat"
    choice = choose_named(state, first, wanted(), accept_changes=False, reopen=True)
    assert choice.action == "continue"
    choice.folder.release()


def test_a_named_run_that_differs(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "interrupted")
    with pytest.raises(UsageError, match="the input changed"):
        choose_named(state, first, wanted(fingerprint="input 2"), accept_changes=False)
    with pytest.raises(UsageError, match="a different instance"):
        choose_named(state, first, wanted(instance="ins_2"), accept_changes=True)
    choice = choose_named(state, first, wanted(fingerprint="input 2"), accept_changes=True)
    assert choice.action == "change"
    choice.folder.release()


def test_a_named_run_waits_for_its_sibling(state: StateFolder) -> None:
    first = at(chosen(state, wanted()).folder, "interrupted")
    second = choose(state, wanted(), fresh=True, accept_changes=False)
    with pytest.raises(RunHeldError, match=second.folder.id):
        choose_named(state, first, wanted(), accept_changes=False)
    second.folder.release()
    choose_named(state, first, wanted(), accept_changes=False).folder.release()
