"""Showing what came of a call: the answer on stdout, and beside it on stderr what it says to a person."""

from __future__ import annotations

from collections.abc import Iterable

import click

from clerk_jobs.call import Call, Reply
from clerk_jobs.catalog import Json, Operation
from clerk_runner.cli.api.output import write_json
from clerk_runner.cli.text import plain
from clerk_runner.errors import Exit, StoppedError
from clerk_runner.explore.answers import failure_lines, success_lines
from clerk_runner.explore.paging import more_hint

__all__ = ["exit_of", "say_all", "show_failure", "show_success"]


def say_all(lines: Iterable[str]) -> None:
    """Lines for a person, on stderr, made plain."""
    for line in lines:
        click.echo(plain(line), err=True)


def exit_of(reply: Reply) -> Exit:
    """The exit code of a refusal."""
    return Exit.ACCESS if reply.status == 401 else Exit.SOME_FAILED


def show_failure(operation: Operation, reply: Reply, *, as_json: bool) -> Exit:
    """Show a refusal; returns its exit code."""
    code = exit_of(reply)
    if as_json:
        facts = {"exit": code, "status": reply.status, "code": reply.code, "trace_id": reply.trace_id}
        message = "; ".join(problem.message for problem in reply.problems)
        write_json({"error": {**facts, "message": message, "hint": [*failure_lines(operation, reply)][-1]}})
    else:
        say_all(failure_lines(operation, reply))
    return code


def show_success(operation: Operation, call: Call, reply: Reply, *, quiet: bool) -> None:
    """Show an answer.

    Args:
        quiet: it is a step to the next call, so its body is not shown.

    Raises:
        StoppedError: a write has happened, and its answer cannot be written to stdout.
    """
    say_all(success_lines(operation, call, reply.value))
    if quiet:
        return
    if reply.value is None and reply.status != 204 and operation.success and operation.success.schema:
        say_all(["the body of the answer could not be read; what was asked for has happened"])
    if reply.value is not None:
        _write_answer(operation, reply.value)
    rows = operation.list_shape.rows(reply.value) if operation.list_shape is not None else None
    if rows is not None and (hint := more_hint(operation, call, len(rows))):
        say_all([hint])


def _write_answer(operation: Operation, value: Json) -> None:
    try:
        if isinstance(value, str) and (operation.success is None or operation.success.schema is None):
            # A page, by contract; what commands a terminal is written out as text.
            click.echo(plain(value, keep="\n\t"))
        else:
            write_json(value)
    except BrokenPipeError:
        raise  # whoever read had enough
    except OSError as error:
        if operation.method == "GET":
            raise
        # "The disk is full, try again" would do it twice.
        raise StoppedError(
            f"{operation} has happened; only its answer could not be written: {error.strerror}",
            code="answer_unwritten",
            hint="do not repeat it",
        ) from error
