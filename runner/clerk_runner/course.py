"""What the tasks of one engine share: their means, and how far the work has come.

A task that changes something others may wait for calls ``notify``; who waits looks again then, or after a while,
because other processes change things without a word.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

from clerk_jobs.call import Outcome, State
from clerk_jobs.jobfile import StopAfter
from clerk_limits.clock import Clock
from clerk_runner.deadlines import Wait
from clerk_runner.errors import RunnerError
from clerk_runner.exchange import Exchange
from clerk_runner.feed import Feeding
from clerk_runner.journal import Journal, OpenItem
from clerk_runner.logs import Log
from clerk_runner.work import Payloads, Work

__all__ = ["LONGEST_SLEEP_S", "LOOK_S", "Course", "EngineOptions", "Forecast", "Means"]

LONGEST_SLEEP_S = 30.0
"""Longest time without a look: the machine may have slept, and its clock may have been set."""
LOOK_S = 1.0
"""Time between two looks at what others may change without a word."""
_NAMES = {state: state.name.lower() for state in State}


Forecast: TypeAlias = Callable[[], float | None]
"""When a worker will have its permit, on the loop's clock; None where nobody knows. Asked by who wants to know it."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What may change between two starts of one run.

    Attributes:
        quarantine_s: how long absence proves nothing, from the end of an attempt, before ``speed``.
        stop_after: how many failed items stop the run.
        max_wait_s: leave when the next permit is further away.
        max_time_s: leave after this long.
        drain_s: how long calls in flight may take to end once the run is leaving.
    """

    quarantine_s: float = 120.0
    stop_after: StopAfter = field(default_factory=lambda: StopAfter(share=0.2))
    max_wait_s: float | None = None
    max_time_s: float | None = None
    speed: float = 1.0
    drain_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an engine works with.

    Attributes:
        work: the kind of job.
        payloads: reads rows back.
        feed: which items are next.
    """

    journal: Journal
    exchange: Exchange
    work: Work
    payloads: Payloads
    feed: Feeding
    options: EngineOptions
    log: Log

    @property
    def clock(self) -> Clock:
        """The clock of everything here."""
        return self.exchange.clock


class Course:
    """How far the work of one engine has come, who waits for what, and whether it is to end.

    Args:
        counts: items by state, as the journal has them now.
    """

    def __init__(self, means: Means, counts: Counter[State]) -> None:
        """Start with nothing in flight."""
        self.counts = counts
        self.in_flight = 0
        """Workers that hold items."""
        self.at_work = _AtWork(self)
        """The context in which a worker holds items."""
        self.held_back = 0
        """Those among them that wait for the permit of their call."""
        self.doubts_in_row: Counter[str] = Counter()
        """Lost answers of each lane since its last one that came."""
        self.checking_at: float | None = None
        """Wall time at which the next doubtful items are looked up; None where there are none."""
        self.waiting: dict[str, Forecast] = {}
        """What each worker that waits knows of its permit."""
        self.waits: set[Wait] = set()
        """Waits for permits that a drain calls off."""
        self.idle: set[str] = set()
        """Workers for which there is nothing to do."""
        self.draining = asyncio.Event()
        """Set when no new call may begin."""
        self.ending: RunnerError | None = None
        """Why the run ended before its work did; None where everything is settled."""
        self.interrupted = False
        self._feed = means.feed
        self._log = means.log
        self._waiters: dict[asyncio.Future[None], Callable[[], bool]] = {}

    @property
    def sending(self) -> int:
        """Workers that are at work on a call, and do not wait for its permit."""
        return self.in_flight - self.held_back

    @property
    def is_over(self) -> bool:
        """Whether everything is settled, and nothing can be pending or in doubt any more."""
        return self._feed.left == 0 and self.in_flight == 0 and self.counts[State.DOUBT] == 0

    def permit_at(self) -> float | None:
        """When the first of those who wait will have its permit, on the loop's clock; None where nobody knows."""
        return min((at for forecast in self.waiting.values() if (at := forecast()) is not None), default=None)

    def interrupt(self) -> None:
        """Begin no new call, wait for those in flight; the run can be resumed."""
        self.interrupted = True
        self._drain()

    def stop(self, error: RunnerError) -> None:
        """The same, because of an error; the first one is kept."""
        self.ending = self.ending or error
        self._drain()

    def _drain(self) -> None:
        self.draining.set()
        for wait in self.waits:
            wait.end()
        self.notify()

    def move(self, opened: Sequence[OpenItem], before: State, after: State) -> None:
        """Count items in another state."""
        self.counts[before] -= len(opened)
        self.counts[after] += len(opened)

    def settled(self, opened: Sequence[OpenItem], outcomes: Sequence[Outcome], before: State) -> None:
        """Count outcomes that are saved, and put back what is pending again."""
        again = {}
        for outcome in outcomes:
            self.counts[before] -= 1
            self.counts[outcome.state] += 1
            if outcome.state == State.PENDING:
                again[outcome.seq] = outcome
            self._log.debug(
                "item",
                seq=outcome.seq,
                state=_NAMES[outcome.state],
                code=outcome.code,
                trace_id=outcome.trace_id,
            )
        if again:
            self._feed.give_back([_again(item, again[item.seq]) for item in opened if item.seq in again])
        self.notify()

    def notify(self) -> None:
        """Wake whoever waits for a change."""
        for waiter, concerns in self._waiters.items():
            if not waiter.done() and concerns():
                waiter.set_result(None)

    async def wait_for_change(self, at_most_s: float = LOOK_S, concerns: Callable[[], bool] = lambda: True) -> None:
        """Wait until something changed, or for a while: what others see may change without a word.

        Args:
            concerns: whether a change means anything to who waits; looked at with every change.
        """
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = concerns
        try:
            async with asyncio.timeout(at_most_s):
                await waiter
        except TimeoutError:
            return
        finally:
            del self._waiters[waiter]


class _AtWork:
    """A worker holds items meanwhile."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def __enter__(self) -> None:
        self._course.in_flight += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._course.in_flight -= 1
        self._course.notify()


def _again(item: OpenItem, outcome: Outcome) -> OpenItem:
    """An open item as the journal has it now that it is pending again."""
    return dataclasses.replace(item, alone=item.alone or outcome.alone, revoke=outcome.revoke or item.revoke)
