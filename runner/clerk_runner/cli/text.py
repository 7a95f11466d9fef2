"""Text on its way to a terminal: harmless, and in the words that people use."""

from __future__ import annotations

import datetime
import re

import click

from clerk_runner.plain import HIDDEN, plain

__all__ = ["DURATION", "HIDDEN", "clock_time", "count", "duration", "examples", "plain", "say"]

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def say(text: str, *, err: bool = False) -> None:
    """Print one line, made plain."""
    click.echo(plain(text), err=err)


def examples(*commands: str) -> str:
    r"""The end of a help text: commands to copy, each on its line.

    Example:
        >>> print(examples("runs list").replace("\b", ""))
        <BLANKLINE>
        Examples:
          clerk-batch runs list
    """
    return "\n".join(("\b", "Examples:", *(f"  clerk-batch {command}" for command in commands)))


def count(number: int, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> count(1, "row"), count(2431, "row")
        ('1 row', '2,431 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A length of time for people.

    Example:
        >>> duration(0.4), duration(75), duration(24180), duration(1026000)
        ('under a second', '1 min 15 s', '6 h 43 min', '11 d 21 h')
    """
    if seconds < 1:
        return "under a second"
    whole = round(seconds)
    steps = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for unit, size in steps:
        if whole >= size and len(parts) < 2:
            parts.append(f"{whole // size} {unit}")
            whole %= size
        elif parts:
            break
    return " ".join(parts)


def clock_time(wall_s: float) -> str:
    """A time of day, with its date where that is another day."""
    when = datetime.datetime.fromtimestamp(wall_s).astimezone()
    today = datetime.datetime.now().astimezone().date()
    return f"{when:%H:%M}" if when.date() == today else f"{when:%Y-%m-%d %H:%M}"


class _Duration(click.ParamType[float]):
    """A length of time on the command line: 60s, 10m, 1h."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it in seconds."""
        if isinstance(value, float | int):
            return float(value)
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no length of time; write 60s, 10m or 1h", param, ctx)
        return float(match[1]) * UNITS[match[2] or "s"]


DURATION = _Duration()
