"""The shape of a JSON value, as Clerk's OpenAPI documents state it: names, types and bounds, no prose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

__all__ = ["Json", "Schema"]

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A JSON value."""

_NOTHING: Mapping[str, Schema] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Schema:
    """What one JSON value may look like. References are resolved and ``allOf`` is merged, as deep as they go.

    A bound that is None (or an empty tuple) is no bound. The documents have no cycles, so a schema can be
    walked without a guard.

    Attributes:
        type: ``string``, ``integer``, ``number``, ``boolean``, ``array``, ``object``, or None where any
            will do.
        component: the name under which the document keeps this schema, if it has one.
        enum: the only values allowed; empty for no such list.
        exclusive_minimum: whether ``minimum`` itself is too small.
        properties: fields of an object, in the document's order.
        required: names of the fields that must be there.
        items: the shape of an array's elements.
        additional: fields beside ``properties``: True or False, a schema that each must fit, None where the
            document is silent.
        one_of: alternatives of which exactly one fits.
        any_of: alternatives of which at least one fits.
        discriminator: the field whose value tells the alternatives apart.
    """

    type: str | None = None
    component: str | None = None
    nullable: bool = False
    deprecated: bool = False
    format: str | None = None
    enum: tuple[Json, ...] = ()
    default: Json = None
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    unique_items: bool = False
    properties: Mapping[str, Schema] = field(default_factory=lambda: _NOTHING)
    required: tuple[str, ...] = ()
    items: Schema | None = None
    additional: bool | Schema | None = None
    one_of: tuple[Schema, ...] = ()
    any_of: tuple[Schema, ...] = ()
    discriminator: str | None = None

    def children(self) -> Iterator[Schema]:
        """The schemas one step inside this one."""
        yield from self.properties.values()
        if self.items is not None:
            yield self.items
        if isinstance(self.additional, Schema):
            yield self.additional
        yield from self.one_of
        yield from self.any_of

    def walk(self) -> Iterator[Schema]:
        """This schema and every schema inside it, outermost first."""
        yield self
        for child in self.children():
            yield from child.walk()
