"""A bar on a terminal, and below it a line of what else is worth knowing."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from clerk_runner.cli.text import plain
from clerk_runner.view import Progress as Snapshot

__all__ = ["Bar"]


class Bar(Progress):
    """Shows snapshots of one piece of work on stderr, as a context manager; the last one stays."""

    def __init__(self, console: Console | None = None) -> None:
        """Show nothing done yet."""
        self._detail = ""
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            # Drawn when there is something to show: a thread that redraws ten times a second costs an hour's wait CPU.
            auto_refresh=False,
        )
        self._task = self.add_task("", total=None, visible=False)

    def show(self, now: Snapshot) -> None:
        """Redraw with a new snapshot."""
        self._detail = plain(now.detail)
        label = plain(now.label)
        self.update(self._task, completed=now.done, total=now.total, description=label, visible=True, refresh=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar and the line, which is cut at the terminal's edge: a line that wraps cannot be redrawn in place."""
        yield self.make_tasks_table(self.tasks)
        if self._detail:
            yield Text(f"  {self._detail}", no_wrap=True, overflow="ellipsis")
