"""`api` on a real terminal: questions, Ctrl-C at each of them, and Ctrl-C while a call is under way."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.terminal import CTRL_C, Terminal

Open = Callable[..., Terminal]


@pytest.fixture(scope="module")
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk("--users", "3", "--fail", "POST /organizations:timeout:100%") as running:
        yield running


@pytest.fixture
def open_terminal(tmp_path: Path, clerk: SimulatedClerk) -> Iterator[Open]:
    """Runs `clerk-batch api` with words on a terminal; other variables by name, an empty one is not set."""
    with ExitStack() as stack:

        def opened(*words: str, **variables: str) -> Terminal:
            known = {**clerk.environment, "CLERK_BAPI_SCOPES": "write,delete", **variables}
            place = Workplace(tmp_path, {name: value for name, value in known.items() if value})
            terminal = Terminal(place, "api", *words)
            stack.callback(terminal.close)
            return terminal

        yield opened


INVITE = ("POST", "/invitations", "--field", "email_address=a@b.co")


@pytest.mark.parametrize(
    ("words", "variables", "question"),
    [
        (("GET", "/users"), {"CLERK_SECRET_KEY": ""}, "Secret key, for this call only"),
        (INVITE, {"CLERK_BAPI_SCOPES": ""}, r"\(missing: write\) \[y/N\]"),
        (("POST", "/invitations"), {}, r"email_address \(body, required\)"),
        (INVITE, {}, r"Send it\? \[y/N\]"),
        (("DELETE", "/users/user_1"), {}, "Type user_1 to delete it"),
        (("PUT", "/users/user_1/metadata", "--field", "plan=pro"), {}, "Which kind is plan"),
        (("PUT", "/users/user_1/metadata", "-d", '{"public_metadata": {}}'), {}, r"Send it\? \[y/N\]"),
        (("suspend", "user_1"), {}, "Which one"),
        (("tags",), {}, "Tag to list"),
    ],
)
def test_ctrl_c_at_a_question_ends_it_and_nothing_is_sent(
    open_terminal: Open, clerk: SimulatedClerk, words: tuple[str, ...], variables: dict[str, str], question: str
) -> None:
    effects = clerk.report()["effects"]
    terminal = open_terminal(*words, **variables)
    terminal.wait_for(question)
    terminal.type(CTRL_C)
    assert terminal.end() == 130
    assert "interrupted; nothing was sent" in terminal.seen
    assert clerk.report()["effects"] == effects


def test_ctrl_c_during_a_write_says_that_it_may_have_happened(open_terminal: Open, clerk: SimulatedClerk) -> None:
    terminal = open_terminal("POST", "/organizations", "--field", "name=Acme")
    terminal.wait_for(r"Send it\? \[y/N\]")
    before = clerk.report()["requests_total"]
    terminal.type("y\n")
    while clerk.report()["requests_total"] == before:
        pass
    terminal.type(CTRL_C)
    assert terminal.end() == 130
    told = " ".join(terminal.seen.split())
    assert "interrupted while POST /organizations was under way: it may have happened" in told, "in lines that fit"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_write_says_how_to_look(
    tmp_path: Path, clerk: SimulatedClerk, number: signal.Signals
) -> None:
    place = Workplace(tmp_path, {**clerk.environment, "CLERK_BAPI_SCOPES": "write"})
    before = clerk.report()["requests_total"]
    process = place.start("api", "POST", "/organizations", "--field", "name=Acme", "--field", "slug=acme", "--yes")
    while clerk.report()["requests_total"] == before:
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err.splitlines()[-2:] == [
        "clerk-batch: interrupted while POST /organizations was under way: it may have happened",
        "  look before you repeat it: clerk-batch api call GET /organizations --query query=acme",
    ]


def test_an_answer_that_cannot_be_written_does_not_ask_for_the_write_again(
    tmp_path: Path, clerk: SimulatedClerk
) -> None:
    place = Workplace(tmp_path, {**clerk.environment, "CLERK_BAPI_SCOPES": "write"})
    words = shlex.join(
        [*place.program, "api", "POST", "/users", "--field", "external_id=full", "--field", "username=full", "--yes"]
    )
    line = ["sh", "-c", f"exec {words} >/dev/full"]
    ended = subprocess.run(line, cwd=tmp_path, env=place.environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 4
    assert ended.stderr.splitlines()[-2:] == [
        "clerk-batch: POST /users has happened; only its answer could not be written: No space left on device",
        "  do not repeat it",
    ]
    assert len(clerk.perform("GET", "/users?external_id=full")) == 1
    assert place.run("api", "GET", "/users/count").code == 0


def test_a_key_that_is_typed_is_neither_shown_nor_kept(open_terminal: Open, clerk: SimulatedClerk) -> None:
    key = clerk.environment["CLERK_SECRET_KEY"]
    terminal = open_terminal("GET", "/users/count", CLERK_SECRET_KEY="")
    terminal.wait_for("Secret key, for this call only")
    terminal.type(f"{key}\n")
    assert terminal.end() == 0
    assert "Total: " in terminal.seen
    assert key not in terminal.seen
