"""The shared budget measured: ``make bench`` runs it, and it writes its own part of RESULTS.md.

Real processes against the strict simulator, in real time, so it takes a quarter of an hour; and the CPU of a permit in
one process. ``python tests/benchmarks/limits.py WORD …`` runs only the parts named:
simulation, use, guests, disk, cost.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from itertools import product
from pathlib import Path
from random import Random
from typing import Literal

from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_limits.ledger import Lender, LenderOptions
from clerk_testing.results import machine, table, write_part
from clerk_testing.saturation import LATENCY_S, Server, saturate
from clerk_testing.slow_disk import slow_disk
from clerk_testing.use import LATENCIES, Case, Use, measure

RESULTS = Path(__file__).with_name("RESULTS.md")
START_S = 1_800_000_000.0
EARLY_S = 0.25
LASTS_S = 52.0
PERMITS, RUNS = 10_000, 5
AT_ONCE = {"production": 2, "development": 4}
"""Cases that are measured side by side, each with its own simulator; on two cores more would measure the cores."""
BARS = {"50ms": (0.96, 0.96), "0.1-0.8s": (0.96, 0.96), "1-2s": (0.85, 0.95)}
"""The least use of the window at share 1.0, strict and with early release."""

USE_HEAD = ["instance", "latency", "processes", "window", "stall", "used", "429s", "fullest", "each of a part", "bar"]

Kind = Literal["production", "development"]
KINDS: tuple[Kind, ...] = ("production", "development")


def measured(cases: Sequence[Case]) -> list[tuple[Case, Use]]:
    """Measure them, a few of each kind at a time."""
    with ExitStack() as stack:
        pools = {kind: stack.enter_context(ThreadPoolExecutor(at_once)) for kind, at_once in AT_ONCE.items()}
        begun = [(case, pools[case.kind].submit(measure, case)) for case in cases]
        every = []
        for case, use in begun:
            every.append((case, use.result()))
            sys.stderr.write(f"{len(every)} of {len(cases)}: {' '.join(row(*every[-1]))}\n")
        return every


def words(case: Case) -> str:
    """How the window is kept, in words."""
    if case.manner == "bucket":
        return f"`AsyncLimiter({case.limit}, 10)`"
    if case.manner == "repeat":
        return "repeat after 429"
    return "strict" if case.early_s is None else f"early {case.early_s:g} s"


def held(case: Case, use: Use) -> str:
    """Whether the bars were held, for our own window; a stall is asked for no use, and in strict mode for no 429."""
    if case.manner != "gate" or case.share != 1.0:
        return ""
    least = 0.0 if case.stalled else BARS[case.latency.text][case.early_s is not None]
    refused = use.throttled > 0 and (case.early_s is None or not case.stalled)
    return "**missed**" if refused or use.used < least else "held"


def row(case: Case, use: Use) -> list[str]:
    """A row of the table of use."""
    return [
        case.kind,
        case.latency.text,
        str(case.processes),
        words(case),
        "1 s every 17 s" if case.stalled else "none",
        f"{use.used:.1%}",
        f"{use.throttled}",
        f"{use.worst}",
        f"{use.least:.2f}-{use.most:.2f}" if case.processes > 1 else "",
        held(case, use),
    ]


def use_cases() -> list[Case]:
    """Our window: every kind, latency, number of processes and network; beside them, what people write instead."""
    cases = [
        Case(kind=kind, latency=latency, processes=processes, early_s=early_s, stalled=stalled)
        for kind, latency, processes, early_s, stalled in product(
            KINDS, LATENCIES, (1, 4), (None, EARLY_S), (False, True)
        )
        # An answer that comes before it has nothing to release early.
        if early_s is None or latency.mean_s > early_s
    ]
    cases += [Case(kind="production", latency=latency, processes=8) for latency in LATENCIES[:2]]
    manners: tuple[Literal["bucket", "repeat"], ...] = ("bucket", "repeat")
    for kind, manner in product(KINDS, manners):
        cases += [Case(kind=kind, latency=latency, manner=manner) for latency in LATENCIES]
        cases.append(Case(kind=kind, latency=LATENCIES[0], manner=manner, processes=4))
    return cases


def use_part() -> list[str]:
    """Use of the window, and 429s."""
    lines = ["## Use of the window by processes, share 1.0, strict simulator", ""]
    lines.append(
        "Accepted requests in 30 s over the limit's, the mean over all 30 s that begin within one cycle; 429s and the "
        "fullest window from the beginning to the end. A part is an equal part of what all processes got. Bars: no 429 "
        "but with early release on a stalled network; used at least 96 % (at 1-2 s 85 %, with early release 95 %), "
        "where nothing stalls. Early release does nothing for answers that come before it."
    )
    every = measured(use_cases())
    lines += table(USE_HEAD, [row(case, use) for case, use in every])
    return lines + again([case for case, use in every if "missed" in held(case, use)])


def again(missed: Sequence[Case]) -> list[str]:
    """Those that missed their bar, once more: alone, since a machine that is busy is late and wastes the window."""
    if not missed:
        return []
    lines = ["What missed its bar beside others, measured again one at a time:"]
    return lines + table(USE_HEAD, [row(case, measure(case)) for case in missed])


def simulation_part() -> list[str]:
    """The same in virtual time, where no machine is slow: one process without a ledger."""
    rows = []
    for (text, draw), early_s, stalls in product(LATENCY_S.items(), (None, EARLY_S), (False, True)):
        random = Random(2)
        spent_s = statistics.fmean(min(draw(random), early_s or LASTS_S) for _ in range(20_000))
        server = Server(1000)
        gate = Gate(InstanceKind.PRODUCTION, GateOptions(share=1.0, early_release_s=early_s), VirtualClock(START_S))
        run_virtual(saturate([gate], server, draw, senders=310, lasts_s=LASTS_S, stalls=stalls))
        window = "strict" if early_s is None else f"early {early_s:g} s"
        stall = "1 s every 17 s" if stalls else "none"
        rows.append([text, window, stall, f"{server.used(10.02 + spent_s):.1%}", str(server.refused)])
    head = ["latency", "window", "stall", "used", "429s"]
    lines = ["## What strict and early release cost, production, in virtual time", ""]
    lines.append("One process without a ledger. A 429 makes the window strict, and the share smaller, for a while.")
    return lines + table(head, rows)


def guests_part() -> list[str]:
    """A live application beside a job."""
    cases = [
        Case(kind=kind, latency=LATENCIES[1], processes=processes, share=share, application="20%")
        for kind, share, processes in product(KINDS, (None, 1.0), (1, 4))
    ]
    rows = [
        [
            case.kind,
            "default" if case.share is None else f"{case.share:g}",
            str(case.processes),
            f"{use.used:.1%}",
            f"{use.throttled}",
            f"{use.visitors[0]:,}",
            f"{use.visitors[1]:,}",
        ]
        for case, use in measured(cases)
    ]
    head = ["instance", "share", "processes", "used by the job", "its 429s", "application's requests", "429s of them"]
    return ["## Beside a live application that spends 20 % of the window, 0.1-0.8 s", *table(head, rows)]


def disk_part() -> list[str]:
    """The same use on a slow disk."""
    with tempfile.TemporaryDirectory() as folder:
        disk = slow_disk(Path(folder))
        cases = [
            Case(
                kind="production", latency=latency, processes=processes, variables=disk.variables, prelude=disk.prelude
            )
            for latency, processes in product(LATENCIES[:2], (1, 4))
        ]
        rows = [[case.latency.text, str(case.processes), f"{use.used:.1%}", str(use.throttled), held(case, use)]
                for case, use in measured(cases)]  # fmt: skip
    head = ["latency", "processes", "used", "429s", "bar"]
    return ["## Production on a disk whose fsync takes 8 ms longer", "", f"Slowed: {disk.how}.", *table(head, rows)]


def cpu_us(callers: int, *, ledger: bool) -> float:
    """Median microseconds of CPU for a permit, threads included, with 0.2 s an answer in virtual time."""
    taken = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            begun_s = time.process_time()
            run_virtual(_permits(Path(folder) if ledger else None, callers))
            taken.append((time.process_time() - begun_s) / PERMITS * 1e6)
    return statistics.median(taken)


async def _permits(folder: Path | None, callers: int) -> None:
    clock = VirtualClock(START_S)
    async with AsyncExitStack() as stack:
        lender = None
        if folder is not None:
            given = LenderOptions(folder=folder, boot="this boot", pid=1, label="benchmark")
            lender = await stack.enter_async_context(Lender(given, clock))
        gate = Gate(InstanceKind.PRODUCTION, GateOptions(share=1.0), clock, ledger=lender)

        async def caller() -> None:
            for _ in range(PERMITS // callers):
                permit = await gate.acquire("GET", "/users")
                await clock.sleep(0.2)
                permit.settle()

        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(caller())


def cost_part() -> list[str]:
    """The CPU of a permit."""
    bars = {(10, False): "< 20", (10, True): "< 100"}
    rows = []
    for ledger, (callers, what) in product((False, True), ((10, "10 callers, in blocks of 10"), (400, "saturated"))):
        rows.append(
            [
                "shared" if ledger else "none",
                what,
                f"{cpu_us(callers, ledger=ledger):.1f}",
                bars.get((callers, ledger), ""),
            ]
        )
    lines = ["## CPU of a permit, in one process", "", "Event loop, timers and the ledger's thread included."]
    return lines + table(["ledger", "case", "µs", "bar"], rows)


PARTS = {"simulation": simulation_part, "use": use_part, "guests": guests_part, "disk": disk_part, "cost": cost_part}


def main(names: Sequence[str]) -> None:
    """Measure, write, and show."""
    for name in names or PARTS:
        begun_s = time.monotonic()
        lines = PARTS[name]()
        lines += [f"{machine()}. Took {(time.monotonic() - begun_s) / 60:.0f} min."]
        write_part(RESULTS, name, lines)
        sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
