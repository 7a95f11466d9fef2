"""A process that spends an instance's window as fast as it may, for tests and benchmarks that need several.

It takes part as a command does: the runner's client, account, ledger and gate. Or it stands for what people write
instead: a token bucket of its own behind a semaphore, or nothing but a repeat after a 429. It is told what to do by one
JSON object on its command line, prints one line when it may begin, begins with the first byte of its standard input,
and prints another line when SIGTERM, or the end of that input, has ended it: it does not outlive whoever started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import aiohttp
import msgspec
from aiolimiter import AsyncLimiter

from clerk_jobs.call import Call, Safety
from clerk_limits.clock import LoopClock
from clerk_limits.gate import GateOptions
from clerk_runner.account import AccountOptions, open_account
from clerk_runner.client import Client
from clerk_runner.credentials import discover
from clerk_runner.folders import StateFolder

__all__ = ["Spent", "Task", "main"]

API_VERSION = "2026-05-12"
PERIOD_S = 10.0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a spender does.

    Attributes:
        state: the state folder whose ledger it shares.
        senders: requests that it would have under way at once.
        manner: ``gate`` is ours; ``bucket`` an ``AsyncLimiter`` of the whole limit; ``repeat`` waits after a 429 only.
        limit: requests in ten seconds, for the bucket.
        share, early_release_s: as in a job file; None for the default.
        path: what it reads.
    """

    state: str
    senders: int
    manner: Literal["gate", "bucket", "repeat"] = "gate"
    limit: int = 1000
    share: float | None = None
    early_release_s: float | None = None
    path: str = "/organizations"


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a spender did until it was ended.

    Attributes:
        requests: that were answered.
        throttled: of them, by a 429.
        cpu_s: seconds of CPU that the process used from its first request on.
        share_left: the part of its share that 429s left it at last.
    """

    requests: int
    throttled: int
    cpu_s: float
    share_left: float = 1.0


Send = Callable[[], Awaitable[None]]


async def spend(task: Task) -> Spent:
    """Spend until told to end."""
    orders = _Orders()
    return await (_through_the_gate(task, orders) if task.manner == "gate" else _without_it(task, orders))


class _Orders:
    """When to begin, and when to end."""

    def __init__(self) -> None:
        self.begin = asyncio.Event()
        self.end = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGTERM, self._end)
        self._loop.add_reader(sys.stdin.fileno(), self._hear)

    def _hear(self) -> None:
        if os.read(sys.stdin.fileno(), 1):
            self.begin.set()
        else:
            self._end()

    def _end(self) -> None:
        self._loop.remove_reader(sys.stdin.fileno())
        self.begin.set()
        self.end.set()


async def _through_the_gate(task: Task, orders: _Orders) -> Spent:
    credentials = discover(os.environ, Path.cwd())
    gate = GateOptions(share=task.share, early_release_s=task.early_release_s, speed=credentials.speed)
    options = AccountOptions(gate=gate, label="spender")
    call = Call("Spend", "GET", task.path, task.path, Safety.READ, query=(("limit", "1"),))
    async with (
        Client(credentials, API_VERSION) as client,
        open_account(client, StateFolder(Path(task.state)), LoopClock(), options) as account,
    ):

        async def send() -> None:
            await account.exchange.read(call)

        cpu_s = await _send_between(orders, send, task.senders)
        exchange = account.exchange
        return Spent(
            requests=exchange.requests,
            throttled=exchange.throttled,
            cpu_s=cpu_s,
            share_left=exchange.gate.share_left,
        )


async def _without_it(task: Task, orders: _Orders) -> Spent:
    credentials = discover(os.environ, Path.cwd())
    answers: list[int] = []
    bucket = AsyncLimiter(task.limit, PERIOD_S / credentials.speed)
    at_once = asyncio.Semaphore(task.senders)
    headers = {"Authorization": f"Bearer {credentials.key.reveal()}", "Clerk-API-Version": API_VERSION}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def send() -> None:
            async with at_once:
                if task.manner == "bucket":
                    await bucket.acquire()
                async with session.get(f"{credentials.api_url}/v1{task.path}?limit=1") as answer:
                    await answer.read()
            answers.append(answer.status)
            if answer.status == 429:
                await asyncio.sleep(float(answer.headers["Retry-After"]))

        cpu_s = await _send_between(orders, send, task.senders)
    return Spent(requests=len(answers), throttled=answers.count(429), cpu_s=cpu_s)


async def _send_between(orders: _Orders, send: Send, senders: int) -> float:
    """Let so many senders send over and over until the end; the seconds of CPU that it took."""

    async def sender() -> None:
        while True:
            await send()

    sys.stdout.write("{}\n")
    sys.stdout.flush()
    await orders.begin.wait()
    begun_s = time.process_time()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sender()) for _ in range(senders)]
        await orders.end.wait()
        cpu_s = time.process_time() - begun_s
        for task in tasks:
            task.cancel()
    return cpu_s


def main() -> None:
    """Do what the first argument says."""
    spent = asyncio.run(spend(msgspec.json.decode(sys.argv[1], type=Task)))
    sys.stdout.write(json.dumps(msgspec.to_builtins(spent)) + "\n")


if __name__ == "__main__":
    main()
