"""Several processes of one machine over one ledger, in one virtual-time loop: real files, made-up time, made-up death.

Every process has a gate and a lender of its own, and nothing of it in common with the others but the folder. A process
that dies says nothing any more; what it had sent arrives all the same, and its pid is known to be dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from clerk_limits.budget import WindowSpec
from clerk_limits.clock import VirtualClock
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_limits.ledger import Lender, LenderOptions
from clerk_limits.ledger.desk import LedgerDesk
from clerk_limits.ledger.leased import Desk, LeasedWindow
from clerk_limits.ledger.terms import Return
from clerk_testing.virtual import Arrivals, CallScript, play

__all__ = ["START_S", "Machine", "Process"]

START_S = 1_800_000_000.0

WindowType = Callable[[WindowSpec, int, Desk, float], LeasedWindow]


class _Lender(Lender):
    """A lender that can die, and whose windows a test may choose."""

    def __init__(self, options: LenderOptions, clock: VirtualClock, kind: WindowType) -> None:
        super().__init__(options, clock)
        self._kind = kind

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        # The machine loses no power in these tests, and a disk that is busy elsewhere makes each commit slow.
        await self._quotas.run(lambda book, _: book.storage.connection().execute("PRAGMA synchronous = OFF"))
        return self

    def leased(self, spec: WindowSpec) -> LeasedWindow:
        window = super().leased(spec)
        return self._kind(spec, window._block, window._desk, self._options.speed)

    def die(self) -> None:
        """Tell the ledger nothing any more."""
        for desk in self.desks:
            desk.bring_back = _say_nothing  # type: ignore[method-assign]  # as the dead do
            desk._returns.clear()
            desk._asking.clear()

    @property
    def desks(self) -> tuple[LedgerDesk, LedgerDesk]:
        return self._windows, self._quotas


def _say_nothing(returned: Return) -> None:
    """Tell the ledger nothing."""


class Process:
    """One process.

    Attributes:
        gate: its gate.
        pid: its number; in ``Machine.dead`` once it is.
    """

    def __init__(self, machine: Machine, gate: Gate, lender: _Lender, pid: int) -> None:
        self._machine = machine
        self.gate = gate
        self.lender = lender
        self.pid = pid

    async def play(self, scripts: Sequence[CallScript], *, dies_at_s: float | None = None) -> Arrivals:
        """Make the calls; what the server saw. Those in flight at a death arrive within the time that loss holds."""
        arrivals = Arrivals()
        calls = asyncio.create_task(play(self.gate, scripts, arrivals))
        now_s = asyncio.get_running_loop().time()
        await asyncio.wait([calls], timeout=None if dies_at_s is None else max(0.0, dies_at_s - now_s))
        if calls.done():
            calls.result()
        else:
            self.lender.die()
            self._machine.dead.add(self.pid)
            calls.cancel()
            await asyncio.wait([calls])
        return arrivals


class Machine:
    """A machine, as an async context manager: its processes end with it.

    Args:
        folder: of the ledger.
        instance: whose limits.
        window: makes the leased windows.
        short_s: how long new short windows stay closed where a file was lost.

    Attributes:
        clock: the time of all processes.
        dead: pids of processes that died.
    """

    def __init__(
        self,
        folder: Path,
        instance: InstanceKind = InstanceKind.DEVELOPMENT,
        *,
        window: WindowType = LeasedWindow,
        short_s: float = 10.02,
    ) -> None:
        self._folder = folder
        self._instance = instance
        self._window = window
        self._short_s = short_s
        self._stack = AsyncExitStack()
        self._pids = iter(range(1, 1_000_000))
        self.clock = VirtualClock(START_S)
        self.dead: set[int] = set()

    async def process(self, options: GateOptions) -> Process:
        """Start a process."""
        pid = next(self._pids)
        given = LenderOptions(
            folder=self._folder,
            boot="this boot",
            pid=pid,
            label=f"process {pid}",
            speed=options.speed,
            short_s=self._short_s,
        )
        lender = await self._stack.enter_async_context(_Lender(given, self.clock, self._window))
        gate = Gate(self._instance, options, self.clock, ledger=lender, jitter=lambda: 0.0)
        return Process(self, gate, lender, pid)

    async def processes(self, count: int, options: GateOptions) -> list[Process]:
        """Start so many."""
        return [await self.process(options) for _ in range(count)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)
