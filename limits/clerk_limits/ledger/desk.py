"""One file's thread, and what waits on the event loop to be traded there.

What is asked or ends meanwhile is collected and goes into one transaction, so the cost follows the transactions and
not the permits. Nothing runs while nobody waits and nothing is in hand: a wait of an hour costs no CPU.

A file that is never synced is traded with on the loop itself as long as nobody else holds it and the disk is quick: a
transaction takes a quarter of a millisecond there, and as much again to hand it to a thread and back.
"""

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from clerk_limits.clock import Clock
from clerk_limits.ledger.book import Book
from clerk_limits.ledger.errors import LedgerDamagedError, LedgerError
from clerk_limits.ledger.leased import Stock
from clerk_limits.ledger.terms import Ask, Moment, Return, Trade

__all__ = ["LedgerDesk"]

T = TypeVar("T")

FLUSH_S = 0.2
"""Settled permits are in the ledger after so many seconds at the latest, before `speed`."""
FLUSH_LEAST_S = 0.1
"""However high the speed: whoever asks for more tells it by then, and a transaction costs as much as two calls."""
SLOW_S, SLOW_WEIGHT = 0.02, 0.1
"""Where transactions hold the loop up for so many seconds each, on a mean that forgets, the thread does them."""
SLOW_FOR_S = 30.0
"""So long a file is left to the thread then: a disk that was slow once may be so again."""


class LedgerDesk:
    """Trades for the windows of one file.

    Args:
        book: The file; used in this desk's thread alone.
        clock: The gate's clock.
        steady: Seconds on the steady clock that the file counts in.
        speed: Divides the durations of ours.
        heard: Told of each trade.
        failed: Told when the file cannot be used any more.
    """

    def __init__(
        self,
        book: Book,
        clock: Clock,
        steady: Callable[[], float],
        *,
        speed: float,
        heard: Callable[[Trade], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._book = book
        self._clock = clock
        self.steady = steady
        self._flush_s = max(FLUSH_S / speed, FLUSH_LEAST_S)
        self._heard = heard
        self._failed = failed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"ledger-{book.storage.path.stem}")
        self._asking: list[Stock] = []
        self._returns: list[tuple[float, Return]] = []
        self._stocked: set[Stock] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at_s = 0.0
        """When the timer rings; not every loop's timers tell."""
        self._trading: asyncio.Future[Trade] | None = None
        self._posted: set[asyncio.Future[None]] = set()
        self._handed_over = self._done = 0
        """Pieces of work that the thread was given, counted by the loop, and has done, counted by itself."""
        self._takes_s = 0.0
        """How long a transaction on the loop takes, on a mean that forgets."""
        self._slow_until_s = 0.0
        """Until then the thread does it all, by the clock of the machine."""
        self._closed = False

    def ask(self, window: Stock) -> None:
        """Trade for a window as soon as the thread is free; what others ask by then goes with it."""
        self._asking.append(window)
        self._plan(self._clock.now())

    def bring_back(self, returned: Return) -> None:
        """Settle permits within a moment, or with the next trade."""
        now_s = self._clock.now()
        self._returns.append((now_s, returned))
        if len(self._returns) == 1:
            self._plan(now_s + self._flush_s)

    def stocked(self, window: Stock) -> None:
        """Look at the window again when its permits expire."""
        self._stocked.add(window)

    async def run(self, work: Callable[[Book, Moment], T]) -> T:
        """Do something with the book in its thread, in turn.

        A file that turns out to be damaged has been put aside: the work is done on a new one, in which what was
        spent is assumed to be spent.
        """
        moment = self._moment()

        def guarded() -> T:
            try:
                self._book.storage.be_patient(True)
                try:
                    return work(self._book, moment)
                except LedgerDamagedError:
                    return work(self._book, moment)
            finally:
                self._done += 1

        self._handed_over += 1
        # Shielded: what was handed over is done, and counted, whoever does not wait for it any more.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, guarded))

    def post(self, work: Callable[[Book, Moment], None]) -> None:
        """The same, when nobody waits for it."""
        if not self._closed:
            task = asyncio.ensure_future(self.run(work))
            self._posted.add(task)
            task.add_done_callback(self._delivered)

    async def close(self) -> None:
        """Settle and give back everything, and end the thread."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        under_way: list[asyncio.Future[Any]] = [*self._posted]
        if self._trading is not None:
            under_way.append(self._trading)
        if under_way:
            await asyncio.wait(under_way)
        for window in self._stocked:
            window.clear(self._clock.now())
        returns = self._taken_returns()
        try:
            # Whatever cannot be written any more ends by time, and the failure has been told before.
            with suppress(LedgerError):
                await self.run(lambda book, now: book.leave(now, returns))
        finally:
            await self._end_thread()

    async def _end_thread(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._book.storage.close)
        self._thread.shutdown(wait=False)

    def _plan(self, when_s: float) -> None:
        if self._closed or (self._timer is not None and self._rings_at_s <= when_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        # Always in a later turn of the loop: those who are woken together ask together.
        self._timer, self._rings_at_s = self._clock.call_at(when_s, self._ring), when_s

    def _ring(self) -> None:
        self._timer = None
        if self._trading is not None:
            return
        self._return_expired()
        windows, self._asking = self._asking, []
        wishes = [(window, wish) for window in windows if (wish := window.wish()) is not None]
        if wishes or self._returns:
            self._trade([window for window, _ in wishes], [wish for _, wish in wishes])

    def _trade(self, windows: list[Stock], wishes: list[Ask]) -> None:
        returns = self._taken_returns()
        asked_at_s = self.steady()
        trade = self._at_once(returns, wishes)
        if trade is not None:
            self._conclude(trade, windows, asked_at_s)
            return
        self._trading = asyncio.ensure_future(self.run(lambda book, now: book.trade(now, returns, wishes)))
        self._trading.add_done_callback(lambda done: self._traded(done, windows, asked_at_s))

    def _at_once(self, returns: list[Return], wishes: list[Ask]) -> Trade | None:
        """Trade on the loop; None where that has to be left to the thread, and nothing is done."""
        began_s = time.monotonic()
        storage = self._book.storage
        if self._handed_over > self._done or began_s < self._slow_until_s or not storage.is_at_hand():
            return None
        try:
            storage.be_patient(False)
            return self._book.trade(self._moment(), returns, wishes)
        except Exception:  # noqa: BLE001  nothing is lost: the thread meets it again, and tells
            # It waits for whoever holds the file, and knows what to do about every other trouble.
            return None
        finally:
            ended_s = time.monotonic()
            self._takes_s += (ended_s - began_s - self._takes_s) * SLOW_WEIGHT
            if self._takes_s > SLOW_S:
                self._takes_s, self._slow_until_s = 0.0, ended_s + SLOW_FOR_S

    def _traded(self, done: "asyncio.Future[Trade]", windows: list[Stock], asked_at_s: float) -> None:
        self._trading = None
        if self._note_failure(done):
            self._conclude(done.result(), windows, asked_at_s)

    def _conclude(self, trade: Trade, windows: list[Stock], asked_at_s: float) -> None:
        self._heard(trade)
        now_s = self._clock.now()
        for window, answer in zip(windows, trade.answers, strict=True):
            window.answered(answer, now_s, random.random(), asked_at_s)  # noqa: S311  spreads load, guards nothing
        if self._asking:
            self._plan(now_s)
        elif self._returns:
            self._plan(self._returns[0][0] + self._flush_s)
        self._return_expired()

    def _return_expired(self) -> None:
        """Bring back what nobody used in time, and come again for the rest."""
        now_s = self._clock.now()
        for window in tuple(self._stocked):
            expires_at_s = window.expires_at(now_s)
            if expires_at_s is None:
                self._stocked.discard(window)
            else:
                self._plan(expires_at_s)

    def _delivered(self, done: "asyncio.Future[None]") -> None:
        self._posted.discard(done)
        self._note_failure(done)

    def _note_failure(self, done: "asyncio.Future[T]") -> bool:
        """Whether it succeeded; a failure is told."""
        if done.cancelled():
            return False
        error = done.exception()
        if error is not None:
            self._failed(error)
        return error is None

    def _moment(self) -> Moment:
        return Moment(self.steady(), self._clock.wall())

    def _taken_returns(self) -> list[Return]:
        """What has ended, with the time for which it still counts from now."""
        now_s = self._clock.now()
        taken, self._returns = self._returns, []
        return [one.later(now_s - ended_s) for ended_s, one in taken]
