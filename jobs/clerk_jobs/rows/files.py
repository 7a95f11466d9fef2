"""The file behind a source: found, opened and identified without trusting its name; standard input as a file."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from clerk_jobs.errors import InputError
from clerk_jobs.paths import path_problem
from clerk_jobs.rows.source import STDIN, Source

__all__ = ["InputFile", "find_input"]

_BUFFER = 262_144


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file, the same at each opening.

    Attributes:
        name: as messages name it.
        path: what is opened; no symbolic link.
        identity: device, inode, size and time of change when it was first opened.
    """

    name: str
    path: Path
    identity: tuple[int, int, int, int]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.identity[2]

    def open(self) -> BufferedReader:
        """Open the file for reading.

        Raises:
            InputError: it cannot be read, or is not the file any more that it was.
        """
        opened = _open(self.path, self.name)
        try:
            self.check_unchanged(opened)
        except InputError:
            opened.close()
            raise
        return opened

    def check_unchanged(self, opened: BufferedReader) -> None:
        """Compare an open file with what it was.

        Raises:
            InputError: it was changed meanwhile, so that what was read may be half of the old and half of the new.
        """
        if _identity(opened) != self.identity:
            hint = "start again when nothing writes to it"
            raise InputError(self.name, "was changed while it was being read", hint=hint)

    def fingerprint(self) -> str:
        """Read the whole file and give the SHA-256 of its bytes, in hexadecimal.

        Raises:
            InputError: as for `open`.
        """
        with self.open() as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            self.check_unchanged(opened)
        return digest


def find_input(
    source: Source, folder: Path, *, stdin_copy: Path | None, stdin: BinaryIO, allow_outside: bool
) -> InputFile:
    """Find the file of a source; standard input is copied first, unless an earlier run has copied it already.

    Args:
        folder: of the job file.
        stdin_copy: where standard input is copied to, readable by its owner alone.
        stdin: standard input.
        allow_outside: let the path lead out of the folder.

    Raises:
        InputError: no such file, no regular file, outside of the folder, not readable, nothing on standard input.
        OSError: the copy cannot be written.
    """
    if source.path == STDIN:
        if stdin_copy is None:
            hint = "name a file as the source"
            raise InputError(source.name, "can only be read by a run, which keeps a copy", hint=hint)
        _copy(stdin, stdin_copy, source.name)
        path = stdin_copy
    else:
        problem = path_problem(folder, source.path, allow_outside=allow_outside)
        if problem is not None:
            raise InputError(source.name, problem[0], hint=problem[1])
        path = Path(os.path.realpath(folder / source.path))
    with _open(path, source.name) as opened:
        return InputFile(source.name, path, _identity(opened))


def _open(path: Path, name: str) -> BufferedReader:
    # O_NONBLOCK: opening a pipe without a writer would wait for ever. O_NOFOLLOW: links were resolved, and judged.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY
    try:
        opened = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        reason = (error.strerror or "a system error").lower()
        raise InputError(name, f"cannot be read: {reason}", hint=_remedy(error)) from error
    if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        opened.close()
        raise InputError(name, "is not a regular file", hint="pipe it in, with source: '-'")
    return opened


def _remedy(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "the path is relative to the job file"
    return "check its permissions" if isinstance(error, PermissionError) else ""


def _identity(opened: BufferedReader) -> tuple[int, int, int, int]:
    status = os.fstat(opened.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _copy(stdin: BinaryIO, target: Path, name: str) -> None:
    """Copy standard input, whole or not at all."""
    if target.exists():
        return
    if stdin.isatty():
        raise InputError(name, "is a terminal", hint="pipe the rows in, or name a file as the source")
    partial = target.with_name(f"{target.name}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(partial, flags, 0o600), "wb") as copy:
        os.fchmod(copy.fileno(), 0o600)
        shutil.copyfileobj(stdin, copy, _BUFFER)
        copy.flush()
        os.fsync(copy.fileno())
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
