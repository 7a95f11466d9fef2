"""The failed rows of a run, as the input of another one.

They are written beside the run, ``runs/<id>/retry/rows.jsonl`` (``rows-CODE.jsonl`` for one code), 0600, one object for
each row with the values that it had: texts of a CSV stay texts, so the job's templates mean the same. What was never
sent, or is in doubt, is no failure: the run itself goes on with that. Of a job with steps every step has a file,
also an empty one; what a row refers to that is no failed row is looked up in the run that is done again.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from clerk_jobs.call import State
from clerk_jobs.jobfile import load_job
from clerk_jobs.rows import Row, RowSource, open_rows
from clerk_runner.errors import RunHeldError, UsageError
from clerk_runner.folders import RunFolder
from clerk_runner.listing import listed_path, listed_rows, listing_of
from clerk_runner.report import count_items
from clerk_runner.request import rows_of, steps_of
from clerk_runner.schema import open_reader
from clerk_runner.spans import Span
from clerk_runner.writer import create_private

__all__ = ["Input", "failed_input", "inputs_of", "write_failed_rows"]


@dataclass(frozen=True, slots=True)
class Input:
    """The input of a run, or of one of its steps.

    Attributes:
        step: its name; empty for a job without steps.
        source: None where it is a list that was not walked yet.
        filtered: whether it is a list, of which the job file names a part.
    """

    step: str
    span: Span
    source: RowSource | None
    filtered: bool = False


@contextmanager
def inputs_of(run: RunFolder) -> Iterator[list[Input]]:
    """The input of a run, by step where it has some, as it was when the run began; closed with the block.

    Raises:
        UsageError: it has none, has not read it yet, or the input changed.
    """
    facts = run.facts()
    if facts.kind == "export" or run.state() == "planned":
        raise UsageError(f"run {facts.id} has no failed rows: it sent nothing", code="no_rows")
    job: Any = load_job(Path(facts.job_file), facts.overrides, allow_outside=facts.allow_outside)
    with ExitStack() as stack:
        found = []
        for number, (step, each) in enumerate(steps_of(job)):
            name, span = "" if step is None else step.name, Span(number, of_many=step is not None)
            if each.source is None or listing_of(each) is not None:
                there = step is None or listed_path(run, span).exists()
                listed = stack.enter_context(listed_rows(run, span)) if there else None
                found.append(Input(name, span, listed, filtered=bool(getattr(each, "where", ()))))
                continue
            rows = open_rows(each.source, each.folder, stdin_copy=run.input_copy, allow_outside=facts.allow_outside)
            source = stack.enter_context(rows)
            if source.fingerprint != (facts.inputs or {}).get(name, facts.fingerprint):
                raise UsageError(
                    f"the input {rows_of(each)} changed since run {facts.id} read it",
                    code="input_changed",
                    hint=f"the rows as they were are in {run.path / (f'failed-{name}.csv' if name else 'failed.csv')}",
                )
            found.append(Input(name, span, source))
        yield found


def failed_input(run: RunFolder, inputs: Sequence[Input], step: str | None) -> Input:
    """The input whose failed rows are asked for: of several steps with failed rows one has to be named.

    Raises:
        UsageError: there is no such step, or there are several.
    """
    names = [one.step for one in inputs if one.step]
    if step is not None:
        found = [one for one in inputs if one.step == step]
        if not found:
            said = f"its steps are {', '.join(names)}" if names else "its job has no steps"
            raise UsageError(f"run {run.id} has no step {step!r}: {said}", code="step_unknown")
        if found[0].source is None:
            raise UsageError(f"step {step} of run {run.id} has no rows yet: it has not begun", code="no_rows")
        return found[0]
    failed = [one for one in inputs if _leaves_rows(run, one)]
    if len(failed) > 1:
        raise UsageError(
            f"several steps of run {run.id} have failed rows, each with columns of its own",
            code="step_missing",
            hint=f"name one: --step {', or --step '.join(one.step for one in failed)}",
        )
    return failed[0] if failed else inputs[0]


def _leaves_rows(run: RunFolder, one: Input) -> bool:
    items = count_items(run.journal_path, one.span)
    return items.failed + items.unresolved > 0


def write_failed_rows(run: RunFolder, code: str | None) -> list[tuple[str, str]]:
    """Write the failed rows of a run, or those that failed with a code.

    Returns:
        What has to be set in the job file for a run of those rows alone: each source.

    Raises:
        RunHeldError: the run is still at work.
        UsageError: there are none, or some cannot be read as rows at all: those have to be mended.
    """
    if run.is_held:
        raise RunHeldError(
            f"run {run.id} is running in another process", code="held", hint="wait for it to end, or end it first"
        )
    folder = run.path / "retry"
    folder.mkdir(mode=0o700, exist_ok=True)
    ending = "" if code is None else f"-{re.sub('[^A-Za-z0-9_]', '_', code)}"
    overrides, total = [], 0
    with inputs_of(run) as inputs:
        for one in inputs:
            path = folder / (f"rows-of-{one.step}{ending}.jsonl" if one.step else f"rows{ending}.jsonl")
            total += _write_rows(run, one, code, path)
            key = f"steps[{one.span.number}].source" if one.step else "source"
            overrides.append((key, str(path)))
            if one.step and one.filtered:
                # Failed objects of a list are a file of such objects: nothing is listed anew, so nothing is filtered.
                overrides.append((f"steps[{one.span.number}].where", "null"))
    if not total:
        of_code = "" if code is None else f" with the code {code}"
        raise UsageError(
            f"run {run.id} has no failed rows{of_code} that could be sent again as they are",
            code="no_rows",
            hint=f"clerk-batch runs show {run.id} shows how it stands; runs failed prints the rows to fix",
        )
    return overrides


def _write_rows(run: RunFolder, one: Input, code: str | None, path: Path) -> int:
    """Write the failed rows of one input, whole or not at all; returns how many."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    create_private(temporary)
    count = 0
    try:
        with temporary.open("wb") as file:
            for values in _failed_values(run, one, code):
                file.write(orjson.dumps(values) + b"\n")
                count += 1
        if count or one.step:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _failed_values(run: RunFolder, one: Input, code: str | None) -> Iterator[dict[str, Any]]:
    """The values of failed rows, in the order of the input; what is no row at all is left out."""
    if one.source is None:
        return
    reader = open_reader(run.journal_path)
    try:
        for seq, line, offset in _failed(reader, one.span, code):
            row = one.source.read_at(offset, line, one.span.row(seq))
            if isinstance(row, Row):
                yield dict(row.values)
    finally:
        reader.close()


def _failed(reader: sqlite3.Connection, span: Span, code: str | None) -> Iterator[tuple[int, int, int]]:
    query = (
        "SELECT item.seq, item.line, item.offset FROM item LEFT JOIN verdict ON verdict.id = item.verdict WHERE "
        "item.state = ? AND item.offset >= 0 AND item.seq BETWEEN ? AND ? AND (? IS NULL OR verdict.code = ?) "
        "ORDER BY item.seq"
    )
    yield from reader.execute(query, (State.FAILED, span.first, span.last, code, code))
