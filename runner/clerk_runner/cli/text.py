"""Text on its way to a terminal: harmless, and in the words that people use."""

from __future__ import annotations

import re
import textwrap
from typing import TextIO

import click

from clerk_runner.amounts import clock_time, count, duration
from clerk_runner.plain import HIDDEN, plain

__all__ = [
    "DURATION", "HIDDEN", "clock_time", "columns_of", "count", "duration", "examples", "plain", "say", "wrapped",
]  # fmt: skip

NARROWEST = 40
"""Columns below which a terminal breaks the lines itself."""
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def say(text: str, *, err: bool = False) -> None:
    """Print one line, made plain."""
    click.echo(plain(text), err=err)


def columns_of(stream: TextIO) -> int:
    """How wide its terminal is, or would have to be; 0 where it is none, and nothing has to be broken."""
    import shutil  # noqa: PLC0415  not for a help text

    return max(NARROWEST, shutil.get_terminal_size().columns) if stream.isatty() else 0


def wrapped(line: str, width: int, below: str) -> list[str]:
    """A line in pieces of at most ``width``, the later ones after ``below``; a longer word stays whole, for copying."""
    return textwrap.wrap(line, width, subsequent_indent=below, break_on_hyphens=False, break_long_words=False) or [""]


def examples(*commands: str) -> str:
    r"""The end of a help text: commands to copy, each on its line.

    Example:
        >>> print(examples("runs list").replace("\b", ""))
        <BLANKLINE>
        Examples:
          clerk-batch runs list
    """
    return "\n".join(("\b", "Examples:", *(f"  clerk-batch {command}" for command in commands)))


class _Duration(click.ParamType[float]):
    """A length of time on the command line: 60s, 10m, 1h."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it in seconds."""
        if isinstance(value, float | int):
            return float(value)
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a length of time; write 60s, 10m or 1h", param, ctx)
        return float(match[1]) * UNITS[match[2] or "s"]


DURATION = _Duration()
