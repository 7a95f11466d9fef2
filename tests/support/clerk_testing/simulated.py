"""Starting the simulator for a test: as a process of its own, or in the test's loop.

A process survives the clients that a test kills, and its report counts what they did. In the loop there is nothing
to start and to end, and a client that asks in one line.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

import aiohttp
from yarl import URL

from clerk_runner.simulator import Simulator, SimulatorSettings
from clerk_testing.commands import unmeasured

PAUSE_S = 0.01
_END_S = 10


@dataclass(frozen=True, slots=True)
class SimulatedClerk:
    """A simulator that runs as a process.

    Attributes:
        address: such as `http://127.0.0.1:49152`.
        key: its first secret key.
        pid: of its process.
    """

    address: str
    key: str
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the command line finds it."""
        return {"CLERK_API_URL": self.address, "CLERK_SECRET_KEY": self.key}

    def report(self) -> dict[str, Any]:
        """What it saw so far. Who asks until it has seen something leaves the processor to those that are at work."""
        time.sleep(PAUSE_S)
        value: dict[str, Any] = self._get("report")
        return value

    def effects(self, operation: str) -> dict[str, list[int]]:
        """When an operation affected each key: unix milliseconds, oldest first; see `report`."""
        time.sleep(PAUSE_S)
        value: dict[str, list[int]] = self._get(f"effects?operation={quote(operation)}")
        return value

    def perform(self, method: str, path: str, body: object = None) -> Any:
        """Perform an operation by the unseen hand: no key, limit, latency, fault or trace in the report.

        Args:
            method: its HTTP method.
            path: its path below `/v1`, with a query if need be.
            body: sent as JSON; None for none.

        Raises:
            urllib.error.HTTPError: when it is refused.
        """
        return self._get(f"v1{path}", method, None if body is None else json.dumps(body).encode())

    def _get(self, path: str, method: str = "GET", body: bytes | None = None) -> Any:
        request = Request(f"{self.address}/simulator/{path}", body, method=method)
        # Without the environment's proxies: the simulator is on this machine.
        with build_opener(ProxyHandler({})).open(request, timeout=_END_S) as answer:
            return json.load(answer)


@contextmanager
def simulated_clerk(*options: str) -> Iterator[SimulatedClerk]:
    """Run `clerk-batch simulate` with these options in a process of its own, ended with the block.

    Example:
        with simulated_clerk("--users", "1000", "--latency", "50ms") as clerk:
            subprocess.run([...], env={**os.environ, **clerk.environment})
    """
    command = [sys.executable, "-m", "clerk_runner.simulator", "--json", *options]
    # Its own tests measure it, in their loop: to trace it here too took an eighth of the CPU of those that use it.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=unmeasured(os.environ))
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator did not start: exit {process.wait(_END_S)}")
        announced = json.loads(line)
        yield SimulatedClerk(announced["address"], announced["key"], announced["pid"])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, its body parsed."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def codes(self) -> list[str]:
        """The codes of its errors."""
        return [error["code"] for error in self.body["errors"]]


class SimulatedClient:
    """Asks a simulator that runs in the same loop, with its first key.

    Attributes:
        simulator: the simulator.
        session: an aiohttp session with its address and key.
    """

    def __init__(self, simulator: Simulator, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.session = session

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request to a path below `/v1`; its query is sent as it is written.

        Raises:
            aiohttp.ClientError: when the connection broke.
        """
        url = f"{self.simulator.address}/v1{path}"
        async with self.session.request(method, URL(url, encoded=True), json=body, headers=headers) as answer:
            return Answer(answer.status, json.loads(await answer.read()), answer.headers)

    async def get(self, path: str) -> Any:
        """The body of a GET that must succeed."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.body

    async def post(self, path: str, body: object = None) -> Any:
        """The body of a POST that must succeed."""
        answer = await self.ask("POST", path, body)
        assert answer.status == 200, answer.body
        return answer.body


@asynccontextmanager
async def simulator_in_loop(**settings: Any) -> AsyncIterator[SimulatedClient]:
    """A simulator in this loop with these settings, production unless told otherwise, and a client of it."""
    simulator = Simulator(SimulatorSettings(**{"keys": ("sk_live_simulator",), **settings}))
    headers = {"Authorization": f"Bearer {simulator.key}"}
    async with simulator, aiohttp.ClientSession(headers=headers) as session:
        yield SimulatedClient(simulator, session)
