"""What can stop a run or a command, by what has to happen next.

::

    ClerkBatchError                 (clerk_jobs.errors, with the faults of files)
    └── RunnerError                 carries an exit code, a machine-readable code and a hint
        ├── UsageError              2    the user mends the command, the job file or the surroundings
        ├── AccessError             3    key, scope, permission or confirmation is missing
        ├── StoppedError            4    the run cannot go on now, and can be resumed
        ├── LeftEarly               5    asked to leave before the next permit came
        └── RunHeldError            75   another process holds this run

A failed item is no exception but an ``Outcome``: an exception in one task would cancel its siblings.
"""

from __future__ import annotations

from enum import IntEnum

from clerk_jobs.call import ReadRefused
from clerk_jobs.errors import ClerkBatchError, InputError, JobFileError

__all__ = [
    "AccessError",
    "Exit",
    "LeftEarly",
    "RunHeldError",
    "RunnerError",
    "StoppedError",
    "UsageError",
    "exit_of",
]


class Exit(IntEnum):
    """Exit codes, a contract for scripts and cron."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    ACCESS = 3
    STOPPED = 4
    LEFT_EARLY = 5
    FAULT = 70
    HELD = 75
    SIGINT = 130
    SIGTERM = 143


class RunnerError(ClerkBatchError):
    """One sentence for a person at 3 a.m., with what to do next.

    Args:
        message: what failed and where; never a token, an e-mail address or a body.
        code: one word for scripts.
        hint: what to do next.
    """

    exit = Exit.FAULT

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        """Keep the parts for ``--json``."""
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.known: dict[str, str] = {}
        """What is known of the run, which ``--json`` prints beside the error."""


class UsageError(RunnerError):
    """The command, the job file or the surroundings have to be mended; nothing was sent."""

    exit = Exit.USAGE


class AccessError(RunnerError):
    """A key, scope, permission or confirmation is missing."""

    exit = Exit.ACCESS


class StoppedError(RunnerError):
    """The run stops here and can be resumed: threshold, quota of the plan, Clerk unreachable, disk full."""

    exit = Exit.STOPPED


class LeftEarly(RunnerError):  # noqa: N818  leaving early was asked for: it is no error
    """The next permit is further away than the user wanted to wait, or the time that was given is over.

    Args:
        until: when the next permit comes (ISO 8601), where that is known.
    """

    exit = Exit.LEFT_EARLY

    def __init__(self, message: str, *, code: str, hint: str = "", until: str | None = None) -> None:
        """Keep the parts for ``--json``."""
        super().__init__(message, code=code, hint=hint)
        self.until = until


class RunHeldError(RunnerError):
    """Another process holds this run."""

    exit = Exit.HELD


def exit_of(error: BaseException) -> Exit:
    """The exit code of any error.

    Example:
        >>> int(exit_of(UsageError("no such file", code="missing")))
        2
    """
    if isinstance(error, RunnerError):
        return error.exit
    if isinstance(error, JobFileError | InputError):
        return Exit.USAGE
    if isinstance(error, ReadRefused):
        return Exit.STOPPED
    return Exit.FAULT
