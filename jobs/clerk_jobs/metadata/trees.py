"""Metadata as trees: merging, comparing, folding rows, and what takes a change back.

The law of a merge, as Clerk documents it: objects are merged key by key, however deep; null removes a key; anything
else, an array too, takes the place of what was there. Values are compared by type: 1 is not true and is not 1.0.

Source: Clerk's documentation, "User metadata", and its OpenAPI document 2026-05-12, UpdateUserMetadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from clerk_jobs.metadata.numbers import canonical, spelling
from clerk_jobs.record import Record

__all__ = [
    "ABSENT",
    "FIELD_BYTES",
    "Absent",
    "Anew",
    "Change",
    "changes_between",
    "digest_of",
    "folded",
    "has_anew",
    "holds",
    "is_exact",
    "merged",
    "patch_between",
    "project",
    "put",
    "same",
    "size_of",
    "spelled",
    "value_at",
]

Tree: TypeAlias = Mapping[str, Any]

FIELD_BYTES: Final = 8192
"""Most bytes of one kind of metadata as compact JSON. Source: Clerk's documentation, "User metadata": 8 KB."""


_PLAIN: Final = (str, int, bool, type(None))
"""Types of values that are the same only where both are of one type. Source: JSON, and Python's own comparison."""


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""What stands where a key is not there; null is a value."""


class Anew(dict[str, Any]):
    """An object in a patch that takes the place of whatever was there, as an array does.

    Clerk knows no such thing: `spelled` says it in its words, once it is known what is there.
    """


class Change(Record, frozen=True):
    """One place at which two trees differ.

    Attributes:
        path: keys from the top.
        before: what stood there, or `ABSENT`.
        after: what stands there now, or `ABSENT`.
    """

    path: tuple[str, ...]
    before: Any
    after: Any


def merged(tree: Tree, patch: Tree) -> dict[str, Any]:
    """A tree with a patch merged into it.

    Example:
        >>> merged({"a": {"b": 1, "c": 2}, "d": [3]}, {"a": {"b": None, "e": 4}, "d": [5]})
        {'a': {'c': 2, 'e': 4}, 'd': [5]}
    """
    result = dict(tree)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Anew):
            result[key] = dict(value)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = value
    return result


def holds(tree: Tree, patch: Tree) -> bool:
    """Whether merging a patch into a tree would leave the tree as it is.

    Example:
        >>> holds({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": None}), holds({}, {"a": {"b": None}})
        (True, False)
    """
    for key, value in patch.items():
        now = tree.get(key, ABSENT)
        if value is None or now is ABSENT:
            fits = value is None and now is ABSENT
        elif isinstance(value, dict) and not isinstance(value, Anew):
            fits = isinstance(now, dict) and holds(now, value)
        else:
            fits = same(now, value)
        if not fits:
            return False
    return True


def folded(first: Tree, second: Tree) -> dict[str, Any]:
    """The one patch that does what two do in their order.

    Where the first one removes or overwrites what the second one writes an object to, that object is `Anew`: it does
    not meet what was there before both.

    Example:
        >>> folded({"a": {"b": 1}, "c": 2}, {"a": {"d": 3}, "c": None})
        {'a': {'b': 1, 'd': 3}, 'c': None}
        >>> merged({"a": {"old": 1}}, folded({"a": None}, {"a": {"b": 1}}))
        {'a': {'b': 1}}
    """
    result = dict(first)
    for key, value in second.items():
        before = result.get(key, ABSENT)
        if before is ABSENT or not isinstance(value, dict):
            result[key] = value
        elif isinstance(before, dict) and not isinstance(before, Anew):
            result[key] = folded(before, value)
        else:
            result[key] = Anew(merged(before if isinstance(before, Anew) else {}, value))
    return result


def has_anew(patch: Tree) -> bool:
    """Whether a patch has something in it that depends on what is there; see `spelled`."""
    return any(isinstance(each, Anew) or (isinstance(each, dict) and has_anew(each)) for each in patch.values())


def spelled(tree: Tree, patch: Tree) -> dict[str, Any]:
    """A patch in Clerk's words: what an object `Anew` does not keep of a tree is removed key by key.

    Example:
        >>> spelled({"a": {"b": 1, "c": 2}}, {"a": Anew({"c": 3}), "d": 4})
        {'a': {'b': None, 'c': 3}, 'd': 4}
    """
    words: dict[str, Any] = {}
    for key, value in patch.items():
        below = tree.get(key)
        known: Tree = below if isinstance(below, dict) else {}
        if isinstance(value, Anew):
            words[key] = patch_between(known, value)
        else:
            words[key] = spelled(known, value) if isinstance(value, dict) else value
    return words


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same value of the same type, whatever the order of keys.

    Example:
        >>> same({"a": 1, "b": [2]}, {"b": [2], "a": 1}), same(1, True), same(1, 1.0)
        (True, False, False)
    """
    if isinstance(one, _PLAIN) and isinstance(other, _PLAIN):
        return type(one) is type(other) and bool(one == other)
    return canonical(one) == canonical(other)


def size_of(tree: Tree) -> int:
    """Bytes of compact JSON."""
    return len(spelling(tree))


def digest_of(value: Any) -> bytes:
    """Eight bytes that two values share only when they are the same."""
    return blake2b(canonical(value), digest_size=8).digest()


def changes_between(before: Tree, after: Tree, path: tuple[str, ...] = ()) -> list[Change]:
    """Every place at which two trees differ; objects on both sides are looked into, all else is taken as a whole.

    Example:
        >>> [(one.path, one.before, one.after) for one in changes_between({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}})]
        [(('a', 'b'), 1, 3), (('c',), 2, <Absent.ABSENT: 'absent'>)]
    """
    changes: list[Change] = []
    for key in {**before, **after}:
        old, new = before.get(key, ABSENT), after.get(key, ABSENT)
        if old is new:
            # Whatever a merge leaves alone.
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            changes += changes_between(old, new, (*path, key))
        elif old is ABSENT or new is ABSENT or not same(old, new):
            changes.append(Change((*path, key), old, new))
    return changes


def patch_between(before: Tree, after: Tree) -> dict[str, Any]:
    """The patch whose merge makes one tree of the other; a null inside ``after`` cannot be made so.

    Example:
        >>> patch_between({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": 4})
        {'a': {'c': None}, 'd': 4}
    """
    patch: dict[str, Any] = {}
    for change in changes_between(before, after):
        put(patch, change.path, change.after)
    return patch


def put(patch: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Let a patch set a place to a value; `ABSENT` removes it."""
    for key in path[:-1]:
        patch = patch.setdefault(key, {})
    patch[path[-1]] = None if value is ABSENT else value


def value_at(tree: Tree, path: tuple[str, ...]) -> Any:
    """What stands at a place; `ABSENT` where nothing does."""
    value: Any = tree
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return ABSENT
        value = value[key]
    return value


def project(tree: Tree, patch: Tree) -> dict[str, Any]:
    """The part of a tree that a patch touches.

    Example:
        >>> project({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}, "e": 5})
        {'a': {'b': 1}}
    """
    part: dict[str, Any] = {}
    for key, value in patch.items():
        if key in tree:
            below = tree[key]
            nested = isinstance(value, dict) and not isinstance(value, Anew) and isinstance(below, dict)
            part[key] = project(below, value) if nested else below
    return part


def is_exact(value: Any) -> bool:
    """Whether a merge can put a key's value back exactly: it cannot put a null there, which removes the key.

    Example:
        >>> is_exact({"a": [None]}), is_exact({"a": None}), is_exact(None)
        (True, False, False)
    """
    if value is None:
        return False
    if isinstance(value, dict):
        return all(is_exact(each) for each in value.values())
    if isinstance(value, list):
        return all(each is None or is_exact(each) for each in value)
    return True
