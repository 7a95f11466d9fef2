"""A 429 that was not ours: every process gives up a part of the share at once, and gets it back period by period."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clerk_limits.clock import run_virtual
from clerk_limits.gate import Gate, GateOptions
from clerk_testing.machine import Machine
from clerk_testing.saturation import LATENCY_S, PERIOD_S, Server, saturate

REFUSED_AT_S = 2 * PERIOD_S
WHOLE_AGAIN_S = REFUSED_AT_S + (3 + 25) * PERIOD_S
"""Three quiet periods, and one for each hundredth of a quarter."""
LASTS_S = WHOLE_AGAIN_S + 5 * PERIOD_S
CYCLE = PERIOD_S / (PERIOD_S + 0.02 + 0.05)
"""Of the share, what a saturated window carries at 50 ms an answer."""
UNLIMITED = 1_000_000
DEVELOPMENT = 100


@dataclass
class Seen:
    """What two processes do after one of them was refused.

    Attributes:
        server: accepts everything, so that only the processes hold back.
        left: what each process says that is left of its share, period by period.
        latecomer: what a process says that starts a period after the refusal.
    """

    server: Server = field(default_factory=lambda: Server(UNLIMITED))
    left: list[list[float]] = field(default_factory=list)
    latecomer: float = 0.0

    def per_period(self, from_s: float, periods: int) -> float:
        """Requests in a period, as a part of the whole window."""
        return self.server.between(from_s, from_s + periods * PERIOD_S) / periods / DEVELOPMENT


@pytest.fixture(scope="module")
def seen() -> Seen:
    found, options = Seen(), GateOptions(share=1.0)

    async def watch(gates: list[Gate], machine: Machine) -> None:
        await asyncio.sleep(REFUSED_AT_S)
        gates[0].throttled("GET", "/users", retry_after="1", date=None)
        while machine.clock.now() < LASTS_S - PERIOD_S:
            await asyncio.sleep(PERIOD_S)
            found.left.append([gate.share_left for gate in gates])
            if not found.latecomer:
                found.latecomer = (await machine.process(options)).gate.share_left

    async def scenario(folder: Path) -> None:
        async with Machine(folder) as machine, asyncio.TaskGroup() as group:
            gates = [process.gate for process in await machine.processes(2, options)]
            group.create_task(watch(gates, machine))
            await saturate(gates, found.server, LATENCY_S["50 ms"], senders=20, lasts_s=LASTS_S)

    with tempfile.TemporaryDirectory() as folder:
        run_virtual(scenario(Path(folder)))
    return found


def test_both_shrink_although_one_was_refused_and_a_latecomer_too(seen: Seen) -> None:
    assert seen.left[0] == [0.75, 0.75]
    assert seen.latecomer == 0.75


def test_the_share_comes_back_by_hundredths_after_three_quiet_periods(seen: Seen) -> None:
    of_the_first = [left for left, _ in seen.left]
    assert of_the_first[:3] == [0.75] * 3
    assert of_the_first[3:28] == pytest.approx([0.75 + 0.01 * number for number in range(1, 26)], abs=0.0101)
    assert of_the_first[28:] == [1.0] * len(of_the_first[28:])
    assert all(left == other for left, other in seen.left)


def test_the_throughput_follows_it_down_and_up(seen: Seen) -> None:
    before = seen.per_period(REFUSED_AT_S - PERIOD_S, 1)
    shrunk = seen.per_period(REFUSED_AT_S + PERIOD_S, 2)
    half_way = seen.per_period(REFUSED_AT_S + 14 * PERIOD_S, 4)
    whole = seen.per_period(WHOLE_AGAIN_S + PERIOD_S, 3)
    assert before >= 0.97 * CYCLE
    assert 0.7 * CYCLE <= shrunk <= 0.75
    assert shrunk + 0.08 <= half_way <= 0.9
    assert whole >= 0.96 * CYCLE


def test_what_one_process_is_refused_makes_the_window_strict_for_all(tmp_path: Path) -> None:
    early_s: list[float] = []

    async def scenario() -> None:
        async with Machine(tmp_path) as machine:
            refused, other = await machine.processes(2, GateOptions(share=1.0, early_release_s=0.25))
            early_s.append(other.gate._budget.early.head_start(0.0, 1.0))
            refused.gate.throttled("GET", "/users", retry_after="1", date=None)
            await asyncio.sleep(PERIOD_S)
            # It is told with the next permit that it has to fetch.
            (await other.gate.acquire("GET", "/users")).settle()
            early_s.append(other.gate._budget.early.head_start(0.0, 1.0))

    run_virtual(scenario())
    assert early_s == [0.75, 0.0]
