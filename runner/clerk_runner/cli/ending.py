"""How a command ends that did not do its work: one message for people, or one JSON object for scripts."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import click
import orjson

from clerk_jobs.call import ReadRefused
from clerk_jobs.errors import ClerkBatchError, InputError, JobFileError
from clerk_runner.cli.text import columns_of, plain, wrapped
from clerk_runner.credentials import state_home
from clerk_runner.errors import Exit, LeftEarly, RunnerError, exit_of
from clerk_runner.logs import redact

__all__ = ["knowing", "show_error", "unread"]


@contextmanager
def knowing(**facts: str) -> Iterator[None]:
    """Let an error that leaves this block tell what was known of the run: ``--json`` prints it beside the error."""
    try:
        yield
    except ClerkBatchError as error:
        error.__dict__.setdefault("known", {}).update(facts)
        raise


def show_error(error: BaseException, *, as_json: bool) -> int:
    """Show an error and return the exit code that goes with it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    code, faults = _described(error)
    if as_json and faults:
        told = {"exit": int(code), **faults[0]} | ({"faults": faults} if len(faults) > 1 else {})
        known = getattr(error, "known", {})
        if isinstance(error, LeftEarly) and "job" in known:
            # A job that left before there was a summary tells at the same place when to come again.
            known = {**known, "state": "waiting", "next_permit": error.until}
        _write(sys.stdout, orjson.dumps({**known, "error": told}).decode() + "\n")
    else:
        if sys.stderr.isatty() and any(fault["code"] == "interrupted" for fault in faults):
            # The terminal has put ^C behind a question, or into the line of a bar.
            _write(sys.stderr, "\n")
        for fault in faults:
            _write(sys.stderr, _fitted(_line(fault)))
    # What the command still had to say goes out now, or never: Python would complain at the end of the process.
    _write(sys.stdout, "")
    return int(code)


@contextmanager
def unread() -> Iterator[None]:
    """Let whoever reads our output leave when they have enough, as ``head`` does: what was done stays done."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go(sys.stdout)


def _let_go(stream: TextIO) -> None:
    """Forget what a stream still holds, so that the process does not stumble over it at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _line(fault: dict[str, Any]) -> str:
    place = ":".join(str(fault[part]) for part in ("file", "line", "column") if fault.get(part) is not None)
    hint = f"\n  {fault['hint']}" if fault.get("hint") else ""
    # Lines of ours stay lines: what comes from elsewhere was made plain where it was put into the message.
    return plain(f"{f'{place}: ' if place else 'clerk-batch: '}{fault['message']}{hint}\n", keep="\n\t")


def _fitted(text: str) -> str:
    """The same; on a terminal words are not cut in two where its lines end."""
    width = columns_of(sys.stderr)
    if not width:
        return text
    return "".join(f"{piece}\n" for line in text.splitlines() for piece in wrapped(line, width, "    "))


def _described(error: BaseException) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and the faults to show."""
    match error:
        case JobFileError(faults=faults):
            told = [
                _fault("job_file", _subject(one.path, one.message), one.hint, one.file, one.line, one.column)
                for one in faults
            ]
            return Exit.USAGE, told
        case InputError():
            return Exit.USAGE, [_fault("input", error.message, error.hint, error.file, error.line)]
        case RunnerError():
            return exit_of(error), [_fault(error.code, error.message, error.hint)]
        case ReadRefused():
            hint = "Clerk's API may have changed; try another api_version, or again later"
            return exit_of(error), [_fault("answer_unreadable", str(error), hint)]
        case ClerkBatchError():
            return exit_of(error), [_fault("error", str(error), "")]
        case _:
            return _described_foreign(error)


def _described_foreign(error: BaseException) -> tuple[int, list[dict[str, Any]]]:
    """The same for what is no error of ours: click's, the system's, and faults."""
    match error:
        case BrokenPipeError():
            # There is nobody to tell, and nothing failed: whoever read had enough.
            return Exit.DONE, []
        case click.exceptions.Exit(exit_code=code) | SystemExit(code=int() as code):
            return code, []
        case click.ClickException():
            return Exit.USAGE, [_of_click(error)]
        case click.Abort() | KeyboardInterrupt():
            return Exit.SIGINT, [_fault("interrupted", "interrupted; nothing was sent", "")]
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG):
            return Exit.STOPPED, [_fault("disk", "the disk is full", "free some disk space, then try again")]
        case _:
            return Exit.FAULT, [_own_fault(error)]


def _of_click(error: click.ClickException) -> dict[str, Any]:
    """Wrong words, and where the right ones stand."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return _fault("usage", error.format_message(), "")
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return _fault("usage", "a command is missing", context.get_help())
    return _fault("usage", error.format_message(), f"see: {context.command_path} --help")


def _own_fault(error: BaseException) -> dict[str, Any]:
    """A fault of ours: its trace goes to a private file, redacted, and the message says where."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    kept = _keep_trace(error)
    hint = f"report it, with {kept}" if kept else "report it"
    return _fault("fault", f"a bug in clerk-batch: {type(error).__name__}{where}", hint)


def _keep_trace(error: BaseException) -> Path | None:
    text = redact("".join(traceback.format_exception(error)))
    try:
        folder = state_home(os.environ)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / "last-fault.txt"
        handle = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return None
    return path


def _fault(
    code: str, message: str, hint: str, file: str | None = None, line: int | None = None, column: int | None = None
) -> dict[str, Any]:
    return {"code": code, "message": message, "file": file, "line": line, "column": column, "hint": hint}


def _subject(path: str, message: str) -> str:
    return f"{path}: {message}" if path else message


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        _let_go(stream)
