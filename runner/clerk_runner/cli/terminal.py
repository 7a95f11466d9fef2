"""What people see: stages, the preview, a bar on a terminal and plain lines elsewhere, and the summary."""

from __future__ import annotations

import asyncio
import datetime
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable

from clerk_jobs.remedies import remedy_of
from clerk_runner.cli.text import count, duration, plain, say
from clerk_runner.planner import Forecast
from clerk_runner.report import Items, Summary
from clerk_runner.view import Preview, Progress

__all__ = ["TerminalView", "forecast_lines", "preview_lines", "show_lines", "show_summary", "summary_lines"]

BAR_S = 0.2
IDLE_BAR_S = 1.0
LINE_S = 10.0
SHOWN_WAITS = 5
NARROWEST = 40


class TerminalView:
    """Draws a run on stderr."""

    def __init__(self, *, bars: bool) -> None:
        """``bars``: stderr is a terminal that can redraw a line."""
        self._bars = bars

    def stage(self, text: str) -> None:
        """Something longer begins."""
        self._say(text)

    def preview(self, preview: Preview) -> None:
        """What will happen, before the question."""
        show_lines(preview_lines(preview), err=True)

    async def follow(self, read: Callable[[], Progress]) -> None:
        """Show progress until cancelled, and once more at the end."""
        if self._bars:
            await self._follow_bar(read)
        else:
            await self._follow_lines(read)

    async def _follow_bar(self, read: Callable[[], Progress]) -> None:
        # Imported here: it costs more than everything else that a short command needs.
        from clerk_runner.cli.bar import Bar  # noqa: PLC0415

        with Bar() as bar:
            try:
                last, pause_s = None, BAR_S
                while True:
                    now = read()
                    bar.show(now)
                    # While nothing happens the clock of the bar is all that moves.
                    pause_s = min(pause_s * 2, IDLE_BAR_S) if now == last else BAR_S
                    last = now
                    await asyncio.sleep(pause_s)
            finally:
                bar.show(read())

    async def _follow_lines(self, read: Callable[[], Progress]) -> None:
        last = ""
        try:
            while True:
                await asyncio.sleep(LINE_S)
                last = self._progress(read(), last)
        finally:
            self._progress(read(), last)

    def _progress(self, now: Progress, last: str) -> str:
        detail = f", {now.detail}" if now.detail else ""
        line = f"{now.label}: {now.done:,} of {now.total:,}{detail}"
        if line != last:
            self._say(line)
        return line

    def _say(self, text: str) -> None:
        say(f"{time.strftime('%H:%M:%S')} {text}", err=True)


def show_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines; on a terminal long ones go on below their text, elsewhere a line stays one for whoever reads it."""
    is_terminal = (sys.stderr if err else sys.stdout).isatty()
    width = max(NARROWEST, shutil.get_terminal_size().columns) if is_terminal else 0
    for line in lines:
        for piece in _wrapped(plain(line), width) if width else [line]:
            say(piece, err=err)


def _wrapped(line: str, width: int) -> list[str]:
    labelled = re.match(r"  [a-z]+ {2,}", line)
    below = " " * (labelled.end() if labelled else 4)
    return textwrap.wrap(line, width, subsequent_indent=below, break_on_hyphens=False) or [""]


def preview_lines(preview: Preview) -> list[str]:
    """The preview for people."""
    verb = {"continue": "go on with", "change": "go on, with changes, with"}.get(preview.action, "run")
    head = [
        f"{verb} {preview.job!r} ({preview.run})" if preview.run else f"plan of {preview.job!r}",
        f"  host       {preview.host}, API version {preview.api_version}",
        f"  key        {preview.key}",
        f"  scopes     {preview.scopes}",
    ]
    if not preview.steps:
        head.insert(1, f"  operation  {preview.operation}")
        return head + _preview_body(preview)
    items = preview.items
    told = [f"{items.pending:,} {preview.words.pending}", *(f"{n:,} {word}" for word, n in _settled(preview) if n)]
    head += [
        f"  steps      {', then '.join(step.step for step in preview.steps)}",
        f"  rows       {count(items.total, 'row')}: {', '.join(told)}",
    ]
    head += [f"  {line}" for line in forecast_lines(preview.forecast, items.pending, preview.starts_at)[:2]]
    for number, step in enumerate(preview.steps, 1):
        head.append(f"  step {number}     {step.step} ({step.kind}): {step.operation}")
        head += [f"  {line}" for line in _preview_body(step)]
    return head


def _preview_body(preview: Preview) -> list[str]:
    """What one job, or one step, will do."""
    items = preview.items
    begun = items.done + (items.total if preview.action == "continue" else 0) > 0
    lines = [f"  input      {preview.source}: {count(items.total, 'row')}"]
    parts = [f"{items.pending:,} {preview.words.pending}"]
    parts += [f"{number:,} {word}" for word, number in _settled(preview) if number]
    lines.append(f"  rows       {', '.join(parts)}")
    if preview.organizations:
        lines.append(f"  to         {count(preview.organizations, 'organization')}")
    if preview.doubtful:
        lines.append(f"  doubt      {preview.doubtful:,} looked up before anything is sent again")
    if not preview.screened:
        lines.append(f"  offline    {preview.words.offline}")
    lines += [f"  {line}" for line in forecast_lines(preview.forecast, items.pending, preview.starts_at)]
    lines += [f"  limit      {line}" for line in preview.forecast.limits]
    lines += [f"  note       {line}" for line in preview.notes]
    lines += [
        f"  {preview.source}:{line}: {code}: {message}" if line > 0 else f"  {code}: {message}"
        for line, code, message in preview.problems
    ]
    if preview.problem_count > len(preview.problems):
        lines.append(f"  … and {preview.problem_count - len(preview.problems):,} more failed rows")
    if items.pending and preview.consequence is not None:
        lines.append(f"  {preview.consequence}")
    elif items.pending:
        mail = "each is an e-mail to a real person and cannot be unsent"
        ending = mail if preview.mails else "Clerk sends no e-mail for them"
        lines.append(f"  {count(items.pending, 'invitation')} will be created; {ending}")
    elif not begun and not items.total:
        lines.append("  the input has a header and no rows: there is nothing to do")
    return lines


def _settled(preview: Preview) -> list[tuple[str, int]]:
    items = preview.items
    unresolved = items.unresolved - preview.doubtful
    return [
        ("done", items.done),
        ("skipped", items.skipped),
        ("failed", items.failed),
        ("unresolved", unresolved),
    ]


def forecast_lines(forecast: Forecast, pending: int, starts_at: float) -> list[str]:
    """Calls, time and waits of a plan."""
    if not forecast.calls:
        return []
    calls = ", ".join(f"{number:,} {name}" for name, number in forecast.calls.items())
    lines = [f"plan       {plan_sentence(forecast, pending, starts_at)}", f"calls      {calls}"]
    lines += [
        f"wait       {clock_time(starts_at + wait.at_s)} to {clock_time(starts_at + wait.at_s + wait.for_s)} "
        f"({wait.lane} lane, for {wait.limit}; {wait.sent:,} of {pending:,} sent)"
        for wait in forecast.waits[:SHOWN_WAITS]
    ]
    if len(forecast.waits) > SHOWN_WAITS:
        lines.append(f"wait       and {len(forecast.waits) - SHOWN_WAITS} more")
    return lines


def plan_sentence(forecast: Forecast, pending: int, starts_at: float) -> str:
    """All of a plan in one sentence.

    Example:
        >>> forecast = Forecast(lanes={"bulk": 180, "single": 631}, ends_s=24_180.0, quota_used=0.4)
        >>> sentence = plan_sentence(forecast, 2_431, 0.0)
        >>> sentence.partition(", done about ")[0], sentence.partition("; ")[2]
        ('2,431 rows: 180 bulk and 631 single calls, 6 h 43 min', 'the quota of the last hour is 40 % used')
    """
    lanes = [f"{number:,} {name}" for name, number in sorted(forecast.lanes.items())]
    calls = "call" if sum(forecast.lanes.values()) == 1 else "calls"
    end = clock_time(starts_at + forecast.ends_s)
    used = forecast.quota_used
    quota = "" if used is None else f"; the quota of the last hour is {used * 100:.0f} % used"
    return (
        f"{count(pending, 'row')}: {' and '.join(lanes)} {calls}, {duration(forecast.ends_s)}, done about {end}{quota}"
    )


def clock_time(wall_s: float) -> str:
    """A time of day, with its date where that is another day."""
    when = datetime.datetime.fromtimestamp(wall_s).astimezone()
    today = datetime.datetime.now().astimezone().date()
    return f"{when:%H:%M}" if when.date() == today else f"{when:%Y-%m-%d %H:%M}"


def show_summary(summary: Summary, outcomes: list[tuple[str, str, str, int]]) -> None:
    """The end of a run, on stdout."""
    show_lines(summary_lines(summary, outcomes))


def summary_lines(summary: Summary, outcomes: list[tuple[str, str, str, int]]) -> list[str]:
    """The end of a run for people: how it stands, why, where its files are, and what to do next."""
    items = summary.items
    state = "done, nothing to do again" if summary.repeated else summary.state
    requests = f"{count(summary.requests, 'request')}, {summary.throttled:,} throttled"
    lines = [
        f"{state}: run {summary.run} of {summary.job!r}",
        f"  {count(items.total, 'row')}: {_told(items)}",
        f"  {requests}, {duration(summary.elapsed_s)}",
    ]
    lines += [f"  step {step.name}: {_told(step.items)}" for step in summary.steps or ()]
    for word, code, message, many in outcomes:
        lines.append(f"  {many:>7,} {word:<10} {code}{message and f': {message}'}")
        if word in ("failed", "unresolved") and (remedy := remedy_of(code)):
            lines.append(f"          {'':<10} {remedy}")
    if summary.error is not None:
        lines += [f"  {summary.error[part]}" for part in ("message", "hint") if summary.error[part]]
    lines.append(f"  files  {summary.run_dir}")
    return lines + [f"  next   clerk-batch {command}" for command in _next_commands(summary)]


def _told(items: Items) -> str:
    """How items stand, in words."""
    numbers = [(items.done, "done"), (items.skipped, "skipped"), (items.failed, "failed")]
    numbers += [(items.unresolved, "unresolved"), (items.pending, "pending")]
    return ", ".join(f"{number:,} {word}" for number, word in numbers if number or word in ("done", "failed"))


def _next_commands(summary: Summary) -> list[str]:
    if summary.state in ("interrupted", "waiting", "stopped"):
        return [f"resume {summary.run}"]
    commands = []
    if summary.steps:
        failed = (step.name for step in summary.steps if step.items.failed or step.items.unresolved)
        commands += [f"runs failed {summary.run} --step {name}" for name in failed]
    elif summary.items.failed or summary.items.unresolved:
        commands.append(f"runs failed {summary.run}")
    if summary.items.unresolved:
        commands.append(f"resume {summary.run} --on-unresolved skip (retry: send them again)")
    return commands
