"""One thread, one connection, commits in groups."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from clerk_runner import writer as module
from clerk_runner.writer import GROUP, SqliteWriter, create_private


def with_writer(path: Path, scenario: Callable[[SqliteWriter], Awaitable[None]]) -> None:
    async def whole() -> None:
        writer = SqliteWriter(path, journal_mode="WAL", synchronous="FULL")
        try:
            await writer.run(lambda db: db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)"))
            await scenario(writer)
        finally:
            writer.close()

    asyncio.run(whole())


def insert(number: int) -> Callable[[sqlite3.Connection], int]:
    return lambda db: db.execute("INSERT INTO t VALUES (?)", (number,)).rowcount


def insert_all(db: sqlite3.Connection, pieces: Sequence[int]) -> list[int]:
    """Refuses odd ones above 99, and says how many it got at once."""
    if any(number > 99 and number % 2 for number in pieces):
        raise AssertionError("odd")
    db.executemany("INSERT INTO t VALUES (?)", [(number,) for number in pieces])
    return [len(pieces)] * len(pieces)


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [number for (number,) in db.execute("SELECT n FROM t ORDER BY n")]


def test_what_waits_is_committed_together(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    commits: list[str] = []

    async def scenario(writer: SqliteWriter) -> None:
        busy, go = threading.Event(), threading.Event()

        def hold(_: sqlite3.Connection) -> None:
            busy.set()
            go.wait(10)

        first = writer.run(hold)
        await asyncio.to_thread(busy.wait, 10)
        writer._connection.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)
        rest = [writer.run(insert(number)) for number in range(GROUP + 10)]
        go.set()
        await first
        assert await asyncio.gather(*rest) == [1] * (GROUP + 10)
        writer._connection.set_trace_callback(None)

    with_writer(path, scenario)
    assert numbers(path) == list(range(GROUP + 10))
    # One for what held the thread, and one for each group.
    assert len(commits) == 3


def test_what_is_gathered_goes_with_what_comes_next_and_at_the_latest_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.db"

    async def scenario(writer: SqliteWriter) -> None:
        first, second = writer.together(insert_all, 1), writer.together(insert_all, 2)
        await asyncio.sleep(0)
        assert numbers(path) == []
        await writer.run(insert(3))
        # In one call, and so in one statement.
        assert (first.result(), second.result()) == (2, 2)
        assert numbers(path) == [1, 2, 3]
        # A full group waits for nobody.
        await asyncio.gather(*(writer.together(insert_all, number) for number in range(10, 10 + GROUP)))
        writer.together(insert_all, 4)

    monkeypatch.setattr(module, "GATHER_S", 3600.0)
    with_writer(path, scenario)
    assert 4 in numbers(path)
    monkeypatch.undo()

    async def alone(writer: SqliteWriter) -> None:
        assert await writer.together(insert_all, 1) == 1

    with_writer(tmp_path / "y.db", alone)


def test_one_failure_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def scenario(writer: SqliteWriter) -> None:
        def fail(_: sqlite3.Connection) -> None:
            raise AssertionError("not pending")

        works: list[Callable[[sqlite3.Connection], object]] = [insert(1), fail, insert(2), insert(1)]
        orders = [writer.run(one) for one in works]
        found = await asyncio.gather(*orders, return_exceptions=True)
        assert found[0] == found[2] == 1
        assert isinstance(found[1], AssertionError)
        assert isinstance(found[3], sqlite3.IntegrityError)

    with_writer(path, scenario)
    assert numbers(path) == [1, 2]


def test_one_failure_among_what_is_done_together_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def scenario(writer: SqliteWriter) -> None:
        orders = [writer.together(insert_all, number) for number in (100, 101, 102, 100)]
        found = await asyncio.gather(*orders, return_exceptions=True)
        assert found[0] == found[2] == 1
        assert isinstance(found[1], AssertionError)
        assert isinstance(found[3], sqlite3.IntegrityError)

    with_writer(path, scenario)
    assert numbers(path) == [100, 102]


def test_an_answer_is_durable_when_it_arrives(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def scenario(writer: SqliteWriter) -> None:
        for number in range(5):
            await writer.run(insert(number))
            assert numbers(path) == list(range(number + 1))

    with_writer(path, scenario)


def test_a_waiter_that_is_cancelled_does_not_undo_its_order(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def scenario(writer: SqliteWriter) -> None:
        async def save() -> None:
            await writer.run(insert(7))

        task = asyncio.create_task(save())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with_writer(path, scenario)
    assert numbers(path) == [7]


def test_closing_finishes_what_was_ordered_and_takes_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def scenario(writer: SqliteWriter) -> None:
        orders = [writer.run(insert(number)) for number in range(100)]
        writer.close()
        await asyncio.gather(*orders)
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            writer.run(insert(100))

    with_writer(path, scenario)
    assert numbers(path) == list(range(100))


def modes_in(folder: Path) -> dict[str, int]:
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}


def test_files_are_for_this_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    modes: dict[str, int] = {}

    async def scenario(writer: SqliteWriter) -> None:
        await writer.run(insert(1))
        modes.update(await asyncio.to_thread(modes_in, tmp_path))

    before = os.umask(0)
    try:
        with_writer(path, scenario)
    finally:
        os.umask(before)
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    link = tmp_path / "x.db"
    link.symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        create_private(link)
    with pytest.raises(OSError, match="symbolic"):
        SqliteWriter(link, journal_mode="WAL", synchronous="FULL")
    assert target.stat().st_size == 0


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        SqliteWriter(path, journal_mode="WAL", synchronous="FULL")
