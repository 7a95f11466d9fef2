"""Bodies in memory that is used again: each is whole and its own, and nobody keeps a part of it unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from clerk_runner import body as module
from clerk_runner.body import LARGE_BODY, STEP, Bodies, SmallSteps


class Response:
    """As much of aiohttp's as is looked at; ``gate`` holds the body up."""

    def __init__(self, *chunks: bytes, gate: asyncio.Event | None = None) -> None:
        self.content = self
        self.headers: dict[str, str] = {}
        self.content_length = sum(map(len, chunks))
        self.connection = None
        self.begun = False
        self._chunks = chunks
        self._gate = gate

    async def iter_any(self) -> AsyncIterator[bytes]:
        self.begun = True
        if self._gate is not None:
            await self._gate.wait()
        for chunk in self._chunks:
            yield chunk


async def whole(bodies: Bodies, response: Any) -> bytes:
    async with bodies.read(response) as body:
        return bytes(body)


def test_a_body_in_used_memory_is_itself_alone() -> None:
    async def scenario() -> list[bytes]:
        bodies = Bodies()
        sizes = (2 * LARGE_BODY, LARGE_BODY + 5, 3 * LARGE_BODY, 3, 0)
        return [await whole(bodies, Response(b"%d" % place * size, b"!")) for place, size in enumerate(sizes)]

    found = asyncio.run(scenario())
    assert found == [
        b"0" * 2 * LARGE_BODY + b"!",
        b"1" * (LARGE_BODY + 5) + b"!",
        b"2" * 3 * LARGE_BODY + b"!",
        b"333!",
        b"!",
    ]


def test_who_keeps_a_part_of_a_body_is_told() -> None:
    kept: list[msgspec.Raw] = []

    async def scenario() -> None:
        async with Bodies().read(Response(b"[", b" " * 2 * LARGE_BODY, b"{}]")) as body:  # type: ignore[arg-type]
            kept.extend(msgspec.json.decode(body, type=list[msgspec.Raw]))

    with pytest.raises(BufferError):
        asyncio.run(scenario())
    assert len(kept) == 1


async def failing(bodies: Bodies, kept: list[memoryview]) -> None:
    async with bodies.read(Response(b"x" * 2 * LARGE_BODY)) as body:  # type: ignore[arg-type]  # a stand-in
        kept.append(memoryview(body))
        raise ValueError("broken")


def test_a_body_that_failed_to_parse_leaves_the_next_one_whole() -> None:
    async def scenario() -> tuple[bytes, bytes]:
        bodies = Bodies()
        kept: list[memoryview] = []
        with pytest.raises(ValueError, match="broken"):
            await failing(bodies, kept)
        return await whole(bodies, Response(b"y" * 3 * LARGE_BODY)), bytes(kept[0])

    assert asyncio.run(scenario()) == (b"y" * 3 * LARGE_BODY, b"x" * 2 * LARGE_BODY)


def test_only_so_many_large_bodies_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_BODIES", 2)

    async def scenario() -> tuple[list[bool], bool, int]:
        bodies, gate = Bodies(), asyncio.Event()
        large = [Response(b"x" * 2 * LARGE_BODY, gate=gate) for _ in range(5)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(whole(bodies, response)) for response in large]
            small = Response(b"small")
            await group.create_task(whole(bodies, small))
            begun = [response.begun for response in large]
            gate.set()
        return begun, small.begun, sum(len(task.result()) for task in tasks)

    begun, small, size = asyncio.run(scenario())
    assert (sum(begun), small, size) == (2, True, 10 * LARGE_BODY)


def test_a_connection_takes_little_at_once() -> None:
    async def scenario() -> tuple[int, int]:
        async def answer(_: web.BaseRequest) -> web.Response:
            return web.Response(body=b"x" * 2 * LARGE_BODY)

        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            host, port = runner.addresses[0][:2]
            async with (
                aiohttp.ClientSession(connector=SmallSteps()) as session,
                session.get(f"http://{host}:{port}") as response,
            ):
                assert response.connection is not None
                transport: Any = response.connection.transport
                before = transport.max_size
                assert len(await whole(Bodies(), response)) == 2 * LARGE_BODY
        finally:
            await runner.cleanup()
        return before, transport.max_size

    # Before its turn and after it; in between it may take more.
    assert asyncio.run(scenario()) == (STEP, STEP)
