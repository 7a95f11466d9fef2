"""The budget of one instance shared by real processes that are killed, stopped and robbed of their ledger.

The simulator counts what arrives, from each key apart: never more than the window from all together, and about a fair
share from each. Nothing here depends on how fast the machine is: tests wait for counts.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from clerk_runner.account import out_now
from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.spender import Task
from clerk_testing.spending import Spender, spenders

SPEED = 10
WINDOW = 100
"""Requests in a window of a development instance, which lasts a second here."""
KEYS = tuple(f"sk_test_{name}" for name in ("first", "second", "third", "fourth"))
LEDGER_PATIENCE_S = 0.2

SPEND = "from clerk_testing.spender import main; main()"
FREED_AFTER_SEND = """
from clerk_limits.ledger.leased import LeasedWindow
def settle(self, slot, now_s):
    self._end(slot, self._after_response_s - (now_s - slot.taken_at_s), self._after_response_s)
LeasedWindow.settle = settle
"""
BUCKET_ALONE = """
from clerk_limits.ledger.leased import LeasedWindow, _Leased
LeasedWindow.free = lambda self, now_s: 1_000_000
LeasedWindow.take = lambda self, now_s, amount=1: _Leased(amount, now_s, lambda: 0.0)
"""
ENDED_BY_PID = """
from pathlib import Path
from clerk_limits.ledger.book import Book
forget = Book._forget
def and_the_dead(self, connection, now):
    forget(self, connection, now)
    for holder, pid in connection.execute("SELECT id, pid FROM holder").fetchall():
        if not Path(f"/proc/{pid}").exists():
            connection.execute("DELETE FROM lease WHERE holder = ?", (holder,))
Book._forget = and_the_dead
"""


@contextmanager
def clerk_and_spenders(
    folder: Path, count: int, *options: str, flaw: str = ""
) -> Iterator[tuple[SimulatedClerk, list[Spender], Callable[..., list[Spender]]]]:
    """A simulator and so many spenders of its whole window, and how to start more with these keys."""
    with ExitStack() as stack:
        clerk = stack.enter_context(simulated_clerk(*(f"--key={key}" for key in KEYS), f"--speed={SPEED}", *options))
        variables = {**clerk.environment, "CLERK_BATCH_SPEED": str(SPEED)}
        task = Task(state=str(folder), senders=20, share=1.0)

        def more(*keys: str) -> list[Spender]:
            return stack.enter_context(spenders(len(keys), task, variables, keys, (sys.executable, "-c", flaw + SPEND)))

        yield clerk, more(*KEYS[:count]), more


def requests_of(clerk: SimulatedClerk) -> dict[str, int]:
    """Requests by client, in the order of the keys."""
    return {name: one["requests"] for name, one in clerk.report()["clients"].items()}


def spent_meanwhile(clerk: SimulatedClerk, living: Sequence[Spender], total: int) -> dict[str, int]:
    """Wait until so many more requests have come; how many came from each client meanwhile."""
    before = requests_of(clerk)
    while True:
        more = {name: count - before.get(name, 0) for name, count in requests_of(clerk).items()}
        if sum(more.values()) >= total:
            return {name: count for name, count in more.items() if count}
        for one in living:
            one.lives()


def never_over_the_window(clerk: SimulatedClerk, window: int = WINDOW) -> None:
    report = clerk.report()
    assert report["throttled"] == 0
    assert report["limits"]["instance"]["worst_window"] <= window


def fair(counts: dict[str, int], names: set[str]) -> None:
    """Everybody got at least half of an equal part, and at most two."""
    assert counts.keys() == names
    part = sum(counts.values()) / len(counts)
    assert all(part / 2 <= count <= part * 2 for count in counts.values()), counts


def ledger_of(folder: Path) -> Path:
    (found,) = folder.glob("ledger/*/windows.db")
    return found.parent


def names(*numbers: int) -> set[str]:
    return {f"key {number}" for number in numbers}


def stopped_between_transactions(one: Spender, ledger: Path) -> None:
    """Stop a process where it holds no lock of the ledger; a machine that sleeps stops all alike."""
    while True:
        one.signal(signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(ledger / "windows.db", timeout=LEDGER_PATIENCE_S)) as db:
                db.execute("BEGIN IMMEDIATE")
                return
        except sqlite3.OperationalError:
            one.signal(signal.SIGCONT)


def holders(ledger: Path) -> set[int]:
    """Who has permits that are not settled yet."""
    return {one.pid for one in out_now(ledger) if one.is_open}


def killed_with_calls_under_way(one: Spender, ledger: Path) -> None:
    """Kill a process in the middle of its work."""
    stopped_between_transactions(one, ledger)
    while one.process.pid not in holders(ledger):
        one.signal(signal.SIGCONT)
        one.lives()
        stopped_between_transactions(one, ledger)
    one.kill()


def test_four_processes_share_a_window_fairly_and_two_live_on_when_two_are_killed(tmp_path: Path) -> None:
    with clerk_and_spenders(tmp_path, 4, "--latency=50-150ms") as (clerk, (first, second, *others), more):
        fair(spent_meanwhile(clerk, [first, second, *others], 3 * WINDOW), names(1, 2, 3, 4))
        for one in others:
            killed_with_calls_under_way(one, ledger_of(tmp_path))
        fair(spent_meanwhile(clerk, [first, second], 3 * WINDOW), names(1, 2))
        # What they held when they died still counts, and nobody took it because the pid is gone.
        assert holders(ledger_of(tmp_path)) >= {one.process.pid for one in others}
        newcomers = more(KEYS[2], KEYS[3])
        fair(spent_meanwhile(clerk, [first, second, *newcomers], 3 * WINDOW), names(1, 2, 3, 4))
        never_over_the_window(clerk)
        assert first.end().throttled == second.end().throttled == 0
        never_over_the_window(clerk)


def test_a_stopped_process_holds_nobody_up_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    with clerk_and_spenders(tmp_path, 3, "--latency=50-150ms") as (clerk, every, _):
        spent_meanwhile(clerk, every, 2 * WINDOW)
        stopped_between_transactions(every[0], ledger_of(tmp_path))
        # What it had under way may still arrive; afterwards nothing does, and the others use what there is.
        spent_meanwhile(clerk, every, WINDOW)
        fair(spent_meanwhile(clerk, every, 3 * WINDOW), names(2, 3))
        every[0].signal(signal.SIGCONT)
        spent_meanwhile(clerk, every, WINDOW)
        fair(spent_meanwhile(clerk, every, 3 * WINDOW), names(1, 2, 3))
        never_over_the_window(clerk)


def quiet(clerk: SimulatedClerk, living: Sequence[Spender]) -> int:
    """Wait until nothing comes any more; how many requests have come."""
    seen, looks = -1, 0
    while looks < 20:
        now = sum(requests_of(clerk).values())
        seen, looks = now, looks + 1 if now == seen else 0
        for one in living:
            one.lives()
    return seen


def deleted(path: Path) -> None:
    path.unlink()


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(8192))


def cut_off(path: Path) -> None:
    os.truncate(path, 5000)


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"not a database, but long enough for one to be looked for in it" * 100)
    other.replace(path)


def test_a_ledger_that_is_locked_lost_or_foreign_never_means_that_there_is_no_limit(tmp_path: Path) -> None:
    with clerk_and_spenders(tmp_path, 2, "--latency=50-150ms") as (clerk, every, _):
        spent_meanwhile(clerk, every, WINDOW)
        path = ledger_of(tmp_path) / "windows.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            in_hand = sum(requests_of(clerk).values())
            assert quiet(clerk, every) - in_hand <= 2 * (20 + 5)
            db.execute("ROLLBACK")
        fair(spent_meanwhile(clerk, every, 3 * WINDOW), names(1, 2))
        never_over_the_window(clerk)
        for robbed in (deleted, overwritten, cut_off, replaced):
            # Held open, so that no new file can get its number.
            with path.open("rb") as lost:
                robbed(path)
                fair(spent_meanwhile(clerk, every, 3 * WINDOW), names(1, 2))
                assert not os.path.samestat(os.fstat(lost.fileno()), path.stat())
            assert path.stat().st_mode & 0o777 == 0o600
            never_over_the_window(clerk)
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 99")
        for one in every:
            assert one.process.wait(60) != 0
        never_over_the_window(clerk)


@pytest.mark.parametrize(
    ("flaw", "network"),
    [(FREED_AFTER_SEND, "--stall=0.4s/1.3s"), (BUCKET_ALONE, "--latency=5ms"), (ENDED_BY_PID, "--latency=5ms")],
    ids=["freed after the send", "bucket alone", "ended by pid"],
)
def test_the_simulator_sees_a_seeded_defect(tmp_path: Path, flaw: str, network: str) -> None:
    """The test of the tests: what is counted above would be more, if the software were not right."""
    with clerk_and_spenders(tmp_path, 6, network, flaw=flaw) as (clerk, (*victims, one, other), _):
        spent_meanwhile(clerk, [one, other], 2 * WINDOW)
        for victim in victims:
            # Whoever had nothing under way when it died shows nothing: then the next one does.
            victim.kill()
            spent_meanwhile(clerk, [one, other], 2 * WINDOW)
            worst = clerk.report()["limits"]["instance"]["worst_window"]
            if worst > WINDOW:
                break
        assert worst > WINDOW
