"""Exit codes are a contract: every error has one, and the tree says which."""

from __future__ import annotations

import pytest

from clerk_jobs.errors import ClerkBatchError, Fault, InputError, JobFileError
from clerk_runner import errors
from clerk_runner.errors import (
    AccessError,
    Exit,
    LeftEarly,
    RunHeldError,
    RunnerError,
    StoppedError,
    UsageError,
    exit_of,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("m", code="c"), 2),
        (AccessError("m", code="c"), 3),
        (StoppedError("m", code="c"), 4),
        (LeftEarly("m", code="c"), 5),
        (RunHeldError("m", code="c"), 75),
        (RunnerError("m", code="c"), 70),
        (JobFileError([Fault("job.yaml", 1, 1, "name", "is missing")]), 2),
        (InputError("people.csv", "is empty"), 2),
        (ClerkBatchError("m"), 70),
        (ZeroDivisionError(), 70),
    ],
)
def test_every_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert int(exit_of(error)) == code


def test_every_branch_stands_in_the_tree() -> None:
    branches = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, RunnerError)}
    assert branches <= set(errors.__all__)
    assert errors.__doc__ is not None
    for name in branches:
        assert name in errors.__doc__


def test_an_error_is_its_sentence() -> None:
    error = LeftEarly("the next permit is an hour away", code="max_wait", hint="resume", until="2026-01-02T03:04:05Z")
    assert str(error) == error.message == "the next permit is an hour away"
    assert (error.code, error.hint, error.until) == ("max_wait", "resume", "2026-01-02T03:04:05Z")


def test_the_codes_of_signals_are_those_of_shells() -> None:
    assert (Exit.SIGINT, Exit.SIGTERM) == (128 + 2, 128 + 15)
