"""How fast exports are, what they cost, and what the two usual loops cost beside them: ``python exports.py [PART …]``.

Each case has a simulator of its own as a process, with production limits, and a client as another: CPU and resident
memory are the kernel's figures for that client. Parts can be run alone, and each keeps its figures until it is run
again; the tables go to EXPORTS.md with their bars. Nothing in the tests asserts them.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiolimiter import AsyncLimiter

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from clerk_testing.simulated import SimulatedClerk, simulated_clerk

RESULTS = Path(__file__).with_name("EXPORTS.md")
FIGURES = Path(__file__).with_name("exports.json")
KEY = "sk_live_benchmark"
PAGE = 500
USER, CHUNK = 2500, 1 << 20
LIMIT_PER_S = 100.0
MILLION = 1_000_000
MOST_S = 900.0
"""Seconds after which a client is ended: a part takes no longer, whatever else the machine does."""
JOB = "name: all\nkind: export\nlist: users\noutput: users.jsonl\nlimits: {limits}\n"
STRICT, EARLY = "{share: 1.0}", "{share: 1.0, early_release: 250ms}"
OURS = "clerk-batch"


@dataclass(frozen=True)
class Case:
    """Users, a network and a client.

    Attributes:
        limits: as in the job file.
        share_bar: the least part of the limit that has to be used; None for no bar.
        cpu_bar: most seconds of CPU for a million users.
        memory_bar: most resident memory in MB.
    """

    name: str
    latency: str = "0.1-0.22s"
    created: str = "uniform"
    users: int = MILLION
    client: str = OURS
    limits: str = STRICT
    share_bar: float | None = None
    cpu_bar: float | None = None
    memory_bar: float | None = None


PARTS: dict[str, tuple[Case, ...]] = {
    "uniform": (Case("lognormal around 0.15 s", share_bar=0.93, cpu_bar=12.0, memory_bar=150.0),),
    "hours": (Case("the same, 90 % created within 4 h", created="burst:4h", share_bar=0.85, memory_bar=150.0),),
    "slow": (
        Case("1-2 s", "1-2s", share_bar=0.75, memory_bar=150.0),
        Case("1-2 s, early release", "1-2s", limits=EARLY, share_bar=0.8, memory_bar=150.0),
    ),
    "memory": (
        Case("lognormal around 0.15 s", users=10_000, memory_bar=150.0),
        Case("lognormal around 0.15 s", users=200_000, memory_bar=150.0),
        Case("lognormal around 0.15 s", users=2 * MILLION, memory_bar=150.0),
    ),
    "loops": (
        # A tenth is enough for what takes ten times as long.
        Case("lognormal around 0.15 s", users=MILLION // 10, client="sequential, by cursor"),
        Case("lognormal around 0.15 s", client="gather over offsets, aiolimiter"),
    ),
}


@dataclass(frozen=True)
class Figures:
    """What one client took.

    Attributes:
        elapsed_s: from the start of the process to the whole file.
        cpu_s: what the client took for the users: that of an export of one user is taken off.
        walk_s: from the first page's arrival at the server to the last one's.
    """

    elapsed_s: float
    walk_s: float
    cpu_s: float
    memory_mb: float
    users: int
    requests: int
    throttled: int
    load: float

    def line(self, case: Case) -> str:
        """A row of the table; a bar that is missed says so."""
        rate = self.users / self.walk_s
        share, cpu_s = rate / PAGE / LIMIT_PER_S, self.cpu_s / self.users * MILLION
        used = f"{share:.0%}" + _judged(case.share_bar, share, f"{case.share_bar or 0:.0%}", least=True)
        cost = f"{cpu_s:.1f}" + _judged(case.cpu_bar, cpu_s, f"{case.cpu_bar or 0:.0f}")
        memory = f"{self.memory_mb:.0f}" + _judged(case.memory_bar, self.memory_mb, f"{case.memory_bar or 0:.0f}")
        return (
            f"| {case.name} | {case.client} | {self.users:,} | {self.elapsed_s:.1f} | {rate:,.0f} | {used} | {cost} "
            f"| {memory} | {self.requests:,} | {self.throttled:,} | {self.load:.1f} |"
        )


def _judged(bar: float | None, value: float, text: str, *, least: bool = False) -> str:
    if bar is None:
        return ""
    missed = value < bar if least else value > bar
    return f" (bar {text}{', missed' if missed else ''})"


def _warm_up(users: int) -> None:
    """Touch as much memory as the files will take: a virtual machine pays for each page that it uses first."""
    with tempfile.TemporaryFile() as file:
        for _ in range(2 * users * USER // CHUNK):
            file.write(bytes(CHUNK))


def measured(command: list[str], folder: Path, clerk: SimulatedClerk, users: Callable[[], int]) -> Figures:
    """Run a client to its end; its children count too."""
    environment = {**os.environ, **clerk.environment, "CLERK_BATCH_HOME": str(folder / "state"), "HOME": str(folder)}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    began = time.monotonic()
    with (folder / "out").open("wb") as out:
        files = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
        pid = os.posix_spawn(command[0], command, environment, file_actions=files)
        ending = threading.Timer(MOST_S, os.kill, (pid, signal.SIGKILL))
        ending.start()
        try:
            _, status, usage = os.wait4(pid, 0)
        finally:
            ending.cancel()
    elapsed_s = time.monotonic() - began
    if status != 0:
        raise RuntimeError(f"{command} ended with {status}: {(folder / 'out').read_text()[-2000:]}")
    report = clerk.report()
    pages_ms = [each["at_ms"] for each in report["arrivals"] if each["operation"] == "GET /users"]
    return Figures(
        elapsed_s=elapsed_s,
        walk_s=max(1, pages_ms[-1] - pages_ms[0]) / 1000,
        cpu_s=usage.ru_utime + usage.ru_stime,
        memory_mb=usage.ru_maxrss / 1024,
        users=users(),
        requests=report["requests_total"],
        throttled=report["throttled"],
        load=load,
    )


def measure(case: Case) -> Figures:
    """One client in one case, without what its start takes."""
    begun = measure_whole(replace(case, users=1))
    _warm_up(case.users)
    whole = measure_whole(case)
    return replace(whole, cpu_s=whole.cpu_s - begun.cpu_s)


def measure_whole(case: Case) -> Figures:
    """One client in one case, in a folder of its own."""
    users = (f"--users={case.users}", f"--user-created={case.created}", f"--arrivals={max(case.users, PAGE)}")
    with (
        simulated_clerk(f"--key={KEY}", *users, f"--latency={case.latency}") as clerk,
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name)
        (folder / "job.yaml").write_text(JOB.replace("{limits}", case.limits))
        output = folder / "users.jsonl"
        if case.client == OURS:
            command = [sys.executable, "-m", "clerk_runner", "run", str(folder / "job.yaml"), "--json"]
        else:
            command = [sys.executable, __file__, "--client", case.client, "--output", str(output), str(case.users)]

        def count() -> int:
            with output.open("rb") as file:
                return sum(1 for _ in file)

        return measured(command, folder, clerk, count)


async def sequential(session: aiohttp.ClientSession, output: Path) -> None:
    """The loop that everybody writes first: one page after the other, by cursor."""
    cursor: dict[str, str] = {}
    with output.open("w") as file:
        while True:
            query = {"limit": str(PAGE), "order_by": "+created_at", **cursor}
            async with session.get("/v1/users", params=query) as answer:
                rows = await answer.json()
            file.writelines(json.dumps(row) + "\n" for row in rows)
            if len(rows) < PAGE:
                return
            cursor = {"starting_after": rows[-1]["id"]}


async def gathered(session: aiohttp.ClientSession, output: Path, users: int) -> None:
    """The loop that everybody writes next: all pages at once by offset, behind a token bucket."""
    bucket = AsyncLimiter(1000, 10)
    with output.open("w") as file:

        async def page(offset: int) -> None:
            query = {"limit": str(PAGE), "order_by": "+created_at", "offset": str(offset)}
            while True:
                await bucket.acquire()
                async with session.get("/v1/users", params=query) as answer:
                    if answer.status == 429:
                        await asyncio.sleep(float(answer.headers["Retry-After"]))
                        continue
                    file.writelines(json.dumps(row) + "\n" for row in await answer.json())
                    return

        await asyncio.gather(*(page(offset) for offset in range(0, users, PAGE)))


async def run_client(client: str, output: Path, users: int) -> None:
    """Be one of the two loops."""
    headers = {"Authorization": f"Bearer {os.environ['CLERK_SECRET_KEY']}", "Clerk-API-Version": "2026-05-12"}
    async with aiohttp.ClientSession(os.environ["CLERK_API_URL"], headers=headers) as session:
        await (sequential(session, output) if client.startswith("sequential") else gathered(session, output, users))


def run_part(name: str) -> dict[str, Any]:
    """The figures of one part, with when and where they were measured."""
    found = []
    for case in PARTS[name]:
        found.append(measure(case))
        sys.stdout.write(found[-1].line(case) + "\n")
        sys.stdout.flush()
    today = datetime.datetime.now(tz=datetime.UTC).date()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"measured": f"{today}, {machine}", "figures": [asdict(figures) for figures in found]}


def tables(parts: dict[str, dict[str, Any]]) -> str:
    """All figures that there are, as Markdown."""
    lines = [
        "# Exports",
        "",
        "One run each, in memory that was used before: a virtual machine pays up to 7 times as much for the first use",
    ]
    lines += [
        "of a page. Seconds and memory are the whole process's. CPU is user and system, from the first request to"
    ]
    lines += ["the whole file: that of an export of one user (about 0.9 s, nearly all of it the start) is taken off."]
    lines += ["users/s are those of the time in which pages are asked for. The limit is 1,000 pages of 500 users in"]
    lines += ["10 s. The simulator shares the cores with the client.", ""]
    for name, cases in PARTS.items():
        if (part := parts.get(name)) is None:
            continue
        lines += [f"## {name}", "", f"{part['measured']}.", ""]
        lines += [
            "| latency | client | users | s | users/s | of the limit | CPU s a million | memory MB | requests | 429 "
        ]
        lines[-1] += "| load before |"
        lines += ["|-|-|-|-|-|-|-|-|-|-|-|"]
        lines += [Figures(**found).line(case) for case, found in zip(cases, part["figures"], strict=True)]
        lines += [""]
    return "\n".join(lines)


def main() -> None:
    """Measure, write, and show; or be a client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; all where none is named")
    parser.add_argument("--client")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if given.client is not None:
        asyncio.run(run_client(given.client, given.output, int(given.parts[0])))
        return
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    parts = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in given.parts or PARTS:
        parts[name] = run_part(name)
        # After each: who is interrupted keeps what was measured.
        FIGURES.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")
        RESULTS.write_text(tables(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
