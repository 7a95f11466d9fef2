"""Times as other systems export them, in the one form that Clerk takes: RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from clerk_jobs.values import Json

__all__ = ["MomentError", "milliseconds_of", "rfc3339"]

_EARLIEST_MS: Final = 100_000_000_000
"""The year 1973: a number below is seconds, not milliseconds, or no time at all."""
_LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""


class MomentError(ValueError):
    """A value that is no time; the text says why, without the value."""


def rfc3339(value: Json) -> str:
    """A time as ISO 8601 with its zone, or as unix milliseconds, in RFC 3339 with milliseconds.

    Raises:
        MomentError: it is neither, or has no zone.

    Example:
        >>> rfc3339("2024-01-02 03:04:05+00"), rfc3339("1704164645000")
        ('2024-01-02T03:04:05.000Z', '2024-01-02T03:04:05.000Z')
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MomentError("is not a time: write ISO 8601 or unix milliseconds")
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    if text.isascii() and text.isdigit():
        return _of_milliseconds(int(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MomentError("is not a time: write ISO 8601 or unix milliseconds") from None
    if moment.tzinfo is None:
        raise MomentError("has no time zone; add Z for UTC")
    try:
        return _written(moment.astimezone(UTC))
    except OverflowError:
        raise MomentError("is out of range") from None


def milliseconds_of(text: str) -> int:
    """The unix milliseconds of a time that `rfc3339` wrote.

    Example:
        >>> milliseconds_of("2024-01-02T03:04:05.000Z")
        1704164645000
    """
    moment = datetime.fromisoformat(text)
    return round(moment.timestamp() * 1000)


def _of_milliseconds(value_ms: int) -> str:
    if value_ms < _EARLIEST_MS:
        raise MomentError("is before 1973: is it in seconds? unix times are in milliseconds here")
    if value_ms > _LATEST_MS:
        raise MomentError("is out of range: unix times are in milliseconds here")
    # From whole seconds, because a float has lost the last digits.
    moment = datetime.fromtimestamp(value_ms // 1000, UTC)
    return _written(moment.replace(microsecond=value_ms % 1000 * 1000))


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
