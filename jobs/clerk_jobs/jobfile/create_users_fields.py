"""Fields of a job that creates users: one for each field of Clerk's operation, in the shape that its schema has."""

from __future__ import annotations

from typing import Annotated, Any, Final, Optional

from msgspec import Meta

from clerk_jobs.catalog.schema import Schema
from clerk_jobs.create_users.digests import HASHERS
from clerk_jobs.create_users.facts import TIMES
from clerk_jobs.create_users.texts import MomentTemplate, ObjectTemplate, SlotsTemplate, WholeText
from clerk_jobs.jobfile.fields import compile_node, templated
from clerk_jobs.jobfile.nodes import Broken, ListNode, MapNode, Node, Scalar, key_path
from clerk_jobs.jobfile.reading import UNREAD, Reading, Unread
from clerk_jobs.paths import path_problem
from clerk_jobs.template import Placeholder, Template
from clerk_jobs.typed_template import TypedTemplate, boolean, integer, one_of, text
from clerk_jobs.wording import did_you_mean

__all__ = ["Mapping", "field_type", "mapping_file", "values_of_preset"]

MOST: Final = 2**31 - 1
"""Largest number of organizations; the document has no bound."""


class Mapping:
    """Where the new ids go.

    Attributes:
        file: relative to the job file.
        old_id: what a user was called before; None for external_id.
    """

    __slots__ = ("file", "old_id")

    def __init__(self, file: str, old_id: Template | None = None) -> None:
        """Hold both."""
        self.file = file
        self.old_id = old_id


def field_type(name: str, schema: Schema) -> Any:
    """The type of a job file's field, for a field of Clerk's."""
    return Optional[Annotated[Template, _meta(name, schema)]]  # noqa: UP045  pyright knows no | of what is annotated


def _meta(name: str, schema: Schema) -> Meta:
    if name == "password_hasher":
        return templated(one_of(*HASHERS))
    if name in TIMES:
        return _moment(name)
    if schema.type in ("boolean", "integer"):
        return templated(boolean() if schema.type == "boolean" else integer(0, MOST))
    shapes = {"array": _texts, "object": _object}
    return shapes.get(schema.type or "", _whole)(name)


def _whole(name: str) -> Meta:
    """A text; where an optional part of it is empty there is none."""
    expectation = text()

    def read(node: Node, path: str, reading: Reading) -> Template | Unread:
        template = compile_node(node, path, reading)
        if template is UNREAD:
            return UNREAD
        if refusal := expectation.refusal(template):
            return reading.fault(node.place, path, *refusal)
        return TypedTemplate(WholeText(template), expectation, name)

    return Meta(extra={"reader": read}, extra_json_schema=dict(expectation.schema))


def _texts(name: str) -> Meta:
    def read(node: Node, path: str, reading: Reading) -> Template | Unread:
        nodes = node.items if isinstance(node, ListNode) else [node]
        if not nodes or any(isinstance(each, MapNode | ListNode) for each in nodes):
            hint = f'write {name}: "{{column}}", or a list of such texts'
            return reading.fault(node.place, path, "must be a text, or a list of texts", hint)
        read = [compile_node(each, key_path(path, place), reading) for place, each in enumerate(nodes)]
        items = [WholeText(each) for each in read if each is not UNREAD]
        if len(items) < len(read):
            return UNREAD
        return SlotsTemplate(items, name, single=not isinstance(node, ListNode))

    schema: dict[str, Any] = {"anyOf": [{"type": ["string", "boolean"]}, {"type": "array", "minItems": 1}]}
    return Meta(extra={"reader": read}, extra_json_schema=schema)


def _moment(name: str) -> Meta:
    def read(node: Node, path: str, reading: Reading) -> Template | Unread:
        if not isinstance(node, Scalar | Broken):
            return reading.fault(node.place, path, "must be a time", f'write {name}: "{{column}}"')
        template = compile_node(node, path, reading)
        return UNREAD if template is UNREAD else MomentTemplate(WholeText(template), name)

    return Meta(extra={"reader": read}, extra_json_schema={"type": ["string", "integer"]})


def _object(name: str) -> Meta:
    def read(node: Node, path: str, reading: Reading) -> Template | Unread:
        template = compile_node(node, path, reading)
        if isinstance(node, MapNode | Broken) or template is UNREAD:
            return template
        if not isinstance(template, Placeholder):
            hint = f'write a map, or one template that yields an object: {name}: "{{column:json?}}"'
            return reading.fault(node.place, path, "must be a map of keys and values", hint)
        return ObjectTemplate(template, name)

    return Meta(extra={"reader": read}, extra_json_schema={"anyOf": [{"type": "object"}, {"type": "string"}]})


def mapping_file() -> Meta:
    """A field of type `Mapping`: the path of a file, or a map with ``file`` and ``old_id``."""

    def read(node: Node, path: str, reading: Reading) -> Mapping | Unread:
        if not isinstance(node, MapNode):
            file = _file(node, path, reading)
            return UNREAD if file is None else Mapping(file)
        for name, (key, _) in node.entries.items():
            if name not in ("file", "old_id"):
                hint = did_you_mean(name, ("file", "old_id"))
                return reading.fault(key.place, key_path(path, name), "is not a key here", hint)
        if "file" not in node.entries:
            return reading.fault(node.place, key_path(path, "file"), "is missing", "the file that is written")
        file = _file(node.entries["file"][1], key_path(path, "file"), reading)
        old_id: Template | Unread | None = None
        if "old_id" in node.entries:
            old_id = compile_node(node.entries["old_id"][1], key_path(path, "old_id"), reading)
        return UNREAD if file is None or old_id is UNREAD else Mapping(file, old_id)

    keys = {"file": {"type": "string"}, "old_id": {"type": "string"}}
    whole = {"type": "object", "properties": keys, "required": ["file"], "additionalProperties": False}
    return Meta(extra={"reader": read}, extra_json_schema={"anyOf": [{"type": "string"}, whole]})


def _file(node: Node, path: str, reading: Reading) -> str | None:
    value = node.value if isinstance(node, Scalar) else None
    if not isinstance(value, str) or not value or value.endswith("/"):
        reading.fault(node.place, path, "must be the path of a file", "mapping: ids.csv")
        return None
    problem = path_problem(reading.folder, value, allow_outside=reading.allow_outside)
    if problem is not None:
        reading.fault(node.place, path, *problem)
        return None
    return value


def values_of_preset() -> Meta:
    """A field that is a map of texts and numbers; `clerk_jobs.jobfile.presets` has used it by now."""

    def read(node: Node, path: str, reading: Reading) -> dict[str, str] | Unread:
        if not isinstance(node, MapNode):
            return reading.fault(node.place, path, "must be a map of keys and values")
        return {name: value.text for name, (_, value) in node.entries.items() if isinstance(value, Scalar)}

    return Meta(extra={"reader": read}, extra_json_schema={"type": "object"})
