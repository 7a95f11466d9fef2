"""Presets: the fields of a job that creates users, for the export of another system, out of a data file.

A preset is a file that a user can copy and change; ``preset: ./mine.yaml`` reads it. It has::

    about:  one line, which system's export it reads
    shape:  the address at which that export is documented
    values: what else it needs to know, {name: what it is and where it is found}
    fields: of the job, as a job file has them; <name> stands for one of the values

What the job file says itself counts more than the preset, and null there leaves a field of it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from clerk_jobs.jobfile.nodes import ListNode, MapNode, Node, Scalar, key_path, plain
from clerk_jobs.jobfile.parsing import parse
from clerk_jobs.jobfile.reading import Reading
from clerk_jobs.paths import path_problem
from clerk_jobs.wording import did_you_mean

__all__ = ["PRESETS", "apply_preset"]

_FOLDER: Final = Path(__file__).resolve().parent.parent / "presets"
PRESETS: Final = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""The presets that belong to this package."""
_KEYS: Final = ("about", "shape", "values", "fields")
_LARGEST: Final = 65_536
_VALUE: Final = re.compile(r"<([a-z][a-z0-9_]*)>")


def apply_preset(root: MapNode, reading: Reading) -> None:
    """Put the fields of a job's preset beside those that it has itself; every fault is noted."""
    if "preset" not in root.entries:
        return
    node = root.entries["preset"][1]
    preset = _read(node, reading) if isinstance(node, Scalar) and isinstance(node.value, str) else None
    if preset is None or not (fields := _part(preset, "fields", reading)):
        return
    wanted = {name: value for name, value in fields.entries.items() if name not in root.entries}
    needed = {each for _, value in wanted.values() for text in _texts(value) for each in _VALUE.findall(text)}
    given = _given(root)
    known = _part(preset, "values", reading)
    names = list(known.entries) if known else []
    for name in given:
        if name not in names:
            hint = did_you_mean(name, names) or (f"known: {', '.join(names)}" if names else "this preset needs none")
            reading.fault(
                root.entries["preset_values"][1].place, key_path("preset_values", name), "is not a key here", hint
            )
    for name in names:
        if name in needed and name not in given and known:
            hint = str(plain(known.entries[name][1]))
            reading.fault(node.place, key_path("preset_values", name), "is missing, and this preset needs it", hint)
    for name, (key, value) in wanted.items():
        root.entries[name] = (key, _filled(value, given, names))


def _read(node: Scalar, reading: Reading) -> MapNode | None:
    """The preset of a name or a path."""
    word = str(node.value)
    path = _FOLDER / f"{word}.yaml"
    if word not in PRESETS:
        if not word.endswith((".yaml", ".yml")):
            hint = did_you_mean(word, PRESETS) or "or the path of a preset of your own, ./mine.yaml"
            reading.fault(node.place, "preset", f"must be one of {', '.join(PRESETS)}", hint)
            return None
        path = reading.folder / word
        if problem := path_problem(reading.folder, word, allow_outside=reading.allow_outside):
            reading.fault(node.place, "preset", *problem)
            return None
    try:
        text = path.read_bytes()[: _LARGEST + 1].decode()
    except (OSError, UnicodeDecodeError):
        reading.fault(node.place, "preset", "cannot be read", "the path is relative to the job file")
        return None
    root, faults = parse(text, word)
    reading.faults += faults
    if faults:
        return None
    if len(text) > _LARGEST or not isinstance(root, MapNode):
        reading.fault(node.place, "preset", "is not a preset", f"it must be a map with {', '.join(_KEYS)}")
        return None
    for name, (key, _) in root.entries.items():
        if name not in _KEYS:
            reading.fault(key.place, name, "is not a key of a preset", did_you_mean(name, _KEYS))
    return root


def _part(preset: MapNode, name: str, reading: Reading) -> MapNode | None:
    """A map of a preset; None where there is none."""
    if name not in preset.entries:
        return None
    node = preset.entries[name][1]
    if isinstance(node, MapNode):
        return node
    if not (isinstance(node, Scalar) and node.absent):
        reading.fault(node.place, name, "must be a map of keys and values")
    return None


def _given(root: MapNode) -> dict[str, str]:
    node = root.entries["preset_values"][1] if "preset_values" in root.entries else None
    if not isinstance(node, MapNode):
        return {}
    return {name: value.text for name, (_, value) in node.entries.items() if isinstance(value, Scalar) and value.text}


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node, Scalar):
        yield node.text
    elif isinstance(node, ListNode):
        for each in node.items:
            yield from _texts(each)
    elif isinstance(node, MapNode):
        for _, each in node.entries.values():
            yield from _texts(each)


def _filled(node: Node, given: dict[str, str], names: list[str]) -> Node:
    """A node with the values in their places."""
    if isinstance(node, ListNode):
        return ListNode(node.place, [_filled(each, given, names) for each in node.items])
    if isinstance(node, MapNode):
        return MapNode(
            node.place, {name: (key, _filled(each, given, names)) for name, (key, each) in node.entries.items()}
        )
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or not _VALUE.search(node.value):
        return node

    def value(match: re.Match[str]) -> str:
        found = given.get(match[1]) if match[1] in names else None
        return match[0] if found is None else found.replace("{", "{{").replace("}", "}}")

    text = _VALUE.sub(value, node.value)
    return Scalar(node.place, text, text)
