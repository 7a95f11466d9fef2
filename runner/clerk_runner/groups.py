"""An error that left a task group, without its wrapping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clerk_jobs.errors import ClerkBatchError

__all__ = ["unwrapped"]


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise what is in an exception group by itself: the first error that says what to do, else the first.

    A task group wraps even a single error, and who maps errors to exit codes looks for the error.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        leaves = list(_leaves(group))
        told = next((error for error in leaves if isinstance(error, ClerkBatchError)), leaves[0])
        raise told from told.__cause__


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
