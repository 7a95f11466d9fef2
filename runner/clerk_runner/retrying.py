"""The failed rows of a run, as the input of another one.

They are written beside the run, ``runs/<id>/retry/rows.jsonl`` (``rows-CODE.jsonl`` for one code), 0600, one object for
each row with the values that it had: texts of a CSV stay texts, so the job's templates mean the same. What was never
sent, or is in doubt, is no failure: the run itself goes on with that.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from clerk_jobs.call import State
from clerk_jobs.jobfile import load_job
from clerk_jobs.rows import Row, RowSource, open_rows
from clerk_runner.errors import RunHeldError, UsageError
from clerk_runner.folders import RunFolder
from clerk_runner.listing import listed_rows, listing_of
from clerk_runner.schema import open_reader
from clerk_runner.writer import create_private

__all__ = ["input_of", "write_failed_rows"]


def input_of(run: RunFolder) -> RowSource:
    """The input of a run, as it was when the run began; the caller closes it.

    Raises:
        UsageError: it has none, has not read it yet, or the input changed.
    """
    facts = run.facts()
    if facts.kind == "export" or run.state() == "planned":
        raise UsageError(f"run {facts.id} has no failed rows: it sent nothing", code="no_rows")
    job: Any = load_job(Path(facts.job_file), facts.overrides, allow_outside=facts.allow_outside)
    if listing_of(job) is not None:
        return listed_rows(run)
    source = open_rows(job.source, job.folder, stdin_copy=run.input_copy, allow_outside=facts.allow_outside)
    if source.fingerprint != facts.fingerprint:
        source.close()
        raise UsageError(
            f"the input {facts.source} changed since run {facts.id} read it",
            code="input_changed",
            hint=f"the rows as they were are in {run.path / 'failed.csv'}",
        )
    return source


def write_failed_rows(run: RunFolder, code: str | None) -> Path:
    """Write the failed rows of a run, or those that failed with a code; returns the file.

    Raises:
        RunHeldError: the run is still at work.
        UsageError: there are none, or some cannot be read as rows at all: those have to be mended.
    """
    if run.is_held:
        raise RunHeldError(
            f"run {run.id} is at work in another process", code="held", hint="wait for it to end, or end it first"
        )
    folder = run.path / "retry"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / ("rows.jsonl" if code is None else f"rows-{re.sub('[^A-Za-z0-9_]', '_', code)}.jsonl")
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    create_private(temporary)
    try:
        with input_of(run) as source, temporary.open("wb") as file:
            count = 0
            for values in _failed_values(run, source, code):
                file.write(orjson.dumps(values) + b"\n")
                count += 1
        if not count:
            of_code = "" if code is None else f" with the code {code}"
            raise UsageError(
                f"run {run.id} has no failed rows{of_code} that could be sent again as they are",
                code="no_rows",
                hint=f"clerk-batch runs show {run.id} tells how it stands; what must be mended comes from runs failed",
            )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _failed_values(run: RunFolder, source: RowSource, code: str | None) -> Iterator[dict[str, Any]]:
    """The values of failed rows, in the order of the input; what is no row at all is left out."""
    reader = open_reader(run.journal_path)
    try:
        for seq, line, offset in _failed(reader, code):
            row = source.read_at(offset, line, seq)
            if isinstance(row, Row):
                yield dict(row.values)
    finally:
        reader.close()


def _failed(reader: sqlite3.Connection, code: str | None) -> Iterator[tuple[int, int, int]]:
    query = (
        "SELECT item.seq, item.line, item.offset FROM item LEFT JOIN verdict ON verdict.id = item.verdict "
        "WHERE item.state = ? AND item.offset >= 0 AND (? IS NULL OR verdict.code = ?) ORDER BY item.seq"
    )
    yield from reader.execute(query, (State.FAILED, code, code))
