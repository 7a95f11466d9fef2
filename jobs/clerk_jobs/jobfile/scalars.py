"""Plain scalars as YAML 1.2 reads them, so that NO, 2026-05-12, 12:30 and 012 stay texts.

The core schema, with one departure: a number with leading zeros stays a text, because in the files that
people have it is a postal code or an id, and the zeros are part of it.

Source: https://yaml.org/spec/1.2.2/#103-core-schema, read 2026-08.
"""

from __future__ import annotations

import math
import re

from clerk_jobs.values import MAX_INTEGER, MIN_INTEGER

__all__ = ["resolve"]

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_NUMBER = 64


def resolve(text: str) -> bool | int | float | str | None:
    """Give the value of a plain (unquoted) scalar.

    Raises:
        ValueError: the text is a number that JSON cannot carry: infinite, NaN, beyond 64 bits.

    Example:
        >>> [resolve(text) for text in ("NO", "012", "12:30", "2026-05-12", "0x1F", "1e3", "TRUE", "~")]
        ['NO', '012', '12:30', '2026-05-12', 31, 1000.0, True, None]
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _SPECIAL.fullmatch(text):
        raise ValueError("JSON has no infinite numbers and no NaN")
    based = _BASED.fullmatch(text)
    if based is None and not _FLOAT.fullmatch(text):
        return text
    # Python itself refuses to read thousands of digits; nothing of that length fits 64 bits anyway.
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("the number is too long")
    if based or _DECIMAL.fullmatch(text):
        number = int(text, 0 if based else 10)
        if not MIN_INTEGER <= number <= MAX_INTEGER:
            raise ValueError("the number is beyond 64 bits")
        return number
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("the number is too large")
    return value
