"""What a backfill costs beside a bare loop, and what a million rows take: ``python backfills.py [WORD …] [--users N]``.

Words: ``cost`` is the CPU of a request, in pairs: a bare aiohttp loop, and then the whole client with journal, ledger
and as many calls in flight, each with a simulator of its own whose limits are out of reach. Both make the same
requests: every user is read, a hundred at once, and then written to. ``million`` is a run of a million rows that is
done: its journal, and how long it takes to see that there is nothing to do. ``changes`` is how many requests a backfill
takes of which most rows change nothing. CPU is the kernel's figure for the client's process from start to end. The
tables go to BACKFILLS.md; nothing in the tests asserts them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from clerk_testing.results import machine, table, write_part
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

RESULTS = Path(__file__).with_name("BACKFILLS.md")
KEY = "sk_live_benchmark"
SPEED = 60
"""Divides every period, so that the limits are out of reach: 6,000 calls a second."""
WORKERS = 100
"""Calls in flight of a backfill on a production instance with the whole share."""
PAIRS = 5
BARS = {"cost": 1.8, "resume_s": 3.0, "journal_mb": 120.0, "requests": 0.111}
BACKFILL = """\
name: plans
kind: metadata
target: users
source: users.csv
id: "{id}"
public_metadata: {plan: "{plan}", seats: "{seats:int}"}
limits: {share: 1.0}
"""
INVITATIONS = (
    'name: people\nkind: invite\nsource: people.csv\nemail: "{email}"\npublic_metadata: {cohort: "{cohort}"}\n'
)
NOTHING_NEW = """\
name: cleaning
kind: metadata
target: users
source: people.csv
match: {email_address: "{email}"}
public_metadata: {gone: null}
"""


@dataclass(frozen=True)
class Took:
    """What a client's process took."""

    cpu_s: float
    elapsed_s: float
    memory_mb: float
    requests: int


def client(command: Sequence[str], folder: Path, clerk: SimulatedClerk) -> Took:
    """Run one to its end."""
    environment = {
        **os.environ, **clerk.environment, "CLERK_BATCH_HOME": str(folder / "state"), "HOME": str(folder),
        "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": str(SPEED),
    }  # fmt: skip
    before, began = clerk.report()["requests_total"], time.monotonic()
    with (folder / "out").open("wb") as out:
        files = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
        pid = os.posix_spawn(sys.executable, [sys.executable, *command], environment, file_actions=files)
        peak_mb, ended = 0.0, 0
        while not ended:
            peak_mb = max(peak_mb, _resident_mb(pid))
            time.sleep(0.05)
            ended, status, usage = os.wait4(pid, os.WNOHANG)
    elapsed_s = time.monotonic() - began
    if status != 0:
        raise RuntimeError(f"{command} ended with {status}: {(folder / 'out').read_text()[-2000:]}")
    requests = clerk.report()["requests_total"] - before
    return Took(usage.ru_utime + usage.ru_stime, elapsed_s, peak_mb, requests)


def _resident_mb(pid: int) -> float:
    """The most memory that a process had until now. ``ru_maxrss`` counts this one's too, as it was at the start."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
    return 0.0 if found is None else int(found[1]) / 1024


def ours(*words: str) -> list[str]:
    """The command line of the product."""
    return ["-m", "clerk_runner", *words, "--yes", "--json"]


def simulator(users: int) -> tuple[str, ...]:
    """The options of one whose limits are out of reach."""
    return (f"--key={KEY}", f"--users={users}", f"--speed={10 * SPEED}")


def journal_mb(folder: Path) -> float:
    """The journal of the only run."""
    return sum(path.stat().st_size for path in folder.glob("state/runs/*/run.db*")) / 1e6


async def bare(ids: Sequence[str]) -> None:
    """The loop that everybody writes: so many workers, a read for each hundred users, a write for each of them."""
    headers = {
        "Authorization": f"Bearer {os.environ['CLERK_SECRET_KEY']}",
        "Clerk-API-Version": "2026-05-12",
        "User-Agent": "bare",
        "Accept": "application/json",
    }
    connector, body = aiohttp.TCPConnector(limit=0), {"public_metadata": {"plan": "pro", "seats": 3}}
    batches, left = iter([ids[start : start + 100] for start in range(0, len(ids), 100)]), iter(ids)
    async with aiohttp.ClientSession(os.environ["CLERK_API_URL"], headers=headers, connector=connector) as session:

        async def reader() -> None:
            for batch in batches:
                query = [*(("user_id", one) for one in batch), ("limit", "100")]
                async with session.get("/v1/users", params=query) as answer:
                    answer.raise_for_status()
                    await answer.json()

        async def writer() -> None:
            for one in left:
                async with session.patch(f"/v1/users/{one}/metadata", json=body) as answer:
                    answer.raise_for_status()
                    await answer.json()

        for worker in (reader, writer):
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(worker())


def listed(clerk: SimulatedClerk, users: int) -> list[dict[str, Any]]:
    """Every user, by the unseen hand."""
    pages = (f"/users?limit=500&order_by=created_at&offset={offset}" for offset in range(0, users, 500))
    return [user for page in pages for user in clerk.perform("GET", page)]


def pair(users: int) -> tuple[Took, Took, float]:
    """The loop, the product, and the product's journal in MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "users.csv"
        (folder / "job.yaml").write_text(BACKFILL)
        with simulated_clerk(*simulator(users)) as clerk:
            ids = [user["id"] for user in listed(clerk, users)]
            source.write_text("id,plan,seats\n" + "".join(f"{one},pro,3\n" for one in ids))
            loop = client([__file__, "--bare", str(source)], folder, clerk)
        with simulated_clerk(*simulator(users)) as clerk:
            product = client(ours("run", str(folder / "job.yaml")), folder, clerk)
        return loop, product, journal_mb(folder)


def cost(users: int) -> list[str]:
    """The part about CPU."""
    rows, ratios, journals = [], [], []
    for _ in range(PAIRS):
        loop, product, megabytes = pair(users)
        each = [took.cpu_s / took.requests * 1e6 for took in (loop, product)]
        ratios.append(each[1] / each[0])
        journals.append(megabytes / users * 1e6)
        rows.append([f"{each[0]:.0f}", f"{each[1]:.0f}", f"{ratios[-1]:.2f}", f"{product.memory_mb:.0f}"])
        sys.stderr.write(f"{len(rows)} of {PAIRS}: {rows[-1]}\n")
    return [
        f"## CPU of a request: a backfill of {users:,} users, {WORKERS} calls in flight",
        *table(["bare aiohttp loop, µs", "clerk-batch, µs", "ratio", "memory, MB"], rows),
        f"Median of the ratios: {statistics.median(ratios):.2f} (bar: {BARS['cost']}). The product also compares every",
        "user with what is wanted, keeps what was there, journals each write twice and counts it in the ledger.",
        f"Its journal takes {statistics.median(journals):.0f} bytes a written row, old values included (bar:",
        f"{BARS['journal_mb']:g}); most rows share theirs with others.",
        "",
        "Where it goes: four fifths in the loop's thread, of which the request itself is more than half and the",
        "permit with its ledger an eighth; the rest in the threads of the journal and the input. Cut already: a",
        "lease for each user and for each ten permits, a place in line and a coroutine where nobody waits, a timer",
        "for each deadline, a thread's turn for each few rows, a judgement for each row that writes the same to the",
        "same, a statement for each row, tracing and middlewares, objects of values that nobody looks at, frozen",
        "dataclasses. Tried and left: uvloop (a fiftieth to a twentieth), a longer wait for groups to commit with,",
        "no index of open items and no line for an attempt (2 µs each), no garbage collection.",
        "",
        machine(),
    ]


def million(rows: int) -> list[str]:
    """The part about a million rows."""
    found = []
    with tempfile.TemporaryDirectory() as name, simulated_clerk(*simulator(rows)) as clerk:
        for kind, job, again in (
            ("invite", INVITATIONS, "run"),
            ("invite", INVITATIONS, "resume"),
            ("metadata", NOTHING_NEW, "resume"),
        ):
            folder = Path(name, kind)
            word = "last" if again == "resume" else str(folder / "job.yaml")
            if not folder.exists():
                folder.mkdir()
                (folder / "people.csv").write_text(
                    "email,cohort\n" + "".join(f"user{number}@example.com,beta\n" for number in range(rows))
                )
                (folder / "job.yaml").write_text(job)
                first = client(ours("run", str(folder / "job.yaml")), folder, clerk)
            took = client(ours(again, word), folder, clerk)
            found.append(
                [
                    kind, again, f"{first.elapsed_s:.0f} s", f"{journal_mb(folder):.0f}", f"{took.elapsed_s:.2f} s",
                    f"{took.cpu_s:.2f} s", f"{took.requests}", f"{first.memory_mb:.0f}",
                ]
            )  # fmt: skip
            sys.stderr.write(f"{found[-1]}\n")
    return [
        f"## {rows:,} rows of which none needs a call: the run, and a command that finds it done",
        *table(
            ["kind", "command", "first run", "journal, MB", "time", "CPU", "requests", "memory of the run, MB"], found
        ),
        f"Bars: {BARS['resume_s']:g} s, and {BARS['journal_mb']:g} MB.",
        "",
        machine(),
    ]


def changes(users: int) -> list[str]:
    """The part about rows that change nothing."""
    with tempfile.TemporaryDirectory() as name, simulated_clerk(*simulator(users)) as clerk:
        folder, rows = Path(name), listed(clerk, users)
        plans = [user["public_metadata"]["plan"] if number % 10 else "other" for number, user in enumerate(rows)]
        lines = (f"{user['id']},{plan}\n" for user, plan in zip(rows, plans, strict=True))
        (folder / "users.csv").write_text("id,plan\n" + "".join(lines))
        (folder / "job.yaml").write_text(BACKFILL.replace(', seats: "{seats:int}"', ""))
        took = [client(ours("run", str(folder / "job.yaml")), folder, clerk) for _ in range(2)]
    return [
        f"## Requests of a backfill of {users:,} users of whom 10 % change",
        *table(
            ["run", "requests", "time"],
            [
                ["first", f"{took[0].requests:,}", f"{took[0].elapsed_s:.0f} s"],
                ["again", f"{took[1].requests:,}", f"{took[1].elapsed_s:.0f} s"],
            ],
        ),
        f"Bar: {BARS['requests'] * users:,.0f}.",
        "",
        machine(),
    ]


def main() -> None:
    """Measure, write, and show; or be the loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["cost", "million", "changes", []], default=[])
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--changing", type=int, default=100_000)
    parser.add_argument("--bare", type=Path)
    given = parser.parse_args()
    if given.bare is not None:
        asyncio.run(bare([line.partition(",")[0] for line in given.bare.read_text().splitlines()[1:]]))
        return
    if not RESULTS.exists():
        RESULTS.write_text("# Backfills\n\nWritten by `make bench`.\n", encoding="utf-8")
    if "cost" in given.parts or not given.parts:
        write_part(RESULTS, "cost", cost(given.users))
    if "million" in given.parts or not given.parts:
        write_part(RESULTS, "million", million(given.rows))
    if "changes" in given.parts or not given.parts:
        write_part(RESULTS, "changes", changes(given.changing))
    sys.stdout.write(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
