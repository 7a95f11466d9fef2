"""Questions on a terminal: every answer is read, the end of the input is a no, and no signal is missed."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
import pytest

from clerk_runner.cli.asking import ask_hidden, ask_text, ask_yes, interactive

END = "\x04"


@dataclass
class Keyboard:
    """The other side of the terminal that stdin is."""

    leader: int
    follower: int

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.follower)[3] & termios.ECHO)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyboard]:
    leader, follower = os.openpty()
    with os.fdopen(follower, encoding="utf-8", closefd=False) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield Keyboard(leader, follower)
    os.close(follower)
    os.close(leader)


@pytest.fixture
def sent_at_the_prompt(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Send the signals of this list as soon as a prompt is printed; their handlers do nothing, as a loop's do."""
    numbers: list[int] = []
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, lambda *_: None)
    echo = click.echo

    def printed(*arguments: Any, **named: Any) -> None:
        echo(*arguments, **named)
        while numbers:
            os.kill(os.getpid(), numbers.pop(0))

    monkeypatch.setattr(click, "echo", printed)
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("y\n", True), ("YES \n", True), ("n\n", False), ("no\n", False), ("\n", False), ("maybe\ny\n", True)],
)
def test_only_a_yes_is_one(keyboard: Keyboard, capsys: pytest.CaptureFixture[str], typed: str, answer: bool) -> None:
    keyboard.type(typed)
    assert ask_yes("Send?") is answer
    told = capsys.readouterr().err
    assert told.startswith("Send? [y/N]: ")
    assert ("Error: invalid input\nSend? [y/N]: " in told) == ("maybe" in typed)


@pytest.mark.parametrize("typed", [END, f"y{END}{END}"])
def test_the_end_of_the_input_is_a_no(keyboard: Keyboard, capsys: pytest.CaptureFixture[str], typed: str) -> None:
    keyboard.type(typed)
    assert ask_yes("Send?") is False
    assert capsys.readouterr().err == "Send? [y/N]: \n"


def test_a_terminal_that_is_gone_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = os.openpty()
    with os.fdopen(follower, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr(stdin, "isatty", lambda: True)
        os.close(leader)
        assert ask_yes("Send?") is False


def test_a_line_is_read_whole_and_the_next_one_is_left(keyboard: Keyboard) -> None:
    keyboard.type("Zoë\nnext\n")
    assert ask_text("Name") == "Zoë"
    assert ask_text("Name") == "next"


def test_a_key_is_not_shown_while_it_is_typed(
    keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    echoed = []
    echo = click.echo

    def printed(*arguments: Any, **named: Any) -> None:
        echo(*arguments, **named)
        if arguments:
            echoed.append(keyboard.echoes)
            keyboard.type("hidden\n")

    monkeypatch.setattr(click, "echo", printed)
    assert ask_hidden("Key") == "hidden"
    assert echoed == [False]
    assert keyboard.echoes
    assert capsys.readouterr().err == "Key: \n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_the_question_and_the_wait_ends_it(
    keyboard: Keyboard, sent_at_the_prompt: list[int], number: int
) -> None:
    sent_at_the_prompt.append(number)
    with pytest.raises(KeyboardInterrupt):
        ask_yes("Send?")


def test_a_hidden_question_that_a_signal_ends_shows_the_keys_again(
    keyboard: Keyboard, sent_at_the_prompt: list[int]
) -> None:
    sent_at_the_prompt.append(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        ask_hidden("Key")
    assert keyboard.echoes


def test_other_signals_end_no_question(keyboard: Keyboard, sent_at_the_prompt: list[int]) -> None:
    sent_at_the_prompt.append(signal.SIGUSR1)
    keyboard.type("y\n")
    assert ask_yes("Send?") is True


def test_whoever_was_woken_by_signals_before_is_so_again(keyboard: Keyboard) -> None:
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    before = signal.set_wakeup_fd(writable)
    try:
        keyboard.type("n\n")
        ask_yes("Send?")
        assert signal.set_wakeup_fd(writable) == writable
    finally:
        signal.set_wakeup_fd(before)
        os.close(readable)
        os.close(writable)


def test_stdin_that_is_no_terminal_is_read_by_click(monkeypatch: pytest.MonkeyPatch) -> None:
    readable, writable = os.pipe()
    os.write(writable, b"y\nJane\nkey\n")
    os.close(writable)
    with os.fdopen(readable, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert not interactive()
        assert ask_yes("Send?") is True
        assert ask_text("Name") == "Jane"
