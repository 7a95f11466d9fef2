"""``clerk-batch retry``."""

from __future__ import annotations

from typing import Any

import click

from clerk_runner.cli.completing import complete_runs
from clerk_runner.cli.limit_options import limit_overrides
from clerk_runner.cli.run import shared_options
from clerk_runner.cli.text import examples

__all__ = ["retry"]


@click.command(epilog=examples("retry last", "retry 20260102-0304 --code resource_not_found --yes"))
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option("--code", help="Only rows that failed with this code.")
@shared_options
def retry(run_id: str, code: str | None, **options: Any) -> int:
    """Send the failed rows of RUN again, as they are, as a new run.

    RUN is an id, a unique beginning of one, or "last". Use it once the cause
    is gone (a setting, a missing organization). Rows that are wrong themselves: print them with "runs failed", fix
    them, and "run" the fixed file. Unresolved rows are not sent again; "resume RUN --on-unresolved retry" does that.
    """
    from clerk_runner.cli.working import WorkOptions, work_on_retry  # noqa: PLC0415  heavy

    return work_on_retry(run_id, code, WorkOptions(overrides=limit_overrides(options), **options))
