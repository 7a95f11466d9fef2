"""Doing something for each of many, a bounded number at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from clerk_runner.groups import unwrapped

__all__ = ["each"]

T = TypeVar("T")


async def each(work: AsyncIterator[T], do: Callable[[T], Awaitable[None]], workers: int) -> None:
    """Do it for each, with so many at once and as many waiting; the first error ends them all."""
    queue: asyncio.Queue[T | None] = asyncio.Queue(maxsize=workers)

    async def worker() -> None:
        while (one := await queue.get()) is not None:
            await do(one)
        await queue.put(None)

    with unwrapped():
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(worker(), name=f"worker {number}")
            async for one in work:
                await queue.put(one)
            await queue.put(None)
