"""One thread that owns one SQLite connection, and commits in groups.

A commit with ``synchronous=FULL`` costs an fsync: 0.2 ms here, 5-10 ms on a plain disk. So the thread takes all work
that is waiting (at most ``GROUP``), does it in one transaction, commits once, and only then answers every waiter: what
``run`` returned is durable. The loop never blocks on the disk.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

__all__ = ["GROUP", "SqliteWriter", "create_private"]

T = TypeVar("T")
R = TypeVar("R")

GROUP = 64
"""Most pieces of work in one transaction."""
STATEMENTS = 512
"""Statements that are kept ready: one for many rows has as many forms as it can have rows, up to ``GROUP``."""
GATHER_S = 0.01
"""How long a piece of work may wait for others to commit with."""

Work = Callable[[sqlite3.Connection], Any]
Together = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]
"""Work on several pieces at once; it has a result for each."""
NO_PIECE = object()


class _Order(NamedTuple):
    """A piece of work.

    Attributes:
        work: `Together` where it has a piece, `Work` otherwise.
        grouped: whether it may share a transaction.
    """

    future: asyncio.Future[Any]
    work: Callable[..., Any]
    piece: Any = NO_PIECE
    grouped: bool = True


def create_private(path: Path) -> None:
    """Create a file for this user alone, before anything opens it: SQLite's side files take its mode over.

    A symlink that somebody planted under the name is refused by the system, not followed.
    """
    flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))


class SqliteWriter:
    """Runs functions on one connection in one thread; each result is durable when it arrives.

    Args:
        path: the database; created 0600.
        journal_mode: WAL for a file with one writer, TRUNCATE where several processes write.
        synchronous: FULL where a lost commit could repeat an effect, NORMAL for what can be read again.
        gives_back: whether pages that hold nothing any more can be given back, if the file is new; see
            ``give_back``.
    """

    def __init__(
        self,
        path: Path,
        *,
        journal_mode: Literal["WAL", "TRUNCATE"],
        synchronous: Literal["FULL", "NORMAL", "OFF"],
        gives_back: bool = False,
    ) -> None:
        """Open the database and start the thread.

        Raises:
            sqlite3.Error: the file cannot be opened or is no database.
        """
        create_private(path)
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=STATEMENTS
        )
        try:
            if gives_back:
                # Before anything else: the first page says it, and nothing short of a copy of the file changes it.
                self._connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._connection.execute(f"PRAGMA journal_mode={journal_mode}")
            self._connection.execute(f"PRAGMA synchronous={synchronous}")
            self._connection.execute("PRAGMA fullfsync=1")
            self._connection.execute("PRAGMA cache_size=-16000")
        except sqlite3.Error:
            self._connection.close()
            raise
        self._orders: queue.SimpleQueue[list[_Order] | None] = queue.SimpleQueue()
        self._gathered: list[_Order] = []
        """What was ordered and not yet handed to the thread; the loop's."""
        self._timer: asyncio.TimerHandle | None = None
        self._ahead: deque[_Order] = deque()
        """What the thread took and did not begin; the thread's."""
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=f"sqlite {path.name}", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run ``work`` inside a transaction; the future has its result once that is committed.

        The order is placed before this returns, so a waiter that is cancelled does not undo it: an outcome is saved
        even while its task is being cancelled.

        ``work`` may run twice, the first time rolled back.

        Raises:
            sqlite3.Error: nothing of it was written, or it was closed; a full disk is ``sqlite3.OperationalError``.
        """
        future = self._place(work)
        self._hand_over()
        return future

    def together(self, work: Callable[[sqlite3.Connection, Sequence[T]], Sequence[R]], piece: T) -> asyncio.Future[R]:
        """The same as ``run``, for what is ordered often: it waits for a moment for others to commit with.

        ``work`` is called once for all pieces of a transaction that were ordered with it. So the thread, the disk and
        the loop are woken once for all of them, and SQLite runs a statement for many rows: with seventy calls in flight
        that is most of what a call costs beside its request.
        """
        future = self._place(work, piece)
        if len(self._gathered) >= GROUP:
            self._hand_over()
        elif self._timer is None:
            self._timer = future.get_loop().call_later(GATHER_S, self._hand_over)
        return future

    def outside(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """The same as ``run``, but outside of any transaction, for what SQLite allows only there."""
        future = self._place(work, grouped=False)
        self._hand_over()
        return future

    def give_back(self) -> asyncio.Future[None]:
        """Move the file's last pages into those that hold nothing any more, and cut it off behind them.

        It costs as many pages as are given back, and a kill or a full disk on the way changes nothing.
        """

        def work(db: sqlite3.Connection) -> None:
            # A script, which runs to its end: ``execute`` takes a single step of it, and that is a single page.
            db.executescript("PRAGMA incremental_vacuum")

        return self.outside(work)

    def close(self) -> None:
        """Finish what was ordered, then close; safe to call twice."""
        self._hand_over()
        self._closed = True
        if self._thread.is_alive():
            self._orders.put(None)
            self._thread.join()
        self._connection.close()

    def _place(self, work: Callable[..., Any], piece: Any = NO_PIECE, *, grouped: bool = True) -> asyncio.Future[Any]:
        if self._closed:
            raise sqlite3.ProgrammingError("the journal is closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._gathered.append(_Order(future, work, piece, grouped))
        return future

    def _hand_over(self) -> None:
        """Give the thread what was gathered, in its order."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._orders.put(gathered)

    def _serve(self) -> None:
        try:
            while (group := self._next_group()) is not None:
                try:
                    results = self._commit(group) if group[0].grouped else _results(self._connection, group)
                except BaseException as error:  # noqa: BLE001  every waiter learns of it; the thread must not die alone
                    if len(group) == 1:
                        _fail(group[0], error)
                    else:
                        self._one_by_one(group)
                else:
                    _answer(group, results)
        finally:
            self._closed = True

    def _one_by_one(self, group: list[_Order]) -> None:
        """Do again, each in a transaction of its own, what was rolled back together: one failure is not all."""
        for order in group:
            try:
                results = self._commit([order])
            except BaseException as error:  # noqa: BLE001  as above
                _fail(order, error)
            else:
                _answer([order], results)

    def _next_group(self) -> list[_Order] | None:
        """Wait for work, then take what else is there; None once closed."""
        if not self._ahead:
            orders = self._orders.get()
            if orders is None:
                return None
            self._ahead.extend(orders)
        while len(self._ahead) < GROUP:
            try:
                orders = self._orders.get_nowait()
            except queue.Empty:
                break
            if orders is None:
                self._orders.put(None)
                break
            self._ahead.extend(orders)
        group = [self._ahead.popleft()]
        while group[0].grouped and len(group) < GROUP and self._ahead and self._ahead[0].grouped:
            group.append(self._ahead.popleft())
        return group

    def _commit(self, group: list[_Order]) -> list[Any]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = _results(connection, group)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results


def _results(connection: sqlite3.Connection, group: Sequence[_Order]) -> list[Any]:
    """Do the work of a group; what is done together comes last, as nothing in a group waits for the rest of it."""
    results: list[Any] = [None] * len(group)
    gathered: dict[Together, tuple[list[int], list[Any]]] = {}
    for place, (_, work, piece, _) in enumerate(group):
        if piece is NO_PIECE:
            results[place] = work(connection)
            continue
        places, pieces = gathered.setdefault(work, ([], []))
        places.append(place)
        pieces.append(piece)
    for together, (places, pieces) in gathered.items():
        for place, result in zip(places, together(connection, pieces), strict=True):
            results[place] = result
    return results


def _answer(orders: Sequence[_Order], results: Sequence[Any]) -> None:
    """Tell those who wait; the whole group at once, because waking the loop costs more than the work itself."""

    def deliver() -> None:
        for order, result in zip(orders, results, strict=True):
            if not order.future.done():
                order.future.set_result(result)

    _in_loop(orders[0], deliver)


def _fail(order: _Order, error: BaseException) -> None:
    """Tell who waits for it what went wrong."""

    def deliver() -> None:
        if not order.future.done():
            order.future.set_exception(error)

    _in_loop(order, deliver)


def _in_loop(order: _Order, deliver: Callable[[], None]) -> None:
    try:
        order.future.get_loop().call_soon_threadsafe(deliver)
    except RuntimeError:
        # The loop is closed: nobody waits any more, and the work itself is committed.
        return
