"""Checking the fields of a body the way Clerk does: unknown, missing, of a wrong type, out of bounds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .errors import Problem, RefusalError, invalid, missing_field, refusal, unknown_field

Kind = Literal["string", "boolean", "integer", "object", "strings"]
_TYPES: dict[Kind, type] = {"string": str, "boolean": bool, "integer": int, "object": dict, "strings": list}
_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\".]+(\.[^@\s,;<>\".]+)+")


@dataclass(frozen=True, slots=True)
class Field:
    """What a body field may hold; null is always allowed and means absent.

    Attributes:
        kind: its JSON type.
        required: whether it must be there.
        minimum, maximum: bounds of an integer, inclusive.
        choices: the strings that are allowed, empty for any.
    """

    kind: Kind
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()


Fields = Mapping[str, Field]


def read_object(value: object, fields: Fields) -> dict[str, object]:
    """The fields of a JSON object, null ones left out.

    Raises:
        RefusalError: 422 with every unknown, missing or wrong field, or 400 where it is no object.
    """
    if not isinstance(value, dict):
        raise refusal(400, "request_body_invalid", "invalid body", "the request's body must be an object")
    problems = [unknown_field(name) for name in value if name not in fields]
    known = {name: item for name, item in value.items() if item is not None and name in fields}
    problems += [missing_field(name) for name, spec in fields.items() if spec.required and name not in known]
    for name, item in known.items():
        problem = _wrong(name, item, fields[name])
        if problem is not None:
            problems.append(problem)
    if problems:
        raise RefusalError(422, *problems)
    return known


def _wrong(name: str, item: object, spec: Field) -> Problem | None:
    why: tuple[str, str] | None = None
    if not isinstance(item, _TYPES[spec.kind]) or (spec.kind == "integer" and isinstance(item, bool)):
        why = "form_param_type_invalid", f"must be of type {spec.kind}"
    elif isinstance(item, list) and not all(isinstance(entry, str) for entry in item):
        why = "form_param_type_invalid", "must hold strings"
    elif isinstance(item, int) and not _within(item, spec):
        why = "form_param_value_invalid", f"must lie between {spec.minimum} and {spec.maximum}"
    elif isinstance(item, str) and spec.choices and item not in spec.choices:
        why = "form_param_value_invalid", f"must be one of {', '.join(spec.choices)}"
    if why is None:
        return None
    return Problem(why[0], "is invalid", f"{name} {why[1]}", {"param_name": name})


def _within(number: int, spec: Field) -> bool:
    above = spec.minimum is None or number >= spec.minimum
    return above and (spec.maximum is None or number <= spec.maximum)


def email(text: str, name: str = "email_address") -> str:
    """An e-mail address as Clerk stores it: trimmed and in lower case.

    Raises:
        RefusalError: 422 where it is no address.
    """
    address = text.strip().lower()
    if len(address) > 254 or _EMAIL.fullmatch(address) is None:
        raise invalid(name, "must be a valid e-mail address", "form_param_format_invalid")
    return address


def rfc3339_ms(wanted: Mapping[str, object], name: str, otherwise_ms: int) -> int:
    """A time that a body gives as RFC 3339, in unix milliseconds; `otherwise_ms` where it gives none.

    Raises:
        RefusalError: 422 where it is no such time.
    """
    text = wanted.get(name)
    if text is None:
        return otherwise_ms
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise invalid(name, "must be a time as in RFC 3339", "form_param_format_invalid") from error
    if time.tzinfo is None:
        raise invalid(name, "must name its time zone", "form_param_format_invalid")
    return int(time.timestamp() * 1000)
