"""How fast exports are, what they cost, and what the two usual loops cost beside them: ``python exports.py [USERS]``.

Each case has a simulator of its own as a process, with production limits, and a client as another: CPU and resident
memory are the kernel's figures for that client. The tables go to EXPORTS.md; nothing in the tests asserts them.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiolimiter import AsyncLimiter

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from clerk_testing.simulated import SimulatedClerk, simulated_clerk

RESULTS = Path(__file__).with_name("EXPORTS.md")
KEY = "sk_live_benchmark"
PAGE = 500
LIMIT_PER_S = 100.0
JOB = "name: all\nkind: export\nlist: users\noutput: users.jsonl\nlimits: {share: 1.0}\n"


@dataclass(frozen=True)
class Case:
    """Users and a network."""

    name: str
    latency: str
    created: str = "uniform"


CASES = (
    Case("lognormal around 0.15 s", "0.1-0.22s"),
    Case("the same, 90 % created within 4 h", "0.1-0.22s", "burst:4h"),
    Case("1-2 s", "1-2s"),
)


@dataclass(frozen=True)
class Figures:
    """What one client took."""

    elapsed_s: float
    cpu_s: float
    memory_mb: float
    users: int
    requests: int
    throttled: int

    def line(self, case: str, client: str) -> str:
        """A row of the table."""
        rate = self.users / self.elapsed_s
        share = rate / PAGE / LIMIT_PER_S
        return (
            f"| {case} | {client} | {self.users:,} | {rate:,.0f} | {share:.0%} | {self.cpu_s / self.users * 1e6:.1f} "
            f"| {self.memory_mb:.0f} | {self.requests:,} | {self.throttled:,} |"
        )


def measured(command: list[str], folder: Path, clerk: SimulatedClerk, users: Callable[[], int]) -> Figures:
    """Run a client to its end; its children count too."""
    environment = {**os.environ, **clerk.environment, "CLERK_BATCH_HOME": str(folder / "state"), "HOME": str(folder)}
    began = time.monotonic()
    with (folder / "out").open("wb") as out:
        files = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
        pid = os.posix_spawn(command[0], command, environment, file_actions=files)
        _, status, usage = os.wait4(pid, 0)
    elapsed_s = time.monotonic() - began
    if status != 0:
        raise RuntimeError(f"{command} ended with {status}: {(folder / 'out').read_text()[-2000:]}")
    report = clerk.report()
    return Figures(
        elapsed_s=elapsed_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        memory_mb=usage.ru_maxrss / 1024,
        users=users(),
        requests=report["requests_total"],
        throttled=report["throttled"],
    )


def measure(case: Case, client: str, users: int) -> Figures:
    """One client in one case, in a folder of its own."""
    options = (f"--key={KEY}", f"--users={users}", f"--latency={case.latency}", f"--user-created={case.created}")
    with simulated_clerk(*options) as clerk, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.yaml").write_text(JOB)
        output = folder / "users.jsonl"
        if client == "clerk-batch":
            command = [sys.executable, "-m", "clerk_runner", "run", str(folder / "job.yaml"), "--json"]
        else:
            command = [sys.executable, __file__, "--client", client, "--output", str(output), str(users)]

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
        await (sequential(session, output) if client == "sequential" else gathered(session, output, users))


def tables(users: int) -> list[str]:
    """All figures, as Markdown."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    with suppress(OSError):
        machine += f", load {os.getloadavg()[0]:.1f} at the start"
    lines = ["# Exports", "", f"{today}, {machine}; one run each, from the start of the process to the whole file.", ""]
    lines += ["| latency | client | users | users/s | of the limit | CPU µs a user | memory MB | requests | 429 |"]
    lines += ["|-|-|-|-|-|-|-|-|-|"]
    for case in CASES:
        lines.append(measure(case, "clerk-batch", users).line(case.name, "clerk-batch"))
    # A tenth is enough for what takes ten times as long.
    lines.append(measure(CASES[0], "sequential", users // 10).line(CASES[0].name, "sequential, by cursor"))
    lines.append(measure(CASES[0], "gathered", users).line(CASES[0].name, "gather over offsets, aiolimiter"))
    lines += ["", "The limit is 1,000 pages of 500 users in 10 s. The simulator shares the cores with the client."]
    return lines


def main() -> None:
    """Measure, write, and show; or be a client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("users", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--client", choices=["sequential", "gathered"])
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if given.client is not None:
        asyncio.run(run_client(given.client, given.output, given.users))
        return
    text = "\n".join(tables(given.users)) + "\n"
    RESULTS.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
