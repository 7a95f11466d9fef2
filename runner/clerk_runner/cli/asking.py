"""Questions on a terminal: an answer, the end of the input, or a signal, and none of the three is ever missed.

``input()`` waits in a read that a signal ends only while it lasts. One that comes between the printing of the question
and that read leaves a mark for later, and the process waits on for a line that nobody will type. Here a signal also
writes to a pipe, and the wait is for the terminal and the pipe together: whenever it comes, it is seen.

The end of the input (Ctrl-D, a terminal that has gone) is an empty answer, which nothing takes for a yes. Where stdin
is no terminal, click asks as always.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["ask_hidden", "ask_text", "ask_yes", "interactive"]

ENDING = frozenset({signal.SIGINT, signal.SIGTERM})
"""The signals that end a question, whoever handles them."""
ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def interactive() -> bool:
    """Whether somebody can be asked: questions go to stderr, answers come from stdin."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_yes(question: str) -> bool:
    """A question whose answer is no unless it is a plain yes.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came instead of an answer.
    """
    if not sys.stdin.isatty():
        return click.confirm(question, default=False, err=True)
    while True:
        answer = ANSWERS.get(_ask(f"{question} [y/N]: ").strip().lower())
        if answer is not None:
            return answer
        click.echo("Error: invalid input", err=True)


def ask_text(label: str) -> str:
    """A line of text; empty is an answer.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came instead of an answer.
    """
    if not sys.stdin.isatty():
        return str(click.prompt(label, default="", show_default=False, err=True))
    return _ask(f"{label}: ")


def ask_hidden(label: str) -> str:
    """A line that is not shown while it is typed.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came instead of an answer.
    """
    if not sys.stdin.isatty():
        return str(click.prompt(label, default="", show_default=False, hide_input=True, err=True))
    with _unseen(sys.stdin.fileno()):
        return _ask(f"{label}: ")


def _ask(prompt: str) -> str:
    """Print a prompt and wait for the line; empty at the end of the input."""
    with _signals() as signals:
        # The signals are listened for before the prompt stands there: who reads it may send one at once.
        click.echo(prompt, nl=False, err=True)
        return _line(sys.stdin.fileno(), signals)


def _line(terminal: int, signals: int) -> str:
    """A line from a terminal, without its end; empty where the input ends before the line does."""
    typed = b""
    while not typed.endswith(b"\n"):
        ready, _, _ = select.select([terminal, signals], [], [])
        if signals in ready and not ENDING.isdisjoint(os.read(signals, 64)):
            # The handler may have done no more than to make a note, as that of an event loop does.
            raise KeyboardInterrupt
        if terminal in ready:
            part = _read(terminal)
            if not part:
                click.echo(err=True)
                return ""
            typed += part
    return typed.decode(sys.stdin.encoding, errors="replace").rstrip("\r\n")


def _read(terminal: int) -> bytes:
    """What was typed; nothing at the end of the input, and from a terminal that has gone."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


@contextmanager
def _signals() -> Iterator[int]:
    """A pipe that tells the numbers of the signals that Python handles, one byte each, as long as the block lasts."""
    readable, writable = os.pipe()
    try:
        os.set_blocking(writable, False)
        before = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        try:
            yield readable
        finally:
            signal.set_wakeup_fd(before)
    finally:
        os.close(readable)
        os.close(writable)


@contextmanager
def _unseen(terminal: int) -> Iterator[None]:
    """Show nothing of what is typed; the line's end is shown at the end."""
    shown = termios.tcgetattr(terminal)
    hidden = [*shown]
    hidden[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, hidden)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, shown)
        click.echo(err=True)
