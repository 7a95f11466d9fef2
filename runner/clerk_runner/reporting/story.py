"""What a report tells: read from a run's folder, beside whoever works on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import orjson

from clerk_jobs.rows import RowSource
from clerk_runner.folders import RunFacts, RunFolder
from clerk_runner.report import Items, count_items, failed_rows, outcomes_by_code
from clerk_runner.reporting.masking import masked, masked_text
from clerk_runner.reporting.record import Pause, read_notes
from clerk_runner.reporting.series import Series
from clerk_runner.schema import open_reader
from clerk_runner.spans import Span

__all__ = ["FailedRow", "FailedRows", "Given", "Start", "Story", "read_story"]

SHOWN_ROWS: Final = 200
SHOWN_REASONS: Final = 50


@dataclass(frozen=True, slots=True)
class Given:
    """The input of a run, or of one of its steps.

    Attributes:
        step: its name; empty for a job without steps.
        source: None where it is not at hand.
    """

    step: str
    span: Span
    source: RowSource | None


@dataclass(frozen=True, slots=True)
class FailedRow:
    """One row that failed, or of which nobody knows."""

    line: int
    state: str
    code: str
    message: str
    trace: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedRows:
    """The first failed rows of a run, or of one of its steps.

    Attributes:
        step: its name; empty for a job without steps.
        columns: of the input; empty where it cannot be read.
    """

    step: str
    columns: tuple[str, ...]
    rows: list[FailedRow]


@dataclass(frozen=True, slots=True)
class Start:
    """One process that worked on the run; ``ended_ms`` is None where it was killed, or is at work."""

    begun_ms: int
    ended_ms: int | None
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Story:
    """Everything that a report tells.

    Attributes:
        state: of the run, in words.
        summary: what ``--json`` printed last; empty where there was none.
        outcomes: (state, code, one message, how many), most first.
        failed: the rows that are shown, by step where there are some; none without a row.
        limits: (permits, seconds) of the windows, by name.
        is_masked: whether people's data is left out.
    """

    facts: RunFacts
    state: str
    items: Items
    summary: Mapping[str, Any]
    outcomes: list[tuple[str, str, str, int]]
    failed: list[FailedRows] = field(default_factory=list)
    series: Series
    pauses: list[Pause]
    limits: Mapping[str, list[float]]
    starts: list[Start]
    is_masked: bool

    @property
    def failed_count(self) -> int:
        """All of them, shown or not."""
        return self.items.failed + self.items.unresolved


def read_story(run: RunFolder, inputs: Sequence[Given] = (), *, unmasked: bool = False) -> Story:
    """Read what there is to tell.

    Args:
        inputs: the run's, where they are at hand.
        unmasked: show the failed rows as they are.

    Raises:
        ClerkBatchError: the folder or its journal cannot be read.
        sqlite3.Error: the same.
    """
    facts, summary = run.facts(), run.summary() or {}
    reader = open_reader(run.journal_path)
    try:
        series, pauses, limits = read_notes(reader)
        starts = _starts(reader)
        failed = [*_failed(reader, inputs or _without_rows(run), unmasked=unmasked)]
    finally:
        reader.close()
    is_export = facts.kind == "export"
    items = msgspec.convert(summary.get("items", {}), Items) if is_export else count_items(run.journal_path)
    hide = str if unmasked else masked_text
    outcomes = [] if is_export else outcomes_by_code(run.journal_path, SHOWN_REASONS)
    return Story(
        facts=facts,
        state=_state(run, summary, starts),
        items=items,
        summary=summary,
        outcomes=[(state, code, hide(message), many) for state, code, message, many in outcomes],
        failed=failed,
        series=series,
        pauses=pauses,
        limits=limits,
        starts=starts,
        is_masked=not unmasked,
    )


def _without_rows(run: RunFolder) -> list[Given]:
    """What stands for inputs that are not at hand: the steps are known all the same."""
    names = run.meta().get("steps") or [""]
    return [Given(name, Span(number, of_many=bool(name)), None) for number, name in enumerate(names)]


def _failed(reader: sqlite3.Connection, inputs: Sequence[Given], *, unmasked: bool) -> Iterator[FailedRows]:
    """The first failed rows of each input."""
    hide, left = (str if unmasked else masked_text), SHOWN_ROWS
    for one in inputs:
        columns, found = failed_rows(reader, one.source, left, one.span if one.step else None)
        left -= len(found)
        if found:
            rows = [
                FailedRow(line, state, code, hide(message), trace, tuple(cells if unmasked else map(masked, cells)))
                for line, state, code, message, trace, cells in found
            ]
            yield FailedRows(one.step, columns, rows)


def _state(run: RunFolder, summary: Mapping[str, Any], starts: list[Start]) -> str:
    """As its last summary has it, unless a later process ended without one."""
    if starts and starts[-1].ended_ms is None:
        return "at work" if run.is_held else "killed"
    return str(summary.get("state") or run.state())


def _starts(reader: sqlite3.Connection) -> list[Start]:
    if reader.execute("SELECT 1 FROM sqlite_schema WHERE name = 'start'").fetchone() is None:
        return []
    rows = reader.execute("SELECT begun_ms, ended_ms, facts FROM start ORDER BY id")
    return [Start(begun_ms, ended_ms, orjson.loads(facts)) for begun_ms, ended_ms, facts in rows]
