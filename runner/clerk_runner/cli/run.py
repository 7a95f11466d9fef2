"""``clerk-batch run`` and ``clerk-batch resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from clerk_runner.cli.completing import complete_jobs, complete_runs
from clerk_runner.cli.limit_options import limit_options, limit_overrides
from clerk_runner.cli.text import DURATION, examples

__all__ = ["resume", "run"]


def shared_options(command: Any) -> Any:
    """The options of every command that works on a run."""
    options = (
        click.option("--yes", is_flag=True, help="Go ahead without asking."),
        click.option("--admin", is_flag=True, help="Write even where CLERK_BAPI_SCOPES does not allow it."),
        click.option("--confirm-count", type=int, metavar="N", help="Confirm how many rows the whole run deletes."),
        click.option("--accept-changes", is_flag=True, help="Continue although the job file or the input changed."),
        click.option(
            "--max-wait",
            type=DURATION,
            metavar="TIME",
            help="Leave when the next call must wait longer than this: 60s.",
        ),
        click.option(
            "--max-time", type=DURATION, metavar="TIME", help="Leave after this long, 10m; the run can be resumed."
        ),
        click.option(
            "--on-unresolved",
            type=click.Choice(["retry", "skip"]),
            help="What to do with rows that may or may not have been sent.",
        ),
        click.option(
            "--force", is_flag=True, help="Replace files that no run of this job wrote; in an undo, newer values."
        ),
        click.option(
            "--metrics-file",
            type=click.Path(path_type=Path),
            metavar="FILE.prom",
            help="Write the result for node_exporter.",
        ),
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="info",
            show_default=True,
            help="What the run's log holds; debug has every request.",
        ),
        click.option(
            "--log-format",
            type=click.Choice(["json", "console"]),
            help="Write the log to stderr too, instead of progress.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object."),
    )
    command = limit_options(command)
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog=examples("run invites.yaml", "run invites.yaml --yes --json", "run invites.yaml --share 1.0 --max-wait 60s")
)
@click.argument("job", type=click.Path(path_type=Path), shell_complete=complete_jobs)
@click.option("--fresh", is_flag=True, help="Start over: abandon an unfinished run, repeat a finished one.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the job file.")
@click.option("--allow-outside", is_flag=True, help="Let the job file name paths outside its folder.")
@shared_options
def run(job: Path, **options: Any) -> int:
    """Run JOB, or continue its unfinished run.

    Shows what will happen and asks before anything is sent; --yes answers. The same command continues a run that was
    interrupted, and does nothing when everything is done.
    """
    from clerk_runner.cli.working import WorkOptions, work  # noqa: PLC0415  heavy

    overrides = (*options.pop("overrides"), *limit_overrides(options))
    return work(job, None, WorkOptions(overrides=overrides, **options))


@click.command(epilog=examples("resume last", "resume 20260102-0304 --yes", "resume last --quota-share 1.0"))
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@shared_options
def resume(run_id: str, **options: Any) -> int:
    """Continue RUN: its id, a unique beginning of it, or "last".

    This also continues a run that was stopped because too many of its rows failed. Limits given here apply to this
    start only; otherwise those of the run's first start and of its job file apply.
    """
    from clerk_runner.cli.working import WorkOptions, work  # noqa: PLC0415  heavy

    return work(None, run_id, WorkOptions(overrides=limit_overrides(options), **options))
