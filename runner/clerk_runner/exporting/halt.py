"""Why a walk ends before its end: one place that all its tasks look at."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from clerk_jobs.errors import ClerkBatchError
from clerk_jobs.export.slices import DisorderError
from clerk_runner.errors import RunnerError, StoppedError

__all__ = ["Halt"]


class Halt:
    """Ends a walk gently: no further page is asked for, and those under way are taken.

    Attributes:
        ending: the first reason; None while there is none, and after an interrupt.
        changed: set whenever something happened that whoever coordinates the walk should look at.
    """

    def __init__(self) -> None:
        """Nothing stands in the way yet."""
        self.ending: RunnerError | OSError | None = None
        self.interrupted = False
        self.changed = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether no further page is asked for."""
        return self.interrupted or self.ending is not None

    def interrupt(self) -> None:
        """A signal came."""
        self.interrupted = True
        self.changed.set()

    def stop(self, error: RunnerError | OSError) -> None:
        """End the walk; the first reason counts."""
        self.ending = self.ending or error
        self.changed.set()

    async def guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Note a reason to stop, so that the other tasks end their pages instead of being cut off."""
        try:
            await work
        except DisorderError as error:
            reason = StoppedError(f"the pages cannot be trusted: {error}", code="disorder", hint="run it again later")
            self.stop(reason)
        except (RunnerError, OSError) as error:
            self.stop(error)
        except ClerkBatchError as error:
            self.stop(StoppedError(str(error), code="export", hint="look at the run's log"))
