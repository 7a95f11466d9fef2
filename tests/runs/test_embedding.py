"""Jobs from other programs: the two coroutines, against the simulator as another process."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

import clerk_runner
from clerk_runner import AccessError, JobOptions, RunnerError, plan_job, run_job
from clerk_testing.commands import write_people

INVITE = "name: invites\nkind: invite\nsource: people.csv\nemail: '{email}'\n"
EXPORT = "name: users\nkind: export\nlist: users\noutput: users.jsonl\n"


@pytest.mark.parametrize("name", clerk_runner.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(clerk_runner, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = clerk_runner.Nothing  # type: ignore[attr-defined]


def test_a_job_is_planned_and_run_without_a_word(start: Any, capfd: pytest.CaptureFixture[str]) -> None:
    workplace, clerk = start()
    write_people(workplace.folder / "people.csv", ["ada@example.com", "bob@example.com"])
    job, around = workplace.write("job.yaml", INVITE), workplace.environment
    plan = asyncio.run(plan_job(job, environment=around))
    assert plan.as_json()["items"]["pending"] == 2
    with pytest.raises(AccessError) as refused:
        asyncio.run(run_job(job, environment=around))
    assert (refused.value.code, clerk.effects("CreateInvitation")) == ("confirmation_missing", {})
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    summary = asyncio.run(run_job(job, JobOptions(yes=True, overrides={"limits.share": "0.5"}), environment=around))
    assert (summary.state, summary.exit, summary.items.done) == ("done", 0, 2)
    assert asyncio.run(
        run_job(job, JobOptions(yes=True, overrides={"limits.share": "0.5"}), environment=around)
    ).repeated
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert capfd.readouterr() == ("", "")


def test_a_job_with_steps_from_a_program(start: Any) -> None:
    workplace, clerk = start()
    write_people(workplace.folder / "people.csv", ["ada@example.com"])
    step = "  - {name: people, kind: invite, source: people.csv, email: '{email}'}\n"
    job = workplace.write("job.yaml", f"name: onboarding\nsteps:\n{step}")
    assert asyncio.run(plan_job(job, environment=workplace.environment)).as_json()["items"]["pending"] == 1
    assert asyncio.run(run_job(job, JobOptions(yes=True), environment=workplace.environment)).exit == 0
    assert len(clerk.effects("CreateInvitation")) == 1


def test_an_export_from_a_program_has_its_proof(start: Any) -> None:
    workplace, _clerk = start("--users=30")
    summary = asyncio.run(run_job(workplace.write("job.yaml", EXPORT), environment=workplace.environment))
    assert isinstance(summary, clerk_runner.ExportSummary)
    assert summary.proof is not None
    assert summary.proof.rows == 30
    assert (workplace.folder / "users.jsonl").read_bytes().count(b"\n") == 30


def test_a_program_stops_a_run_and_goes_on_with_it(start: Any) -> None:
    workplace, clerk = start("--latency=0.2-0.3s")
    addresses = [f"p{place}@example.com" for place in range(40)]
    write_people(workplace.folder / "people.csv", addresses)
    job = workplace.write("job.yaml", INVITE + "lanes: single\n")
    options = JobOptions(yes=True)

    async def stopped() -> clerk_runner.Summary:
        stop = asyncio.Event()
        run = asyncio.create_task(run_job(job, options, environment=workplace.environment, stop=stop))
        while not await asyncio.to_thread(clerk.effects, "CreateInvitation"):
            assert not run.done(), run.result()
            await asyncio.sleep(0)
        stop.set()
        return await run

    summary = asyncio.run(stopped())
    assert (summary.state, summary.exit) == ("interrupted", 143)
    assert summary.items.pending > 0
    assert asyncio.run(run_job(job, options, environment=workplace.environment)).exit == 0
    assert {each: len(times) for each, times in clerk.effects("CreateInvitation").items()} == dict.fromkeys(
        addresses, 1
    )


def test_a_stop_before_the_first_request_sends_nothing(start: Any) -> None:
    workplace, clerk = start()
    write_people(workplace.folder / "people.csv", ["ada@example.com"])
    job = workplace.write("job.yaml", INVITE)

    async def stopped() -> None:
        stop = asyncio.Event()
        stop.set()
        await run_job(job, JobOptions(yes=True), environment=workplace.environment, stop=stop)

    with pytest.raises(RunnerError) as ended:
        asyncio.run(stopped())
    assert (ended.value.code, int(ended.value.exit)) == ("interrupted", 143)
    assert clerk.effects("CreateInvitation") == {}


def test_the_folder_of_a_job_may_be_a_text(start: Any) -> None:
    workplace, _clerk = start("--users=3")
    path: Path = workplace.write("job.yaml", EXPORT)
    assert asyncio.run(plan_job(str(path), environment=workplace.environment)).as_json()["items"]["total"] == 3
