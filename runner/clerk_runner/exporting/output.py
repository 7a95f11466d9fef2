"""The output file: whole under its name or not at all, for this user alone, and never over what is not ours.

It is written beside its target under a name of its own, synced, described in the journal by size and SHA-256, and
renamed. So after a crash it can be told whether the rename happened.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import msgspec

from clerk_jobs.export.form import STDOUT as STDOUT_NAME
from clerk_jobs.export.form import Form
from clerk_runner.errors import StoppedError, UsageError
from clerk_runner.exporting.pieces import Pieces
from clerk_runner.exporting.sinks import Packed, Sink, open_sink
from clerk_runner.folders import RunFolder, StateFolder

__all__ = [
    "STDOUT",
    "OutputFacts",
    "digest_of_file",
    "is_same",
    "output_path",
    "publish",
    "require_free",
    "require_room",
    "write_partial",
    "write_stdout",
    "written_by",
]

STDOUT = Path(STDOUT_NAME)
"""The output's path where it goes to standard output."""


class OutputFacts(msgspec.Struct, frozen=True):
    """What an output was when it was whole.

    Attributes:
        path: absolute, or ``-``.
        size: in bytes; None where it went to standard output.
        unfit: values that were left out because their type is not that of their column.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    unfit: int = 0


def output_path(folder: Path, text: str, *, run: str, created_ms: int) -> Path:
    """The job's output with its placeholders filled in; times are those of the run's start, on this machine's clock."""
    if text == STDOUT_NAME:
        return STDOUT
    moment = datetime.fromtimestamp(created_ms / 1000).astimezone()
    filled = {"{date}": f"{moment:%Y-%m-%d}", "{time}": f"{moment:%H%M%S}", "{run}": run}
    for name, value in filled.items():
        text = text.replace(name, value)
    return (folder / text).absolute()


def require_free(path: Path, state: StateFolder, job: str, *, force: bool) -> None:
    """Check, before the first request, that the output may take its name.

    Raises:
        UsageError: the folder cannot be written to, or there is a file that no finished run of this job wrote.
    """
    # A device or a pipe of that name would be replaced by the file, for everybody.
    if (path.exists() and not path.is_file()) or not _can_write(path.parent):
        raise UsageError(
            f"the output {path} cannot be written",
            code="output",
            hint="it must be a regular file, or not exist yet, in a folder that you can write to",
        )
    if force or not path.exists():
        return
    size = path.stat().st_size
    ours = [facts for run in reversed(state.list()) if (facts := written_by(run, job)) and facts.path == str(path)]
    digest = digest_of_file(path) if any(facts.size == size for facts in ours) else None
    if not any((facts.size, facts.sha256) == (size, digest) for facts in ours):
        raise UsageError(
            f"{path} exists, and no run of this job wrote it as it is now",
            code="output_exists",
            hint="move it away, put {date} or {run} into output:, or replace it with --force",
        )


def require_room(target: Path, form: Form, size: int) -> None:
    """Check that rows of this size find room as they are; how far others shrink or grow nobody knows before.

    Raises:
        StoppedError: they do not.
    """
    free = shutil.disk_usage(target.parent).free
    if form.format == "jsonl" and form.packing is None and free < size:
        raise StoppedError(
            f"the output needs {size:,} bytes, and {target.parent} has {free:,} left",
            code="disk",
            hint="free some disk space, then resume the run: nothing is asked of Clerk again",
        )


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def written_by(run: RunFolder, job: str) -> OutputFacts | None:
    """The output of a run, if it is one of this job and done."""
    if run.facts().job != job or run.state() != "done":
        return None
    found = run.meta().get("output")
    return msgspec.convert(found, OutputFacts) if found is not None else None


def write_partial(partial: Path, form: Form, pieces: Pieces, target: Path) -> OutputFacts:
    """Write the rows to a file, and sync it.

    Raises:
        OSError: it cannot be written.
    """
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        out = Packed(handle, form.packing)
        unfit = _fill(open_sink(form, out, partial), pieces)
        os.fsync(handle)
    finally:
        os.close(handle)
    size = partial.stat().st_size
    # A form that writes here and there in its file has to be read.
    digest = out.sha256.hexdigest() if size == out.size else digest_of_file(partial)
    return OutputFacts(str(target), size, digest, unfit)


def write_stdout(form: Form, pieces: Pieces) -> OutputFacts:
    """Write the rows to standard output; a reader that has enough may leave.

    Raises:
        OSError: it cannot be written.
    """
    sys.stdout.flush()
    with suppress(BrokenPipeError):
        _fill(open_sink(form, Packed(sys.stdout.fileno(), form.packing), STDOUT), pieces)
    return OutputFacts(str(STDOUT))


def _fill(sink: Sink, pieces: Pieces) -> int:
    """Give everything to a sink; returns how many values had no place in it."""
    try:
        with closing(pieces):
            for data in pieces:
                sink.take(data)
        sink.finish()
    except BaseException:
        sink.abandon()
        raise
    return sink.unfit


def publish(partial: Path, target: Path) -> None:
    """Give a whole file its name."""
    partial.replace(target)
    handle = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_same(facts: OutputFacts) -> bool:
    """Whether the file under its name is the one that these facts describe."""
    path = Path(facts.path)
    return path.is_file() and path.stat().st_size == facts.size and digest_of_file(path) == facts.sha256


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
