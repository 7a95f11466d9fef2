"""Schemas in words: one line a field, indented by depth, named components explained once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clerk_jobs.catalog import Json, Schema

__all__ = ["FieldLine", "bounds_text", "component_lines", "field_lines", "schema_json", "type_text"]


@dataclass(frozen=True, slots=True)
class FieldLine:
    """One field of an object, or one alternative.

    Attributes:
        depth: how deep it stands, from 0.
        name: the field's name.
        required: whether it must be there.
        type: as ``type_text`` puts it.
        notes: bounds, choices, default.
        path: dotted path from the top, for descriptions.
    """

    depth: int
    name: str
    required: bool
    type: str
    notes: str
    path: str


def type_text(schema: Schema) -> str:
    """The type in a word or two.

    Example:
        >>> user = Schema(type="object", component="User", properties={"id": Schema(type="string")})
        >>> type_text(Schema(type="array", items=user)), type_text(Schema(type="string", component="Hasher"))
        ('array of User', 'string')
        >>> type_text(Schema(type="string", format="email", nullable=True))
        'string (email) or null'
    """
    if schema.type == "array":
        text = f"array of {type_text(schema.items)}" if schema.items is not None else "array"
    elif schema.component is not None and _has_parts(schema):
        text = schema.component
    elif schema.one_of:
        text = " or ".join(dict.fromkeys(type_text(one) for one in schema.one_of))
    else:
        text = schema.type or "any"
        if schema.format and schema.format not in ("int32", "int64", "double", "float"):
            text += f" ({schema.format})"
    return f"{text} or null" if schema.nullable else text


def bounds_text(schema: Schema) -> str:
    """What limits a value: choices, bounds, default.

    Example:
        >>> bounds_text(Schema(type="integer", minimum=1, maximum=500, default=10))
        '1..500, default 10'
    """
    parts: list[str] = []
    inner = schema.items if schema.type == "array" and schema.items is not None else schema
    if inner.enum:
        parts.append(" | ".join(str(value) for value in inner.enum if value is not None))
    if schema.minimum is not None or schema.maximum is not None:
        low = "" if schema.minimum is None else f"{schema.minimum:g}"
        high = "" if schema.maximum is None else f"{schema.maximum:g}"
        parts.append(f"{'>' if schema.exclusive_minimum else ''}{low}..{high}")
    for low_count, high_count, word in (
        (schema.min_length, schema.max_length, "characters"),
        (schema.min_items, schema.max_items, "items"),
    ):
        if low_count or high_count is not None:
            parts.append(f"{low_count or 0}..{'' if high_count is None else high_count} {word}")
    if inner.pattern:
        parts.append(f"form {inner.pattern}")
    if schema.default is not None:
        parts.append(f"default {_plain(schema.default)}")
    if schema.deprecated:
        parts.append("deprecated")
    return ", ".join(parts)


def field_lines(schema: Schema, *, depth: int = 0, path: str = "") -> Iterator[FieldLine]:
    """The fields inside a schema. A component below the top is only named: ``component_lines`` explains
    it."""
    if schema.type == "array" and schema.items is not None:
        if depth == 0 or schema.items.component is None:
            yield from field_lines(schema.items, depth=depth, path=f"{path}[]")
        return
    for name, child in schema.properties.items():
        below = f"{path}.{name}" if path else name
        yield FieldLine(depth, name, name in schema.required, type_text(child), bounds_text(child), below)
        inner = child.items if child.type == "array" and child.items is not None else child
        if inner.component is None:
            yield from field_lines(child, depth=depth + 1, path=below)
    if isinstance(schema.additional, Schema):
        yield FieldLine(depth, "*", False, type_text(schema.additional), "any name", f"{path}.*")
        if schema.additional.component is None:
            yield from field_lines(schema.additional, depth=depth + 1, path=f"{path}.*")
    alternatives = (*schema.one_of, *schema.any_of)
    if all(one.component is not None for one in alternatives):
        return  # the type names them all
    for number, one in enumerate(alternatives, 1):
        notes = f"needs {', '.join(one.required)}" if one.required and not one.properties else ""
        yield FieldLine(depth, f"choice {number} of {len(alternatives)}", False, type_text(one), notes, path)
        if one.component is None:
            yield from field_lines(one, depth=depth + 1, path=path)


def _has_parts(schema: Schema) -> bool:
    """Whether a component has something to be explained below its name; a string with a name is a string."""
    return bool(schema.properties or isinstance(schema.additional, Schema) or schema.one_of or schema.any_of)


def component_lines(schemas: Iterator[Schema]) -> Mapping[str, Schema]:
    """Every named component inside the schemas, in the order in which they are met, each once."""
    found: dict[str, Schema] = {}
    for schema in schemas:
        for inner in schema.walk():
            if inner.component is not None and _has_parts(inner):
                found.setdefault(inner.component, inner)
    return found


def schema_json(schema: Schema) -> dict[str, Json]:
    """The schema as JSON, in OpenAPI's own words, children included."""
    flags = {
        "nullable": schema.nullable,
        "deprecated": schema.deprecated,
        "exclusiveMinimum": schema.exclusive_minimum,
        "uniqueItems": schema.unique_items,
    }
    values: dict[str, Json] = {
        "type": schema.type,
        "component": schema.component,
        "format": schema.format,
        "default": schema.default,
        "pattern": schema.pattern,
        "minimum": schema.minimum,
        "maximum": schema.maximum,
        "minLength": schema.min_length,
        "maxLength": schema.max_length,
        "minItems": schema.min_items,
        "maxItems": schema.max_items,
        "discriminator": schema.discriminator,
    }
    made: dict[str, Json] = {name: value for name, value in values.items() if value is not None}
    made |= {name: True for name, flag in flags.items() if flag}
    if schema.enum:
        made["enum"] = list(schema.enum)
    return made | _children_json(schema)


def _children_json(schema: Schema) -> dict[str, Json]:
    made: dict[str, Json] = {}
    if schema.properties:
        made["properties"] = {name: schema_json(child) for name, child in schema.properties.items()}
    if schema.required:
        made["required"] = list(schema.required)
    if schema.items is not None:
        made["items"] = schema_json(schema.items)
    if schema.additional is not None:
        open_to = schema.additional
        made["additionalProperties"] = schema_json(open_to) if isinstance(open_to, Schema) else open_to
    for name, alternatives in (("oneOf", schema.one_of), ("anyOf", schema.any_of)):
        if alternatives:
            made[name] = [schema_json(one) for one in alternatives]
    return made


def _plain(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
