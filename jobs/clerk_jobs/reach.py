"""A value inside of a row's value: ``user.name`` in JSON rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from clerk_jobs.values import DROPPED, Dropped, Json

__all__ = ["reach"]


def reach(values: Mapping[str, Json], column: str) -> Json | Dropped:
    """The value of a column, or what a dotted path leads to where no column has that very name.

    A step is the key of an object, the place of an element from 0, or, in a list of objects that are nothing but
    ``Name`` and ``Value`` (as AWS writes attributes), a name. A text that is a JSON object, as a CSV holds it, is
    looked into like one.

    Returns:
        `DROPPED` where there is nothing, which null is not.

    Example:
        >>> reach({"a.b": 1, "a": {"b": 2, "c": [{"Name": "d", "Value": "3"}]}}, "a.b")
        1
        >>> reach({"a": {"b": 2, "c": [{"Name": "d", "Value": "3"}]}}, "a.c.d")
        '3'
    """
    if column in values:
        return values[column]
    found: Json | Dropped = dict(values) if "." in column else DROPPED
    for step in column.split("."):
        found = _inside(found, step)
    return found


_DECODE: Final = msgspec.json.Decoder().decode


def _decoded(text: str) -> Json | Dropped:
    try:
        found: Json = _DECODE(text)
    except (msgspec.DecodeError, RecursionError):
        return DROPPED
    return found


def _inside(value: Json | Dropped, step: str) -> Json | Dropped:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _decoded(value)
    if isinstance(value, dict):
        return value.get(step, DROPPED)
    if not isinstance(value, list):
        return DROPPED
    if step.isascii() and step.isdigit():
        return value[int(step)] if len(step) < 10 and int(step) < len(value) else DROPPED
    if all(isinstance(each, dict) and set(each) == {"Name", "Value"} for each in value):
        return next((each["Value"] for each in value if isinstance(each, dict) and each["Name"] == step), DROPPED)
    return DROPPED
