"""The engine: pending items become calls, calls become outcomes, and doubt is settled.

One TaskGroup owns everything: the workers of the lanes, who looks up what is in doubt, and a watcher that leaves early
when it was asked to.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from clerk_jobs.call import State
from clerk_runner.carrying import Carrier
from clerk_runner.course import LONGEST_SLEEP_S, Course, EngineOptions, Means
from clerk_runner.doubts import Doubts
from clerk_runner.errors import RunnerError, StoppedError
from clerk_runner.exchange import Exchange
from clerk_runner.feed import Feed, Feeding
from clerk_runner.journal import Journal
from clerk_runner.lanes import Lanes
from clerk_runner.leaving import left_early
from clerk_runner.logs import Log
from clerk_runner.work import Payloads, Work

__all__ = ["Engine", "EngineOptions", "Status"]

WATCH_S = 0.25
"""Time between two looks at whether the run has to leave early."""


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot for the progress line.

    Attributes:
        checking_at: wall time at which the next doubtful items are looked up; None where there are none.
        next_permit_s: seconds until a lane gets its permit, 0.0 while one is at work; None where nothing waits.
    """

    counts: Counter[State]
    requests: int
    throttled: int
    doubtful: int
    checking_at: float | None
    next_permit_s: float | None
    trouble: str


class Engine:
    """Runs the pending items of one journal to their end.

    Args:
        counts: items by state, as the journal has them now.
        work: the kind of job.
        payloads: reads rows back.
        feed: which items are next; None takes them one by one, by group.
    """

    def __init__(  # noqa: PLR0913  all by name
        self,
        *,
        journal: Journal,
        exchange: Exchange,
        work: Work,
        payloads: Payloads,
        counts: Counter[State],
        options: EngineOptions,
        log: Log,
        feed: Feeding | None = None,
    ) -> None:
        """Start with nothing in flight."""
        means = Means(
            journal=journal,
            exchange=exchange,
            work=work,
            payloads=payloads,
            feed=Feed(journal, counts[State.PENDING]) if feed is None else feed,
            options=options,
            log=log,
        )
        self._exchange = exchange
        self._clock = exchange.clock
        self._options = options
        self._course = Course(means, counts)
        self._doubts = Doubts(means, self._course)
        self._lanes = Lanes(means, self._course, Carrier(means, self._course, self._doubts))

    @property
    def counts(self) -> Counter[State]:
        """Items by state."""
        return self._course.counts

    @property
    def ending(self) -> RunnerError | None:
        """Why the run ended before its work did; None where everything is settled."""
        return self._course.ending

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it."""
        return self._course.interrupted

    def interrupt(self) -> None:
        """Begin no new call, wait for those in flight; the run can be resumed."""
        self._course.interrupt()

    def status(self) -> Status:
        """A snapshot for people."""
        permit_at = self._course.permit_at()
        wait_s = None if permit_at is None else max(permit_at - self._clock.now(), 0.0)
        return Status(
            counts=Counter(self.counts),
            requests=self._exchange.requests,
            throttled=self._exchange.throttled,
            doubtful=self._course.counts[State.DOUBT],
            checking_at=self._course.checking_at,
            next_permit_s=0.0 if self._course.sending else wait_s,
            trouble=self._exchange.trouble,
        )

    async def run(self) -> None:
        """Work until everything is settled, or until told to leave; see ``ending`` and ``interrupted``."""
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(self._watch(), name="watcher")
            lanes = [
                group.create_task(self._guard(self._lanes.work(lane, name)), name=name)
                for lane, name in self._lanes.workers
            ]
            reconciler = group.create_task(self._guard(self._doubts.run()), name="reconciler")
            for task in lanes:
                task.add_done_callback(lambda _: self._course.notify())
            drained = group.create_task(self._end_drain([*lanes, reconciler]), name="drain")
            await asyncio.wait([*lanes, reconciler])
            watcher.cancel()
            drained.cancel()

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Turn what ends one task into an end of the run that lets the others finish their calls."""
        try:
            await work
        except RunnerError as error:
            self._course.stop(error)
        except (sqlite3.Error, OSError) as error:
            self._course.stop(
                StoppedError(
                    f"the run's files cannot be written: {error}",
                    code="disk",
                    hint="free some disk space, then resume the run; everything that was sent is on record",
                )
            )

    async def _end_drain(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Give calls in flight their time to end after a drain began, no longer."""
        await self._course.draining.wait()
        await self._clock.sleep(self._options.drain_s)
        for task in tasks:
            task.cancel()

    async def _watch(self) -> None:
        """Leave when the next permit, or the time given, is too far away."""
        max_wait_s, max_time_s = self._options.max_wait_s, self._options.max_time_s
        ends_at = math.inf if max_time_s is None else self._clock.now() + max_time_s
        while max_wait_s is not None or max_time_s is not None:
            left_s = ends_at - self._clock.now()
            await self._clock.sleep(min(left_s, LONGEST_SLEEP_S if max_wait_s is None else WATCH_S))
            if self._clock.now() >= ends_at:
                self._course.stop(
                    left_early("the time given with --max-time is over", "the next permit", self._lanes.permit_at())
                )
                return
            idle = self._idle_until()
            if max_wait_s is not None and idle is not None and idle[1] - self._clock.wall() > max_wait_s:
                self._course.stop(left_early(f"{idle[0]} is further away than --max-wait", "it", idle[1]))
                return

    def _idle_until(self) -> tuple[str, float] | None:
        """What happens next and when (unix time), if nothing is at work before; None between two calls."""
        if self._course.sending or len(self._course.waiting) + len(self._course.idle) < len(self._lanes.workers):
            return None
        now, wall = self._clock.now(), self._clock.wall()
        permit_at = self._course.permit_at()
        events = [] if permit_at is None else [("the next permit", wall + permit_at - now)]
        if self._course.checking_at is not None:
            events.append(("the check of what is in doubt", self._course.checking_at))
        return min(events, key=lambda event: event[1], default=None)
