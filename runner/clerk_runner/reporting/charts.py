"""Pictures of a run, as SVG without text: what is written beside them is HTML, so that it keeps its size.

A picture is stretched to the room there is; lines keep their width. Coordinates are parts of 1000 from the left and of
100 from the top.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

__all__ = ["bars", "line", "picture", "round_top", "steps"]

WIDE, HIGH = 1000.0, 100.0
TOPS = (1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def round_top(most: float) -> float:
    """What an axis ends with: the next number of one or two digits whose half is as short.

    Example:
        >>> round_top(19.8), round_top(7.0), round_top(640.0), round_top(0.0)
        (20.0, 8.0, 800.0, 1.0)
    """
    if most <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(most))
    return next(top * unit for top in TOPS if top * unit >= most or top == TOPS[-1])


def picture(label: str, shapes: Iterable[str], *, rules: Sequence[float] = (0.25, 0.5, 0.75)) -> str:
    """The shapes as one picture; ``label``, already escaped, says what it shows to whoever cannot see it."""
    grid = "".join(f'<path class="rule" d="M0 {HIGH * part:g}H{WIDE:g}"/>' for part in rules)
    return (
        f'<svg viewBox="0 0 {WIDE:g} {HIGH:g}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"<title>{label}</title>{grid}{''.join(shapes)}</svg>"
    )


def bars(values: Sequence[float], most: float, style: str) -> str:
    """A bar for each value, from the bottom up to ``value / most``; nothing for a zero."""
    if not values or most <= 0:
        return ""
    width = WIDE / len(values)
    parts = []
    for number, value in enumerate(values):
        if value > 0:
            # Nothing that happened is too small to be seen.
            high = min(HIGH, max(1.0, value / most * HIGH))
            parts.append(f"M{number * width:.2f} {HIGH:g}h{width:.2f}v-{high:.2f}h-{width:.2f}z")
    return f'<path class="{style}" d="{"".join(parts)}"/>' if parts else ""


def steps(values: Sequence[float], most: float, style: str) -> str:
    """A line that holds each value for its stretch of time."""
    if not values or most <= 0:
        return ""
    width = WIDE / len(values)
    path, last = "", None
    for number, value in enumerate(values):
        high = HIGH - min(HIGH, value / most * HIGH)
        if last is None:
            path = f"M0 {high:.2f}"
        elif high != last:
            path += f"V{high:.2f}"
        path += f"H{(number + 1) * width:.2f}"
        last = high
    return f'<path class="{style}" d="{path}"/>'


def line(value: float, most: float, style: str) -> str:
    """One height from left to right."""
    return f'<path class="{style}" d="M0 {HIGH - value / most * HIGH:.2f}H{WIDE:g}"/>' if 0 < value <= most else ""
