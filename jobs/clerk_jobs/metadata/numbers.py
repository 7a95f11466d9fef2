"""Numbers as Clerk spells them: what is put back is what was there, digit for digit.

A reader of JSON makes 1000.0 of ``1e3``, and rounds whole numbers beyond 64 bits and fractions of more than 17 digits.
So a number that would be written otherwise than it was read is an `Exact`: a float that knows its spelling.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec
import orjson

from clerk_jobs.values import MAX_INTEGER, MIN_INTEGER

__all__ = ["Exact", "canonical", "loads_exact", "marking", "spelling", "unmarked"]

_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG: Final = b"0" * 19
"""Digits of the shortest whole number that may be beyond 64 bits, once each is a zero."""
_MINUS_ZERO: Final = re.compile(rb"-0(?:[,\]}\s]|$)")
"""What may be such a number, or a part of a text; the literal beginning lets it be looked for quickly."""
_MARK: Final = "\0number"
"""The one key of an object that stands for a number in a journal. Source: JSON has no other room beside values."""


class Exact(float):
    """A number with its spelling.

    Attributes:
        spelled: as JSON had it.
    """

    __slots__ = ("spelled",)
    spelled: str

    def __new__(cls, spelled: str) -> Exact:
        """Round it for whoever computes with it."""
        made = super().__new__(cls, spelled)
        made.spelled = spelled
        return made


def loads_exact(body: bytes | memoryview) -> Any:
    """Read JSON and lose no digit.

    Raises:
        orjson.JSONDecodeError: it is none, or has a number beyond what a float holds.

    Example:
        >>> spelling(loads_exact(b'[1e3, 1.0, 12345678901234567890123, -0, 7]')).decode()
        '[1e3,1.0,12345678901234567890123,-0,7]'
    """
    text = bytes(body)
    try:
        # A reader that hands over fractions as they are spelled, and whole numbers of any length.
        value = _READER.decode(text)
        if _LONG in text.translate(_DIGITS) or _MINUS_ZERO.search(text):
            return json.loads(text, parse_float=_fraction, parse_int=_whole)
    except (ValueError, RecursionError):
        # What is no JSON one reader judges alone; what it takes is deeper than anything that anybody compares.
        return orjson.loads(text)
    return value


def spelling(value: Any) -> bytes:
    """JSON in which every number is spelled as it was read."""
    return orjson.dumps(value, default=_as_spelled)


def canonical(value: Any) -> bytes:
    """JSON that values share when they are the same, whatever the order of keys and the spelling of numbers."""
    return orjson.dumps(value, default=_by_value, option=orjson.OPT_SORT_KEYS)


def marking(value: Any) -> bytes:
    """JSON in which numbers of their own spelling are objects that any reader of JSON leaves alone."""
    return orjson.dumps(value, default=_marked)


def unmarked(value: Any) -> Any:
    """What `marking` wrote, once it is read."""
    if isinstance(value, dict):
        if value.keys() == {_MARK}:
            return Exact(value[_MARK])
        return {key: unmarked(each) for key, each in value.items()}
    return [unmarked(each) for each in value] if isinstance(value, list) else value


def _rounded(number: Exact) -> float:
    """A plain float."""
    return number + 0.0


def _fraction(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("no float")
    return number if orjson.dumps(number) == text.encode() else Exact(text)


_READER: Final = msgspec.json.Decoder(float_hook=_fraction)


def _whole(text: str) -> int | float:
    if len(text) > len(str(MIN_INTEGER)):
        return Exact(text)
    number = int(text)
    return number if MIN_INTEGER <= number <= MAX_INTEGER and str(number) == text else Exact(text)


def _marked(value: Any) -> dict[str, str]:
    if isinstance(value, Exact):
        return {_MARK: value.spelled}
    raise TypeError(f"{type(value).__name__} is not JSON")


def _as_spelled(value: Any) -> orjson.Fragment:
    if isinstance(value, Exact):
        return orjson.Fragment(value.spelled.encode())
    raise TypeError(f"{type(value).__name__} is not JSON")


def _by_value(value: Any) -> Any:
    """A number that a float holds to the last digit is that float, however it was spelled."""
    if not isinstance(value, Exact):
        raise TypeError(f"{type(value).__name__} is not JSON")
    try:
        whole = Decimal(value.spelled) == Decimal(_rounded(value))
    except InvalidOperation:
        whole = False
    return _rounded(value) if whole else _as_spelled(value)
