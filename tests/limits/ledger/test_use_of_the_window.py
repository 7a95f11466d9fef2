"""What strict and early release, a ledger and a stalled network cost of the window: saturated, in virtual time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pytest

from clerk_limits.clock import run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_testing.machine import Machine
from clerk_testing.saturation import LATENCY_S, PERIOD_S, Server, saturate

EARLY_S = 0.25
GUARD_S = 0.020
LEDGER_COSTS = 0.007
"""Of the window: permits are rounded to 5 ms, and asked for a moment after they are back."""
LIMIT = 100
LASTS_S = 52.0


def spent_s(latency: str, early_s: float | None) -> float:
    """How long a slot is under way before its period begins, on average."""
    random = Random(2)
    draws = [LATENCY_S[latency](random) for _ in range(20_000)]
    return sum(draw if early_s is None else min(draw, early_s) for draw in draws) / len(draws)


def played(
    latency: str, *, processes: int, early_s: float | None = None, stalls: bool = False, lasts_s: float = LASTS_S
) -> Server:
    """The server after all processes sent as much as they might; without processes a gate without a ledger."""
    options = GateOptions(share=1.0, early_release_s=early_s)
    server = Server(LIMIT)
    senders = int(server.limit / PERIOD_S * 2.5 / max(1, processes) * 2) + 10

    async def scenario(folder: Path) -> None:
        async with Machine(folder) as machine:
            every = [process.gate for process in await machine.processes(processes, options)]
            gates = every or [Gate(InstanceKind.DEVELOPMENT, options, machine.clock)]
            await saturate(gates, server, LATENCY_S[latency], senders=senders, lasts_s=lasts_s, stalls=stalls)

    with tempfile.TemporaryDirectory() as folder:
        run_virtual(scenario(Path(folder)))
    return server


@pytest.mark.parametrize("latency", LATENCY_S)
@pytest.mark.parametrize("early_s", [None, EARLY_S], ids=["strict", "early"])
@pytest.mark.parametrize("processes", [0, 1, 4])
def test_the_window_is_used_but_for_what_the_answers_take(latency: str, early_s: float | None, processes: int) -> None:
    server = played(latency, processes=processes, early_s=early_s)
    cycle_s = PERIOD_S + GUARD_S + spent_s(latency, early_s)
    assert server.refused == 0
    assert server.used(cycle_s) == pytest.approx(PERIOD_S / cycle_s, abs=LEDGER_COSTS)


@pytest.mark.parametrize(
    ("latency", "early_s", "least"),
    [
        ("50 ms", None, 0.96),
        ("0.1-0.8 s", None, 0.96),
        ("1-2 s", None, 0.85),
        ("1-2 s", EARLY_S, 0.95),
    ],
)
def test_eight_processes_use_a_window_as_one_would(latency: str, early_s: float | None, least: float) -> None:
    server = played(latency, processes=8, early_s=early_s, lasts_s=2 * LASTS_S)
    assert server.refused == 0
    assert server.used(PERIOD_S + GUARD_S + spent_s(latency, early_s)) >= least
    assert len(server.parts()) == 8
    assert all(0.5 <= part <= 2.0 for part in server.parts()), server.parts()


@pytest.mark.parametrize("latency", LATENCY_S)
@pytest.mark.parametrize("processes", [0, 4])
def test_a_network_that_stalls_gives_no_429_in_strict_mode(latency: str, processes: int) -> None:
    server = played(latency, processes=processes, stalls=True)
    assert server.refused == 0
    assert server.used(PERIOD_S + GUARD_S + spent_s(latency, None)) >= 0.8


def test_early_release_is_for_steady_networks_only() -> None:
    """What the default spares: on a network that stalls it is refused, and the share that shrinks costs its gain."""
    stalled = played("1-2 s", processes=0, early_s=EARLY_S, stalls=True)
    strict = played("1-2 s", processes=0, stalls=True)
    assert stalled.refused > 0
    assert strict.refused == 0
    assert len(stalled.accepted) < len(strict.accepted)
