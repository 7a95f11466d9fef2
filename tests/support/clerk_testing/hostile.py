"""A server that says whatever a test wants, byte by byte: what a broken or hostile peer, gateway or proxy may do.

It runs in a thread of the test, so that the command line can meet it as a process of its own. It writes down every
request that arrived, so that a test can say who got what.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["IMPATIENT", "MEASURED", "Arrived", "HostileClerk", "Say", "answer", "hostile_clerk", "serving"]

End = Literal["keep", "close", "reset", "stall"]
Handle: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_UNTIL_STARTED_S = 60

_IMPATIENT = """\
import functools, clerk_runner.client as module
module.Client = functools.partial(module.Client, deadline_s=1.0)
from clerk_runner.cli import main
main()
"""
IMPATIENT = (sys.executable, "-c", _IMPATIENT)
"""The command line whose attempts end after a second instead of a minute."""

_MEASURED = """\
import atexit, sys
from pathlib import Path
memory = lambda: [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1]
atexit.register(lambda: Path("memory").write_text(memory()))
from clerk_runner.cli import main
main()
"""
MEASURED = (sys.executable, "-c", _MEASURED)
"""The command line, which leaves the most memory that it used, in KB, in a file ``memory``."""


@dataclass(frozen=True, slots=True)
class Say:
    """What is done about one request.

    Attributes:
        data: the bytes that are written, whatever they are.
        end: what becomes of the connection afterwards; ``stall`` leaves it open and says no more.
        drip_s: seconds between one byte and the next; None for all at once.
    """

    data: bytes = b""
    end: End = "close"
    drip_s: float | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came: its first line, its headers by their names in small letters, its body."""

    line: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """Method and path, without the query."""
        return self.line.rpartition(" ")[0].partition("?")[0]


@dataclass(slots=True)
class HostileClerk:
    """A running server.

    Attributes:
        arrived: every request, in its order.
        script: what is said by method and path; the last entry of a list is said again and again.
        judge: what says it instead, if there is one.
    """

    address: str
    arrived: list[Arrived] = field(default_factory=list)
    script: dict[str, list[Say]] = field(default_factory=dict)
    judge: Callable[[Arrived], Say] | None = None

    def count(self, target: str) -> int:
        """How often a method and path were asked for."""
        return sum(one.target == target for one in self.arrived)

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        return int(self.address.rpartition(":")[2])

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the command line finds it, in a rehearsal in which waits of ours are short."""
        return {
            "CLERK_API_URL": self.address,
            "CLERK_SECRET_KEY": "sk_test_hostile",
            "CLERK_BAPI_SCOPES": "write",
            "CLERK_BATCH_SPEED": "60",
        }

    def say(self, arrived: Arrived) -> Say:
        """What is said to a request: by the script, else as a Clerk without users and invitations would."""
        lines = self.script.get(arrived.target, [])
        if lines:
            return lines.pop(0) if len(lines) > 1 else lines[0]
        if arrived.target == "GET /v1/instance":
            return answer({"object": "instance", "id": "ins_hostile"})
        return answer([])


def answer(
    value: object,
    status: str = "200 OK",
    *,
    end: End = "keep",
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Say:
    """A well-formed answer; a bytes value is the body as it is."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    named = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {text}\r\n" for name, text in named.items())
    return Say(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body, end)


@contextmanager
def hostile_clerk(
    script: Mapping[str, Sequence[Say]] | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[HostileClerk]:
    """Serve a script such as ``{"GET /v1/users": [answer([])]}`` until the block ends."""
    clerk = HostileClerk("", script={target: list(lines) for target, lines in (script or {}).items()})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            arrived = await _arrival(reader)
            clerk.arrived.append(arrived)
            said = (clerk.judge or clerk.say)(arrived)
            await _write(writer, said)
            if said.end == "stall":
                # Until the other side has enough.
                await reader.read()
            if said.end == "reset":
                _reset(writer)
            if said.end != "keep":
                return

    with serving(serve, tls=tls) as port:
        clerk.address = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
        yield clerk


@contextmanager
def serving(handle: Handle, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve connections in a thread; yields the port. Connections that are open are cancelled with the block."""
    loop = asyncio.new_event_loop()
    started: list[int] = []
    ready, over = threading.Event(), asyncio.Event()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError, ssl.SSLError, asyncio.CancelledError):
            await handle(reader, writer)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=tls)
        started.append(server.sockets[0].getsockname()[1])
        ready.set()
        await over.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), name="hostile", daemon=True)
    thread.start()
    try:
        assert ready.wait(_UNTIL_STARTED_S), "the server did not start"
        yield started[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(_UNTIL_STARTED_S)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _arrival(reader: asyncio.StreamReader) -> Arrived:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, _, rest = head.partition("\r\n")
    headers = {name.lower(): text for name, text in re.findall(r"(?m)^([^:\r\n]+):[ \t]*([^\r\n]*)", rest)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Arrived(line, headers, body)


async def _write(writer: asyncio.StreamWriter, said: Say) -> None:
    pieces = [said.data] if said.drip_s is None else [said.data[n : n + 1] for n in range(len(said.data))]
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(said.drip_s or 0)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by a reset instead of by its end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
