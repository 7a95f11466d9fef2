"""How the value of a cell becomes a typed value: the casts of a template, ``{seats:int}``.

Text comes from CSV, any JSON value from JSON Lines. A cast never guesses: what is not plainly of the type is
refused, with the reason as a `Misfit`, and without the cell's content.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from clerk_jobs.values import MAX_INTEGER, MIN_INTEGER, Json, unsound

__all__ = ["CASTS", "CAST_TYPES", "PARTS", "Misfit", "as_text", "is_empty"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,25}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_LONGEST_NUMBER = 400
_TRUTH = {"true": True, "yes": True, "y": True, "t": True, "on": True, "1": True} | {
    "false": False,
    "no": False,
    "n": False,
    "f": False,
    "off": False,
    "0": False,
}


class Misfit(Exception):  # noqa: N818 - never leaves the template, which names the column
    """A value that a cast refuses; the text says why: ``is not a whole number``."""


def is_empty(value: Json) -> bool:
    """Tell whether an optional template drops this value: null, no text, or blanks alone."""
    return value is None or (isinstance(value, str) and not value.strip())


def as_text(value: Json) -> str:
    """Give a value as text: texts as they are, everything else as compact JSON.

    Raises:
        Misfit: the value is null, or cannot be sent.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise Misfit("is null")
    if reason := unsound(value):
        raise Misfit(reason)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _integer(value: Json) -> int:
    from_text = isinstance(value, str) and _INTEGER.fullmatch(value.strip())
    # Beyond 2**53 a float has already lost digits of the number that was written.
    from_float = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    if isinstance(value, str | float) and (from_text or from_float):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Misfit("is not a whole number")
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise Misfit("is too large for a 64-bit number; use str")
    return value


def _number(value: Json) -> float:
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
            raise Misfit("is not a number")
        number = float(text)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise Misfit("is not a number")
    else:
        number = float(value) if abs(value) < 2**1023 else math.inf
    if not math.isfinite(number):
        raise Misfit("is a number too large for a float")
    return number


def _truth(value: Json) -> bool:
    known = _TRUTH.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise Misfit("is not true or false (also yes, no, on, off, 1, 0)")
    return known


def _json(value: Json) -> Json:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value.encode())
        except (msgspec.DecodeError, RecursionError) as error:
            raise Misfit("is not JSON") from error
    if reason := unsound(value):
        raise Misfit(reason)
    return value


def _list(value: Json) -> Json:
    """Several values in one cell, parted by commas, semicolons, bars or lines, or a JSON array."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            return _list(_json(text))
        return [part.strip() for part in re.split(r"[,;|\n]", text) if part.strip()]
    if not isinstance(value, list):
        raise Misfit("is not a list")
    if reason := unsound(value):
        raise Misfit(reason)
    return value


def _first(value: Json) -> Json:
    """The first word of a text: the given name in most full names."""
    return "".join(as_text(value).split(maxsplit=1)[:1])


def _rest(value: Json) -> Json:
    """What stands after the first word of a text; empty where there is nothing."""
    return "".join(as_text(value).strip().split(maxsplit=1)[1:])


CASTS: Final[Mapping[str, Callable[[Json], Json]]] = MappingProxyType(
    {
        "str": as_text,
        "int": _integer,
        "float": _number,
        "bool": _truth,
        "json": _json,
        "list": _list,
        "first": _first,
        "rest": _rest,
    }
)
"""The casts by name; each takes a cell's value and returns the typed one, or raises `Misfit`."""

CAST_TYPES: Final[Mapping[str, type]] = MappingProxyType(
    {"str": str, "int": int, "float": float, "bool": bool, "list": list, "first": str, "rest": str}
)
"""What a cast always brings; ``json`` brings anything."""

PARTS: Final = frozenset({"first", "rest", "list"})
"""Casts that may bring nothing out of a value that is there; an optional template drops that too."""
