"""Types of fields that are ours: durations, thresholds, templates, with their readers and JSON Schemas."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Meta

from clerk_jobs.errors import TemplateError
from clerk_jobs.jobfile.nodes import Broken, MapNode, Node, Scalar, key_path
from clerk_jobs.jobfile.reading import UNREAD, Reading, Unread
from clerk_jobs.template import Constant, ListTemplate, MapTemplate, Template, compile_text, fixed_key
from clerk_jobs.typed_template import Expectation, TypedTemplate

__all__ = [
    "Seconds",
    "StopAfter",
    "compile_node",
    "duration",
    "map_of_templates",
    "templated",
    "threshold",
    "worded",
]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|m|h|d)")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
_PLACEHOLDER = r"\{[^{}]+\}"


class Seconds(float):
    """A duration in seconds; a job file writes it with its unit, ``120s``, ``2m``, ``1h``."""

    __slots__ = ()


class StopAfter:
    """When failures end a run early.

    A count ends it at that many failed items. A share is judged from 100 settled items on, and not before 50
    of them failed, so that a bad start of a good file does not end it.

    Attributes:
        count: failed items, at least 1; None when a share decides.
        share: of the settled items, above 0 and at most 1; None when a count decides.
    """

    LEAST_SETTLED = 100
    LEAST_FAILED = 50

    __slots__ = ("count", "share")

    def __init__(self, *, count: int | None = None, share: float | None = None) -> None:
        """Hold one of the two."""
        assert (count is None) != (share is None)
        self.count = count
        self.share = share

    def reached(self, failed: int, settled: int) -> bool:
        """Tell whether a run with so many failed among so many settled items has to stop.

        Example:
            >>> StopAfter(share=0.2).reached(failed=49, settled=100), StopAfter(share=0.2).reached(60, 200)
            (False, True)
        """
        if self.share is None:
            return self.count is not None and failed >= self.count
        return settled >= self.LEAST_SETTLED and failed >= self.LEAST_FAILED and failed >= self.share * settled

    def __repr__(self) -> str:
        """Show the one that decides."""
        return f"StopAfter(count={self.count})" if self.share is None else f"StopAfter(share={self.share})"

    def __eq__(self, other: object) -> bool:
        """Compare by value."""
        return isinstance(other, StopAfter) and (self.count, self.share) == (other.count, other.share)

    def __hash__(self) -> int:
        """Hash by value."""
        return hash((self.count, self.share))


def worded(pattern: str, noun: str) -> Meta:
    """Describe a field of type `str` that must match ``pattern`` as a whole; ``noun`` says so in words."""

    def check(value: str) -> tuple[str, str] | None:
        return None if re.fullmatch(pattern, value) else (f"must be {noun}", "")

    return Meta(extra={"check": check}, extra_json_schema={"pattern": f"^(?:{pattern})$"})


def duration(least_s: float, most_s: float, reason: str = "") -> Meta:
    """Describe a field of type `Seconds` from ``least_s`` to ``most_s``; ``reason`` says why these bounds."""

    def read(node: Node, path: str, reading: Reading) -> Seconds | Unread:
        text = node.text if isinstance(node, Scalar) else ""
        match = _DURATION.fullmatch(text)
        if match is None:
            hint = "write it with its unit, 120s, 2m or 1h"
            return reading.fault(node.place, path, "must be a duration", hint)
        seconds = Seconds(float(match[1]) * _UNITS[match[2]])
        if least_s <= seconds <= most_s:
            return seconds
        return reading.fault(node.place, path, f"must be from {least_s:g}s to {most_s:g}s", reason)

    pattern = f"^(?:{_DURATION.pattern})$"
    return Meta(extra={"reader": read}, extra_json_schema={"type": "string", "pattern": pattern})


def threshold() -> Meta:
    """Describe a field of type `StopAfter`: a count, ``50``, or a share, ``5%``."""

    def read(node: Node, path: str, reading: Reading) -> StopAfter | Unread:
        value = node.value if isinstance(node, Scalar) else None
        if type(value) is int and value >= 1:
            return StopAfter(count=value)
        match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
        if match and 0 < float(match[1]) <= 100:
            return StopAfter(share=float(match[1]) / 100)
        return reading.fault(node.place, path, "must be a count of at least 1, or a share from 0% to 100%")

    count = {"type": "integer", "minimum": 1}
    share = {"type": "string", "pattern": f"^(?:{_PERCENT.pattern})$"}
    return Meta(extra={"reader": read}, extra_json_schema={"anyOf": [count, share]})


def templated(expectation: Expectation) -> Meta:
    """Describe a field of type `Template` that renders to what is expected."""

    def read(node: Node, path: str, reading: Reading) -> Template | Unread:
        template = compile_node(node, path, reading)
        if template is UNREAD:
            return UNREAD
        if refusal := expectation.refusal(template):
            return reading.fault(node.place, path, *refusal)
        return TypedTemplate(template, expectation, path)

    schema: dict[str, Any] = dict(expectation.schema)
    if expectation.kind is not str or expectation.choices:
        schema = {"anyOf": [schema, {"type": "string", "pattern": _PLACEHOLDER}]}
    return Meta(extra={"reader": read}, extra_json_schema=schema)


def map_of_templates() -> Meta:
    """Describe a field of type `Template` that is a map: its values, however deep, are templates."""

    def read(node: Node, path: str, reading: Reading) -> Template | Unread:
        if not isinstance(node, MapNode):
            return reading.fault(node.place, path, "must be a map of keys and values")
        return compile_node(node, path, reading)

    return Meta(extra={"reader": read}, extra_json_schema={"type": "object"})


def compile_node(node: Node, path: str, reading: Reading) -> Template | Unread:
    """Compile a value of the job file with everything nested in it, noting every fault."""
    if isinstance(node, Broken):
        return UNREAD
    if isinstance(node, Scalar):
        return _compile_scalar(node, path, reading)
    if isinstance(node, MapNode):
        entries: dict[str, Template] = {}
        for name, (key, value) in node.entries.items():
            below = key_path(path, name)
            template = compile_node(value, below, reading)
            try:
                fixed_key(name)
            except TemplateError as error:
                reading.fault(key.place, below, error.message, error.hint)
                continue
            if template is not UNREAD:
                entries[name] = template
        return MapTemplate(entries) if len(entries) == len(node.entries) else UNREAD
    items = [compile_node(item, key_path(path, index), reading) for index, item in enumerate(node.items)]
    read = [item for item in items if item is not UNREAD]
    return ListTemplate(read) if len(read) == len(items) else UNREAD


def _compile_scalar(node: Scalar, path: str, reading: Reading) -> Template | Unread:
    if not isinstance(node.value, str):
        return Constant(node.value)
    try:
        return compile_text(node.value)
    except TemplateError as error:
        place = node.text_place.moved(error.offset) if node.text_place else node.place
        return reading.fault(place, path, error.message, error.hint)
