"""``clerk-batch undo``."""

from __future__ import annotations

from typing import Any

import click

from clerk_runner.cli.completing import complete_runs
from clerk_runner.cli.limit_options import limit_overrides
from clerk_runner.cli.run import shared_options
from clerk_runner.cli.text import examples

__all__ = ["undo"]


@click.command(epilog=examples("undo last", "undo 20260102-0304 --yes --json"))
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@shared_options
def undo(run_id: str, **options: Any) -> int:
    """Put back what RUN changed, where nobody changed it since.

    RUN is the id of a run of metadata, invitations or new users, a unique beginning of it, or "last". Invitations that
    are still pending are revoked; their e-mails are out. Users that the run created are deleted, with --confirm-count.
    Values that somebody else changed since, and users who have signed in since, are listed as conflicts and stay;
    --force takes them back too. The undo is a run of its own: it is shown first, can be resumed, and can itself be
    undone.
    """
    from clerk_runner.cli.working import WorkOptions, work_on_undo  # noqa: PLC0415  heavy

    return work_on_undo(run_id, WorkOptions(overrides=limit_overrides(options), **options))
