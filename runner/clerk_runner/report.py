"""What a run leaves behind: ``results.csv``, ``failed.csv``, ``summary.json``; all rebuilt from the journal.

``results.csv`` has one line for every row of the input. ``failed.csv`` has the input's own columns, so that it can be
mended and fed back. Neither is needed to resume: a lost one is written again. Of a job with steps ``results.csv`` names
the step of each row, and every step has a ``failed-STEP.csv`` of its own, as each has its own columns.
"""

from __future__ import annotations

import io
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import msgspec
import orjson

from clerk_jobs.call import State
from clerk_jobs.errors import InputError
from clerk_jobs.rows import Row, RowFault, RowSource
from clerk_runner.comma_lines import comma_writer
from clerk_runner.schema import open_reader
from clerk_runner.short_ids import unpacked
from clerk_runner.spans import WIDTH, Span
from clerk_runner.writer import create_private

__all__ = [
    "EXTRA_COLUMNS",
    "Items",
    "StepItems",
    "Summary",
    "added",
    "count_items",
    "failed_rows",
    "outcomes_by_code",
    "row_problems",
    "write_failed",
    "write_results",
]

EXTRA_COLUMNS = ("_status", "_code", "_message", "_trace_id")
"""What we add to the input's columns; dropped again when the file is fed back."""
SURPLUS = "_surplus"
"""One more where a row has more cells than the header: those, as CSV, so that nothing is lost that has to be mended."""

WORDS = {
    State.PENDING: "pending",
    State.INTENT: "unresolved",
    State.DOUBT: "unresolved",
    State.DONE: "done",
    State.SKIPPED: "skipped",
    State.FAILED: "failed",
    State.UNRESOLVED: "unresolved",
}
"""What a state is called in a report: an open intent or doubt is what nobody can tell yet."""

ROWS = (
    "SELECT item.seq, item.line, item.offset, item.state, verdict.code, verdict.message, item.resource, item.trace "
    "FROM item LEFT JOIN verdict ON verdict.id = item.verdict "
)


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """How many items stand where; the parts add up to the total."""

    total: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    unresolved: int = 0
    pending: int = 0


class StepItems(msgspec.Struct, frozen=True, kw_only=True):
    """How the items of one step stand."""

    name: str
    kind: str
    items: Items


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The end of a run, as ``--json`` prints it and ``summary.json`` keeps it.

    Attributes:
        state: done, failed (some items failed or are unresolved), interrupted, waiting or stopped.
        requests: all that were sent, reads and repeats too.
        throttled: how many of them Clerk answered with 429.
        exit: the exit code that goes with it.
        error: why the run ended early; None where it did its work.
        next_permit: when the next permit comes (ISO 8601), where the run left early for it.
        steps: of a job that has some; its ``items`` are their sums.
    """

    run: str
    job: str
    kind: str
    state: str
    items: Items
    requests: int
    throttled: int
    elapsed_s: float
    outputs: list[str]
    run_dir: str
    exit: int = 0
    repeated: bool = False
    parent: str | None = None
    error: dict[str, Any] | None = None
    next_permit: str | None = None
    steps: list[StepItems] | msgspec.UnsetType = msgspec.UNSET


def added(parts: Iterable[Items]) -> Items:
    """The items of several steps together."""
    sums: Counter[str] = Counter()
    for items in parts:
        sums.update(msgspec.to_builtins(items))
    return Items(**sums)


def count_items(journal: Path, span: Span | None = None) -> Items:
    """Count the items of a journal, or of one step, by what a report calls them."""
    reader = open_reader(journal)
    try:
        counts: dict[str, int] = {}
        query = "SELECT state, count(*) FROM item WHERE seq BETWEEN ? AND ? GROUP BY state"
        for state, count in reader.execute(query, _range(span)):
            word = WORDS[State(state)]
            counts[word] = counts.get(word, 0) + count
    finally:
        reader.close()
    return Items(total=sum(counts.values()), **counts)


def outcomes_by_code(journal: Path, limit: int = 20, span: Span | None = None) -> list[tuple[str, str, str, int]]:
    """The commonest reasons in a journal, or in one step: (state, code, one message, how many), most first.

    Where rows of one code have several messages, the one that is given says that it is an example.
    """
    reader = open_reader(journal)
    try:
        rows = reader.execute(
            "SELECT item.state, verdict.code, min(verdict.message), count(*) AS many, count(DISTINCT verdict.id) > 1 "
            "FROM item JOIN verdict ON verdict.id = item.verdict WHERE item.seq BETWEEN ? AND ? "
            "GROUP BY item.state, verdict.code ORDER BY many DESC, verdict.code LIMIT ?",
            (*_range(span), limit),
        )
        return [
            (WORDS[State(state)], code, f"for example, {message}" if differ and message else message, many)
            for state, code, message, many, differ in rows
        ]
    finally:
        reader.close()


def row_problems(journal: Path, span: Span, limit: int) -> tuple[list[tuple[int, str, str]], int]:
    """The first failed rows of a step as (line, code, message), and how many there are in all."""
    reader = open_reader(journal)
    try:
        failed = "FROM item JOIN verdict ON verdict.id = item.verdict WHERE item.state = ? AND item.seq BETWEEN ? AND ?"
        sought = (State.FAILED, span.first, span.last)
        count = reader.execute(f"SELECT count(*) {failed}", sought).fetchone()[0]
        rows = reader.execute(
            f"SELECT item.line, verdict.code, verdict.message {failed} ORDER BY item.seq LIMIT ?",
            (*sought, limit),
        )
        return rows.fetchall(), count
    finally:
        reader.close()


def write_results(journal: Path, path: Path, steps: Sequence[str] = ()) -> None:
    """Write one line for every row of the input, in its order: row, line, status, code, message, id.

    Args:
        steps: the names of the run's steps; where it has some, the first column is the row's.
    """
    reader = open_reader(journal)
    try:
        with _private_text(path) as file:
            writer = comma_writer(file)
            columns = ("row", "line", "status", "code", "message", "id")
            writer.writerow(("step", *columns) if steps else columns)
            for seq, line, _, state, code, message, resource, _ in reader.execute(f"{ROWS} ORDER BY item.seq"):
                word = WORDS[State(state)]
                row = (seq % WIDTH, max(line, 0), word, code or "", defused(message or ""), unpacked(resource) or "")
                writer.writerow((steps[seq // WIDTH], *row) if steps else row)
    finally:
        reader.close()


def write_failed(journal: Path, source: RowSource, file: TextIO, span: Span, *, code: str | None = None) -> int:
    """Write the failed and unresolved rows of a step with its input's own columns and ours; returns how many."""
    reader = open_reader(journal)
    try:
        columns, surplus = _columns_of(reader, source, span)
        writer = comma_writer(file)
        writer.writerow((*columns, *EXTRA_COLUMNS, *((SURPLUS,) if surplus else ())))
        count = 0
        for found in _failed(reader, span):
            seq, line, offset, state, verdict, message, _, trace = found
            if code is not None and verdict != code:
                continue
            ours = (WORDS[State(state)], verdict or "", defused(message or ""), trace or "")
            cells, beyond = _cells(source, seq, line, offset, columns)
            writer.writerow((*cells, *ours, *((_as_csv(beyond),) if surplus else ())))
            count += 1
        return count
    finally:
        reader.close()


def failed_rows(
    reader: sqlite3.Connection, source: RowSource | None, limit: int, span: Span | None = None
) -> tuple[tuple[str, ...], list[tuple[int, str, str, str, str, list[str]]]]:
    """The first failed and unresolved rows, of one step or of all, to be shown.

    Returns:
        The input's columns, none where there is no ``source``; and (line, status, code, message, trace id, cells).
    """
    found = list(islice(_failed(reader, span), limit))
    columns = () if source is None else tuple(source.columns) or _keys_of(found, source)[0]
    rows = []
    for seq, line, offset, state, code, message, _, trace in found:
        cells = [] if source is None else _cells(source, seq, line, offset, columns)[0]
        rows.append((max(line, 0), WORDS[State(state)], code or "", message or "", trace or "", cells))
    return columns, rows


def defused(text: str) -> str:
    """A text of Clerk's or ours that no spreadsheet takes for a formula.

    Example:
        >>> defused("=1+1"), defused("gone")
        ("'=1+1", 'gone')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _failed(reader: sqlite3.Connection, span: Span | None = None) -> Iterator[Any]:
    """Failed and unresolved rows, of one step or of all."""
    states = (State.FAILED, State.UNRESOLVED, State.DOUBT, State.INTENT)
    query = f"{ROWS} WHERE item.state IN (?, ?, ?, ?) AND item.seq BETWEEN ? AND ? ORDER BY item.seq"
    return iter(reader.execute(query, (*states, *_range(span))))


def _range(span: Span | None) -> tuple[int, int]:
    """The numbers of the items of a step; of all steps, also of what a changed input has moved below zero."""
    return (-sys.maxsize, sys.maxsize) if span is None else (span.first, span.last)


def _cells(
    source: RowSource, seq: int, line: int, offset: int, columns: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """The row's own cells as the input had them, and those for which it has no column."""
    nothing = [""] * len(columns)
    if offset < 0:
        return nothing, []
    try:
        row = source.read_at(offset, line, seq)
    except InputError:
        # The input was changed or removed meanwhile; what became of its rows is told all the same.
        return nothing, []
    if isinstance(row, RowFault):
        cells, beyond = source.cells_of(row)
        return [cells.get(column, "") for column in columns], beyond
    return [_cell(row.values.get(column)) for column in columns], []


def _as_csv(cells: list[str]) -> str:
    """Cells as they would stand in a CSV file; no text for none."""
    text = io.StringIO()
    if cells:
        comma_writer(text).writerow(cells)
    return text.getvalue().rstrip("\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _columns_of(reader: sqlite3.Connection, source: RowSource, span: Span) -> tuple[tuple[str, ...], bool]:
    """The columns of the rows that are written, and whether one has cells beyond them.

    They are the source's and, where rows have keys of their own (JSON Lines), also those.
    """
    keys, surplus = _keys_of(_failed(reader, span), source)
    return tuple(dict.fromkeys((*source.columns, *keys))), surplus


def _keys_of(rows: Iterable[Any], source: RowSource) -> tuple[tuple[str, ...], bool]:
    """The keys that these rows have, in the order in which they are met, and whether one has surplus cells."""
    surplus = False
    found: dict[str, None] = {}
    for seq, line, offset, *_ in rows:
        try:
            row = source.read_at(offset, line, seq) if offset >= 0 else None
        except InputError:
            break
        if isinstance(row, Row):
            found.update(dict.fromkeys(row.values))
        elif row is not None:
            surplus = surplus or bool(source.cells_of(row)[1])
    return tuple(found), surplus


@contextmanager
def _private_text(path: Path) -> Iterator[TextIO]:
    """A new text file for this user alone, which replaces the old one when it is whole."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    create_private(temporary)
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_failed_file(journal: Path, source: RowSource, path: Path, span: Span) -> int:
    """``write_failed`` into a file for this user alone."""
    with _private_text(path) as file:
        return write_failed(journal, source, file, span)
