"""What no request can carry, whatever the documents say: halves of characters, numbers of no size, endless nesting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from clerk_jobs.catalog.check import Finding
from clerk_jobs.catalog.schema import Json

__all__ = ["check_sendable"]

_DEEPEST: Final = 100
_HUGE: Final = 2**63


def check_sendable(path: Iterable[tuple[str, str]], query: Iterable[tuple[str, str]], body: Json) -> Iterator[Finding]:
    """What cannot be written into a request; where there is nothing, its encoding cannot fail."""
    for place, pairs in (("path", path), ("query", query)):
        for name, text in pairs:
            if not _is_text(name + text):
                yield Finding(place, name if _is_text(name) else "", "value", "is not UTF-8 text")
    # Level by level, not by recursion: a body may be nested deeper than Python is.
    level: list[Json] = [body]
    for _ in range(_DEEPEST):
        if any(isinstance(value, str) and not _is_text(value) for value in level):
            yield Finding("body", "", "value", "contains text that is not UTF-8")
        if not all(map(_is_number_of_json, level)):
            yield Finding("body", "", "value", "contains a number that is too large, or NaN")
        level = [one for value in level for one in _inside(value)]
        if not level:
            return
    yield Finding("body", "", "bound", f"is nested more than {_DEEPEST} levels deep")


def _inside(value: Json) -> Iterator[Json]:
    if isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from value


def _is_number_of_json(value: Json) -> bool:
    """Whether it is one, or no number at all; beyond 64 bits readers differ."""
    return math.isfinite(value) if isinstance(value, float) else not isinstance(value, int) or abs(value) < _HUGE


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
