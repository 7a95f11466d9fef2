"""SIGINT and SIGTERM: the first drains, the second ends at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from clerk_runner.errors import Exit

__all__ = ["Interrupts"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Takes the signals of one run over, as a context manager inside the running task.

    Until ``drain`` is set the first signal cancels the task: nothing was sent yet. Afterwards the first one calls it,
    and the second cancels.
    """

    def __init__(self, *, listens: bool = True) -> None:
        """Remember no signal; ``listens``: whether the process's signals are taken over, else only ``tell`` speaks."""
        self._listens = listens
        self.received: signal.Signals | None = None
        self.drain: Callable[[], None] | None = None
        self._task: asyncio.Task[object] | None = None
        self._heard = False
        self._asking = False

    @property
    def exit(self) -> Exit:
        """The exit code of the signal that came."""
        return Exit.SIGTERM if self.received is signal.SIGTERM else Exit.SIGINT

    def __enter__(self) -> Self:
        """Listen."""
        self._task = asyncio.current_task()
        if self._listens:
            self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening: a signal that comes now is too late to change anything, and is only noted."""
        if not self._listens:
            return
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, self._note)

    def tell(self, number: signal.Signals) -> None:
        """Do what the signal would do."""
        self.received = self.received or number
        self._handle()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let a signal raise KeyboardInterrupt while a question blocks the loop, which cannot hear it.

        One that came before, and that the loop has not heard of yet, raises it at once.
        """
        self._asking = True
        try:
            if self.received is not None:
                raise KeyboardInterrupt
            yield
        finally:
            self._asking = False

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._handle)
            # The loop is woken by the signal all the same, but hears of it only at its next turn; this is told at once.
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)
        if self._asking:
            raise KeyboardInterrupt

    def _handle(self) -> None:
        first, self._heard = not self._heard, True
        if first and self.drain is not None:
            self.drain()
        elif self._task is not None:
            self._task.cancel()
