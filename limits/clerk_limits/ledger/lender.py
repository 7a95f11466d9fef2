"""The ledger of one instance, as one process uses it: two files behind one gate.

Everything that processes must agree on goes through here: leases, what a 429 closed, and the share that it shrank.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from clerk_limits.aimd import Shrunk
from clerk_limits.budget import WindowSpec
from clerk_limits.clock import Clock
from clerk_limits.ledger.book import Book
from clerk_limits.ledger.claimed import Claim, ClaimedWindow, claims_of
from clerk_limits.ledger.desk import LedgerDesk
from clerk_limits.ledger.leased import BLOCK, DEADLINE_S, LeasedWindow, life_of
from clerk_limits.ledger.terms import Moment, Return, Trade
from clerk_limits.window import Window

__all__ = ["Charge", "Lender", "LenderOptions", "Listener"]

QUOTAS = "quotas.db"
WINDOWS = "windows.db"


class Charge(NamedTuple):
    """A call on record that counts against a quota.

    Attributes:
        name: The limit's.
        released_wall_s: Unix time from which its period runs: that of its answer.
        hold_s: Seconds from then for which it counts.
    """

    name: str
    released_wall_s: float
    hold_s: float


class Listener(Protocol):
    """Who is told what other processes learned: the gate."""

    def heard_block(self, operation: str, left_s: float) -> None:
        """An operation is closed for so many seconds."""
        ...

    def heard_share(self, state: Shrunk) -> None:
        """This is what 429s have left of the instance's window."""
        ...

    def fail(self, error: BaseException) -> None:
        """No permit can be given any more."""
        ...


@dataclass(frozen=True, kw_only=True)
class LenderOptions:
    """How a process takes part in a ledger.

    Attributes:
        folder: Of the ledger, private and made.
        boot: Names the machine's present run, see `clerk_limits.clock.boot_id`.
        pid: Of this process, for people.
        label: What it does, for people.
        speed: Divides the durations of ours.
        past: What the runs on record spent of the quotas by now (unix time); asked where the ledger is new.
        used_at: Unix time of the last request on record, None without one; asked likewise.
        short_s: Seconds of the short windows, after `speed`: so long they stay closed where what was spent is
            not known.
    """

    folder: Path
    boot: str
    pid: int
    label: str
    speed: float = 1.0
    past: Callable[[float], Iterable[Charge]] = lambda _: ()
    used_at: Callable[[], float | None] = lambda: None
    short_s: float = 10.0


class Lender:
    """Leases permits for one gate, as an async context manager around the gate's work.

    Args:
        options: How.
        clock: The gate's clock.

    Raises:
        LedgerError: On entry, when a file cannot be used.
    """

    def __init__(self, options: LenderOptions, clock: Clock) -> None:
        self._options = options
        self._listener: Listener | None = None
        self._known: list[Trade] = []
        self._claims: dict[str, Claim] = {}

        def desk(name: str, steady: Callable[[], float]) -> LedgerDesk:
            durable = name == QUOTAS
            book = Book(
                options.folder / name,
                options.boot,
                durable=durable,
                pid=options.pid,
                label=options.label,
                speed=options.speed,
                assumed=self._spent if durable else self._closed,
            )
            return LedgerDesk(book, clock, steady, speed=options.speed, heard=self._heard, failed=self._failed)

        self._quotas = desk(QUOTAS, clock.boot)
        self._windows = desk(WINDOWS, clock.now)

    async def __aenter__(self) -> Self:
        """Open both files, and learn what is closed."""
        try:
            for desk in (self._quotas, self._windows):
                self._known.append(await desk.run(lambda book, now: book.trade(now, (), ())))
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Settle everything, give back what is unused, and leave the line."""
        self._listener = None
        await asyncio.shield(self._close())

    def window(self, spec: WindowSpec) -> Window:
        """A window of the ledger; the `WindowFactory` of a gate."""
        if spec.subject is None or spec.quota or not claims_of(spec.allowed):
            return self.leased(spec)
        claim = self._claims.get(spec.name)
        if claim is None:
            claim = self._claims[spec.name] = Claim(spec, self._windows, self._options.speed)
        return ClaimedWindow(spec, claim, self.leased)

    def leased(self, spec: WindowSpec) -> LeasedWindow:
        """A window of which every permit is leased."""
        # As many as the whole share gives in a tenth of a second: more would wait in one hand while others go short.
        block = max(1, min(BLOCK, spec.allowed // 100)) if spec.is_busy else 1
        return LeasedWindow(spec, block, self._quotas if spec.quota else self._windows, self._options.speed)

    def listen(self, listener: Listener) -> None:
        """Tell a gate what other processes learn, and what is known already."""
        self._listener = listener
        for trade in self._known:
            self._heard(trade)

    def block(self, operation: str, left_s: float) -> None:
        """Close an operation for every process, across restarts and boots."""
        for desk in (self._windows, self._quotas):
            desk.post(lambda book, now: book.block(now, operation, left_s))

    def shrink(self, scope: str, period_s: float) -> None:
        """A 429 shrinks everybody's share of a short window."""
        self._windows.post(lambda book, now: book.shrink(now, scope, period_s))

    async def spend(self, spec: WindowSpec) -> None:
        """Count a request that was answered just now and had no permit.

        It is the first of an instance: before it is answered nobody knows whose ledger counts.
        """
        hold_s = spec.after_response_s
        spent = (Return(0, spec.name, spec.subject or "", 1, hold_s, hold_s),)
        await self._windows.run(lambda book, now: book.trade(now, spent, ()))

    async def badges(self) -> list[str]:
        """Names for this process's part in both files, to be remembered by whatever it works on."""
        return [await desk.run(lambda book, now: book.badge(now)) for desk in (self._windows, self._quotas)]

    async def bury(self, badges: Sequence[str]) -> None:
        """The process that had these badges is known to be dead, by a lock that the kernel freed and not by a pid.

        What it had leased need not be held as if it could still be at work.
        """
        unknown_s = life_of(self._options.speed) + DEADLINE_S
        windows, quotas = badges
        await self._windows.run(lambda book, now: book.bury(now, windows, unknown_s))
        await self._quotas.run(lambda book, now: book.bury(now, quotas, unknown_s))

    async def needs_first_read(self) -> bool:
        """Whether nobody has asked Clerk yet what was spent before this ledger began."""
        return not await self._quotas.run(lambda book, now: book.is_noted(now, "first_read"))

    async def first_read(self, charges: Sequence[Charge]) -> None:
        """Count what Clerk says was spent before this ledger began."""

        def write(book: Book, now: Moment) -> None:
            book.trade(now, _returns(charges, now.wall_s), ())
            book.note(now, "first_read")

        await self._quotas.run(write)

    async def _close(self) -> None:
        try:
            await self._windows.close()
        finally:
            await self._quotas.close()

    def _spent(self, now: Moment, lost: bool) -> tuple[Sequence[Return], float]:
        """New quotas: what the runs' own journals prove."""
        del lost
        return _returns(self._options.past(now.wall_s), now.wall_s), 0.0

    def _closed(self, now: Moment, lost: bool) -> tuple[Sequence[Return], float]:
        """New windows: spent, where there had been a file or a request that they would still count."""
        used_at_s = self._options.used_at()
        recent = used_at_s is not None and abs(now.wall_s - used_at_s) < self._options.short_s
        return (), self._options.short_s if lost or recent else 0.0

    def _heard(self, trade: Trade) -> None:
        if self._listener is None:
            return
        for block in trade.blocks:
            if block.left_s > 0:
                self._listener.heard_block(block.operation, block.left_s)
        for state in trade.shares.values():
            self._listener.heard_share(state)

    def _failed(self, error: BaseException) -> None:
        if self._listener is not None:
            self._listener.fail(error)


def _returns(charges: Iterable[Charge], wall_s: float) -> list[Return]:
    """Charges as the book takes them; one from the future (the clock was set back) counts as now's."""
    left = ((one, min(one.hold_s, one.released_wall_s + one.hold_s - wall_s)) for one in charges)
    return [Return(0, one.name, "", 1, left_s, one.hold_s) for one, left_s in left if left_s > 0]
