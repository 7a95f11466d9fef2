"""Numbers, lengths of time and times of day in the words that people use."""

from __future__ import annotations

import datetime

__all__ = ["clock_time", "count", "duration"]


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
