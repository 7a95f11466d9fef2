"""``clerk-batch runs``: what was done, and what failed."""

from __future__ import annotations

import datetime
import os
import sys
from contextlib import ExitStack
from typing import Any

import click

from clerk_runner.cli.completing import complete_runs
from clerk_runner.cli.opening import opened
from clerk_runner.cli.text import DURATION, count, examples, plain, say

__all__ = ["runs"]


@click.group()
def runs() -> None:
    """Look at runs; the state folder keeps them all."""


@runs.command("list", epilog=examples("runs list", "runs list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the runs in it.")
def list_runs(as_json: bool) -> None:
    """List all runs, oldest first."""
    import orjson  # noqa: PLC0415  heavy

    rows = [_row_or_fault(run) for run in _state().list()]
    if as_json:
        click.echo(orjson.dumps({"runs": rows}))
        return
    if not rows:
        say("there are no runs yet")
    for row in rows:
        if "error" in row:
            say(f"{row['run']}  unreadable   {row['error']}")
            continue
        words = [f"{number:,} {word}" for word, number in row["items"].items() if number and word != "total"]
        told = f"{count(row['items']['total'], 'row')}{': ' if words else ''}{', '.join(words)}"
        say(f"{row['run']}  {row['state']:<11}  {row['kind']:<12}  {row['job']}  {told}")


@runs.command(epilog=examples("runs show last", "runs show 20260102 --json"))
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(run_id: str, as_json: bool) -> None:
    """Show RUN: what it is, how it stands, and why items failed.

    RUN is an id, a unique beginning of one, or "last".
    """
    import orjson  # noqa: PLC0415  heavy

    from clerk_jobs.remedies import remedy_of  # noqa: PLC0415  only here
    from clerk_runner.report import outcomes_by_code  # noqa: PLC0415  heavy

    run = _state().find(run_id)
    row, facts = _row(run), run.facts()
    outcomes = outcomes_by_code(run.journal_path) if row["state"] != "planned" and facts.kind != "export" else []
    if as_json:
        keys = ("state", "code", "message", "items")
        row["outcomes"] = [dict(zip(keys, outcome, strict=True)) for outcome in outcomes]
        click.echo(orjson.dumps(row))
        return
    created = datetime.datetime.fromtimestamp(facts.created_ms / 1000).astimezone()
    say(f"run       {facts.id}, {row['state']}, begun {created:%Y-%m-%d %H:%M:%S}")
    say(f"job       {facts.job!r} ({facts.kind}), {facts.job_file}")
    say(f"input     {facts.source}" + (f", SHA-256 {facts.fingerprint[:16]}…" if facts.fingerprint else ""))
    say(f"instance  {facts.instance} ({facts.instance_kind}) at {facts.host}, API version {facts.api_version}")
    say(f"rows      {', '.join(f'{number:,} {word}' for word, number in row['items'].items())}")
    for one in row.get("steps", ()):
        told = ", ".join(f"{number:,} {word}" for word, number in one["items"].items())
        say(f"  step    {one['name']} ({one['kind']}): {told}")
    for state, code, message, many in outcomes:
        say(f"  {many:>7,} {state:<10} {code}: {message}")
        if state in ("failed", "unresolved") and (remedy := remedy_of(code)):
            say(f"          {'':<10} {remedy}")
    say(f"files     {run.path}")
    if row["state"] in ("interrupted", "waiting", "stopped"):
        say(f"next      clerk-batch resume {facts.id}")


@runs.command(
    epilog=examples("runs failed last > again.csv", "runs failed last --code invalid_email --count"),
    short_help="Print the failed rows of RUN as CSV.",
)
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option("--code", help="Only rows that failed with this code.")
@click.option("--step", metavar="NAME", help="Of a job with steps: the rows of this one.")
@click.option("--count", "only_count", is_flag=True, help="Print only how many there are.")
def failed(run_id: str, code: str | None, step: str | None, only_count: bool) -> None:
    """Print the failed and unresolved rows of RUN as CSV, with the input's own columns.

    Fix them and feed the file back: the columns _status, _code, _message and _trace_id are dropped on input.
    """
    import io  # noqa: PLC0415  only here

    from clerk_runner.report import write_failed  # noqa: PLC0415  heavy
    from clerk_runner.retrying import failed_input, inputs_of  # noqa: PLC0415  heavy

    run = _state().find(run_id)
    with inputs_of(run) as inputs:
        one = failed_input(run, inputs, step)
        assert one.source is not None, "an input that is not there yet is refused"
        # A terminal gets the rows after they were made plain; a file gets them as they are.
        held = only_count or sys.stdout.isatty()
        target = io.StringIO() if held else sys.stdout
        number = write_failed(run.journal_path, one.source, target, one.span, code=code)
    if only_count:
        click.echo(number)
    elif isinstance(target, io.StringIO):
        click.echo(plain(target.getvalue(), keep="\n\t"), nl=False)


@runs.command(
    epilog=examples("runs report last --open", "runs report 20260102 --unmasked"),
    short_help="Write the report of RUN as one HTML file.",
)
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option("--open", "opens", is_flag=True, help="Show it in the browser.")
@click.option("--unmasked", is_flag=True, help="Show the failed rows as they are, in report-unmasked.html.")
def report(run_id: str, *, opens: bool, unmasked: bool) -> None:
    """Write the report of RUN as one HTML file, as it stands now, and print its path.

    It shows requests against the limits, throughput, latencies, waits, outcomes with remedies, and failed rows: one
    file without scripts, which needs no network. Only you can read it (0600), and people's data in it is masked.
    """
    from clerk_jobs.errors import ClerkBatchError  # noqa: PLC0415  heavy
    from clerk_runner.reporting.leaving import write_report  # noqa: PLC0415  heavy
    from clerk_runner.reporting.story import Given  # noqa: PLC0415  heavy
    from clerk_runner.retrying import inputs_of  # noqa: PLC0415  heavy

    run = _state().find(run_id)
    with ExitStack() as stack:
        try:
            inputs = [Given(one.step, one.span, one.source) for one in stack.enter_context(inputs_of(run))]
        except (ClerkBatchError, OSError):
            # The input changed, or is gone: what became of its rows is told all the same, without their columns.
            inputs = []
        path = write_report(run, inputs, unmasked=unmasked)
    say(str(path))
    if opens and not opened(path):
        say("no browser could be started here; copy the file to where one is, it needs nothing else", err=True)


@runs.command(
    epilog=examples("runs prune", "runs prune --older 30d --yes", "runs prune --older 365d --every --yes"),
    short_help="Remove runs that are no longer needed.",
)
@click.option(
    "--older", type=DURATION, metavar="TIME", default="90d", help="Only runs at least this old, one day or more.  [90d]"
)
@click.option(
    "--every", is_flag=True, help="Also runs that invited or created, or made calls that must not be repeated."
)
@click.option("--yes", is_flag=True, help="Go ahead without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the runs in it.")
def prune(*, older: float, every: bool, yes: bool, as_json: bool) -> int:
    """Remove the folders of runs that have ended and are no longer needed.

    The newest run of each job stays, and so does every run that is not done or that another run continues. Runs that
    invited or created stay too, unless --every is given: because of them a changed file reaches nobody twice. A
    removed run can be neither undone nor retried. Asks before anything is removed.
    """
    import time  # noqa: PLC0415  only here

    import orjson  # noqa: PLC0415  heavy

    from clerk_runner.cli.asking import ask_yes, interactive  # noqa: PLC0415  heavy
    from clerk_runner.forgetting import forget, forgettable  # noqa: PLC0415  heavy
    from clerk_runner.safety import Consent, require_consent  # noqa: PLC0415  heavy

    state = _state()
    found = forgettable(state, time.time(), older, every=every)
    if not as_json:
        for one in found:
            say(f"{one.run.id}  {one.facts.kind:<12}  {one.facts.job}  {one.size / 1e6:,.1f} MB")
        megabytes = sum(one.size for one in found) / 1e6
        say(f"{count(len(found), 'run')} can be removed, {megabytes:,.1f} MB" if found else "no run can be removed")
    removed = []
    if found:
        ask = ask_yes if interactive() and not as_json else None
        require_consent("Remove them?", Consent(yes=yes, ask=ask))
        removed = [one.run.id for one in found if forget(state, one)]
    if as_json:
        click.echo(orjson.dumps({"removed": removed}))
    elif removed:
        say(f"{count(len(removed), 'run')} removed")
    return 0


def _state() -> Any:
    from clerk_runner.credentials import state_home  # noqa: PLC0415  heavy
    from clerk_runner.folders import StateFolder  # noqa: PLC0415  heavy

    return StateFolder(state_home(os.environ))


def _row_or_fault(run: Any) -> dict[str, Any]:
    """A run's row; one that cannot be read is listed all the same."""
    import sqlite3  # noqa: PLC0415  heavy

    from clerk_jobs.errors import ClerkBatchError  # noqa: PLC0415  heavy

    try:
        return _row(run)
    except (ClerkBatchError, OSError, sqlite3.Error, ValueError) as error:
        return {"run": run.id, "state": "unreadable", "error": str(error), "run_dir": str(run.path)}


def _row(run: Any) -> dict[str, Any]:
    from msgspec import to_builtins  # noqa: PLC0415  heavy

    from clerk_runner.report import Items, count_items  # noqa: PLC0415  heavy

    facts = run.facts()
    state = run.seen_state()
    items = count_items(run.journal_path) if state != "planned" else Items()
    summary = run.summary() or {}
    if facts.kind == "export" and summary:
        # An export has rows instead of items, and they are in its own tables.
        items = Items(**summary["items"])
    steps = {"steps": summary["steps"]} if "steps" in summary else {}
    return {
        "run": facts.id,
        "job": facts.job,
        "kind": facts.kind,
        "state": state,
        "items": to_builtins(items),
        "requests": summary.get("requests", 0),
        "throttled": summary.get("throttled", 0),
        "elapsed_s": summary.get("elapsed_s", 0.0),
        "outputs": summary.get("outputs", []),
        "run_dir": str(run.path),
        **steps,
    }
