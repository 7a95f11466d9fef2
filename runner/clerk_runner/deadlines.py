"""Waits that somebody else may end: as ``asyncio.timeout()``, but without a timer of the loop for each.

A run has a hundred calls in flight, and each waits twice. What a timer costs, set and taken back for each of them, is
more than all else that is done about such a wait.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Deadlines", "Wait"]


class Wait:
    """A context in which the task can be called off, with a TimeoutError where it leaves the context."""

    __slots__ = ("_cancelling", "_ended", "_task")

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._ended = False

    def end(self) -> None:
        """Call off whatever the task awaits now; once is enough."""
        if self._task is not None and not self._ended:
            self._ended = True
            self._task.cancel()

    def __enter__(self) -> Self:
        """The task that runs now waits from here on."""
        self._task = asyncio.current_task()
        assert self._task is not None, "only a task can be called off"
        self._cancelling = self._task.cancelling()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nobody waits any more; whoever cancelled the task for another reason gets what it wants."""
        task, self._task = self._task, None
        assert task is not None
        if self._ended and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class Deadlines:
    """Ends every wait that has lasted for so long; one timer rings for the oldest of them.

    Args:
        after_s: how long, in seconds.
    """

    def __init__(self, after_s: float) -> None:
        """Nobody waits yet."""
        self._after_s = after_s
        self._waits: dict[Wait, float] = {}
        """When each began, on the loop's clock, oldest first."""
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> Wait:
        """A wait that ends in time."""
        return _Timed(self)

    def close(self) -> None:
        """End nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def begin(self, wait: Wait) -> None:
        """Its time runs from now on."""
        loop = asyncio.get_running_loop()
        began_at_s = self._waits[wait] = loop.time()
        if self._timer is None:
            self._timer = loop.call_at(began_at_s + self._after_s, self._ring)

    def finish(self, wait: Wait) -> None:
        """It is over, one way or the other."""
        self._waits.pop(wait, None)

    def _ring(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        overdue_s = loop.time() - self._after_s
        for wait, began_at_s in tuple(self._waits.items()):
            if began_at_s > overdue_s:
                self._timer = loop.call_at(began_at_s + self._after_s, self._ring)
                return
            del self._waits[wait]
            wait.end()


class _Timed(Wait):
    """A wait that ends in time."""

    __slots__ = ("_deadlines",)

    def __init__(self, deadlines: Deadlines) -> None:
        super().__init__()
        self._deadlines = deadlines

    def __enter__(self) -> Self:
        self._deadlines.begin(self)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.finish(self)
        super().__exit__(kind, error, trace)
