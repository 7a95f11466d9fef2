"""How much of an instance's window real processes use against the simulator, and what it refused them.

**Measure.** Requests that the simulator accepted in 30 s, over what the limit allows in 30 s; the mean over all such
30 s that begin within one cycle (a period and an answer), because a window refills in waves and where in a wave one
begins to count would otherwise decide. It begins one period after the first request.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.spender import Task
from clerk_testing.spending import Spender, spenders

__all__ = ["LATENCIES", "Case", "Latency", "Use", "measure"]

PERIOD_S = 10.0
MEASURED_S = 30.0
LOOK_S = 0.25
STARTS = 100


@dataclass(frozen=True, slots=True)
class Latency:
    """How long answers take: as the simulator is told, on average, and at most but for a few."""

    text: str
    mean_s: float
    long_s: float


LATENCIES = (Latency("50ms", 0.05, 0.05), Latency("0.1-0.8s", 0.345, 0.8), Latency("1-2s", 1.5, 2.0))


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is measured.

    Attributes:
        kind: of the instance.
        manner: see ``spender.Task``.
        early_s: early release; None for strict.
        stalled: whether the network is silent for 1 s every 17 s.
        share: of the window; None for the default.
        application: part of the window that a live application spends beside.
        variables: beside the usual ones, for the spenders.
        prelude: what each spender runs before it begins.
    """

    kind: Literal["production", "development"]
    latency: Latency
    processes: int = 1
    manner: Literal["gate", "bucket", "repeat"] = "gate"
    early_s: float | None = None
    stalled: bool = False
    share: float | None = 1.0
    application: str = "0%"
    variables: Mapping[str, str] = field(default_factory=dict)
    prelude: str = ""

    @property
    def limit(self) -> int:
        """Requests that the instance allows in ten seconds."""
        return 1000 if self.kind == "production" else 100

    @property
    def senders(self) -> int:
        """So many calls under way in each process use the whole window alone."""
        return int(self.limit / PERIOD_S * self.latency.long_s * 1.5) + 10


@dataclass(frozen=True, kw_only=True)
class Use:
    """What came of it.

    Attributes:
        used: of the limit, 1.0 for all.
        throttled: requests of the spenders that were answered by a 429, from the beginning to the end.
        worst: most arrivals in any window, refused ones among them.
        least, most: accepted requests of the least and the most successful process, as parts of an equal part.
        visitors: requests of the application, and how many of them were refused.
        load: of the machine meanwhile.
    """

    used: float
    throttled: int
    worst: int
    least: float
    most: float
    visitors: tuple[int, int]
    load: float


def measure(case: Case) -> Use:
    """Let processes spend, and count."""
    prefix = "sk_live_" if case.kind == "production" else "sk_test_"
    keys = [f"{prefix}spender{number}" for number in range(case.processes)]
    options = [*(f"--key={key}" for key in keys), f"--latency={case.latency.text}", f"--application={case.application}"]
    if case.stalled:
        options.append("--stall=1s/17s")
    program = (sys.executable, "-c", f"{case.prelude}\nfrom clerk_testing.spender import main\nmain()\n")
    with tempfile.TemporaryDirectory() as state, simulated_clerk(*options) as clerk:
        task = Task(
            state=state,
            senders=case.senders,
            manner=case.manner,
            limit=case.limit,
            share=case.share,
            early_release_s=case.early_s,
        )
        variables = {**clerk.environment, **case.variables}
        with spenders(case.processes, task, variables, keys, program) as every:
            times, accepted = _counted(case, clerk, every)
        report = clerk.report()
    clients = report["clients"]
    application = clients.pop("application", {"requests": 0, "throttled": 0})
    got = [one["requests"] - one["throttled"] for one in clients.values()]
    return Use(
        used=_used(case, times, accepted),
        throttled=sum(one["throttled"] for one in clients.values()),
        worst=report["limits"]["instance"]["worst_window"],
        least=min(got) * len(got) / sum(got),
        most=max(got) * len(got) / sum(got),
        visitors=(application["requests"], application["throttled"]),
        load=os.getloadavg()[0],
    )


def _cycle_s(case: Case) -> float:
    return PERIOD_S + min(case.latency.mean_s, case.early_s or case.latency.mean_s)


def _counted(case: Case, clerk: SimulatedClerk, every: Sequence[Spender]) -> tuple[list[float], list[int]]:
    """Look again and again how many requests were accepted."""
    begun_s = time.monotonic()
    times, accepted = [begun_s], [0]
    while times[-1] < begun_s + PERIOD_S + _cycle_s(case) + MEASURED_S + LOOK_S:
        try:
            code = every[0].process.wait(LOOK_S)
            raise RuntimeError(f"a spender ended too early: exit {code}")
        except subprocess.TimeoutExpired:
            clients = clerk.report()["clients"]
        times.append(time.monotonic())
        accepted.append(
            sum(one["requests"] - one["throttled"] for name, one in clients.items() if name != "application")
        )
    return times, accepted


def _used(case: Case, times: Sequence[float], accepted: Sequence[int]) -> float:
    def at(moment_s: float) -> float:
        after = bisect_left(times, moment_s)
        part = (moment_s - times[after - 1]) / (times[after] - times[after - 1])
        return accepted[after - 1] + part * (accepted[after] - accepted[after - 1])

    starts = [times[0] + PERIOD_S + _cycle_s(case) * number / STARTS for number in range(STARTS)]
    counts = [at(start_s + MEASURED_S) - at(start_s) for start_s in starts]
    return sum(counts) / STARTS / (case.limit * MEASURED_S / PERIOD_S)
