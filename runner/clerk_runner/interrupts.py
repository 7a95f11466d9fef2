"""SIGINT and SIGTERM: the first drains, the second ends at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from clerk_runner.errors import Exit

__all__ = ["Interrupts"]


class Interrupts:
    """Takes the signals of one run over, as a context manager inside the running task.

    Until ``drain`` is set the first signal cancels the task: nothing was sent yet. Afterwards the first one calls it,
    and the second cancels.
    """

    def __init__(self) -> None:
        """Remember no signal."""
        self.received: signal.Signals | None = None
        self.drain: Callable[[], None] | None = None
        self._task: asyncio.Task[object] | None = None

    @property
    def exit(self) -> Exit:
        """The exit code of the signal that came."""
        return Exit.SIGTERM if self.received is signal.SIGTERM else Exit.SIGINT

    def __enter__(self) -> Self:
        """Listen."""
        self._task = asyncio.current_task()
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        self._leave()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Give the signals back while a question blocks the loop, so that Ctrl-C ends that too."""
        self._leave()
        try:
            yield
        finally:
            self._listen()

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._handle, number)

    def _leave(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    def _handle(self, number: signal.Signals) -> None:
        first = self.received is None
        self.received = self.received or signal.Signals(number)
        if first and self.drain is not None:
            self.drain()
        elif self._task is not None:
            self._task.cancel()
