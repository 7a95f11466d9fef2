"""The event loop that a run works on: uvloop, where it is to be had.

Beside its own work a call costs about half as much there: a write, a read and a few turns of the loop. An export does
not gain, as parsing is most of what a page costs, and its memory is bounded by how asyncio's own connections read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["run_quickly"]

T = TypeVar("T")


def run_quickly(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, as ``asyncio.run`` does, on the quickest loop of this Python."""
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  late: only a run needs it, and it is not made for every system and Python
    except ImportError:
        return None
    return uvloop.new_event_loop
