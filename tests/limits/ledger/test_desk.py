"""Where a desk trades: on the loop while its file is at hand and quick, in its thread in every other case."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from clerk_limits.clock import LoopClock
from clerk_limits.ledger import desk as desks
from clerk_limits.ledger.book import Book
from clerk_limits.ledger.desk import LedgerDesk
from clerk_limits.ledger.errors import LedgerError
from clerk_limits.ledger.terms import Answer, Ask, Moment, Return, Trade

PATIENCE_S = 60.0


class Watched(Book):
    """A book that notes which thread trades, and takes its time where it is told to."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        super().__init__(path, "boot", durable=durable, pid=1, label="test")
        self.threads: list[str] = []
        self.takes_s = 0.0

    def trade(self, now: Moment, returns: Sequence[Return], asks: Sequence[Ask]) -> Trade:
        traded = super().trade(now, returns, asks)
        time.sleep(self.takes_s)
        self.threads.append("loop" if threading.current_thread() is threading.main_thread() else "thread")
        return traded


class Wisher:
    """Wants a permit whenever it is told to ask, and says when it has one."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()

    def wish(self) -> Ask:
        return Ask("instance", "", 1, 1, 0, 1_000, 100.0, 10.0)

    def answered(self, answer: Answer, now_s: float, jitter: float, asked_at_s: float) -> None:
        del now_s, jitter, asked_at_s
        self.answers.put_nowait(answer)

    def expires_at(self, now_s: float) -> float | None:
        del now_s
        return None

    def clear(self, now_s: float) -> None:
        del now_s


@asynccontextmanager
async def open_desk(tmp_path: Path, *, durable: bool = False) -> AsyncIterator[tuple[LedgerDesk, Watched]]:
    book, failures = Watched(tmp_path / "ledger.db", durable=durable), list[BaseException]()
    clock = LoopClock()
    desk = LedgerDesk(book, clock, clock.now, speed=1.0, heard=lambda _: None, failed=failures.append)
    await desk.run(lambda book, now: book.trade(now, (), ()))
    book.threads.clear()
    try:
        yield desk, book
    finally:
        await desk.close()
    assert not failures


async def asked(desk: LedgerDesk, times: int = 1) -> None:
    wisher = Wisher()
    for _ in range(times):
        desk.ask(wisher)
        async with asyncio.timeout(PATIENCE_S):
            assert (await wisher.answers.get()).granted == 1


def played(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


@pytest.mark.parametrize(("durable", "where"), [(False, "loop"), (True, "thread")])
def test_only_a_file_that_is_never_synced_is_traded_with_on_the_loop(tmp_path: Path, durable: bool, where: str) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, durable=durable) as (desk, book):
            await asked(desk, 3)
            assert book.threads == [where] * 3

    played(scenario)


def test_a_file_that_somebody_holds_is_waited_for_in_the_thread_while_the_loop_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as (desk, book):
            other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(asked(desk), name="waiting")
            turns = 0
            while turns < 20:
                await asyncio.sleep(0.001)
                turns += 1
            assert not waiting.done()
            other.execute("COMMIT")
            other.close()
            await waiting
            assert book.threads == ["thread"]
            await asked(desk)
            assert book.threads == ["thread", "loop"]

    played(scenario)


def test_a_reader_that_keeps_a_trade_from_its_commit_costs_nothing(tmp_path: Path) -> None:
    """Plans read the file: a commit waits for them, and on the loop nothing waits."""

    async def scenario() -> None:
        async with open_desk(tmp_path) as (desk, book):
            await asked(desk)
            reader = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM lease").fetchone()
            waiting = asyncio.create_task(asked(desk), name="waiting")
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert not waiting.done()
            reader.execute("COMMIT")
            reader.close()
            await waiting
            assert book.threads == ["loop", "thread"]
            # What could not be committed on the loop is not there a second time: the third permit is the third.
            third = await desk.run(lambda book, now: book.trade(now, (), [Wisher().wish()]))
            assert third.answers[0].used == 3

    played(scenario)


def test_a_fault_on_the_loop_is_met_again_in_the_thread_and_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        told: asyncio.Queue[BaseException] = asyncio.Queue()
        book, clock = Watched(tmp_path / "ledger.db", durable=False), LoopClock()
        desk = LedgerDesk(book, clock, clock.now, speed=1.0, heard=lambda _: None, failed=told.put_nowait)
        await desk.run(lambda book, now: book.trade(now, (), ()))
        (await desk.run(lambda book, _: book.storage.connection())).execute("DROP TABLE lease")
        desk.ask(Wisher())
        async with asyncio.timeout(PATIENCE_S):
            assert isinstance(await told.get(), LedgerError)
        assert book.threads == ["thread"]
        await desk.close()

    played(scenario)


def test_a_slow_disk_is_left_to_the_thread_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "SLOW_S", 0.001)
    monkeypatch.setattr(desks, "SLOW_WEIGHT", 1.0)

    async def scenario() -> None:
        async with open_desk(tmp_path) as (desk, book):
            book.takes_s = 0.01
            await asked(desk, 3)
            assert book.threads == ["loop", "thread", "thread"]

    played(scenario)


def test_a_file_that_is_gone_is_made_anew_in_the_thread(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path) as (desk, book):
            (tmp_path / "ledger.db").unlink()
            await asked(desk, 2)
            assert book.threads == ["thread", "loop"]

    played(scenario)
