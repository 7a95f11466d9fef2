"""Leaving early as people and cron need it told: why, when it can go on, and how."""

from __future__ import annotations

import datetime

from clerk_runner.errors import LeftEarly

__all__ = ["clock_text", "left_early"]

HINT = "run the same command again to continue"


def left_early(why: str, what: str = "", until_s: float | None = None) -> LeftEarly:
    """The end of a run that was told not to wait any longer.

    Args:
        why: which option ended it.
        what: what it would have waited for.
        until_s: when that comes (unix time); None where nobody knows.

    Example:
        >>> print(left_early("the time is over"))
        the time is over
    """
    if until_s is None:
        return LeftEarly(why, code="left_early", hint=HINT)
    when = datetime.datetime.fromtimestamp(until_s).astimezone()
    return LeftEarly(
        f"{why}: {what} comes at {clock_text(until_s)}",
        code="left_early",
        hint=HINT,
        until=when.isoformat("T", "seconds"),
    )


def clock_text(wall_s: float) -> str:
    """A time of day to the second, with its date where that is another day."""
    when = datetime.datetime.fromtimestamp(wall_s).astimezone()
    today = datetime.datetime.now().astimezone().date()
    return f"{when:%H:%M:%S}" if when.date() == today else f"{when:%Y-%m-%d %H:%M:%S}"
