"""Checks a value against a schema before it is sent, so that a slip costs no request and no quota.

A finding says what is wrong and where, and never shows a text that was given: it may be an address or a
password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from clerk_jobs.catalog.schema import Json, Schema

__all__ = ["Finding", "FindingCode", "check_value", "nearest", "parse_text", "snake_case", "type_name"]

FindingCode = Literal["missing", "unknown", "type", "value", "bound", "rule"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a call.

    Attributes:
        place: ``path``, ``query`` or ``body``.
        name: dotted path within the place, ``[3].email_address``; empty for the place as a whole.
        code: one word for programs.
        message: what is wrong, without the place.
        hint: what to do about it; may be empty.
    """

    place: str
    name: str
    code: FindingCode
    message: str
    hint: str = ""

    def __str__(self) -> str:
        subject = f"{self.place} {self.name}".rstrip()
        return f"{subject}: {self.message}" + (f"; {self.hint}" if self.hint else "")


def check_value(schema: Schema, value: Json, name: str = "", place: str = "body") -> Iterator[Finding]:
    """What keeps a JSON value from fitting a schema.

    An object's unknown fields are findings unless the schema allows others in so many words, or names no
    field at all: Clerk answers an unknown field with 422.

    Example:
        >>> schema = Schema(type="object", properties={"notify": Schema(type="boolean")})
        >>> [str(finding) for finding in check_value(schema, {"notify": "yes"})]
        ['body notify: must be true or false, is text']
    """
    if value is None:
        if not schema.nullable and (schema.type or schema.enum):
            yield Finding(place, name, "type", f"must be {_wanted(schema)}, is null")
        return
    if schema.type is not None and not _is_of(schema.type, value):
        yield Finding(place, name, "type", f"must be {_wanted(schema)}, is {type_name(value)}")
        return
    yield from _check_alternatives(schema, value, name, place)
    if schema.enum and value not in schema.enum:
        yield Finding(place, name, "value", f"must be {_one_of(schema.enum)}")
    elif isinstance(value, str):
        yield from _check_string(schema, value, name, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_number(schema, value, name, place)
    elif isinstance(value, Mapping):
        yield from _check_object(schema, value, name, place)
    elif isinstance(value, Sequence):
        yield from _check_array(schema, value, name, place)


def parse_text(schema: Schema, text: str) -> Json:
    """The JSON value that a text means where a schema says what it has to be.

    A text that cannot be that value is given back as it is; ``check_value`` then finds its type wrong.

    Example:
        >>> parse_text(Schema(type="integer"), "5"), parse_text(Schema(type="boolean"), "true")
        (5, True)
        >>> parse_text(Schema(type="integer"), "five")
        'five'
    """
    if schema.nullable and text == "null":
        return None
    if schema.type == "boolean" and text in ("true", "false"):
        return text == "true"
    if schema.type == "integer" and re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if schema.type == "number" and re.fullmatch(r"-?\d{1,18}(?:\.\d{1,18})?", text):
        return float(text) if "." in text else int(text)
    return text


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint that names what was perhaps meant, or the empty string."""
    import difflib  # noqa: PLC0415 (only a mistyped name needs it)

    found = difflib.get_close_matches(name.lower(), known, 1, 0.6)
    return f"did you mean {found[0]}?" if found else ""


def snake_case(name: str) -> str:
    """A name in the REST API's spelling.

    Example:
        >>> snake_case("publicMetadata"), snake_case("createdAtAfter"), snake_case("user-id")
        ('public_metadata', 'created_at_after', 'user_id')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def type_name(value: Json) -> str:
    """What a JSON value is, in a word for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, Mapping) else "an array"


def _meant(name: str, known: Sequence[str]) -> str:
    snake = snake_case(name)
    if snake != name and snake in known:
        return f"the REST API uses snake_case: {snake} (SDKs use camelCase)"
    return nearest(name, known)


_WANTED = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
}


def _wanted(schema: Schema) -> str:
    return _WANTED[schema.type] if schema.type is not None else _one_of(schema.enum)


def _one_of(values: Sequence[Json]) -> str:
    return "one of " + ", ".join(str(value) for value in values if value is not None)


def _is_of(kind: str, value: Json) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int):
        return kind in ("integer", "number")
    if isinstance(value, float):
        return kind == "number" or (kind == "integer" and value.is_integer())
    if isinstance(value, str):
        return kind == "string"
    return kind == ("object" if isinstance(value, Mapping) else "array")


def _check_alternatives(schema: Schema, value: Json, name: str, place: str) -> Iterator[Finding]:
    for alternatives in (schema.one_of, schema.any_of):
        found = [list(check_value(_beside(schema, one), value, name, place)) for one in alternatives]
        if found and all(found):
            # The alternative with the fewest faults is the one that was meant.
            yield from min(found, key=len)


def _beside(schema: Schema, alternative: Schema) -> Schema:
    """An alternative that only adds demands (``required``) knows the fields of the schema that it stands
    in."""
    if alternative.properties or not schema.properties:
        return alternative
    return Schema(type="object", properties=schema.properties, required=alternative.required, additional=True)


def _check_string(schema: Schema, value: str, name: str, place: str) -> Iterator[Finding]:
    if schema.min_length is not None and len(value) < schema.min_length:
        wanted = "must not be empty" if schema.min_length == 1 else f"needs at least {schema.min_length} characters"
        yield Finding(place, name, "bound", wanted)
    if schema.max_length is not None and len(value) > schema.max_length:
        wanted = f"may have at most {schema.max_length} characters, has {len(value)}"
        yield Finding(place, name, "bound", wanted)
    if schema.pattern is not None and not _matches(schema.pattern, value):
        yield Finding(place, name, "value", f"does not have the documented form {schema.pattern}")


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:  # the documents' dialect is JavaScript's: what Python cannot read, Clerk decides
        return True


def _check_number(schema: Schema, value: float, name: str, place: str) -> Iterator[Finding]:
    if schema.minimum is not None and (
        value < schema.minimum or (schema.exclusive_minimum and value == schema.minimum)
    ):
        bound = "greater than" if schema.exclusive_minimum else "at least"
        yield Finding(place, name, "bound", f"must be {bound} {schema.minimum:g}, is {value:g}")
    if schema.maximum is not None and value > schema.maximum:
        yield Finding(place, name, "bound", f"must be at most {schema.maximum:g}, is {value:g}")


def _check_object(schema: Schema, value: Mapping[str, Json], name: str, place: str) -> Iterator[Finding]:
    for key in schema.required:
        if key not in value:
            yield Finding(place, _below(name, key), "missing", "is required")
    closed = schema.additional is False or (schema.additional is None and bool(schema.properties))
    closed = closed and not any(one.properties for one in (*schema.one_of, *schema.any_of))
    for key, child in value.items():
        known = schema.properties.get(key)
        if known is not None:
            yield from check_value(known, child, _below(name, key), place)
        elif isinstance(schema.additional, Schema):
            yield from check_value(schema.additional, child, _below(name, key), place)
        elif closed:
            yield Finding(place, _below(name, key), "unknown", "is not a field here", _meant(key, [*schema.properties]))


def _check_array(schema: Schema, value: Sequence[Json], name: str, place: str) -> Iterator[Finding]:
    if schema.min_items is not None and len(value) < schema.min_items:
        yield Finding(place, name, "bound", f"needs at least {schema.min_items} items, has {len(value)}")
    if schema.max_items is not None and len(value) > schema.max_items:
        yield Finding(place, name, "bound", f"takes at most {schema.max_items} items, has {len(value)}")
    if schema.unique_items and any(item in value[:place_] for place_, item in enumerate(value)):
        yield Finding(place, name, "value", "contains an item twice")
    if schema.items is not None:
        for number, item in enumerate(value):
            yield from check_value(schema.items, item, f"{name}[{number}]", place)


def _below(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
