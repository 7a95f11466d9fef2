"""Time as a value that is handed in: real time for runs, virtual time for plans and tests.

Everything in this room asks a `Clock` and never the operating system. Two clocks exist because two questions
do: *how long* (`now`, monotonic, what a window counts in) and *what time is it* (`wall`, what survives a
restart).

Virtual time is an event loop whose clock stands still while there is work and jumps to the next timer when
there is none: an hour of quota passes in milliseconds, in exactly the order in which it would have passed in
an hour.
"""

import asyncio
import math
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Protocol, TypeVar, TypeVarTuple, Unpack

__all__ = ["Clock", "LoopClock", "VirtualClock", "VirtualTimeLoop", "boot_id", "run_virtual"]

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_THREAD_PATIENCE_S = 0.1
"""Real seconds that a worker thread is given to report back before virtual time jumps past it."""

_JOB_PATIENCE_S = 10.0
"""The same for a job in an executor, which is known to end: only a stuck one is overtaken."""

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_RESOLUTION_S = time.get_clock_info("monotonic").resolution


def boot_id() -> str:
    """A word that is the same for every process until the machine is booted again.

    Where the system has none, the moment of the boot serves, in minutes: a wall clock that is set then looks like
    a boot, which costs a wait and never a limit.
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"booted-{round((time.time() - time.clock_gettime(_BOOTTIME)) / 60)}"


class Clock(Protocol):
    """What limits know of time."""

    def now(self) -> float:
        """Seconds on the running loop's own clock: never goes back, its zero means nothing."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC: comparable between processes, and may jump either way."""
        ...

    def boot(self) -> float:
        """Seconds since the machine was booted, sleep included: comparable between processes until the next boot."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Let `delay_s` seconds pass; zero or less yields to the loop once."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call `callback` when `now()` has reached `when`; the handle cancels it."""
        ...


class LoopClock:
    """Real time, by the clock that every loop of asyncio's measures by.

    Example:
        >>> async def later() -> bool:
        ...     clock = LoopClock()
        ...     before = clock.now()
        ...     await clock.sleep(0)
        ...     return clock.now() >= before
        >>> asyncio.run(later())
        True
    """

    def now(self) -> float:
        """Seconds on the monotonic clock; asked some twenty times for each request, so by the shortest way."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC, as the machine believes."""
        return time.time()

    def boot(self) -> float:
        """Seconds since the machine was booted, sleep included where the system tells."""
        return time.clock_gettime(_BOOTTIME)

    async def sleep(self, delay_s: float) -> None:
        """Let `delay_s` seconds pass."""
        await asyncio.sleep(delay_s)

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call `callback` when `now()` has reached `when`."""
        return asyncio.get_running_loop().call_at(when, callback)


class VirtualClock(LoopClock):
    """Virtual time with a calendar: the wall clock starts at `start_wall_s` and moves with the loop.

    It belongs on a `VirtualTimeLoop`, whose `now()` begins at zero.

    Example:
        >>> async def an_hour() -> float:
        ...     clock = VirtualClock(start_wall_s=1_800_000_000.0)
        ...     await clock.sleep(3600)
        ...     return clock.wall()
        >>> run_virtual(an_hour())
        1800003600.0
    """

    def __init__(self, start_wall_s: float) -> None:
        self._start_wall_s = start_wall_s

    def now(self) -> float:
        """Seconds on the running loop's clock."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC in the virtual calendar."""
        return self._start_wall_s + self.now()

    def boot(self) -> float:
        """Seconds of virtual time."""
        return self.now()


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that never waits for time: where a loop would sleep, it moves the loop's clock instead."""

    def __init__(self, jump: Callable[[float], None], patience_s: Callable[[], float]) -> None:
        super().__init__()
        self._jump = jump
        self._patience_s = patience_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Ready events; without any, time passes at once and the answer is empty."""
        if timeout is not None and timeout <= 0:
            self._jump(0.0)
            return super().select(0)
        patience_s = self._patience_s()
        ready = super().select(patience_s)
        if ready:
            return ready
        if timeout is not None:
            self._jump(timeout)
            return []
        # The loop's own wake-up pipe is always registered; alone, nobody is left who could write to it.
        if not patience_s and len(self.get_map()) <= 1:
            raise RuntimeError(
                "virtual time stands still: every task waits and no timer is set, so nothing can happen; "
                "look for a future that nobody completes (worker threads need run_virtual(..., threads=True))"
            )
        return super().select(None)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer whenever nothing is ready.

    `time()` starts at 0.0 and moves only by such jumps, so a program's timing is exact and repeatable. While
    a job is in an executor the loop waits for it, and with `threads=True`, for threads that report by
    `call_soon_threadsafe`, 0.1 s of real time before each jump, so that a thread's answer is not overtaken by
    a time-out.

    Args:
        threads: Worker threads of your own are in play.

    Raises:
        RuntimeError: When all tasks wait, no timer is set and no thread is in play: a deadlock, told at once.
    """

    def __init__(self, *, threads: bool = False) -> None:
        self._virtual_now_s = 0.0
        self._foreign_threads = threads
        self._executor_jobs = 0
        super().__init__(_JumpingSelector(self._jump, self._patience_s))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Run `func` in a thread, as every loop does; virtual time is patient until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._executor_jobs += 1
        future.add_done_callback(self._executor_job_done)
        return future

    # Newer Pythons hand a time-out to this method, so it has to be in the signature.
    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        """Join the executor's threads; a deadline in virtual seconds would pass at once, so there is none."""
        self._executor_jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._executor_jobs -= 1

    def _executor_job_done(self, _: asyncio.Future[Any]) -> None:
        self._executor_jobs -= 1

    def _patience_s(self) -> float:
        """Real seconds to wait for threads before a jump; 0.0 where none is in play."""
        if self._executor_jobs:
            return _JOB_PATIENCE_S
        return _THREAD_PATIENCE_S if self._foreign_threads else 0.0

    def _jump(self, delay_s: float) -> None:
        now_s = self._virtual_now_s + delay_s
        # asyncio runs the timers due before now + resolution. From some hundred days on a float cannot tell
        # that from now, and a timer due exactly now would never run: so there each pass takes the least time.
        self._virtual_now_s = now_s if now_s + _RESOLUTION_S > now_s else math.nextafter(now_s, math.inf)


def run_virtual(main: Coroutine[Any, Any, _T], *, threads: bool = False) -> _T:
    """Run a coroutine to its end in virtual time and return its result.

    Args:
        main: What to run; it gets a `VirtualTimeLoop` of its own, which is closed afterwards.
        threads: Worker threads (other than the loop's executor jobs, which are seen by themselves) are in
            play.

    Raises:
        RuntimeError: When the program can never go on, see `VirtualTimeLoop`; or when a loop already runs
            here.

    Example:
        >>> async def a_day() -> float:
        ...     await asyncio.sleep(86_400)
        ...     return asyncio.get_running_loop().time()
        >>> run_virtual(a_day())
        86400.0
    """
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(threads=threads)) as runner:
        return runner.run(main)
