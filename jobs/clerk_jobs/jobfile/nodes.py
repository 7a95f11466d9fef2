"""A job file as a tree of nodes, each of which knows its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from clerk_jobs.errors import Fault
from clerk_jobs.values import Json
from clerk_jobs.wording import shown

__all__ = ["Broken", "Key", "ListNode", "MapNode", "Node", "Place", "Scalar", "key_path", "plain"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands; line and column from 1, None on the command line."""

    file: str
    line: int | None = None
    column: int | None = None

    def moved(self, characters: int) -> Place:
        """Give the place further right on the same line."""
        return self if self.column is None else Place(self.file, self.line, self.column + characters)

    def fault(self, path: str, message: str, hint: str = "") -> Fault:
        """Describe what is wrong here."""
        return Fault(self.file, self.line, self.column, path, message, hint)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, true, false or null.

    Attributes:
        text: as it was written, without quotes.
        text_place: where the first character of the text stands, None when escapes or folding moved it.
        absent: nothing was written at all, as in ``role:``.
    """

    place: Place
    value: bool | int | float | str | None
    text: str
    text_place: Place | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a map's entry."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class MapNode:
    """A map; its entries by key, in the order of the file."""

    place: Place
    entries: dict[str, tuple[Key, Node]]


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list."""

    place: Place
    items: list[Node]


@dataclass(frozen=True, slots=True)
class Broken:
    """A value that could not be read, whose fault is known already."""

    place: Place


Node: TypeAlias = Scalar | MapNode | ListNode | Broken


def key_path(parent: str, child: str | int) -> str:
    """Extend the dotted path of a key: ``limits`` and ``share``, ``steps`` and 0."""
    if isinstance(child, int):
        return f"{parent}[{child}]"
    word = child if re.fullmatch(r"[\w-]+", child) else shown(child)
    return f"{parent}.{word}" if parent else word


def plain(node: Node) -> Json:
    """Give the value of a node without its places; what is broken is null."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    if isinstance(node, MapNode):
        return {key: plain(value) for key, (_, value) in node.entries.items()}
    return None
