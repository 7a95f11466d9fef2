"""The end of an export: what it tells, and what shows that the file is whole."""

from __future__ import annotations

import msgspec

from clerk_runner.errors import UsageError
from clerk_runner.folders import RunFolder
from clerk_runner.report import Summary

__all__ = ["ExportSummary", "Increment", "Proof", "read_summary"]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What shows that an export is whole.

    Attributes:
        rows: rows of the output.
        distinct: different ids among them; equal to ``rows`` where the list is one list.
        count_before, count_after: all rows of the list by Clerk's count, unfiltered for users, at the start and at the
            end; None where Clerk states none.
        drift: ``count_after - count_before``: created less deleted while it ran.
        missing: rows that Clerk counted at the end and that no page brought, although the list was read twice.
        parents: how many organizations or users were asked for their list; None without ``for_each``.
        pages: answers that are in the output.
        worst_page_s: how long the slowest answer took, in seconds.
        unfit: values that Parquet has no place for, because their type is not that of their column.
        output: the file; None before it was written.
        sha256: of the output.
        size: of the output, in bytes.
    """

    rows: int
    distinct: int
    count_before: int | None
    count_after: int | None
    drift: int | None
    missing: int = 0
    parents: int | None = None
    pages: int
    worst_page_s: float
    unfit: int = 0
    output: str | None = None
    sha256: str | None = None
    size: int | None = None


class Increment(msgspec.Struct, frozen=True, kw_only=True):
    """What an incremental export built on.

    Attributes:
        mode: ``changes``, or ``full`` where everything was walked.
        since_ms: changes from this moment on were looked for; None where there was no former export.
        changed: rows that were changed since then; None after a full export.
        full_ms: when the last full export began.
        stale: what may be older than it looks: ``deleted users`` are found by full exports alone.
    """

    mode: str
    since_ms: int | None
    changed: int | None
    full_ms: int
    stale: list[str]


class ExportSummary(Summary, frozen=True, kw_only=True):
    """The end of an export.

    Attributes:
        pruned: older outputs that were removed.
    """

    proof: Proof | None = None
    increment: Increment | None = None
    pruned: list[str] = []  # noqa: RUF012  msgspec copies it


def read_summary(folder: RunFolder) -> ExportSummary:
    """The summary of a run that is done.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return msgspec.json.decode((folder.path / "summary.json").read_bytes(), type=ExportSummary)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(
            f"run {folder.id} is done, but its summary cannot be read", code="run_unreadable", hint=""
        ) from error
