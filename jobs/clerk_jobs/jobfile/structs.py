"""From nodes to models: reads a node as a type of msgspec's and collects every fault on the way.

A new kind of job is a new Struct, and nothing here changes. A field of a type of ours carries its own reader,
``Annotated[Seconds, Meta(extra={"reader": read_seconds})]``; a ``check`` beside it, or alone, takes the value
that was read and says (message, hint) when it cannot be used. A Struct may have:

- ``rules``: functions whose parameters are named like fields. A rule is called when all its fields could be
  read (a field that is not in the file has its default), and yields a `Complaint` for each thing that does
  not fit.
- ``also_known``: names that people write for a field, only ever suggested.
- ``given``: fields that are no keys of the file; the loader gives them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

import msgspec.inspect as types
from msgspec import NODEFAULT, Struct

from clerk_jobs.jobfile.nodes import Broken, ListNode, MapNode, Node, Place, Scalar, key_path
from clerk_jobs.jobfile.reading import UNREAD, Check, Reader, Reading, Rule, Unread
from clerk_jobs.wording import did_you_mean, nearest, snake_case

__all__ = ["read_struct", "read_type"]

S = TypeVar("S", bound=Struct)


def read_struct(
    cls: type[S], node: Node, path: str, reading: Reading, given: Mapping[str, object], *, strict: bool = True
) -> S | Unread:
    """Read a map as a Struct.

    Args:
        given: values of the fields that are no keys of the file.
        strict: False ignores unknown keys, for when it is not known what the map should be.
    """
    if isinstance(node, Scalar) and node.absent:
        # "limits:" above keys that are commented out is an empty map to whoever wrote it.
        node = MapNode(node.place, {})
    if not isinstance(node, MapNode):
        return reading.fault(node.place, path, "must be a map of keys and values")
    return cast("S | Unread", _StructReading(cls, node, path, reading).read(given, strict=strict))


class _StructReading:
    def __init__(self, cls: type[S], node: MapNode, path: str, reading: Reading) -> None:
        info = types.type_info(cls)
        assert isinstance(info, types.StructType)
        self._cls = cls
        self._info = info
        self._hidden: frozenset[str] = getattr(cls, "given", frozenset())
        # By the key of the file, which a field may have beside its own name: ``field(name="list")``.
        self._fields = {each.encode_name: each for each in info.fields if each.name not in self._hidden}
        self._node = node
        self._path = path
        self._reading = reading

    def read(self, given: Mapping[str, object], *, strict: bool) -> object:
        before = len(self._reading.faults)
        guessed = self._unknown_keys() if strict else set()
        values: dict[str, object] = {}
        for name, each in self._fields.items():
            if name in self._node.entries:
                values[each.name] = self._read_field(each)
            elif name in guessed:
                # It is there under a mistyped name, which is fault enough.
                values[each.name] = UNREAD
            elif each.required:
                values[each.name] = self._reading.fault(self._node.place, key_path(self._path, name), "is missing")
            else:
                values[each.name] = each.default if each.default is not NODEFAULT else each.default_factory()
        self._apply_rules(values)
        if len(self._reading.faults) > before or not strict:
            return UNREAD
        return self._cls(**values, **{name: given[name] for name in self._hidden})

    def _read_field(self, each: types.Field) -> object:
        node = self._node.entries[each.encode_name][1]
        return read_type(each.type, node, key_path(self._path, each.encode_name), self._reading)

    def _unknown_keys(self) -> set[str]:
        tag = self._info.tag_field
        guesses: set[str] = set()
        for name, (key, _) in self._node.entries.items():
            if name not in self._fields and name != tag:
                guess, hint = self._guess(name)
                guesses.add(guess)
                self._reading.fault(key.place, key_path(self._path, name), "is not a key here", hint)
        return guesses

    def _guess(self, name: str) -> tuple[str, str]:
        also_known: Mapping[str, str] = getattr(self._cls, "also_known", {})
        snake = snake_case(name)
        if snake in self._fields:
            return snake, f"keys are written in snake_case; did you mean {snake}?"
        if snake in also_known:
            return also_known[snake], f"did you mean {also_known[snake]}?"
        for each in self._fields.values():
            inner = each.type
            if isinstance(inner, types.StructType) and any(below.name == snake for below in inner.fields):
                return "", f"did you mean {key_path(self._path, each.name)}.{snake}?"
        guess = nearest(name, self._fields)
        return guess or "", did_you_mean(name, self._fields)

    def _apply_rules(self, values: Mapping[str, object]) -> None:
        rules: tuple[Rule, ...] = getattr(self._cls, "rules", ())
        for rule in rules:
            wanted = {name: values[name] for name in inspect.signature(rule).parameters}
            if UNREAD in wanted.values():
                continue
            for complaint in rule(**wanted):
                place = self._place_of(complaint.key, complaint.at)
                path = key_path(self._path, complaint.key)
                self._reading.fault(place, path, complaint.message, complaint.hint)

    def _place_of(self, *names: str | None) -> Place:
        present = (self._node.entries[name][1].place for name in names if name in self._node.entries)
        return next(present, self._node.place)


def read_type(kind: types.Type, node: Node, path: str, reading: Reading) -> object:
    """Read a node as the type of a field; `UNREAD` when it is not of that type, with the fault noted."""
    if isinstance(node, Broken):
        return UNREAD
    if isinstance(kind, types.Metadata):
        reader: Reader | None = (kind.extra or {}).get("reader")
        value = reader(node, path, reading) if reader else read_type(kind.type, node, path, reading)
        check: Check | None = (kind.extra or {}).get("check")
        problem = check(value) if check and value is not UNREAD else None
        return reading.fault(node.place, path, *problem) if problem else value
    if isinstance(kind, types.UnionType):
        null = isinstance(node, Scalar) and node.value is None
        return None if null else read_type(_alternative(kind.types, node), node, path, reading)
    if isinstance(kind, types.StructType):
        return read_struct(kind.cls, node, path, reading, {})
    if isinstance(kind, types.ListType):
        return _read_list(kind.item_type, node, path, reading)
    return _read_scalar(kind, node, path, reading)


def _read_list(kind: types.Type, node: Node, path: str, reading: Reading) -> object:
    if not isinstance(node, ListNode):
        return reading.fault(node.place, path, "must be a list")
    read = [read_type(kind, each, key_path(path, place), reading) for place, each in enumerate(node.items)]
    return UNREAD if UNREAD in read else read


def _alternative(kinds: Sequence[types.Type], node: Node) -> types.Type:
    """Pick the alternative that has the node's shape, so that its faults are the ones that help."""
    real = [kind for kind in kinds if not isinstance(kind, types.NoneType)]
    structured = {MapNode: types.StructType, ListNode: types.ListType}
    wanted = structured.get(type(node))
    for kind in real:
        if isinstance(kind, wanted) if wanted else not isinstance(kind, types.StructType | types.ListType):
            return kind
    return real[0]


def _read_scalar(kind: types.Type, node: Node, path: str, reading: Reading) -> object:
    value = node.value if isinstance(node, Scalar) else node
    noun = _noun(kind)
    if isinstance(kind, types.LiteralType):
        if value in kind.values and not isinstance(value, bool):
            return value
        choices = [str(each) for each in kind.values]
        return reading.fault(node.place, path, f"must be {noun}", did_you_mean(str(value), choices))
    if isinstance(kind, types.FloatType) and type(value) is int:
        value = float(value)
    if type(value) is _PYTHON_TYPES[type(kind)] and _within(kind, value):
        return value
    numeric = isinstance(kind, types.StrType) and isinstance(value, int | float)
    return reading.fault(node.place, path, f"must be {noun}", "write it in quotes" if numeric else "")


_PYTHON_TYPES: Mapping[type[types.Type], type] = {
    types.StrType: str,
    types.IntType: int,
    types.FloatType: float,
    types.BoolType: bool,
}


def _within(kind: types.Type, value: object) -> bool:
    if isinstance(kind, types.IntType | types.FloatType):
        number = cast("float", value)
        return (
            (kind.gt is None or number > kind.gt)
            and (kind.ge is None or number >= kind.ge)
            and (kind.lt is None or number < kind.lt)
            and (kind.le is None or number <= kind.le)
        )
    if isinstance(kind, types.StrType):
        text = cast("str", value)
        return (
            len(text) >= (kind.min_length or 0)
            and (kind.max_length is None or len(text) <= kind.max_length)
            and (kind.pattern is None or re.search(kind.pattern, text) is not None)
        )
    return True


def _noun(kind: types.Type) -> str:
    """Say in words what a type takes."""
    if isinstance(kind, types.LiteralType):
        return f"one of {', '.join(map(str, kind.values))}"
    if isinstance(kind, types.BoolType):
        return "true or false"
    if isinstance(kind, types.StrType):
        return _text_noun(kind)
    assert isinstance(kind, types.IntType | types.FloatType)
    bounds = {"above": kind.gt, "at least": kind.ge, "below": kind.lt, "at most": kind.le}
    limits = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
    name = "a whole number" if isinstance(kind, types.IntType) else "a number"
    return f"{name} {limits}".rstrip()


def _text_noun(kind: types.StrType) -> str:
    least, most = kind.min_length or 0, kind.max_length
    if least == most == 1:
        return "one character"
    noun = "a text" if least == 0 else f"a text of at least {least} characters"
    noun = noun if most is None else f"a text of {least} to {most} characters"
    return noun if kind.pattern is None else f"{noun} that matches {kind.pattern}"
