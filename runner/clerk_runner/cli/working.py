"""From the words of the command line to a run and back: what ``run``, ``resume`` and ``plan`` share."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from clerk_jobs.jobfile import load_job
from clerk_runner.batch import run_job
from clerk_runner.cli.asking import ask_yes, interactive
from clerk_runner.cli.ending import knowing, unread
from clerk_runner.cli.export import plan_of_export, work_on_export
from clerk_runner.cli.metrics import keep_metrics
from clerk_runner.cli.observing import observing
from clerk_runner.cli.terminal import TerminalView, preview_lines, show_lines, show_summary
from clerk_runner.cli.text import say
from clerk_runner.errors import UsageError
from clerk_runner.exporting.request import ExportRequest
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.home import state_home
from clerk_runner.logs import LogFormat, LogLevel
from clerk_runner.metrics import require_place
from clerk_runner.planning import plan_job
from clerk_runner.report import Summary, outcomes_by_code
from clerk_runner.requesting import Asked, request_of
from clerk_runner.retrying import write_failed_rows
from clerk_runner.safety import Consent
from clerk_runner.undoing import write_undo

__all__ = ["WorkOptions", "consent_of", "show_plan", "work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions:
    """The options of ``run`` and ``resume``, named as on the command line."""

    overrides: tuple[str, ...] = ()
    fresh: bool = False
    allow_outside: bool = False
    yes: bool = False
    admin: bool = False
    confirm_count: int | None = None
    accept_changes: bool = False
    max_wait: float | None = None
    max_time: float | None = None
    on_unresolved: str | None = None
    force: bool = False
    metrics_file: Path | None = None
    log_level: LogLevel = "info"
    log_format: LogFormat | None = None
    as_json: bool = False


def work(job: Path | None, folder_word: str | None, options: WorkOptions, *, parent: str | None = None) -> int:
    """Run a job file, or go on with a run; returns the exit code.

    Args:
        parent: the run that this one follows from.
    """
    folder: RunFolder | None = None
    pairs, allow_outside = parse_overrides(options.overrides), options.allow_outside
    if options.metrics_file is not None:
        require_place(options.metrics_file)
    if folder_word is not None:
        folder = StateFolder(state_home(os.environ)).find(folder_word)
        facts = folder.facts()
        # What this start was given comes last, so it wins.
        job, pairs, allow_outside = Path(facts.job_file), (*facts.overrides, *pairs), facts.allow_outside
    assert job is not None
    loaded = load_job(job, pairs, allow_outside=allow_outside)
    known = {"job": loaded.name, "kind": loaded.kind} | ({} if folder is None else {"run": folder.id})
    asks = interactive() and not options.yes
    with knowing(**known), observing(options.log_level, options.log_format, asks=asks) as observers:
        asked = Asked(
            overrides=pairs,
            allow_outside=allow_outside,
            fresh=options.fresh,
            accept_changes=options.accept_changes,
            force=options.force,
            unresolved=options.on_unresolved,
            max_wait_s=options.max_wait,
            max_time_s=options.max_time,
            folder=folder,
            parent=parent,
            log=observers.log,
            telemetry=observers.telemetry,
        )
        request = request_of(loaded, job, asked, os.environ)
        if isinstance(request, ExportRequest):
            return work_on_export(request, observers, metrics_file=options.metrics_file, as_json=options.as_json)
        summary = asyncio.run(run_job(request, consent_of(options), observers.view))
        observers.summary = summary
        finish(summary, as_json=options.as_json)
        keep_metrics(options.metrics_file, summary)
    return summary.exit


def work_on_retry(word: str, code: str | None, options: WorkOptions) -> int:
    """Send a run's failed rows again, by a run of its own; returns the exit code."""
    run = StateFolder(state_home(os.environ)).find(word)
    facts, sources = run.facts(), write_failed_rows(run, code)
    given = tuple(f"{key}={value}" for key, value in facts.overrides)
    rows = (f"{key}={path}" for key, path in sources)
    # Failed objects of a list are a file of such objects: nothing is listed anew, so nothing is filtered.
    unlisted = ("where=null",) if facts.source.startswith("list ") else ()
    overrides = (*given, *rows, *unlisted, *options.overrides)
    again = replace(options, overrides=overrides, allow_outside=True)
    return work(Path(facts.job_file), None, again, parent=run.id)


def work_on_undo(word: str, options: WorkOptions) -> int:
    """Take a run back, by a run of its own; returns the exit code."""
    run = StateFolder(state_home(os.environ)).find(word)
    undo = write_undo(run, force=options.force)
    for kept in undo.kept:
        say(f"stays as it is: {kept}", err=True)
    return work(undo.job_file, None, options, parent=run.id)


def show_plan(*, job: Path, overrides: tuple[str, ...], allow_outside: bool, offline: bool, as_json: bool) -> int:
    """Plan a job file; returns the exit code."""
    pairs = parse_overrides(overrides)
    loaded = load_job(job, pairs, allow_outside=allow_outside)
    with knowing(job=loaded.name, kind=loaded.kind):
        asked = Asked(overrides=pairs, allow_outside=allow_outside, offline=offline)
        request = request_of(loaded, job, asked, os.environ)
        if isinstance(request, ExportRequest):
            return plan_of_export(request, offline=offline, as_json=as_json)
        plan = asyncio.run(plan_job(request, view(), offline=offline))
    if as_json:
        click.echo(orjson.dumps(plan.as_json()))
    else:
        show_lines(preview_lines(plan.preview))
    return plan.exit


def parse_overrides(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """``--set key=value`` as pairs.

    Raises:
        UsageError: one has no equals sign.
    """
    pairs = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {text!r} is not KEY=VALUE", code="usage", hint="--set limits.share=1.0")
        pairs.append((key, value))
    return tuple(pairs)


def consent_of(options: WorkOptions) -> Consent:
    """How the user can say yes: on a terminal by answering, elsewhere by ``--yes`` alone."""
    ask = ask_yes if interactive() else None
    return Consent(yes=options.yes, admin=options.admin, count=options.confirm_count, ask=ask)


def view() -> TerminalView:
    """Bars where stderr is a terminal that can redraw."""
    return TerminalView(bars=sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb")


def finish(summary: Summary, *, as_json: bool) -> None:
    """Print the summary; the run is over, whoever reads it or not."""
    with unread():
        _print_summary(summary, as_json=as_json)


def _print_summary(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(summary))
        return
    journal = Path(summary.run_dir) / "run.db"
    outcomes: list[Any] = outcomes_by_code(journal, limit=20) if journal.exists() else []
    show_summary(summary, outcomes)
