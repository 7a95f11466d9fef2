"""A live application beside a job: the share that a job leaves is enough for it, and without one it would suffer."""

import asyncio
from typing import Any

import pytest

from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.simulator import SimulatorSettings
from clerk_runner.simulator.application import Application, parse_part
from clerk_runner.simulator.exchange import Incoming, Stage
from clerk_runner.simulator.latency import Latency
from clerk_runner.simulator.report import Report
from clerk_testing.simulated import SimulatedClient, simulator_in_loop

PART = 0.2
LASTS_S = 60.0
SENDERS = 150
KEY = "sk_live_simulator"


def beside_an_application(options: GateOptions) -> dict[str, Any]:
    """The report after a minute in which a job sends all that its gate lets through, in virtual time."""

    async def scenario() -> dict[str, Any]:
        report = Report(0, None)
        settings = SimulatorSettings(keys=(KEY,), latency=Latency.parse("0.1-0.8s"), application=PART)
        stage = Stage(settings, report)
        gate = Gate(InstanceKind.PRODUCTION, options, VirtualClock(1_800_000_000.0))
        application = Application(stage.play, KEY, PART * stage.instance_per_s, seed=1)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(application.run())]
            tasks += [group.create_task(job(gate, stage)) for _ in range(SENDERS)]
            await asyncio.sleep(LASTS_S)
            for task in tasks:
                task.cancel()
        return report.as_json()

    return run_virtual(scenario())


async def job(gate: Gate, stage: Stage) -> None:
    """One of a job's senders, which asks for the next permit when it has its answer."""
    clock = asyncio.get_running_loop().time
    headers = {"Authorization": f"Bearer {KEY}"}
    while True:
        with await gate.acquire("GET", "/organizations") as permit:
            await stage.play(Incoming("GET", "/organizations", "limit=1", headers, b"", clock(), lambda: True))
            permit.settle()


def test_at_the_default_share_the_application_sees_no_429() -> None:
    report = beside_an_application(GateOptions())
    application, ours = report["clients"]["application"], report["clients"]["key 1"]
    assert application["throttled"] == ours["throttled"] == 0
    assert application["requests"] == pytest.approx(PART * 100 * LASTS_S, rel=0.1)
    # The job was no guest that asked for little: it used its own part.
    assert ours["requests"] >= 0.9 * 70 * LASTS_S


def test_a_job_that_takes_all_hurts_the_application() -> None:
    report = beside_an_application(GateOptions(share=1.0))
    assert report["clients"]["application"]["throttled"] > 0


def test_its_requests_are_told_apart_in_the_report() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        while "application" not in clerk.simulator.report()["clients"]:  # type: ignore[operator]
            await clerk.get("/users/count")

    async def play() -> dict[str, Any]:
        async with simulator_in_loop(application=PART, arrivals=1000) as clerk:
            await scenario(clerk)
        report: dict[str, Any] = clerk.simulator.report()
        return report

    report = asyncio.run(play())
    assert report["clients"]["application"]["requests"] >= 1
    assert report["clients"]["key 1"]["requests"] >= 1
    assert {arrival["client"] for arrival in report["arrivals"]} == {"application", "key 1"}
    assert "GET /users" in report["requests"]


def test_without_one_nobody_else_calls() -> None:
    async def play() -> dict[str, Any]:
        async with simulator_in_loop() as clerk:
            await clerk.get("/users/count")
        report: dict[str, Any] = clerk.simulator.report()
        return report

    assert asyncio.run(play())["clients"].keys() == {"key 1"}


def test_a_part_of_the_window() -> None:
    assert parse_part("20%") == parse_part(" 0.2 ") == 0.2
    for wrong in ("lots", "120%", "-1", ""):
        with pytest.raises(ValueError, match=r"write 20% or 0\.2"):
            parse_part(wrong)
    with pytest.raises(ValueError, match="application: must be from 0 to 1"):
        SimulatorSettings(application=1.5)
