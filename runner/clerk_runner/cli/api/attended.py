"""Running what speaks to Clerk until it ends, or until somebody at the keyboard or the system ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from clerk_jobs.catalog import Operation
from clerk_runner.errors import RunnerError
from clerk_runner.interrupts import Interrupts

__all__ = ["run_attended"]

T = TypeVar("T")


def run_attended(work: Coroutine[Any, Any, T], *, writing: Operation | None = None, tells: str = "") -> T:
    """Run to the end what speaks to Clerk; SIGINT and SIGTERM end it at once.

    Args:
        writing: the operation that it sends; an interruption leaves open whether a write happened.
        tells: the command that tells whether it did.

    Raises:
        RunnerError: a signal came; its exit code is that of the signal.
    """
    interrupts = Interrupts()

    async def attended() -> T:
        with interrupts:
            return await work

    try:
        return asyncio.run(attended())
    except (KeyboardInterrupt, asyncio.CancelledError):
        error = RunnerError("interrupted; nothing was written", code="interrupted")
        if writing is not None and writing.method != "GET":
            said = f"interrupted while {writing} was under way: it may have happened"
            hint = "look before you repeat it" + (tells and f": {tells}")
            error = RunnerError(said, code="interrupted", hint=hint)
        error.exit = interrupts.exit
        raise error from None
