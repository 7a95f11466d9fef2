"""Bodies of answers: how many large ones are in memory at once, and where.

A page of 500 users is a megabyte and more, so each is read into memory that was used for one before. To allocate and
to free a megabyte for every page costs more CPU than to read it, and leaves holes in the heap that only grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import aiohttp

__all__ = ["MAX_BODY", "STEP", "Bodies", "SmallSteps", "TooLargeError"]

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a body as it is once unpacked; a packed one is unpacked a chunk at a time, and no further than this."""
LARGE_BODY = 256 * 1024
LARGE_BODIES = 12
"""Bodies that are large, or do not say, and are read at once; the others wait in their connections, not in memory."""
STEP = 64 * 1024
"""Bytes that a connection takes from the system at once, and so what a body that waits for its turn holds at most."""
LEAP = 256 * 1024
"""The same for a body whose turn it is: to stop and go on at every step costs more than to copy it."""
KEPT = 4 * 1024 * 1024
"""Bytes of the largest memory that is kept for another body."""


class TooLargeError(ValueError):
    """A body grew beyond ``MAX_BODY``."""


class SmallSteps(aiohttp.TCPConnector):
    """Connections that take little from the system at once: asyncio's 256 KB add up where hundreds of walkers wait."""

    async def _wrap_create_connection(self, *given: Any, **named: Any) -> tuple[asyncio.Transport, Any]:
        # aiohttp hands its transports to nobody else before they read. Were this hook gone, only memory would be lost.
        transport, protocol = await super()._wrap_create_connection(*given, **named)
        plain: Any = transport
        if hasattr(plain, "max_size"):
            plain.max_size = STEP
        return transport, protocol


class Bodies:
    """Reads the bodies of one client."""

    def __init__(self) -> None:
        """Hold no memory yet."""
        self._turns = asyncio.Semaphore(LARGE_BODIES)
        self._free: list[bytearray] = []

    @asynccontextmanager
    async def read(self, response: aiohttp.ClientResponse) -> AsyncIterator[memoryview]:
        """The whole body, for as long as the context lasts; who needs a part of it afterwards copies that.

        Raises:
            TooLargeError: it grew beyond ``MAX_BODY``.
            aiohttp.ClientError: it ended early, or is packed wrongly.
            BufferError: somebody kept a part of it, which the next body would overwrite.
        """
        large = _may_be_large(response)
        async with self._turns if large else nullcontext():
            buffer = self._free.pop() if large and self._free else bytearray()
            transport = _transport(response) if large else None
            if transport is not None:
                transport.max_size = LEAP
                response.content.set_read_chunk_size(LEAP)
            try:
                size = await _fill(buffer, response)
            finally:
                if transport is not None:
                    transport.max_size = STEP
            body = memoryview(buffer)[:size]
            yield body
            # Not after an error, whose traceback may still look at it.
            body.release()
            if large and len(buffer) <= KEPT:
                self._free.append(buffer)


def _transport(response: aiohttp.ClientResponse) -> Any:
    """What takes the body from the system, if it says how much at once."""
    transport = None if response.connection is None else response.connection.transport
    return transport if hasattr(transport, "max_size") else None


def _may_be_large(response: aiohttp.ClientResponse) -> bool:
    """Whether a body is large or does not say: a packed one tells its length before it is unpacked."""
    size = response.content_length
    return size is None or size > LARGE_BODY or "Content-Encoding" in response.headers


async def _fill(buffer: bytearray, response: aiohttp.ClientResponse) -> int:
    """Read a body into memory that grows where it must; returns its size."""
    size = 0
    async for chunk in response.content.iter_any():
        end = size + len(chunk)
        if end > MAX_BODY:
            raise TooLargeError
        buffer[size:end] = chunk
        size = end
    return size
