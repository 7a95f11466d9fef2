"""A run on a terminal: a bar, what became of the items, a gauge for each window in use, and what it waits for.

A frame is written in one piece over the one before: each line is written anew and cut behind its end, nothing is wiped
first, so nothing flickers. The cursor rests below the last line and stays visible, so that whatever ends the process
leaves a terminal in order and the last frame readable. What is said meanwhile goes above it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from clerk_runner.cli.colours import rich_style
from clerk_runner.cli.snapshot import facts_of, gauge_text
from clerk_runner.cli.text import plain
from clerk_runner.view import Gauge
from clerk_runner.view import Progress as Snapshot

__all__ = ["Bar"]

WIDE = 60
"""Columns from which on several facts share a line."""
WIDEST_BAR = 40
GAUGE = 16
UNICODE, ASCII = ("━", "╾", "─"), ("=", ">", "-")
"""What a strip is drawn of: done, half done, to do."""
TO_LINE_END, TO_SCREEN_END = "\x1b[K", "\x1b[J"


class Bar:
    """Shows snapshots of one piece of work on stderr, as a context manager; the last one stays."""

    def __init__(self, console: Console | None = None) -> None:
        """Show nothing yet."""
        self._console = console or Console(stderr=True)
        self._began_s = time.monotonic()
        self._frame: list[str] = []
        self._widths: list[int] = []
        self._columns = self._console.width

    def __enter__(self) -> Bar:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last frame where it is; what is printed next goes below it."""

    def show(self, now: Snapshot, rate: float = 0.0) -> None:
        """Draw a snapshot over the one before.

        Raises:
            OSError: the terminal has gone.
        """
        frame = self._drawn(now, rate)
        self._write(self._upward() + "".join(f"{line}{TO_LINE_END}\n" for line in frame) + TO_SCREEN_END)
        self._keep(frame)

    def say(self, text: str) -> None:
        """A line that stays, above the bar; see ``show`` for what it raises."""
        frame = [f"{line}{TO_LINE_END}\n" for line in self._frame]
        self._write(f"{self._upward()}{TO_SCREEN_END}{text}\n{''.join(frame)}")

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()

    def _keep(self, frame: list[str]) -> None:
        self._frame, self._columns = frame, self._console.width
        self._widths = [cell_len(Text.from_ansi(line).plain) for line in frame]

    def _upward(self) -> str:
        """To the first line of the last frame, of which each may be several in a terminal that became narrower."""
        columns = max(1, self._console.width)
        lines = sum(max(1, -(-width // columns)) for width in self._widths)
        return f"\r\x1b[{lines}A" + (TO_SCREEN_END if columns < self._columns else "") if lines else "\r"

    def _drawn(self, now: Snapshot, rate: float) -> list[str]:
        """The lines of a frame, none wider than the terminal, and no more than it has."""
        # The last column stays free: there some terminals begin a new line, and some do not.
        columns, most = max(10, self._console.width - 1), max(1, self._console.height - 1)
        parts = [self._head(now, columns), *self._lines(now, rate, columns)]
        with self._console.capture() as captured:
            for part in parts[:most]:
                self._console.print(part, width=columns, no_wrap=True, overflow="ellipsis", crop=True, soft_wrap=False)
        return captured.get().splitlines()

    def _head(self, now: Snapshot, columns: int) -> RenderableType:
        """The label, the bar, the numbers, and how long it has been going on."""
        elapsed_s = int(time.monotonic() - self._began_s)
        clock = f"{elapsed_s // 3600}:{elapsed_s // 60 % 60:02}:{elapsed_s % 60:02}"
        numbers = f"{now.done:,}/{now.total:,}"
        grid = Table.grid(padding=(0, 1), expand=False)
        row: list[RenderableType] = [Text(plain(now.label), overflow="ellipsis", no_wrap=True)]
        fixed = [numbers, clock] if columns >= WIDE else [numbers]
        room = columns - min(cell_len(plain(now.label)), columns // 2) - sum(len(text) + 1 for text in fixed) - 1
        if room >= 5:
            row.append(self._strip(now.done, now.total, min(WIDEST_BAR, room), full=False))
        grid.add_column(max_width=max(4, columns // 2))
        for _ in row[1:] + fixed:
            grid.add_column(no_wrap=True)
        grid.add_row(*row, *fixed)
        return grid

    def _lines(self, now: Snapshot, rate: float, columns: int) -> Iterator[RenderableType]:
        """What stands below the bar. The line of the detail is always there, so that nothing jumps."""
        facts = [plain(fact) for fact in facts_of(now, rate)]
        if columns >= WIDE:
            facts = ["; ".join(facts)] if facts else []
        for fact in facts:
            yield Text(f"  {fact}", no_wrap=True, overflow="ellipsis")
        name_width = max((len(gauge.name) for gauge in now.gauges), default=0)
        for gauge in now.gauges:
            yield self._gauge_line(gauge, name_width, columns)
        if now.detail or now.gauges:
            yield Text(f"  {plain(now.detail)}", style="bold", no_wrap=True, overflow="ellipsis")

    def _gauge_line(self, gauge: Gauge, name_width: int, columns: int) -> RenderableType:
        """A window: its name, how full it is, and the numbers."""
        told = Text(gauge_text(gauge), no_wrap=True, overflow="ellipsis")
        if columns < 2 + name_width + 1 + GAUGE + 1 + told.cell_len:
            # The numbers say more than the bar.
            return Text.assemble("  ", gauge.name, " ", told, no_wrap=True, overflow="ellipsis")
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=name_width + 2)
        grid.add_column(width=GAUGE)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        strip = self._strip(gauge.used, gauge.allowed, GAUGE, full=gauge.used >= gauge.allowed)
        grid.add_row(Text(f"  {gauge.name}"), strip, told)
        return grid

    def _strip(self, part: int, whole: int, width: int, *, full: bool) -> Text:
        """A thick line for the part, a thin one for the rest: without any colour it says the same."""
        thick, half, thin = UNICODE if self._console.encoding.startswith("utf") else ASCII
        halves = min(2 * width, 2 * width * part // max(1, whole))
        done, begun = halves // 2, halves % 2
        strip = Text(no_wrap=True)
        strip.append(thick * done + half * begun, rich_style("note" if full else "way", self._console.color_system))
        strip.append(thin * (width - done - begun))
        return strip
