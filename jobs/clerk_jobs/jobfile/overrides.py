"""``--set key=value``: values of the command line, put into the tree of nodes before it is read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clerk_jobs.errors import Fault
from clerk_jobs.jobfile.nodes import Key, ListNode, MapNode, Node, Place, Scalar
from clerk_jobs.jobfile.parsing import parse
from clerk_jobs.jobfile.scalars import resolve

__all__ = ["apply_overrides"]

_PLACE = Place("--set")
_STEP = re.compile(r"([^.\[\]]+)((?:\[[0-9]{1,6}\])*)")


def apply_overrides(root: MapNode, overrides: Sequence[tuple[str, str]]) -> list[Fault]:
    """Put each value at its dotted path, ``limits.share`` or ``steps[0].email``; later ones win.

    The value is one YAML scalar: ``0.5`` is a number, ``{email}`` and ``NO`` are texts, ``"1"`` is a text.

    Returns:
        The faults: a path that is none, or that leads through something that is no map.
    """
    return [fault for path, value in overrides if (fault := _apply(root, path, value)) is not None]


def _apply(root: MapNode, path: str, value: str) -> Fault | None:
    steps = _steps(path)
    if not steps:
        return _PLACE.fault("", "is not the path of a key", "write --set limits.share=0.5")
    scalar = _scalar(value)
    if isinstance(scalar, Fault):
        return _PLACE.fault(path, scalar.message, scalar.hint)
    if _put(root, steps, scalar):
        return None
    return _PLACE.fault(path, "cannot be set: the job file has no map or list at that path")


def _steps(path: str) -> list[str | int]:
    """Part ``steps[0].email`` into its steps; none when it is no path."""
    steps: list[str | int] = []
    for part in path.split("."):
        match = _STEP.fullmatch(part)
        if match is None:
            return []
        steps += [match[1], *(int(index) for index in re.findall("[0-9]+", match[2]))]
    return steps


def _scalar(text: str) -> Scalar | Fault:
    if text[:1] in {"'", '"'}:
        root, faults = parse(text, _PLACE.file)
        if faults or not isinstance(root, Scalar):
            return faults[0] if faults else _PLACE.fault("", "must be one value")
        return Scalar(_PLACE, root.value, root.text)
    try:
        return Scalar(_PLACE, resolve(text.strip()), text.strip(), absent=not text.strip())
    except ValueError as error:
        return _PLACE.fault("", str(error), "write it in quotes to have it as text")


def _put(node: Node, steps: Sequence[str | int], scalar: Scalar) -> bool:
    """Put the scalar below the node, making the maps that are not there; False when the way is barred."""
    step, *rest = steps
    if isinstance(node, MapNode) and isinstance(step, str):
        _, child = node.entries.get(step, (None, None))
        if child is None or (isinstance(child, Scalar) and child.absent):
            child = MapNode(_PLACE, {})
        node.entries[step] = (Key(_PLACE, step), child if rest else scalar)
    elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
        child = node.items[step]
        node.items[step] = child if rest else scalar
    else:
        return False
    return _put(child, rest, scalar) if rest else True
