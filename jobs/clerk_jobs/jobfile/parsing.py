"""From the text of a job file to nodes: the strict part of YAML that job files use.

PyYAML parses; this module decides. Maps with text keys, lists and scalars are taken; tags, anchors, aliases,
merge keys, duplicate keys and second documents are faults, and so is a placeholder whose quotes were
forgotten, which YAML reads as a map. A fault does not end the reading: its node becomes `Broken`, and what
stands beside it is read.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from clerk_jobs.errors import Fault
from clerk_jobs.jobfile.nodes import Broken, Key, ListNode, MapNode, Node, Place, Scalar, key_path
from clerk_jobs.jobfile.scalars import resolve
from clerk_jobs.values import MAX_DEPTH

__all__ = ["parse"]

_HALF = "an escape that is half a character"
_QUOTES = 'a text that begins with a brace needs quotes, "{email}"'


def parse(text: str, file: str) -> tuple[Node | None, list[Fault]]:
    """Read the text of a job file.

    Returns:
        The root, None for a file without content or with broken syntax, and the faults found.
    """
    tree = _Tree(text, file)
    try:
        root = tree.document()
    except yaml.YAMLError as error:
        return None, [*tree.faults, _syntax_fault(error, text, file)]
    except (ValueError, OverflowError):
        # PyYAML lets Python's own errors through: for escapes such as "\UFFFFFFFF", for absurd versions.
        return None, [*tree.faults, tree.last.fault("", "not valid YAML after this: a number out of range")]
    except _TooDeepError as error:
        return None, [*tree.faults, error.fault]
    return root, tree.faults


class _TooDeepError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class _Tree:
    """Builds nodes from PyYAML's events; recursion is bounded by `MAX_DEPTH`."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._lines = text.splitlines()
        self._stream: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.faults: list[Fault] = []
        self.last = Place(file, 1, 1)

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events():
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self._fault(event, "", "a second document", "a job file holds one job")
                break
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, "", 0)
        return root

    def _events(self) -> Iterator[yaml.Event]:
        for event in self._stream:
            self.last = self._place(event)
            yield event

    def _place(self, event: yaml.Event) -> Place:
        mark = _mark(event.start_mark)
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _fault(self, event: yaml.Event, path: str, message: str, hint: str = "") -> Broken:
        place = self._place(event)
        self.faults.append(place.fault(path, message, hint))
        return Broken(place)

    def _node(self, event: yaml.Event, path: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            place = self._place(event)
            raise _TooDeepError(place.fault(path, f"nested more than {MAX_DEPTH} levels deep"))
        if isinstance(event, yaml.AliasEvent):
            return self._fault(event, path, "aliases are not allowed", "write the value out")
        if isinstance(event, yaml.ScalarEvent):
            node: Node = self._scalar(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(event, path, depth)
        else:
            assert isinstance(event, yaml.MappingStartEvent)
            node = self._map(event, path, depth)
        if event.anchor is not None:
            return self._fault(event, path, "anchors are not allowed", "write the value out where it is needed")
        if event.tag is not None:
            return self._fault(event, path, "tags are not allowed", "texts are written in quotes")
        return node

    def _scalar(self, event: yaml.ScalarEvent, path: str) -> Node:
        place = self._place(event)
        text = _join_surrogates(event.value)
        if text is None:
            return self._fault(event, path, _HALF)
        text_place = self._text_place(event, place)
        if event.style is not None:
            return Scalar(place, text, text, text_place)
        try:
            return Scalar(place, resolve(text), text, text_place, absent=not text)
        except ValueError as error:
            return self._fault(event, path, str(error), "write it in quotes to have it as text")

    def _text_place(self, event: yaml.ScalarEvent, place: Place) -> Place | None:
        mark = _mark(event.start_mark)
        quote = int(event.style in {"'", '"'})
        line = self._lines[mark.line] if mark.line < len(self._lines) else ""
        return place.moved(quote) if line.startswith(event.value, mark.column + quote) else None

    def _list(self, event: yaml.Event, path: str, depth: int) -> Node:
        items: list[Node] = []
        for inner in self._events():
            if isinstance(inner, yaml.SequenceEndEvent):
                break
            items.append(self._node(inner, key_path(path, len(items)), depth + 1))
        return ListNode(self._place(event), items)

    def _map(self, event: yaml.MappingStartEvent, path: str, depth: int) -> Node:
        entries: dict[str, tuple[Key, Node]] = {}
        unquoted = False
        for inner in self._events():
            if isinstance(inner, yaml.MappingEndEvent):
                break
            key = self._key(inner, path, depth)
            below = key_path(path, key.text) if key else path
            value = self._node(next(self._stream), below, depth + 1)
            unquoted |= bool(event.flow_style and isinstance(value, Scalar) and value.absent)
            if key is None:
                continue
            if key.text in entries:
                first = entries[key.text][0].place.line
                self.faults.append(key.place.fault(below, f"the key appears twice, first on line {first}"))
            else:
                entries[key.text] = (key, value)
        if unquoted:
            return self._fault(event, path, "YAML reads braces without quotes as a map", _QUOTES)
        return MapNode(self._place(event), entries)

    def _key(self, event: yaml.Event, path: str, depth: int) -> Key | None:
        if isinstance(event, yaml.ScalarEvent) and event.anchor is None and event.tag is None:
            text = _join_surrogates(event.value)
            if text is None:
                self._fault(event, path, _HALF)
            elif text == "<<" and event.style is None:
                self._fault(event, path, "merge keys are not allowed", "write the keys out")
            else:
                return Key(self._place(event), text)
            return None
        faults = len(self.faults)
        self._node(event, path, depth + 1)
        if len(self.faults) == faults:
            braces = isinstance(event, yaml.MappingStartEvent)
            self._fault(event, path, "a key must be a text", _QUOTES if braces else "")
        return None


def _mark(mark: object) -> yaml.Mark:
    # The stubs allow for events without marks and for those of libyaml; the parser in use gives neither.
    assert isinstance(mark, yaml.Mark)
    return mark


def _join_surrogates(text: str) -> str | None:
    """Join the surrogate pairs that JSON-style escapes leave; None when a half stands alone."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None


def _syntax_fault(error: yaml.YAMLError, text: str, file: str) -> Fault:
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return Fault(file, line, column, "", "a control character", "remove it, or write it as an escape in quotes")
    assert isinstance(error, yaml.MarkedYAMLError)
    mark = _mark(error.problem_mark)
    place = Place(file, mark.line + 1, mark.column + 1)
    lines = text.splitlines()
    source_line = lines[mark.line] if mark.line < len(lines) else ""
    hint = ""
    if "\\t" in (error.problem or ""):
        hint = "indent with blanks, not with tabs"
    elif ": {" in source_line or "- {" in source_line:
        hint = _QUOTES
    elif source_line.rstrip().endswith(": -"):
        hint = 'standard input is written in quotes, "-"'
    return place.fault("", f"not valid YAML: {error.problem}", hint)
