"""Leaving the report in a run's folder: whole or not at all, for this user alone, and never in the way of the run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from clerk_jobs.errors import ClerkBatchError
from clerk_runner.folders import RunFolder, write_private
from clerk_runner.reporting.story import Given, read_story

__all__ = ["REPORT", "UNMASKED", "leave_report", "write_report"]

REPORT = "report.html"
UNMASKED = "report-unmasked.html"
"""A name of its own: the other one may be passed on."""


def write_report(run: RunFolder, inputs: Sequence[Given] = (), *, unmasked: bool = False) -> Path:
    """Write the report of a run as it stands now; returns the file.

    Raises:
        ClerkBatchError: the run cannot be read.
        sqlite3.Error: its journal cannot be.
        OSError: the report cannot be written.
    """
    from clerk_runner.reporting.page import page_of  # noqa: PLC0415  its text is large, and not every command needs it

    path = run.path / (UNMASKED if unmasked else REPORT)
    text = page_of(read_story(run, inputs, unmasked=unmasked))
    # What cannot be encoded came from elsewhere: halves of characters in the name of a file.
    write_private(path, text.encode("utf-8", errors="backslashreplace"))
    return path


def leave_report(run: RunFolder, inputs: Sequence[Given] = ()) -> str:
    """Write the report at the end of a run; returns why there is none, empty where there is.

    A report is made from what the run knows anyway, and can be made again (``clerk-batch runs report``), so nothing
    that goes wrong with it may change how a run ends.
    """
    try:
        write_report(run, inputs)
    except (ClerkBatchError, sqlite3.Error, OSError, ValueError, LookupError, ArithmeticError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""
