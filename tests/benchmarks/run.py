"""Benchmarks in one process: ``make bench`` runs them and writes their tables to RESULTS.md.

Figures are medians of several runs in one process; nothing in the tests asserts them.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from aiolimiter import AsyncLimiter

from clerk_jobs.invite import Lane
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.planner import Course, forecast
from clerk_testing.results import machine, write_part

RESULTS = Path(__file__).with_name("RESULTS.md")
RUNS = 5
PERMITS = 20_000
START_S = 1_800_000_000.0
PERIOD_S = 10.0
MEASURED_S = 60.0


def cpu_us(work: Callable[[], int]) -> float:
    """Median microseconds of CPU for each permit that ``work`` took."""
    taken = []
    for _ in range(RUNS):
        begun = time.process_time()
        count = work()
        taken.append((time.process_time() - begun) / count * 1e6)
    return statistics.median(taken)


def permits(method: str, template: str, *, concurrency: int) -> int:
    """Take permits as fast as a virtual production instance gives them, with 0.2 s an answer."""

    async def play() -> None:
        clock = VirtualClock(START_S)
        gate = Gate(InstanceKind.PRODUCTION, GateOptions(share=1.0), clock)

        async def worker(number: int) -> None:
            for _ in range(PERMITS // concurrency):
                permit = await gate.acquire(method, template, subject=f"user_{number}")
                await clock.sleep(0.2)
                permit.settle()

        async with asyncio.TaskGroup() as group:
            for number in range(concurrency):
                group.create_task(worker(number))

    run_virtual(play())
    return PERMITS


def fullest(times: Iterable[float]) -> int:
    """The most arrivals in any window of ten seconds."""
    ordered, first, most = sorted(times), 0, 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - PERIOD_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def use_of_window(latency_s: float) -> list[float]:
    """When the calls of saturating callers arrive at Clerk, behind the gate."""
    arrivals: list[float] = []

    async def play() -> None:
        clock = VirtualClock(START_S)
        gate = Gate(InstanceKind.PRODUCTION, GateOptions(share=1.0), clock)

        async def one() -> None:
            while clock.now() < MEASURED_S + PERIOD_S:
                permit = await gate.acquire("GET", "/users")
                arrivals.append(clock.now() + latency_s / 2)
                await clock.sleep(latency_s)
                permit.settle()

        async with asyncio.TaskGroup() as group:
            for _ in range(200 + int(200 * latency_s)):
                group.create_task(one())

    run_virtual(play())
    return arrivals


def use_of_bucket(latency_s: float) -> list[float]:
    """The same behind a token bucket alone, which never waits for an answer."""
    arrivals: list[float] = []

    async def play() -> None:
        clock = VirtualClock(START_S)
        bucket = AsyncLimiter(1000, PERIOD_S)
        while clock.now() < MEASURED_S + PERIOD_S:
            while bucket.has_capacity():
                await bucket.acquire()
                arrivals.append(clock.now() + latency_s / 2)
            await clock.sleep(0.001)

    run_virtual(play())
    return arrivals


def figures(arrivals: list[float]) -> str:
    """Share of the limit that was used in the measured minute, and the fullest window."""
    used = sum(PERIOD_S <= at < MEASURED_S + PERIOD_S for at in arrivals) / (MEASURED_S / PERIOD_S * 1000)
    return f"{used:.1%} | {fullest(arrivals)}"


def plan_s(people: int) -> float:
    """Median seconds that the plan of an invitation job takes."""
    lanes = (
        Lane("bulk", "CreateBulkInvitations", "/invitations/bulk", 10),
        Lane("single", "CreateInvitation", "/invitations", 1),
    )
    course = Course(
        lanes=lanes,
        groups={"": people},
        alone=0,
        instance=InstanceKind.PRODUCTION,
        options=GateOptions(quota_share=1.0),
    )
    taken = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        forecast(course, START_S)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def tables() -> list[str]:
    """All tables, as Markdown."""
    lines = ["## CPU of a permit, in one process, without a ledger", "", "| case | µs |", "|-|-|"]
    free = cpu_us(lambda: permits("GET", "/users", concurrency=10))
    busy = cpu_us(lambda: permits("GET", "/users", concurrency=400))
    lines += [f"| GET /users, seldom waiting | {free:.1f} |", f"| GET /users, 400 callers, saturated | {busy:.1f} |"]
    lines += ["", "Both figures hold the event loop's own turns and two timers a call.", ""]
    lines += ["## Use of the production window over a minute, saturating callers, virtual time", ""]
    lines += ["| latency | window: used | fullest 10 s | bucket alone: used | fullest 10 s |", "|-|-|-|-|-|"]
    lines += [
        f"| {latency_s:g} s | {figures(use_of_window(latency_s))} | {figures(use_of_bucket(latency_s))} |"
        for latency_s in (0.05, 0.4, 1.5)
    ]
    lines += ["", "Clerk allows 1000. The bucket is `aiolimiter.AsyncLimiter(1000, 10)`.", ""]
    lines += ["## Planning invitations", "", "| people | seconds |", "|-|-|"]
    lines += [f"| {people:,} | {plan_s(people):.2f} |" for people in (350, 10_000)]
    return [*lines, "", f"Medians of {RUNS} runs. {machine()}."]


def main() -> None:
    """Measure, write, and show."""
    lines = tables()
    write_part(RESULTS, "one process", lines)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
