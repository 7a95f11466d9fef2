"""The job file of several jobs after each other: ``steps:``.

A step is a job of one of the kinds, with a name by which later steps refer to it and, where they do, a ``key:``. What
decides how the work is done (limits, reconcile, instance, api_version) is written once, for the whole job; so may be
``errors``, which a step may have of its own.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from clerk_jobs.jobfile.create_users_job import CreateUsersJob
from clerk_jobs.jobfile.fields import templated
from clerk_jobs.jobfile.kinds import OWN_KINDS, STEP_KINDS
from clerk_jobs.jobfile.listing_rules import column_complaints
from clerk_jobs.jobfile.models import Job
from clerk_jobs.jobfile.nodes import Broken, Key, ListNode, MapNode, Node, Scalar, key_path
from clerk_jobs.jobfile.operation_job import OperationJob
from clerk_jobs.jobfile.presets import apply_preset
from clerk_jobs.jobfile.reading import UNREAD, Reading, Unread
from clerk_jobs.jobfile.structs import read_struct
from clerk_jobs.references import STEP_NAME, Reference, looks_like_one
from clerk_jobs.rows.source import STDIN
from clerk_jobs.template import Template
from clerk_jobs.typed_template import text
from clerk_jobs.wording import did_you_mean, shown

__all__ = ["MOST_STEPS", "SHARED", "WHOLE", "Step", "StepsJob", "read_steps"]

SHARED: Final = ("instance", "limits", "reconcile", "api_version")
"""Keys that are the whole job's, and hold for every step."""
WHOLE: Final = (*SHARED, "errors")
"""Keys that may stand beside ``steps:``; what is in ``errors`` holds for every step that has none of its own."""
FILES: Final = ("backup", "mapping")
"""Keys that name a file of a step's own."""
MOST_STEPS: Final = 50
_Key = templated(text(required=True))
_HOW: Final = "{steps.NAME[COLUMN].id}: the id of the row of step NAME whose key is in COLUMN"


class Step(Struct, frozen=True, kw_only=True):
    """One step.

    Attributes:
        name: by which later steps refer to it.
        job: what it does.
        key: names its rows for later steps.
        references: of its templates to earlier steps.
    """

    name: str
    job: Job
    key: Template | None = None
    references: tuple[Reference, ...] = ()

    def columns(self) -> dict[str, str]:
        """The columns that it reads from its source, each with the first key that needs it."""
        needed = {column: key for column, key in self.job.columns().items() if not looks_like_one(column)}
        own = () if self.key is None else self.key.columns
        return {**needed, **{one.column: "steps" for one in self.references}, **dict.fromkeys(own, "key")}


class StepsJob(Job, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="steps"):
    """Several jobs after each other, as one run.

    Attributes:
        steps: in their order; one begins when all rows of the one before have ended.
    """

    given: ClassVar[frozenset[str]] = frozenset({"folder", "steps"})
    also_known: ClassVar[dict[str, str]] = {"jobs": "steps", "source": "steps"}

    steps: tuple[Step, ...]

    def effects_identity(self) -> bytes:
        """Canonical JSON of what decides the effects of all steps; see ``Job.effects_identity``."""
        steps = [
            (step.name, step.job.effects_identity().decode(), None if step.key is None else step.key.source)
            for step in self.steps
        ]
        return msgspec.json.encode({"kind": self.kind, "steps": steps}, order="sorted")


def read_steps(root: MapNode, reading: Reading) -> StepsJob | Unread:
    """Read a job file that has ``steps:``, noting every fault."""
    entries = dict(root.entries)
    _, node = entries.pop("steps")
    if "kind" in entries:
        key, _ = entries.pop("kind")
        reading.fault(key.place, "kind", "belongs in each step, not beside steps:", "move it into a step, or remove it")
    whole = MapNode(root.place, entries)
    steps = _read_list(node, _shared(whole, reading), reading)
    given = {"folder": reading.folder, "steps": () if steps is UNREAD else steps}
    job = read_struct(StepsJob, whole, "", reading, given)
    return UNREAD if steps is UNREAD else job


def _shared(whole: MapNode, reading: Reading) -> dict[str, tuple[Key, Node]]:
    """The whole job's keys that every step has too; none where they are wrong, so that a fault is told once."""
    trial = Reading(reading.folder, reading.allow_outside)
    read_struct(Job, whole, "", trial, {"folder": reading.folder}, strict=False)
    return {} if trial.faults else {name: whole.entries[name] for name in WHOLE if name in whole.entries}


def _read_list(node: Node, shared: Mapping[str, tuple[Key, Node]], reading: Reading) -> tuple[Step, ...] | Unread:
    if not isinstance(node, ListNode) or not 1 <= len(node.items) <= MOST_STEPS:
        hint = "begin each with a dash: - name: organizations"
        return reading.fault(node.place, "steps", f"must be a list of 1 to {MOST_STEPS} steps", hint)
    before = len(reading.faults)
    steps: list[Step] = []
    names = [_name_of(each) for each in node.items]
    for place, each in enumerate(node.items):
        step = _read_step(each, key_path("steps", place), shared, reading)
        if step is UNREAD:
            continue
        if step.name in names[:place]:
            reading.fault(each.place, key_path("steps", place), f"has the name {step.name}, as an earlier step does")
        _check_references(step, names, place, each, node.items, reading)
        _check_alone(step, steps, place, each, reading)
        steps.append(step)
    return tuple(steps) if len(reading.faults) == before else UNREAD


def _name_of(node: Node) -> str:
    """A step's name as far as it can be told."""
    _, value = node.entries.get("name", (None, None)) if isinstance(node, MapNode) else (None, None)
    return str(value.value) if isinstance(value, Scalar) else ""


def _read_step(node: Node, path: str, shared: Mapping[str, tuple[Key, Node]], reading: Reading) -> Step | Unread:
    if isinstance(node, Broken):
        return UNREAD
    if not isinstance(node, MapNode):
        return reading.fault(node.place, path, "must be a map of keys and values", "begin with name: and kind:")
    before = len(reading.faults)
    entries = dict(node.entries)
    for name in SHARED:
        if name in entries:
            named, _ = entries.pop(name)
            reading.fault(named.place, key_path(path, name), "applies to the whole job", "write it beside steps:")
    _, key_node = entries.pop("key", (None, None))
    kinds = {str(kind.__struct_config__.tag): kind for kind in (*STEP_KINDS, *OWN_KINDS)}
    _, kind = entries.get("kind", (None, None))
    if not isinstance(kind, Scalar) or kind.value not in kinds:
        known = [str(each.__struct_config__.tag) for each in STEP_KINDS]
        place, written = (node.place, "") if kind is None else (kind.place, str(getattr(kind, "value", "")))
        return reading.fault(
            place, key_path(path, "kind"), f"must be one of {', '.join(known)}", did_you_mean(written, known)
        )
    inherited = {name: each for name, each in shared.items() if name not in entries}
    whole = MapNode(node.place, {**entries, **inherited})
    if issubclass(kinds[str(kind.value)], CreateUsersJob):
        apply_preset(whole, reading)
    job = read_struct(kinds[str(kind.value)], whole, path, reading, {"folder": reading.folder})
    key = None if key_node is None else _read_key(key_node, key_path(path, "key"), reading)
    if job is not UNREAD:
        _check_step(job, node, path, reading)
        if isinstance(key, Template):
            _check_key(job, key, node, path, reading)
    if job is UNREAD or key is UNREAD or len(reading.faults) > before:
        return UNREAD
    found = (Reference.read(column) for column in job.columns())
    return Step(name=job.name, job=job, key=key, references=tuple(one for one in found if one is not None))


def _read_key(node: Node, path: str, reading: Reading) -> Template | Unread:
    key: Template | Unread = (_Key.extra or {})["reader"](node, path, reading)
    if key is UNREAD:
        return UNREAD
    if not key.columns:
        return reading.fault(node.place, path, "names no column, so every row would have the same key", 'key: "{slug}"')
    if any(map(looks_like_one, key.columns)):
        return reading.fault(node.place, path, "must come from the step's own columns")
    return key


def _check_step(job: Job, node: MapNode, path: str, reading: Reading) -> None:
    if not re.fullmatch(STEP_NAME, job.name):
        place = node.entries["name"][1].place
        said = "must be letters, digits, - and _, a letter first, because it is written in {steps.NAME[COLUMN].id}"
        reading.fault(place, key_path(path, "name"), said)
    if getattr(getattr(job, "source", None), "path", None) == STDIN:
        place = node.entries["source"][1].place
        reading.fault(place, key_path(path, "source"), "cannot be standard input: a step reads a file")


def _check_key(job: Job, key: Template, node: MapNode, path: str, reading: Reading) -> None:
    """Check that the key of listed rows leads to something of a listed object."""
    for complaint in column_complaints(getattr(job, "listing", None), job.api_version, {"key": key}):
        reading.fault(node.entries["key"][1].place, key_path(path, "key"), complaint.message, complaint.hint)


def _check_alone(step: Step, before: Sequence[Step], place: int, node: Node, reading: Reading) -> None:
    """Check what a step that is not the first one may not do, and what no two steps may share."""
    assert isinstance(node, MapNode)
    job, path = step.job, key_path("steps", place)
    if place and isinstance(job, OperationJob) and job.listing and job.source is None and job.deletes:
        said = "cannot be what a later step deletes: nobody could confirm how many objects that will be"
        hint = "make it the first step, or export the list and name the file in source:"
        reading.fault(node.entries["list"][1].place, key_path(path, "list"), said, hint)
    for name in FILES:
        file = _file_of(step, name)
        other = next((one for one in before if file is not None and _file_of(one, name) == file), None)
        if other is not None:
            said = f"names the file of step {other.name}, and each step writes its own"
            reading.fault(node.entries[name][1].place, key_path(path, name), said)


def _file_of(step: Step, name: str) -> str | None:
    """The file that one key of a step names, in one form for all its spellings."""
    given = getattr(step.job, name, None)
    file = getattr(given, "file", given)
    return None if file is None else os.path.normpath(str(file))


def _check_references(
    step: Step, names: Sequence[str], place: int, node: Node, nodes: Sequence[Node], reading: Reading
) -> None:
    """Check by name what a step refers to, before any row is read."""
    assert isinstance(node, MapNode)
    for column, key in step.job.columns().items():
        if not looks_like_one(column):
            continue
        path = key_path(key_path("steps", place), key)
        at = node.entries[key][1].place if key in node.entries else node.place
        reference = Reference.read(column)
        if reference is None:
            reading.fault(at, path, f"{shown(column)} is not a reference to a step", f"write {_HOW}")
        elif reference.step not in names:
            hint = did_you_mean(reference.step, [name for name in names[:place] if name]) or "name an earlier step"
            reading.fault(at, path, f"there is no step {reference.step}", hint)
        elif (named := names.index(reference.step)) >= place:
            reading.fault(at, path, f"step {reference.step} does not run before this one", "move it up")
        elif isinstance(earlier := nodes[named], MapNode) and "key" not in earlier.entries:
            reading.fault(at, path, f"step {reference.step} has no key:", f'give it one, key: "{{{reference.column}}}"')
