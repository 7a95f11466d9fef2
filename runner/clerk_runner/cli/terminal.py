"""What people see: stages, the preview, a bar on a terminal and plain lines elsewhere, and the summary."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from clerk_jobs.remedies import remedy_of
from clerk_runner.cli.snapshot import Rate, plain_line
from clerk_runner.cli.text import clock_time, columns_of, count, duration, plain, say, wrapped
from clerk_runner.planner import Forecast
from clerk_runner.report import Items, Summary
from clerk_runner.view import Preview, Progress

if TYPE_CHECKING:
    from clerk_runner.cli.bar import Bar

__all__ = ["TerminalView", "forecast_lines", "preview_lines", "show_lines", "show_summary", "summary_lines"]

BAR_S = 0.2
IDLE_BAR_S = 1.0
LINE_S = 10.0
SHOWN_WAITS = 5
LABEL = re.compile(r"  [a-z]+ {2,}| {3,}[\d,]+ [a-z]+ +| {8,}")
"""What stands before the text of a line: a word, how many items went how, or blanks below those."""
SCREEN = 24
"""Lines that the smallest usual terminal has."""

Outcomes = list[tuple[str, str, str, int]]
"""(state, code, one message, how many)."""


class TerminalView:
    """Draws a run on stderr; that nobody looks any more ends nothing."""

    def __init__(self, *, bars: bool) -> None:
        """``bars``: stderr is a terminal that can redraw a line."""
        self._bars = bars
        self._bar: Bar | None = None
        """The bar that is drawn now: what is said meanwhile goes above it."""

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

        rate, now_s = Rate(), asyncio.get_running_loop().time
        with Bar() as bar:
            self._bar = bar
            try:
                last, pause_s = None, BAR_S
                while True:
                    now = read()
                    _seen(bar.show, now, rate.of(now_s(), now.requests))
                    # While nothing happens the clock of the bar is all that moves.
                    same = last is not None and replace(now, ends_at=last.ends_at) == last
                    pause_s = min(pause_s * 2, IDLE_BAR_S) if same else BAR_S
                    last = now
                    await asyncio.sleep(pause_s)
            finally:
                now = read()
                _seen(bar.show, now, rate.of(now_s(), now.requests))
                self._bar = None

    async def _follow_lines(self, read: Callable[[], Progress]) -> None:
        rate, now_s, last = Rate(), asyncio.get_running_loop().time, ""
        try:
            while True:
                await asyncio.sleep(LINE_S)
                now = read()
                last = self._progress(now, rate.of(now_s(), now.requests), last)
        finally:
            now = read()
            self._progress(now, rate.of(now_s(), now.requests), last)

    def _progress(self, now: Progress, rate: float, last: str) -> str:
        """A line where the items moved, or what is waited for changed; how fast it goes alone is no news."""
        news = f"{now.label}: {now.done} of {now.total}, {now.parts}, {now.detail}"
        if news != last:
            self._say(plain_line(now, rate))
        return news

    def _say(self, text: str) -> None:
        # On a terminal the day is known; a log may be read a week later.
        line = f"{time.strftime('%H:%M:%S' if self._bars else '%Y-%m-%dT%H:%M:%S')} {text}"
        if self._bar is not None:
            _seen(self._bar.say, plain(line))
        else:
            _seen(partial(say, err=True), line)


def _seen(show: Callable[..., None], *shown: Any) -> None:
    """Show it to whoever looks: a terminal that was closed meanwhile is no reason to end a run."""
    with suppress(OSError):
        show(*shown)


def show_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines; on a terminal long ones go on below their text, elsewhere a line stays one for whoever reads it."""
    width = columns_of(sys.stderr if err else sys.stdout)
    for line in lines:
        for piece in _wrapped(plain(line), width) if width else [line]:
            say(piece, err=err)


def _wrapped(line: str, width: int) -> list[str]:
    """A line and its continuations, below its text; a path stays whole, so that it can be copied."""
    labelled = LABEL.match(line)
    if labelled and " " not in line[labelled.end() :]:
        return [line]
    indent = labelled.end() if labelled else 4
    below = " " * (indent if indent <= width // 3 else 4)
    return wrapped(line, width, below)


def _height(line: str, width: int) -> int:
    """How many lines of a terminal it takes; what is longer than one the terminal breaks itself."""
    return sum(max(1, -(-len(piece) // width)) for piece in _wrapped(line, width))


def preview_lines(preview: Preview) -> list[str]:
    """The preview for people."""
    verb = {"continue": "continue", "change": "continue, with changes,"}.get(preview.action, "run")
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
    head += [f"  note       {line}" for line in preview.notes]
    for number, step in enumerate(preview.steps, 1):
        head.append(f"  step {number}     {step.step} ({step.kind}): {step.operation}")
        head += [f"  {line}" for line in _preview_body(step)]
    return head


def _preview_body(preview: Preview) -> list[str]:
    """What one job, or one step, will do."""
    items = preview.items
    begun = items.done + (items.total if preview.action == "continue" else 0) > 0
    lines = [f"  input      {preview.source}: {preview.unlisted or count(items.total, 'row')}"]
    if not preview.unlisted:
        parts = [f"{items.pending:,} {preview.words.pending}"]
        parts += [f"{number:,} {word}" for word, number in _settled(preview) if number]
        lines.append(f"  rows       {', '.join(parts)}")
        lines += _why_not(preview)
    if preview.organizations:
        lines.append(f"  to         {count(preview.organizations, 'organization')}")
    if preview.doubtful:
        lines.append(f"  doubt      {preview.doubtful:,} looked up before anything is sent again")
    if not preview.screened:
        lines.append(f"  offline    {preview.words.offline}")
    lines += [f"  {line}" for line in forecast_lines(preview.forecast, items.pending, preview.starts_at)]
    if preview.forecast.calls or preview.unlisted:
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
    elif not begun and not items.total and not preview.unlisted:
        lines.append("  the input has no rows: nothing to do")
    return lines


def _why_not(preview: Preview) -> list[str]:
    """Why rows are skipped, or fail and are not all shown one by one: a line for each reason."""
    told = {"skipped", "unresolved"} | ({"failed"} if preview.problem_count > len(preview.problems) else set())
    return [
        f"  {word:<10} {many:,} {code}{message and f': {message}'}"
        for word, code, message, many in preview.reasons
        if word in told
    ]


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
        ('2,431 rows: 180 bulk and 631 single calls, 6 h 43 min', 'by then 40 % of the hourly quota is used')
        >>> steps = Forecast(lanes={"companies": 2, "members": 40}, ends_s=60.0, quota_used=None)
        >>> plan_sentence(steps, 42, 0.0).partition(", done about ")[0]
        '42 rows: 42 calls (2 companies, 40 members), 1 min'
    """
    end = clock_time(starts_at + forecast.ends_s)
    used = forecast.quota_used
    quota = "" if used is None else f"; by then {used * 100:.0f} % of the hourly quota is used"
    return f"{count(pending, 'row')}: {_calls(forecast.lanes)}, {duration(forecast.ends_s)}, done about {end}{quota}"


def _calls(lanes: Mapping[str, int]) -> str:
    """How many calls of which lanes; of a job with steps those of each."""
    total = sum(lanes.values())
    if len(lanes) > 1 and not lanes.keys() <= {"bulk", "single"}:
        return f"{count(total, 'call')} ({', '.join(f'{number:,} {name}' for name, number in lanes.items())})"
    # A lane called "call" would make "2 call calls".
    each = [f"{number:,} {name}".removesuffix(" call") for name, number in sorted(lanes.items())]
    return f"{' and '.join(each)} {'call' if total == 1 else 'calls'}"


def show_summary(summary: Summary, outcomes: Outcomes, details: Sequence[str] = (), *, err: bool = False) -> None:
    """The end of a run, on stdout unless told otherwise."""
    stream = sys.stderr if err else sys.stdout
    columns, rows = columns_of(stream), shutil.get_terminal_size().lines
    screen = (columns, max(SCREEN, rows)) if columns else (100, SCREEN)
    show_lines(summary_lines(summary, outcomes, details, screen=screen), err=err)


def summary_lines(
    summary: Summary, outcomes: Outcomes, details: Sequence[str] = (), *, screen: tuple[int, int] = (100, 24)
) -> list[str]:
    """The end of a run for people: how it stands, why, where its files are, and what to do next.

    It fits a screen: the reasons that are left out are counted, and the command that shows them is named.

    Args:
        outcomes: the reasons, most rows first.
        details: what else the kind of job tells.
        screen: columns and rows to fit.
    """
    items = summary.items
    state = "done already, nothing to do" if summary.repeated else summary.state
    requests = f"{count(summary.requests, 'request')}, {summary.throttled:,} throttled"
    above = [
        f"{state}: run {summary.run} of {summary.job!r}",
        f"  {count(items.total, 'row')}: {_told(items)}",
        f"  {requests}, {duration(summary.elapsed_s)}",
    ]
    above += [f"  step {step.name}: {_told(step.items)}" for step in summary.steps or ()]
    below = [f"  {line}" for line in details]
    if summary.error is not None:
        below += [f"  {summary.error[part]}" for part in ("message", "hint") if summary.error[part]]
    below.append(f"  files  {summary.run_dir}")
    below += [f"  next   clerk-batch {command}" for command in _next_commands(summary)]
    columns, rows = screen
    # One line for the prompt that comes after it.
    room = rows - 1 - sum(_height(line, columns) for line in above + below)
    return above + _reasons(summary, outcomes, columns, room) + below


def _reasons(summary: Summary, outcomes: Outcomes, columns: int, room: int) -> list[str]:
    """Why items are where they are, as many reasons as there is room for; one is always told."""
    blocks: list[list[str]] = []
    for word, code, message, many in outcomes:
        blocks.append([f"  {many:>7,} {word:<10} {code}{message and f': {message}'}"])
        if word in ("failed", "unresolved") and (remedy := remedy_of(code)):
            blocks[-1].append(f"          {'':<10} {remedy}")
    sizes = [sum(_height(line, columns) for line in block) for block in blocks]
    if sum(sizes) <= room:
        return [line for block in blocks for line in block]
    more = "  … and {}: clerk-batch runs show " + summary.run
    room -= _height(more.format(count(len(blocks), "more reason")), columns)
    shown = 1
    while sum(sizes[: shown + 1]) <= room:
        shown += 1
    lines = [line for block in blocks[:shown] for line in block]
    return [*lines, more.format(count(len(blocks) - shown, "more reason"))] if shown < len(blocks) else lines


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
    return commands or [f"runs report {summary.run} --open"]
