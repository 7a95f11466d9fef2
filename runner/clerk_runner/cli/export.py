"""Exports on the command line: from the options to a run, and the end of one for people and for scripts."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import orjson

from clerk_jobs.errors import ClerkBatchError
from clerk_jobs.jobfile import ExportJob
from clerk_runner.cli.ending import unread
from clerk_runner.cli.metrics import keep_metrics
from clerk_runner.cli.observing import Observers
from clerk_runner.cli.terminal import show_lines, show_summary
from clerk_runner.cli.text import clock_time, count, duration, say
from clerk_runner.errors import Exit, exit_of
from clerk_runner.exporting.planning import ExportPlan, plan_export
from clerk_runner.exporting.run import ExportRequest, ExportSummary, run_export
from clerk_runner.exporting.summary import Increment, Proof
from clerk_runner.pinging import ping

__all__ = ["plan_of_export", "work_on_export"]

SHOWN_PRUNED = 3
PRIVATE = re.compile(r"email|phone|name|query|wallet")
"""Filters whose values are about people, and so are not shown."""


def work_on_export(request: ExportRequest, observers: Observers, *, metrics_file: Path | None, as_json: bool) -> int:
    """Run an export; it only reads, so nobody is asked. Returns the exit code."""
    job = request.job
    try:
        summary = observers.summary = asyncio.run(run_export(request, observers.view))
    except ClerkBatchError as error:
        _ping(job, exit_of(error))
        raise
    with unread():
        _show(summary, as_json=as_json)
    keep_metrics(metrics_file, summary)
    _ping(job, summary.exit)
    return summary.exit


def _ping(job: ExportJob, code: int) -> None:
    """Tell the health service; what goes wrong there is said and changes nothing."""
    if (trouble := asyncio.run(ping(job.ping, code))) != "":
        say(trouble, err=True)


def plan_of_export(request: ExportRequest, *, offline: bool, as_json: bool) -> int:
    """Plan an export; returns the exit code."""
    plan = asyncio.run(plan_export(request, offline=offline))
    if as_json:
        click.echo(orjson.dumps(plan.as_json()))
    else:
        show_lines(_plan_lines(plan))
    return Exit.DONE


def _plan_lines(plan: ExportPlan) -> Iterator[str]:
    """The plan for people."""
    job, credentials = plan.request.job, plan.request.credentials
    form = job.form
    yield f"plan of {job.name!r}"
    yield f"  list       {job.listing} ({plan.request.operation}), {'filtered' if job.where else 'all of it'}"
    if job.where:
        yield f"  where      {', '.join(f'{name}={value}' for name, value in job.where if not PRIVATE.search(name))}"
    yield f"  host       {credentials.host}, API version {job.api_version}"
    yield f"  key        {credentials.told}; reading needs no scope"
    columns = f", {count(len(form.columns), 'column')}" if form.columns else ""
    yield f"  output     {plan.target} ({form.format}{f' as {form.packing}' if form.packing else ''}{columns})"
    if plan.parents is not None:
        yield f"  below      {plan.parents:,} {job.for_each}, whose lists are counted as they come"
    elif plan.rows is not None:
        yield f"  rows       {'at most ' if plan.at_most else ''}{plan.rows:,} now"
    else:
        yield f"  rows       not known: Clerk {'does not count this list' if plan.requests else 'was not asked'}"
    if plan.pages is not None and plan.ends_s is not None:
        yield f"  calls      {'at least' if plan.parents is not None else 'about'} {plan.pages:,} requests for pages"
        yield f"  time       {duration(plan.ends_s)}, done about {clock_time(time.time() + plan.ends_s)}"
    yield from (f"  limit      {line}" for line in plan.limits)
    yield "  nothing is changed at Clerk: an export only reads"


def _show(summary: ExportSummary, *, as_json: bool) -> None:
    """Print the end of an export, on stderr where the rows themselves went to stdout."""
    aside = summary.proof is not None and summary.proof.output == "-"
    if as_json:
        click.echo(msgspec.json.encode(summary), err=aside)
    else:
        details = [*(_proof_lines(summary.proof) if summary.proof is not None else ())]
        details += [f"pruned: {path}" for path in summary.pruned[:SHOWN_PRUNED]]
        if len(summary.pruned) > SHOWN_PRUNED:
            details.append(f"pruned: {len(summary.pruned) - SHOWN_PRUNED:,} more")
        details += _increment_lines(summary.increment) if summary.increment is not None else ()
        show_summary(summary, [], details, err=aside)


def _increment_lines(increment: Increment) -> Iterator[str]:
    """What an incremental export built on, and what it cannot know."""
    if increment.mode == "full":
        yield "full: every user was read, so deletions up to now are included"
    elif increment.since_ms is not None:
        full = clock_time(increment.full_ms / 1000)
        yield f"changes: {increment.changed or 0:,} since {clock_time(increment.since_ms / 1000)}"
        yield f"stale: {', '.join(increment.stale)} since the full export of {full}"


def _proof_lines(proof: Proof) -> Iterator[str]:
    """What shows that an export is whole."""
    yield f"proof: {proof.rows:,} rows, {proof.distinct:,} different ids, slowest answer {proof.worst_page_s:.2f} s"
    if proof.drift is not None:
        before, after = f"{proof.count_before:,}", f"{proof.count_after:,}"
        yield f"count: {before} before and {after} after, so {proof.drift:+,} while it ran"
    if proof.parents is not None:
        yield f"parents: {proof.parents:,} were asked for their list"
    if proof.missing:
        yield f"missing: Clerk counts {proof.missing:,} more than it showed, though the list was read twice"
    if proof.unfit:
        yield f"unfit: {proof.unfit:,} values were left out, because their type is not that of their column"
    if proof.output is not None and proof.size is not None:
        yield f"output: {proof.output}, {proof.size:,} bytes, SHA-256 {proof.sha256}"
