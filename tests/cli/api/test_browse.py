"""`api browse`, typed at: every step of the way to a call, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import Result
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from clerk_jobs.catalog import load
from clerk_runner.cli.api.picker import ask_value, pick
from clerk_runner.errors import Exit, UsageError
from clerk_runner.explore.page_limits import ADVICE, page_maxima
from clerk_testing.simulated import SimulatedClerk

Api = Callable[..., Result]
DOWN, ESCAPE, ENTER, END = "\x1b[B", "\x1b", "\r", "\x04"


@pytest.fixture
def keyboard() -> Iterator[PipeInput]:
    """What is typed."""
    with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
        yield typed


@pytest.mark.parametrize(
    ("typed", "picked"),
    [
        (ENTER, 0),
        (DOWN + ENTER, 1),
        (DOWN * 9 + "\x1b[A" + ENTER, 1),
        ("\x1b[6~" + ENTER, 2),
        ("gam" + ENTER, 2),
        ("A bet" + ENTER, 1),
        ("xyz" + ENTER + "\x7f\x7f\x7f" + ENTER, 0),
        ("\x03", None),
        (END, None),
    ],
)
def test_picking(keyboard: PipeInput, typed: str, picked: int | None) -> None:
    keyboard.send_text(typed)
    assert pick("Greek", ["alpha a", "beta a", "gamma"]) == picked


def test_a_long_list_scrolls(keyboard: PipeInput) -> None:
    keyboard.send_text(DOWN * 30 + ENTER)
    assert pick("Numbers", [str(number) for number in range(100)]) == 30


def test_a_value_is_asked_for_until_it_is_right(keyboard: PipeInput) -> None:
    keyboard.send_text("x\r\x7f5\r")
    assert ask_value("limit", lambda text: "" if text.isdecimal() else "no number") == "5"
    keyboard.send_text("\r")
    assert ask_value("limit", lambda _: "wrong") is None
    keyboard.send_text(END)
    assert ask_value("limit", lambda _: "") is None


def test_a_walk_to_a_read(run_api: Api, clerk: SimulatedClerk, keyboard: PipeInput, at_terminal: None) -> None:
    keyboard.send_text("Users\r" + "List users\r" + ENTER + "limit\r" + "2\r" + ENTER + END + END)
    result = run_api("browse")
    assert result.exception is None, result.exception
    assert result.return_value == Exit.DONE
    assert "GET /users\nList users\n" in result.stdout
    answer = next(line for line in result.stdout.splitlines() if line.startswith('[{"id"'))
    assert len(json.loads(answer)) == 2


def test_a_walk_to_a_write(
    run_api: Api,
    clerk: SimulatedClerk,
    keyboard: PipeInput,
    at_terminal: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLERK_BAPI_SCOPES", "write")
    keyboard.send_text("Invitations\r" + "POST /invitations \r" + ENTER + "walk@b.co\r" + "notify\rfalse\r" + ENTER)
    keyboard.send_text(END + END)
    result = run_api("browse", input="y\n")
    assert result.exception is None, result.exception
    assert 'body       email_address="walk@b.co", notify=false' in result.stderr
    assert "Created inv_" in result.stderr


def test_a_dry_run_and_going_back(run_api: Api, keyboard: PipeInput, at_terminal: None) -> None:
    steps = "Users\r" + "GetUser\x7f\x7f\x7f\x7f\x7f\x7f\x7fGet a user\r"
    keyboard.send_text(steps + DOWN + ENTER + "user_1\r" + END + END)
    result = run_api("browse")
    assert '"url": "https://api.clerk.com/v1/users/user_1"' in result.stdout


def test_what_goes_wrong_does_not_end_the_walk(run_api: Api, keyboard: PipeInput, at_terminal: None) -> None:
    keyboard.send_text("Users\r" + "Get a user\r" + ENTER + "user_1\r" + "Get a user\r" + DOWN * 2 + ENTER + END + END)
    result = run_api("browse", input="\n")
    assert result.return_value == Exit.DONE
    assert "no secret key" in result.stderr


def test_browsing_needs_a_terminal(run_api: Api) -> None:
    error = run_api("browse").exception
    assert isinstance(error, UsageError)
    assert error.code == "no_terminal"


def test_page_maxima_and_the_advice_for_applications() -> None:
    maxima = page_maxima(load())
    assert {name: len(paths) for name, paths in maxima.items()} == {"500": 35, "100": 2, "all at once": 5}
    assert "currentUser()" in ADVICE
    assert "auth()" in ADVICE
