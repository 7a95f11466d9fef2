"""A run on a real terminal: the question, the bar, Ctrl-C once and twice."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.terminal import CTRL_C, CTRL_D, PATIENCE_S, Terminal

JOB = 'name: beta\nkind: invite\nsource: people.csv\nemail: "{email}"\n'

Open = Callable[..., Terminal]


@pytest.fixture
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk("--key=sk_live_tty", "--speed=60", "--latency=300ms") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    write_people(tmp_path / "people.csv", [f"person{number}@example.com" for number in range(400)])
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")
    return Workplace(tmp_path, {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": "60"})


@pytest.fixture
def open_terminal(place: Workplace) -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(*arguments: str, **variables: str) -> Terminal:
            terminal = Terminal(Workplace(place.folder, {**place.variables, **variables}), *arguments)
            stack.callback(terminal.close)
            return terminal

        yield opened


def invited(clerk: SimulatedClerk) -> int:
    return sum(map(len, clerk.effects("CreateInvitation").values()))


@pytest.mark.parametrize(("typed", "code"), [(CTRL_C, 130), (CTRL_D, 3), ("n\n", 3), ("\n", 3), ("maybe\nn\n", 3)])
def test_anything_but_a_yes_sends_nothing(
    open_terminal: Open, place: Workplace, clerk: SimulatedClerk, typed: str, code: int
) -> None:
    terminal = open_terminal("run", "job.yaml")
    terminal.wait_for(r"Send these invitations\? \[y/N\]: ")
    terminal.type(typed)
    assert terminal.end() == code
    assert "nothing was sent" in terminal.seen
    if typed == CTRL_C:
        assert re.search(r"\^C\r\nclerk-batch: interrupted; nothing was sent\r\n", terminal.seen), "a line of its own"
    assert "Traceback" not in terminal.seen
    assert invited(clerk) == 0
    assert list((place.state / "runs").iterdir()) == []


def test_ctrl_c_drains_and_tells_how_to_go_on(open_terminal: Open, place: Workplace, clerk: SimulatedClerk) -> None:
    terminal = open_terminal("run", "job.yaml")
    terminal.wait_for(r"\[y/N\]: ")
    terminal.type("y\n")
    terminal.wait_for(r"[1-9]\d* invited")
    terminal.type(CTRL_C)
    terminal.wait_for("stopping; Ctrl-C again quits at once")
    assert terminal.end() == 130
    assert "interrupted: run " in terminal.seen
    assert f"clerk-batch resume {place.only_run().name}" in terminal.seen
    done = int(re.findall(r"400 rows: (\d+) done", terminal.seen)[-1])
    assert done == invited(clerk) > 0


def test_a_second_ctrl_c_ends_at_once_and_the_next_run_looks_up_what_was_cut_off(
    place: Workplace, clerk: SimulatedClerk, open_terminal: Open
) -> None:
    with simulated_clerk("--key=sk_live_tty", "--speed=60", "--latency=3s", "--effect=early") as slow:
        terminal = open_terminal("run", "job.yaml", "--yes", CLERK_API_URL=slow.address)
        terminal.wait_for("0 invited")
        until_s = time.monotonic() + PATIENCE_S
        while invited(slow) == 0 and time.monotonic() < until_s:
            select.select([], [], [], 0.05)
        terminal.type(CTRL_C)
        terminal.wait_for("stopping; Ctrl-C again quits at once")
        began = time.monotonic()
        terminal.type(CTRL_C)
        assert terminal.end() == 130
        assert time.monotonic() - began < 2.5
        assert "interrupted: run " in terminal.seen
        again = open_terminal("run", "job.yaml", "--yes", CLERK_API_URL=slow.address)
        again.wait_for(r"checking \d+ doubtful invitations at \d\d:\d\d:\d\d")
        again.type(CTRL_C)
        again.wait_for("stopping")
        again.type(CTRL_C)
        assert again.end() == 130
        assert max(map(len, slow.effects("CreateInvitation").values())) == 1


def test_failed_rows_on_a_terminal_move_no_cursor(open_terminal: Open, place: Workplace) -> None:
    place.write("people.csv", 'email,cohort\n"not\x1b[2J an address",c1\n')
    assert place.run("run", "job.yaml", "--yes").code == 1
    assert "\x1b[2J" in place.run("runs", "failed", "last").out
    terminal = open_terminal("runs", "failed", "last")
    assert terminal.end() == 0
    assert "not\\x1b[2J an address" in terminal.seen
    assert "\x1b[2J" not in terminal.seen


def test_a_terminal_that_cannot_redraw_gets_lines(open_terminal: Open, place: Workplace) -> None:
    write_people(place.folder / "people.csv", ["jane@example.com"])
    terminal = open_terminal("run", "job.yaml", "--yes", TERM="dumb")
    assert terminal.end() == 0
    assert re.search(r"\d\d:\d\d:\d\d inviting: 1 of 1, 1 invited", terminal.seen)
    assert "1 row: 1 done, 0 failed" in terminal.seen
    assert "\x1b" not in terminal.seen
