"""A ledger's file that vanishes, is damaged, held, newer, planted or not writable: never unlimited."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from clerk_limits.ledger import LedgerDamagedError, LedgerError, LedgerLockedError, LedgerVersionError, storage
from clerk_limits.ledger.book import Book
from clerk_limits.ledger.terms import Ask, Moment, Return

SHORT_S = 10.0
WISH = Ask("instance", "", 1, 10, 0, 10, 107.0, SHORT_S)


def assumed(now: Moment, lost: bool) -> tuple[Sequence[Return], float]:
    """A file that was lost stays closed for a period; a first one begins free."""
    return (), SHORT_S if lost else 0.0


def book(folder: Path) -> Book:
    return Book(folder / "windows.db", "boot-1", durable=False, pid=1, label="test", assumed=assumed)


def granted(one: Book, now_s: float) -> int:
    return one.trade(Moment(now_s, now_s), (), [WISH]).answers[0].granted


def test_a_first_ledger_begins_free(tmp_path: Path) -> None:
    assert granted(book(tmp_path), 0.0) == 10


def test_a_ledger_that_vanished_counts_as_spent(tmp_path: Path) -> None:
    one, other = book(tmp_path), book(tmp_path)
    assert granted(one, 0.0) == 10
    assert granted(other, 0.0) == 0
    (tmp_path / "windows.db").unlink()
    answer = one.trade(Moment(1.0, 1.0), (), [WISH]).answers[0]
    assert answer.granted == 0
    assert answer.wait_s == pytest.approx(SHORT_S)
    # The other finds the file that was made meanwhile: both count in the same one.
    assert granted(other, 1.0 + SHORT_S - 0.1) == 0
    assert granted(other, 1.0 + SHORT_S + 0.1) == 10
    assert granted(one, 1.0 + SHORT_S + 0.1) == 0


def test_what_ended_after_the_file_vanished_counts_in_the_new_one(tmp_path: Path) -> None:
    one = book(tmp_path)
    lease = one.trade(Moment(0.0, 0.0), (), [WISH]).answers[0].lease
    (tmp_path / "windows.db").unlink()
    one.trade(Moment(9.0, 9.0), [Return(lease, "instance", "", 4, 10.02, 10.02)], ())
    assert granted(one, 9.1 + SHORT_S) == 10 - 0
    assert granted(book(tmp_path), 9.1 + SHORT_S) == 0


@pytest.mark.parametrize("damage", [b"nothing of SQLite" * 300, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_ledger_is_put_aside_and_counts_as_spent(tmp_path: Path, damage: bytes) -> None:
    one = book(tmp_path)
    assert granted(one, 0.0) == 10
    one.storage.close()
    (tmp_path / "windows.db").write_bytes(damage)
    assert granted(book(tmp_path), 1.0) == 0
    assert granted(book(tmp_path), 1.1 + SHORT_S) == 10
    assert (tmp_path / "windows.db.corrupt").read_bytes() == damage


def test_damage_that_shows_while_it_is_open(tmp_path: Path) -> None:
    one = book(tmp_path)
    assert granted(one, 0.0) == 10
    with (tmp_path / "windows.db").open("r+b") as file:
        for page in range(1, 20):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    one.storage.connection().execute("PRAGMA cache_size = 0")
    with pytest.raises(LedgerDamagedError):
        granted(one, 1.0)
    assert granted(one, 2.0) == 0
    assert granted(one, 2.1 + SHORT_S) == 10


def test_a_file_of_another_program_is_no_ledger(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "windows.db") as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    assert granted(book(tmp_path), 0.0) == 0


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    one = book(tmp_path)
    granted(one, 0.0)
    one.storage.close()
    newer = sqlite3.connect(tmp_path / "windows.db")
    newer.execute(f"PRAGMA user_version = {storage.VERSION + 1}")
    newer.close()
    with pytest.raises(LedgerVersionError, match="newer version"):
        granted(book(tmp_path), 1.0)
    assert not list(tmp_path.glob("*.corrupt"))


def test_a_ledger_that_is_held_for_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LOCKED_S", 0.05)
    one = book(tmp_path)
    granted(one, 0.0)
    holder = sqlite3.connect(tmp_path / "windows.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(LedgerLockedError):
            granted(one, 1.0)
        with pytest.raises(LedgerLockedError):
            granted(book(tmp_path), 1.0)
    finally:
        holder.close()
    assert granted(one, 2.0) == 0


HOLDS = """\
import os, signal, sqlite3, sys
holder = sqlite3.connect(sys.argv[1], isolation_level=None)
holder.execute("BEGIN IMMEDIATE")
print("held", flush=True)
if sys.argv[2] == "stopped":
    os.kill(os.getpid(), signal.SIGSTOP)
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who holds a lock")
@pytest.mark.parametrize("state", ["stopped", "at work"])
def test_who_holds_a_ledger_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    monkeypatch.setattr(storage, "LOCKED_S", 0.05)
    one = book(tmp_path)
    granted(one, 0.0)
    command = [sys.executable, "-c", HOLDS, str(one.storage.path), state]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            if state == "stopped":
                assert os.WIFSTOPPED(os.waitpid(holder.pid, os.WUNTRACED)[1])
            with pytest.raises(LedgerLockedError) as caught:
                granted(one, 1.0)
        finally:
            holder.kill()
    stopped = f", which is stopped (kill -CONT {holder.pid} lets it go on)," if state == "stopped" else ""
    assert str(caught.value) == f"process {holder.pid}{stopped} has held {one.storage.path} for 0 s"


def test_nothing_is_followed_that_was_planted(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"")
    (tmp_path / "windows.db").symlink_to(target)
    with pytest.raises(LedgerError, match="regular file"):
        granted(book(tmp_path), 0.0)
    assert target.read_bytes() == b""


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be used"):
        granted(book(tmp_path / "gone"), 0.0)


def test_a_full_disk_grants_nothing(tmp_path: Path) -> None:
    one = book(tmp_path)
    assert granted(one, 0.0) == 10
    one.storage.connection().execute("PRAGMA max_page_count = 1")
    spent = [Return(0, "instance", f"user_{number}", 1, 10.0, 10.0) for number in range(2000)]
    with pytest.raises(LedgerError, match="full"):
        one.trade(Moment(1.0, 1.0), spent, [WISH])
    assert granted(one, 1.0) == 0


def test_two_processes_that_begin_at_once_make_one_file(tmp_path: Path) -> None:
    answers: list[int] = []
    ready = threading.Barrier(8)

    def begin() -> None:
        one = book(tmp_path)
        ready.wait()
        answers.append(granted(one, 0.0))
        one.storage.close()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0] * 7 + [10]


def test_the_permissions_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        granted(book(tmp_path), 0.0)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
