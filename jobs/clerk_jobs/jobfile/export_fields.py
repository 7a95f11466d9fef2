"""Fields of an export's job file that are ours: filters, the output's path, columns."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from msgspec import Meta, Struct

from clerk_jobs.export.columns import TYPES
from clerk_jobs.export.form import STDOUT
from clerk_jobs.jobfile.nodes import Broken, ListNode, MapNode, Node, Scalar, key_path
from clerk_jobs.jobfile.reading import UNREAD, Reading, Unread
from clerk_jobs.paths import path_problem
from clerk_jobs.wording import did_you_mean

__all__ = ["PLACEHOLDERS", "Pairs", "WantedColumn", "filters", "output_file", "wanted_columns"]

PLACEHOLDERS: Final = ("date", "time", "run")


class Pairs(tuple[tuple[str, str], ...]):
    """Query parameters, in order; a repeated name is an array."""

    __slots__ = ()


class WantedColumn(Struct, frozen=True):
    """A column as the job file has it.

    Attributes:
        type: None leaves it to what is documented.
    """

    name: str
    path: str
    type: str | None = None


def filters() -> Meta:
    """A field that is a map of Clerk's filters."""

    def read(node: Node, path: str, reading: Reading) -> Pairs | Unread:
        if isinstance(node, Scalar) and node.value is None and not node.absent:
            return Pairs()
        if not isinstance(node, MapNode):
            return reading.fault(node.place, path, "must be a map of Clerk's filters", "where: {banned: true}")
        pairs: list[tuple[str, str]] = []
        faults = len(reading.faults)
        for name, (_, value) in node.entries.items():
            for each in value.items if isinstance(value, ListNode) else (value,):
                if isinstance(each, Scalar) and each.value is not None:
                    pairs.append((name, _as_text(name, each)))
                else:
                    reading.fault(each.place, key_path(path, name), "must be a value or a list of values")
        return Pairs(pairs) if len(reading.faults) == faults else UNREAD

    return Meta(extra={"reader": read}, extra_json_schema={"type": ["object", "null"]})


def _as_text(name: str, node: Scalar) -> str:
    """The value as a query parameter; a date is milliseconds where the parameter is a time."""
    if isinstance(node.value, bool):
        return "true" if node.value else "false"
    if isinstance(node.value, str) and re.search(r"_at(_|$)", name):
        return _milliseconds(node.value)
    return str(node.value)


def _milliseconds(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return str(int(moment.timestamp() * 1000))


def output_file() -> Meta:
    """A field that is the path of a file, with placeholders, or ``-``."""

    def read(node: Node, path: str, reading: Reading) -> str | Unread:
        text = node.value if isinstance(node, Scalar) else None
        if not isinstance(text, str) or not text or text.endswith("/"):
            return reading.fault(node.place, path, "must be the path of a file", "output: exports/users-{date}.jsonl")
        if text == STDOUT:
            return text
        for name in re.findall(r"\{([^{}]*)\}", text):
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
                hint = did_you_mean(name, PLACEHOLDERS) or f"known: {known}"
                return reading.fault(node.place, path, f"{{{name}}} is nothing that is filled in here", hint)
        problem = path_problem(reading.folder, text, allow_outside=reading.allow_outside)
        return reading.fault(node.place, path, *problem) if problem else text

    return Meta(extra={"reader": read}, extra_json_schema={"type": "string"})


def wanted_columns() -> Meta:
    """A field that is a list of columns: ``id``, ``email: primary_email`` or ``{name: …, path: …, type: …}``."""

    def read(node: Node, path: str, reading: Reading) -> tuple[WantedColumn, ...] | Unread:
        if not isinstance(node, ListNode) or not node.items:
            return reading.fault(node.place, path, "must be a list of columns", "columns: [id, email: primary_email]")
        found = [_column(each, key_path(path, place), reading) for place, each in enumerate(node.items)]
        columns = tuple(each for each in found if isinstance(each, WantedColumn))
        return columns if len(columns) == len(found) else UNREAD

    return Meta(extra={"reader": read}, extra_json_schema={"type": "array"})


def _column(node: Node, path: str, reading: Reading) -> WantedColumn | Unread:
    if isinstance(node, Broken):
        return UNREAD
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value:
        return WantedColumn(node.value, node.value)
    texts = {}
    if isinstance(node, MapNode):
        texts = {
            name: value.value
            for name, (_, value) in node.entries.items()
            if isinstance(value, Scalar) and isinstance(value.value, str) and value.value
        }
        if len(texts) == len(node.entries) and "path" in texts and set(texts) <= {"name", "path", "type"}:
            return _whole_column(node, texts, path, reading)
    if isinstance(node, MapNode) and len(texts) == len(node.entries) == 1:
        ((name, led_to),) = texts.items()
        return WantedColumn(name, led_to)
    return reading.fault(node.place, path, "must be a path, name: path, or {name: …, path: …, type: …}")


def _whole_column(node: MapNode, texts: dict[str, str], path: str, reading: Reading) -> WantedColumn | Unread:
    kind = texts.get("type")
    if kind is not None and kind not in TYPES:
        hint = did_you_mean(kind, TYPES)
        return reading.fault(
            node.entries["type"][1].place, key_path(path, "type"), f"must be one of {', '.join(TYPES)}", hint
        )
    return WantedColumn(texts.get("name", texts["path"]), texts["path"], kind)
