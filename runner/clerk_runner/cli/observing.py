"""Who watches a run beside the person at the terminal: the log on stderr, and OpenTelemetry."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from clerk_runner.cli.terminal import LINE_S, TerminalView, preview_lines, show_lines
from clerk_runner.cli.text import say
from clerk_runner.logs import Log, LogFormat, LogLevel, LogOptions, echo_log, echo_of
from clerk_runner.report import Summary
from clerk_runner.telemetry import telemetry_of
from clerk_runner.view import Preview, Progress, View

__all__ = ["LoggedView", "Observers", "observing"]


class LoggedView:
    """Tells stages and progress as events of the log instead of drawing them."""

    def __init__(self, log: Log, *, asks: bool) -> None:
        """``asks``: a person is going to be asked, and so has to see the preview itself."""
        self._log = log
        self._asks = asks

    def stage(self, text: str) -> None:
        """Something longer begins."""
        self._log.info("stage", text=text)

    def preview(self, preview: Preview) -> None:
        """What will happen."""
        if self._asks:
            show_lines(preview_lines(preview), err=True)
        items, calls = preview.items, preview.forecast.calls
        self._log.info(
            "preview",
            run=preview.run,
            job=preview.job,
            pending=items.pending,
            skipped=items.skipped,
            failed=items.failed,
            calls=calls,
            ends_s=round(preview.forecast.ends_s, 1),
        )

    async def follow(self, read: Callable[[], Progress]) -> None:
        """Tell progress where there was any, until cancelled, and once more at the end."""
        last: Progress | None = None
        try:
            while True:
                await asyncio.sleep(LINE_S)
                last = self._tell(read(), last)
        finally:
            self._tell(read(), last)

    def _tell(self, now: Progress, last: Progress | None) -> Progress:
        if now != last:
            self._log.info("progress", label=now.label, done=now.done, total=now.total, detail=now.detail)
        return now


class Observers:
    """What a run is given to tell of itself.

    Attributes:
        log: options of the run's log.
        telemetry: of OpenTelemetry, where the environment asks for it.
        view: what people see.
    """

    def __init__(self, level: LogLevel, form: LogFormat | None, *, asks: bool) -> None:
        """``form``: write the log to stderr too, instead of progress; ``asks``: a person may be asked."""
        self.telemetry, missing = telemetry_of(os.environ, version("clerk-batch"))
        if missing:
            say(missing, err=True)
        self.view: View
        if form is None:
            self.log = LogOptions(level)
            self.view = TerminalView(bars=sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb")
        else:
            echo = echo_of(form)
            self.log = LogOptions(level, echo)
            self.view = LoggedView(echo_log(echo, level), asks=asks)
        self.summary: Summary | None = None


@contextmanager
def observing(level: LogLevel, form: LogFormat | None, *, asks: bool) -> Iterator[Observers]:
    """Observers of one run; whatever comes out, its end is told to telemetry with ``summary``, where that is set."""
    observers = Observers(level, form, asks=asks)
    try:
        yield observers
    finally:
        if trouble := observers.telemetry.end(observers.summary):
            say(trouble, err=True)
