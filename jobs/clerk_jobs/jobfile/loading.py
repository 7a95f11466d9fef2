"""Loading a job file: bytes, nodes, ``--set``, models; every fault at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clerk_jobs.errors import Fault, JobFileError
from clerk_jobs.jobfile.create_users_job import CreateUsersJob
from clerk_jobs.jobfile.kinds import KINDS, OWN_KINDS
from clerk_jobs.jobfile.models import Job
from clerk_jobs.jobfile.nodes import Broken, MapNode, Node, Place, Scalar
from clerk_jobs.jobfile.overrides import apply_overrides
from clerk_jobs.jobfile.parsing import parse
from clerk_jobs.jobfile.presets import apply_preset
from clerk_jobs.jobfile.reading import UNREAD, Reading
from clerk_jobs.jobfile.steps_job import read_steps
from clerk_jobs.jobfile.structs import read_struct
from clerk_jobs.wording import did_you_mean

__all__ = ["MAX_JOB_FILE", "load_job"]

MAX_JOB_FILE: Final = 1_048_576
"""Largest job file, in bytes."""


def load_job(path: Path, overrides: Sequence[tuple[str, str]] = (), *, allow_outside: bool = False) -> Job:
    """Load a job file.

    Args:
        path: the file; relative paths in it are relative to its folder.
        overrides: the ``--set`` options, each a dotted key and one YAML scalar.
        allow_outside: let the file name paths outside its folder.

    Returns:
        A Struct of the file's kind, an `InviteJob` for ``kind: invite``, a `StepsJob` for ``steps:``.

    Raises:
        JobFileError: with every fault of the file and of the overrides.
    """
    file = str(path)
    text = _read(path, file)
    root, faults = parse(text, file)
    if root is None and not faults:
        raise JobFileError([Fault(file, 1, 1, "", "is empty", "a job file begins with name: and kind:")])
    reading = Reading(path.absolute().parent, allow_outside, faults)
    job: object = UNREAD
    if isinstance(root, MapNode):
        faults += apply_overrides(root, overrides)
        job = _read_job(root, reading)
    elif root is not None and not isinstance(root, Broken):
        reading.fault(root.place, "", "must be a map of keys and values", "begin with name: and kind:")
    if faults or not isinstance(job, Job):
        raise JobFileError(faults)
    return job


def _read(path: Path, file: str) -> str:
    try:
        data = _read_bytes(path)
    except OSError as error:
        reason = (error.strerror or "a system error").lower()
        raise JobFileError([Fault(file, None, None, "", f"cannot be read: {reason}")]) from error
    if data is None:
        raise JobFileError([Fault(file, None, None, "", "is not a regular file")])
    if len(data) > MAX_JOB_FILE:
        raise JobFileError([Fault(file, None, None, "", "is larger than 1 MB", "put the rows into a source file")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise JobFileError([Fault(file, line, column, "", message, "save the file as UTF-8")]) from error


def _read_bytes(path: Path) -> bytes | None:
    """Read at most one byte more than is allowed; None when it is not a regular file."""
    # O_NONBLOCK: opening a pipe without a writer would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return opened.read(MAX_JOB_FILE + 1)


def _read_job(root: MapNode, reading: Reading) -> object:
    if "steps" in root.entries:
        return read_steps(root, reading)
    kinds = {str(kind.__struct_config__.tag): kind for kind in (*KINDS, *OWN_KINDS)}
    given = {"folder": reading.folder}
    node = root.entries["kind"][1] if "kind" in root.entries else None
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value in kinds:
        if issubclass(kinds[node.value], CreateUsersJob):
            apply_preset(root, reading)
        return read_struct(kinds[node.value], root, "", reading, given)
    _note_kind(node, root.place, list(kinds)[: len(KINDS)], reading)
    # Which keys are right depends on the kind; what all kinds share can be checked nonetheless.
    return read_struct(Job, root, "", reading, given, strict=False)


def _note_kind(node: Node | None, place: Place, kinds: list[str], reading: Reading) -> None:
    if node is None:
        reading.fault(place, "kind", "is missing", f"write kind: {kinds[0]}")
    elif not isinstance(node, Broken):
        written = str(node.value) if isinstance(node, Scalar) else ""
        reading.fault(node.place, "kind", f"must be one of {', '.join(kinds)}", did_you_mean(written, kinds))
