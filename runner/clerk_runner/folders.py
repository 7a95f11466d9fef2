"""The state folder and the folders of runs: names, permissions, locks.

::

    <state>/                     0700
        ledger/                  budgets, see ``clerk_runner.account``
        locks/<digest>.lock      held while it is decided which run a command means
        runs/<id>/               0700, everything in it 0600
            run.json             what the run is: written once
            run.lock             held by the one process that works on the run; the kernel frees it
            run.db               the journal
            run.mark             how far the run has come at least, see ``clerk_runner.high_water``
            log.jsonl  results.csv  failed.csv  summary.json
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import orjson

from clerk_jobs.errors import ClerkBatchError
from clerk_runner.errors import RunHeldError, UsageError
from clerk_runner.schema import MARK, damaged, is_blank, open_reader
from clerk_runner.writer import create_private

__all__ = ["UNFINISHED", "RunFacts", "RunFolder", "StateFolder", "make_private", "write_private"]

SECOND = len("20260102-030405")  # of a run's id: when it began
UNFINISHED = frozenset({"planned", "running", "waiting", "interrupted", "stopped", "finalizing"})


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is; written when it begins, never changed.

    Attributes:
        identity: digest of what decides its effects (job name, kind, templates, modes).
        fingerprint: SHA-256 of the input; of a job with steps, of all their inputs.
        inputs: of a job with steps: SHA-256 of each step's input, by its name.
        instance: the instance's id, or the key's fingerprint where the id cannot be read.
    """

    id: str
    job: str
    kind: str
    job_file: str
    overrides: tuple[tuple[str, str], ...]
    identity: str
    fingerprint: str
    source: str
    instance: str
    instance_kind: str
    host: str
    api_version: str
    created_ms: int
    allow_outside: bool = False
    parent: str | None = None
    inputs: dict[str, str] | None = None


def write_private(path: Path, data: bytes) -> None:
    """Write a file for this user alone; it appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class RunFolder:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is read yet."""
        self.path = path
        self.journal_path = path / "run.db"
        self.mark_path = self.journal_path.with_suffix(MARK)
        self.log_path = path / "log.jsonl"
        self.input_copy = path / "input"
        self._lock: int | None = None

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    def facts(self) -> RunFacts:
        """What the run is.

        Raises:
            UsageError: the folder has no readable ``run.json``.
        """
        try:
            return msgspec.json.decode((self.path / "run.json").read_bytes(), type=RunFacts)
        except (OSError, msgspec.MsgspecError) as error:
            raise UsageError(
                f"{self.path / 'run.json'} cannot be read, or does not say what its run is",
                code="run_unreadable",
                hint="restore it; moving the folder away would forget what its run has sent",
            ) from error

    def meta(self) -> dict[str, Any]:
        """The facts that the journal has collected, read beside its writer.

        Raises:
            StoppedError: the journal is damaged.
        """
        reader = open_reader(self.journal_path)
        try:
            return {name: orjson.loads(value) for name, value in reader.execute("SELECT name, value FROM meta")}
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise damaged(self.journal_path) from error
        finally:
            reader.close()

    def state(self) -> str:
        """Where the run stands: planned, running, waiting, interrupted, stopped, finalizing or done."""
        if is_blank(self.journal_path):
            return "planned"
        return str(self.meta().get("state", "planned"))

    def seen_state(self) -> str:
        """The same for people and scripts: what its journal calls running, and nobody works on, was interrupted."""
        state = self.state()
        return "interrupted" if state in ("running", "finalizing") and not self.is_held else state

    def summary(self) -> dict[str, Any] | None:
        """The last summary; None before there was one."""
        try:
            loaded = orjson.loads((self.path / "summary.json").read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        return loaded if isinstance(loaded, dict) else None

    def hold(self) -> None:
        """Become the one process that works on this run, until ``release`` or the process ends.

        Raises:
            RunHeldError: another process is.
        """
        path = self.path / "run.lock"
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(handle, 32).decode(errors="replace").strip()
            os.close(handle)
            raise RunHeldError(
                f"run {self.id} is held by another process" + (f" (pid {holder})" if holder.isdigit() else ""),
                code="held",
                hint="wait for it to end, or look at it with: clerk-batch runs list",
            ) from error
        if not _same_file(handle, path):
            os.close(handle)
            raise RunHeldError(
                f"run {self.id} was discarded by another process", code="held", hint="run the same command again"
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._lock = handle

    @property
    def is_held(self) -> bool:
        """Whether a process works on this run, this one or another."""
        if self._lock is not None:
            return True
        try:
            handle = os.open(self.path / "run.lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:  # shared, and gone at once: who only looks leaves no pid, and is not in the way of another who looks.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def release(self) -> None:
        """Let others work on this run."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def discard(self) -> None:
        """Remove the folder of a run that has sent nothing; nobody can take it over meanwhile."""
        shutil.rmtree(self.path)
        self.release()


class StateFolder:
    """The state folder of this user.

    Raises:
        UsageError: the folder cannot be made, or others may write into it.
    """

    def __init__(self, root: Path) -> None:
        """Make the folder where there is none, and check that it is ours alone."""
        self.root = root
        self.runs = root / "runs"
        self.locks = root / "locks"
        self.ledger = root / "ledger"
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (root, self.runs, self.locks, self.ledger):
                make_private(folder)
        except OSError as error:
            raise UsageError(
                f"the state folder {root} cannot be used: {error.strerror}",
                code="state_folder",
                hint="set CLERK_BATCH_HOME to a folder that you can write to",
            ) from error

    @contextmanager
    def deciding(self, job: str, instance: str) -> Iterator[None]:
        """Hold the lock under which it is decided which run a job means on an instance; waits for it."""
        name = hashlib.sha256(f"{job}\0{instance}".encode()).hexdigest()[:24]
        path = self.locks / f"{name}.lock"
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def new_id(self) -> str:
        """A word that sorts by time and that no other run has."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        return f"{stamp}-{secrets.token_hex(2)}"

    def create(self, facts: RunFacts) -> RunFolder:
        """Make a run's folder and hold it."""
        path = self.runs / facts.id
        path.mkdir(mode=0o700)
        folder = RunFolder(path)
        try:
            folder.hold()
            create_private(folder.journal_path)
            write_private(path / "run.json", msgspec.json.format(msgspec.json.encode(facts)))
        except BaseException:
            # A full disk, say: half a folder would be no run, and in nobody's list.
            folder.discard()
            raise
        return folder

    def list(self) -> list[RunFolder]:
        """All runs, oldest first; a link is no run."""
        found = [path for path in self.runs.iterdir() if (path / "run.json").is_file() and not path.is_symlink()]
        seconds = Counter(path.name[:SECOND] for path in found)
        # An id ends with a random word: which of two runs came first within a second it does not tell.
        began = {path: _created_ms(path) if seconds[path.name[:SECOND]] > 1 else 0 for path in found}
        found.sort(key=lambda path: (path.name[:SECOND], began[path], path.name))
        return [RunFolder(path) for path in found]

    def find(self, word: str) -> RunFolder:
        """The run that a word means: its id, a unique beginning of it, or ``last``.

        Raises:
            UsageError: no run, or more than one.
        """
        runs = self.list()
        if word == "last" and runs:
            return runs[-1]
        found = [run for run in runs if run.id.startswith(word)]
        exact = [run for run in found if run.id == word]
        if len(exact or found) == 1:
            return (exact or found)[0]
        problem = f"{len(found)} runs begin with {word!r}" if found else f"there is no run {word!r}"
        raise UsageError(problem, code="run_unknown", hint="clerk-batch runs list shows all of them")


def make_private(folder: Path) -> None:
    """Make a folder of the state where there is none, for this user alone; a link in its place is not followed.

    Raises:
        UsageError: it is not a folder of this user's, or others may write into it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    _check_private(folder)


def _created_ms(path: Path) -> int:
    """When a run began (unix milliseconds); 0 where that cannot be read."""
    try:
        return RunFolder(path).facts().created_ms
    except (ClerkBatchError, OSError):
        return 0


def _same_file(handle: int, path: Path) -> bool:
    """Whether an open file still is the one of that name."""
    try:
        named = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), named)


def _check_private(folder: Path) -> None:
    """Check that a folder is one, and this user's alone.

    Raises:
        UsageError: it is not; the message says which.
    """
    status = folder.lstat()
    elsewhere = "set CLERK_BATCH_HOME to a folder of your own"
    if stat.S_ISLNK(status.st_mode):
        problem, hint = "is a symbolic link", f"set CLERK_BATCH_HOME to the folder itself: {folder.resolve()}"
    elif not stat.S_ISDIR(status.st_mode):
        problem, hint = "is not a folder", elsewhere
    elif status.st_uid != os.geteuid():
        problem, hint = "belongs to another user", elsewhere
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem, hint = "can be written to by others", f"chmod 700 {folder}, or {elsewhere}"
    else:
        return
    if folder.name in ("runs", "locks", "ledger") and stat.S_ISLNK(status.st_mode):
        hint = "move what it leads to into its place"
    raise UsageError(f"the state folder {folder} {problem}", code="state_folder", hint=hint)
