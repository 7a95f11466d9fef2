"""Descriptions from fetched OpenAPI documents: for reading beside the facts, never for deciding.

They stay in the user's cache. The package itself holds facts only.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Prose", "collect", "load", "pack", "printable"]

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Prose:
    """What the document says about one operation.

    Attributes:
        text: the operation's description, or its summary.
        parameters: descriptions by parameter name.
        fields: descriptions of the body's fields by dotted path; elements of an array are ``[]``.
    """

    text: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


def printable(text: str) -> str:
    """The text without control characters and without marks that turn the direction of writing.

    Example:
        >>> printable("a\\x1b[31mb\\u202ec\\n")
        'a[31mbc\\n'
    """
    return "".join(c for c in text if c == "\n" or (c.isprintable() and not "\u202a" <= c <= "\u202e"))


def collect(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The descriptions of a parsed document, by operationId."""
    found: dict[str, dict[str, Any]] = {}
    for members in document["paths"].values():
        for method in _METHODS:
            if method in members:
                source = members[method]
                parameters = (_resolved(document, one) for one in source.get("parameters", []))
                fields: dict[str, str] = {}
                content = _resolved(document, source.get("requestBody", {})).get("content", {})
                for media in content.values():
                    _collect_fields(document, media.get("schema", {}), "", fields, depth=0)
                found[source["operationId"]] = {
                    "text": _text(source.get("description") or source.get("summary")),
                    "parameters": {p["name"]: _text(p.get("description")) for p in parameters},
                    "fields": fields,
                }
    return found


def pack(descriptions: Mapping[str, Any]) -> bytes:
    """The bytes of a file of descriptions."""
    return zlib.compress(json.dumps(descriptions, ensure_ascii=False).encode(), 6)


def load(file: Path) -> dict[str, Prose]:
    """Reads a file of descriptions; nothing where there is none or it is damaged, because nothing depends
    on it."""
    try:
        content = json.loads(zlib.decompress(file.read_bytes()))
        return {name: Prose(**values) for name, values in content.items()}
    except (OSError, zlib.error, ValueError, TypeError, AttributeError):
        return {}


def _collect_fields(
    document: Mapping[str, Any], source: Mapping[str, Any], path: str, found: dict[str, str], *, depth: int
) -> None:
    schema = _resolved(document, source)
    if depth > 8:  # deeper than any documented body; a schema that holds itself ends here
        return
    for part in schema.get("allOf", []):
        _collect_fields(document, part, path, found, depth=depth + 1)
    if "items" in schema:
        _collect_fields(document, schema["items"], f"{path}[]", found, depth=depth + 1)
    for name, child in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        text = _text(child.get("description") or _resolved(document, child).get("description"))
        if text:
            found[below] = text
        _collect_fields(document, child, below, found, depth=depth + 1)


def _resolved(document: Mapping[str, Any], source: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in source:  # the compiler has refused what leads in a circle
        target: Any = document
        for step in str(source["$ref"]).removeprefix("#/").split("/"):
            target = target[step]
        source = target
    return source


def _text(value: object) -> str:
    return printable(value).strip() if isinstance(value, str) else ""
