"""The keys of ``limits:`` as options: ``--share 0.5`` is ``--set limits.share=0.5``, checked at once."""

from __future__ import annotations

from typing import Any

import click

from clerk_runner.cli.text import DURATION

__all__ = ["LIMIT_OPTIONS", "limit_options", "limit_overrides"]

_SHARE = click.FloatRange(0, 1, min_open=True)
_COUNT = click.IntRange(min=1)

LIMIT_OPTIONS = ("share", "quota_share", "per_hour", "per_day", "early_release")
"""The parameters' names, which are the job file's keys below ``limits:``."""


def limit_options(command: Any) -> Any:
    """Give a command the options that change how much of Clerk's limits a job takes."""
    options = (
        click.option(
            "--share", type=_SHARE, metavar="PART", help="Share of the instance's requests per 10 s, 0.7 or 1.0."
        ),
        click.option("--quota-share", type=_SHARE, metavar="PART", help="Share of each hourly quota, 0.9 or 1.0."),
        click.option("--per-hour", type=_COUNT, metavar="N", help="At most this many rows in any hour."),
        click.option("--per-day", type=_COUNT, metavar="N", help="At most this many rows in any 24 hours."),
        click.option(
            "--early-release",
            type=DURATION,
            metavar="TIME",
            help="Count a slow list call from this long after it was sent: 250ms.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def limit_overrides(given: dict[str, Any]) -> tuple[str, ...]:
    """Take the limits out of a command's parameters, as texts for ``--set``; they win over the job file.

    Example:
        >>> given = {"share": 0.5, "quota_share": None, "early_release": 0.25, "yes": True}
        >>> limit_overrides(given), given
        (('limits.share=0.5', 'limits.early_release=0.25s'), {'yes': True})
    """
    values = [(name, given.pop(name, None)) for name in LIMIT_OPTIONS]
    units = {"early_release": "s"}
    return tuple(f"limits.{name}={value:.12g}{units.get(name, '')}" for name, value in values if value is not None)
