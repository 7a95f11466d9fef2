"""The ``source`` of a job file: a path, or a map with the path and how the file is written."""

from __future__ import annotations

import msgspec
from msgspec import Meta

from clerk_jobs.jobfile.nodes import MapNode, Node, Place, Scalar, key_path
from clerk_jobs.jobfile.reading import UNREAD, Reading, Unread
from clerk_jobs.jobfile.structs import read_struct
from clerk_jobs.paths import path_problem
from clerk_jobs.rows.source import STDIN, CsvSource, JsonlSource, JsonSource, Source, source_from_text

__all__ = ["sources"]

_FORMS: dict[str, type[CsvSource | JsonlSource | JsonSource]] = {
    "csv": CsvSource,
    "jsonl": JsonlSource,
    "json": JsonSource,
}


def sources() -> Meta:
    """Describe a field of type `Source`."""
    _, components = msgspec.json.schema_components(_FORMS.values())
    forms = [components[form.__name__] for form in _FORMS.values()]
    schema = {"anyOf": [{"type": "string", "minLength": 1}, *forms]}
    return Meta(extra={"reader": _read}, extra_json_schema=schema)


def _read(node: Node, path: str, reading: Reading) -> Source | Unread:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return _inside(source_from_text(node.value), node.place, path, reading)
    if not isinstance(node, MapNode):
        return reading.fault(node.place, path, "must be a path, or a map with csv:, jsonl: or json:")
    forms = [name for name in _FORMS if name in node.entries]
    if len(forms) != 1:
        return reading.fault(node.place, path, "must have one of csv:, jsonl: and json:, the path of the file")
    source = read_struct(_FORMS[forms[0]], node, path, reading, {})
    if source is UNREAD:
        return UNREAD
    return _inside(source, node.entries[forms[0]][1].place, key_path(path, forms[0]), reading)


def _inside(source: Source, place: Place, path: str, reading: Reading) -> Source | Unread:
    problem = path_problem(reading.folder, source.path, allow_outside=reading.allow_outside)
    if source.path == STDIN or problem is None:
        return source
    return reading.fault(place, path, *problem)
