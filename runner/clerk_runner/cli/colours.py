"""Colours that can be read on a black terminal and on a white one, and what stands for them where there are none.

The first sixteen colours are what each terminal makes of them: its cyan and its yellow cannot be read on white, its
blue cannot on black. Those of the cube of 256 are the same everywhere, so only they are used, each at least four times
as light as black and as dark as white (contrast as WCAG 2 counts it). A terminal that has sixteen gets none; nothing is
told by a colour alone.
"""

from __future__ import annotations

import os
from typing import Final, Literal

import click

__all__ = ["COLOURS", "Tone", "emphasised", "painted", "rich_style"]

Tone = Literal["good", "note", "bad", "way"]
COLOURS: Final[dict[Tone, int]] = {"good": 28, "note": 130, "bad": 161, "way": 31}
"""Number of each in the cube of 256; ``way`` is how far something has come."""


def painted(text: str, tone: Tone) -> str:
    """A word in its colour, for ``click.echo``, which leaves colours out where nobody sees them."""
    return click.style(text, fg=COLOURS[tone]) if _has_cube() and not os.environ.get("NO_COLOR") else text


def emphasised(text: str) -> str:
    """A heading, for ``click.echo``."""
    return text if os.environ.get("TERM", "dumb") == "dumb" else click.style(text, bold=True)


def rich_style(tone: Tone, color_system: str | None) -> str:
    """The same colour for rich, of whose consoles each knows which colours its terminal has."""
    return f"color({COLOURS[tone]})" if color_system in ("256", "truecolor") else ""


def _has_cube() -> bool:
    """Whether the terminal says that it has 256 colours, or more."""
    term = os.environ.get("TERM", "dumb")
    return "256color" in term or term.endswith(("-direct", "kitty")) or bool(os.environ.get("COLORTERM"))
