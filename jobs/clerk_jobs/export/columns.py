"""Columns of a table made from rows: a dotted path into the row, a name and a type.

Only what a column names is decoded; nested values stay the JSON that Clerk sent, numbers keep their spelling where
they become text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast, get_args

import msgspec

from clerk_jobs.catalog import ListShape, Operation, Schema

__all__ = [
    "BUILT_IN",
    "TYPES",
    "WHOLE_ROW",
    "Cell",
    "Column",
    "ColumnType",
    "cells",
    "default_columns",
    "documented_fields",
    "documented_type",
    "raw_cells",
    "type_of",
]

ColumnType: TypeAlias = Literal["text", "integer", "number", "boolean", "time", "json", "any"]
"""``time`` is unix milliseconds and becomes a moment, ``json`` any value as JSON, ``any`` what it is in each row."""
TYPES: Final = cast("tuple[ColumnType, ...]", get_args(ColumnType))

WHOLE_ROW: Final = "$"
"""The path of the whole row."""

BUILT_IN: Final[Mapping[str, tuple[str, str, str]]] = {
    "primary_email": ("email_addresses", "primary_email_address_id", "email_address"),
    "primary_phone": ("phone_numbers", "primary_phone_number_id", "phone_number"),
    "primary_web3_wallet": ("web3_wallets", "primary_web3_wallet_id", "web3_wallet"),
}
"""Columns of users that no field holds: the list, the field with the id of the chosen element, the element's value."""

Cell: TypeAlias = "str | int | float | bool | msgspec.Raw | None"
"""A value: scalars by their type, text wherever it is text, Raw for JSON and for what does not fit its column."""

_Fields: TypeAlias = dict[str, msgspec.Raw]
_FIELDS: Final = msgspec.json.Decoder(_Fields)
_ELEMENTS: Final = msgspec.json.Decoder(list[_Fields])
_FITTING: Final[Mapping[str, tuple[type, ...]]] = {
    "text": (str,),
    "integer": (int,),
    "time": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "any": (str, int, float, bool),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        path: dotted; or a name of `BUILT_IN`, or `WHOLE_ROW`.
    """

    name: str
    path: str
    type: ColumnType


def default_columns(operation: Operation) -> tuple[Column, ...]:
    """A column for each documented field of a list's rows, the built-in ones behind the id of a user.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> [column.name for column in default_columns(load().operation("GetUserList"))][:3]
        ['id', 'primary_email', 'primary_phone']
    """
    fields = _row_schema(operation).properties
    columns = [Column(name, name, type_of(schema)) for name, schema in fields.items()]
    if not columns:
        return (Column("id", "id", "text"), Column("row", WHOLE_ROW, "json"))
    if "email_addresses" in fields:
        columns[1:1] = [Column(name, name, "text") for name in BUILT_IN]
    return tuple(columns)


def type_of(schema: Schema) -> ColumnType:
    """The type of a column with values of this shape."""
    simple: dict[str | None, ColumnType] = {
        "string": "text",
        "integer": "integer",
        "number": "number",
        "boolean": "boolean",
        "object": "json",
        "array": "json",
    }
    return simple.get(schema.type, "any")


def documented_type(operation: Operation, path: str) -> ColumnType | None:
    """The type of what a path leads to; None where its first step is not a documented field of the rows."""
    schema = _row_schema(operation)
    if path == WHOLE_ROW:
        return "json"
    if path in BUILT_IN and "email_addresses" in schema.properties:
        return "text"
    for number, step in enumerate(path.split(".")):
        known = schema.properties.get(step)
        if known is None:
            return "any" if number else None
        schema = known
    return type_of(schema)


def documented_fields(operation: Operation) -> tuple[str, ...]:
    """The names that a path may begin with."""
    return tuple(_row_schema(operation).properties)


def cells(columns: Sequence[Column], row: bytes | msgspec.Raw) -> list[Cell]:
    """The values of a row, one for each column; None for what is absent or null.

    Example:
        >>> wanted = [Column("id", "id", "text"), Column("n", "meta.seats", "integer"), Column("meta", "meta", "json")]
        >>> found = cells(wanted, b'{"id": "a", "meta": {"seats": 5.0}}')
        >>> found[0], bytes(found[1]), bytes(found[2])
        ('a', b'5.0', b'{"seats": 5.0}')
    """
    pairs = zip(columns, raw_cells(columns, row), strict=True)
    return [raw if raw is None or column.type == "json" else _fitting(raw, column.type) for column, raw in pairs]


def raw_cells(columns: Sequence[Column], row: bytes | msgspec.Raw) -> list[msgspec.Raw | None]:
    """The same as JSON, spelled as it was sent."""
    fields = _FIELDS.decode(row)
    found = [_raw(column, fields, row) for column in columns]
    return [None if raw is None or bytes(raw) == b"null" else raw for raw in found]


def _raw(column: Column, fields: _Fields, row: bytes | msgspec.Raw) -> msgspec.Raw | None:
    if column.path == WHOLE_ROW:
        return msgspec.Raw(row)
    if column.path in BUILT_IN and column.path not in fields:
        return _chosen(fields, *BUILT_IN[column.path])
    return _led_to(fields, column.path)


def _led_to(fields: _Fields, path: str) -> msgspec.Raw | None:
    """The value that a dotted path leads to; a field whose own name has dots is found too."""
    if path in fields:
        return fields[path]
    first, _, rest = path.partition(".")
    raw = fields.get(first)
    if not rest or raw is None or not bytes(raw).startswith(b"{"):
        return None
    return _led_to(_FIELDS.decode(raw), rest)


def _chosen(fields: _Fields, elements: str, chosen: str, value: str) -> msgspec.Raw | None:
    """The value of the element that a field names by its id."""
    wanted, listed = fields.get(chosen), fields.get(elements)
    if wanted is None or listed is None or not bytes(listed).startswith(b"["):
        return None
    for element in _ELEMENTS.decode(listed):
        if "id" in element and bytes(element["id"]) == bytes(wanted):
            return element.get(value)
    return None


def _fitting(raw: msgspec.Raw, kind: ColumnType) -> Cell:
    """The value by its type; as it was sent where it is of another one."""
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return raw
    fits = isinstance(value, _FITTING[kind]) and (not isinstance(value, bool) or kind in ("boolean", "any"))
    return cast("Cell", value) if fits or isinstance(value, str) else raw


def _row_schema(operation: Operation) -> Schema:
    """The shape of one row."""
    schema = operation.success.schema if operation.success is not None else None
    if schema is not None and schema.type != "array":
        schema = schema.properties.get("m2m_tokens" if operation.list_shape is ListShape.M2M_TOKENS else "data")
    return schema.items if schema is not None and schema.items is not None else Schema()
