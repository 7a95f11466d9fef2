"""``clerk-batch plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from clerk_runner.cli.completing import complete_jobs
from clerk_runner.cli.limit_options import limit_options, limit_overrides
from clerk_runner.cli.text import examples

__all__ = ["plan"]


@click.command(
    epilog=examples("plan invites.yaml", "plan invites.yaml --offline --json", "plan invites.yaml --per-hour 50")
)
@click.argument("job", type=click.Path(path_type=Path), shell_complete=complete_jobs)
@click.option("--offline", is_flag=True, help="Read nothing from Clerk, not even who is already invited; needs no key.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the job file.")
@click.option("--allow-outside", is_flag=True, help="Let the job file name paths outside its folder.")
@limit_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as one JSON object.")
def plan(
    job: Path, *, offline: bool, overrides: tuple[str, ...], allow_outside: bool, as_json: bool, **limits: Any
) -> int:
    """Check every row of JOB and show the calls, the limits, the waits and the end of a run.

    Nothing is written: neither to Clerk nor to the state folder. Exit code 1 means that some rows cannot be sent.
    Of an export it shows what will be asked, how often, and how long that takes.
    """
    from clerk_runner.cli.working import show_plan  # noqa: PLC0415  heavy

    overrides = (*overrides, *limit_overrides(limits))
    return show_plan(job=job, overrides=overrides, allow_outside=allow_outside, offline=offline, as_json=as_json)
