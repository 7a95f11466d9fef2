"""Exports on the command line: from the options to a run, and the end of one for people and for scripts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from clerk_jobs.jobfile import ExportJob
from clerk_runner.cli.ending import unread
from clerk_runner.cli.terminal import show_lines, summary_lines
from clerk_runner.credentials import discover, state_home
from clerk_runner.exporting.run import ExportRequest, ExportSummary, run_export
from clerk_runner.exporting.summary import Proof
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.view import View

__all__ = ["ExportOptions", "work_on_export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The options of ``run`` and ``resume`` that concern an export."""

    overrides: tuple[tuple[str, str], ...]
    allow_outside: bool
    fresh: bool
    force: bool
    max_wait_s: float | None
    max_time_s: float | None
    as_json: bool


def work_on_export(job: ExportJob, path: Path, folder: RunFolder | None, options: ExportOptions, view: View) -> int:
    """Run an export; it only reads, so nobody is asked. Returns the exit code."""
    request = ExportRequest(
        job=job,
        job_path=path,
        credentials=discover(os.environ, Path.cwd()),
        state=StateFolder(state_home(os.environ)),
        overrides=options.overrides,
        allow_outside=options.allow_outside,
        fresh=options.fresh,
        force=options.force,
        folder=folder,
        max_wait_s=options.max_wait_s,
        max_time_s=options.max_time_s,
    )
    summary = asyncio.run(run_export(request, view))
    with unread():
        _show(summary, as_json=options.as_json)
    return summary.exit


def _show(summary: ExportSummary, *, as_json: bool) -> None:
    """Print the end of an export, on stderr where the rows themselves went to stdout."""
    aside = summary.proof is not None and summary.proof.output == "-"
    if as_json:
        click.echo(msgspec.json.encode(summary), err=aside)
    else:
        show_lines([*summary_lines(summary, []), *(_proof_lines(summary.proof) if summary.proof else ())], err=aside)


def _proof_lines(proof: Proof) -> Iterator[str]:
    """What shows that an export is whole."""
    yield f"  proof: {proof.rows:,} rows, {proof.distinct:,} different ids, slowest answer {proof.worst_page_s:.2f} s"
    if proof.drift is not None:
        before, after = f"{proof.count_before:,}", f"{proof.count_after:,}"
        yield f"  count: {before} before and {after} after, so {proof.drift:+,} while it ran"
    if proof.missing:
        yield f"  missing: Clerk counts {proof.missing:,} more than it showed, though the list was read twice"
    if proof.unfit:
        yield f"  unfit: {proof.unfit:,} values were left out, because they are of another type than their column"
    if proof.output is not None and proof.size is not None:
        yield f"  output: {proof.output}, {proof.size:,} bytes, SHA-256 {proof.sha256}"
