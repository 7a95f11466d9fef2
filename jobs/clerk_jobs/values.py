"""JSON values as job files and rows hold them, and the bounds that they must keep to be sent."""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

__all__ = ["DROPPED", "MAX_DEPTH", "MAX_INTEGER", "MAX_TEXT", "MIN_INTEGER", "Dropped", "Json", "unsound"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can say."""


class Dropped(Enum):
    """The type of `DROPPED`."""

    DROPPED = "dropped"


DROPPED: Final = Dropped.DROPPED
"""What an optional template renders to when its column is empty: the key or the list item is left out."""

MAX_TEXT: Final = 131_072
"""Longest text of one cell and of one rendered template, in characters."""
MAX_DEPTH: Final = 32
"""Deepest nesting of maps and lists; Clerk's metadata has 8 KB in all, so nobody needs more."""
MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1
"""The integers that JSON writers agree on; beyond them an id would silently lose digits."""


def unsound(value: Json, depth: int = 0) -> str | None:
    """Say why a value cannot be sent as JSON exactly as it is; None when it can.

    Looks at integers beyond 64 bits, texts beyond `MAX_TEXT`, and nesting beyond `MAX_DEPTH`.
    """
    if isinstance(value, str):
        return "is longer than 131,072 characters" if len(value) > MAX_TEXT else None
    if isinstance(value, int):
        inside = MIN_INTEGER <= value <= MAX_INTEGER
        return None if inside else "is too large for a 64-bit number; write it as text"
    if isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            return f"is nested more than {MAX_DEPTH} levels deep"
        inner = value.values() if isinstance(value, dict) else value
        return next((reason for each in inner if (reason := unsound(each, depth + 1))), None)
    return None
