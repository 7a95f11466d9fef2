"""The parts of a run, taken through one after the other: each is prepared, sent, and has ended before the next.

To prepare a part is to bind its references, to skip what earlier runs of the job did, and to read what its kind reads
of Clerk before the first write. The first part is prepared before anything is shown and asked; what goes wrong with a
later one ends the run as it would end in the middle of sending: resumable, with its reports.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from clerk_jobs.call import State
from clerk_limits.clock import Clock
from clerk_runner.around import Around
from clerk_runner.backing_up import Backup, backup_done
from clerk_runner.binding import bind, has_open, has_sent
from clerk_runner.bringing import Bringer
from clerk_runner.engine import Engine, EngineOptions
from clerk_runner.errors import RunnerError
from clerk_runner.exchange import Exchange
from clerk_runner.finishing import engine_progress
from clerk_runner.folders import RunFolder
from clerk_runner.groups import unwrapped
from clerk_runner.interrupts import Interrupts
from clerk_runner.journal import Journal
from clerk_runner.kind import SCREENERS, Screens, Surroundings
from clerk_runner.landing import landing_s, told_or_left
from clerk_runner.leaving import clock_text, left_early
from clerk_runner.logs import Log
from clerk_runner.meter import Meter
from clerk_runner.parts import Part
from clerk_runner.planner import Forecast
from clerk_runner.reporting.record import Record
from clerk_runner.request import RunRequest, disk_error
from clerk_runner.view import Progress, View
from clerk_runner.watchdog import watch_loop

__all__ = ["Stepper"]

T = TypeVar("T")

WATCH_S = 0.25
BESIDE = "beside"
"""The fact that something is kept beside a part's sending, and was not brought to its end."""


class Stepper:
    """Takes the parts of one run through.

    Attributes:
        backups: where parts save what they name, by their places.
        screener: what the part that was prepared last has read.
    """

    def __init__(
        self,
        request: RunRequest,
        parts: Sequence[Part],
        view: View,
        interrupts: Interrupts,
        clock: Clock,
    ) -> None:
        """Begin the time that ``--max-time`` counts."""
        self._request = request
        self._parts = parts
        self._view = view
        self._interrupts = interrupts
        self._clock = clock
        self._began = time.monotonic()
        self._bringer = Bringer(request, parts, view, interrupts, self._time_left)
        self.backups: Mapping[int, Path] = {}
        self.record: Record | None = None
        """What the report draws of the run's course; None until the run is open."""
        self.log: Log | None = None
        """Of the run; None until it is open."""
        self.screener: Screens | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._began

    def close(self) -> None:
        """Close the inputs that came from lists."""
        self._bringer.close()

    async def bring_rows(self, around: Around) -> None:
        """See to it that a job that takes its rows from a list has them, and what is known of later steps' lists."""
        await self._bringer.begin(around)

    async def back_up(self, number: int, around: Around) -> None:
        """Save what the rows of a part name, where it wants that; nothing is sent before that is on the disk."""
        target = self.backups.get(number)
        part = self._parts[min(number, len(self._parts) - 1)]
        journal = part.journal_of(around.journal)
        pending = (await journal.counts())[State.PENDING]
        if target is None or not pending:
            return
        assert part.kind.saves is not None
        payloads = part.kind.payloads(part.source, journal)
        workers = SCREENERS[self._request.credentials.key.kind.value]
        backup = Backup(journal, around.exchange, payloads, part.kind.saves[1], target, workers)
        label = f"{part.name}: backing up" if part.name else "backing up"
        await self._followed(backup.write(), lambda: Progress(label, backup.seen, pending))

    async def read_inputs(self, around: Around, *, change: bool) -> None:
        """Take the rows of every part in: each may refer to those of the parts before."""
        if self._parts[0].name:
            await around.journal.add_names()
        for part in self._parts:
            if part.given is not None:
                await self._take_in(part, around, change=change)

    async def _take_in(self, part: Part, around: Around, *, change: bool) -> None:
        around.named.forget()
        await part.take_in(around.journal, change=change)
        await self._skip_done(part, around)

    async def next_open(self, journal: Journal, number: int) -> int:
        """The first part from this one on that has anything left to do; nobody knows that of one that lists later."""
        while number < len(self._parts):
            part = self._parts[number]
            if part.given is None or await has_open(part.journal_of(journal)):
                break
            number += 1
        return number

    async def counts(self, journal: Journal) -> list[Counter[State]]:
        """Items by state, of each part."""
        return [await part.journal_of(journal).counts() for part in self._parts]

    async def outlast_others(self, around: Around) -> None:
        """Wait until nothing that a run left behind had under way can arrive; looking people up before would err."""
        left_s = landing_s(
            self._request.state,
            around.folder,
            self._clock.wall(),
            quarantine_s=self._request.job.reconcile.quarantine,
            speed=self._request.credentials.speed,
        )
        if left_s > 0:
            told = told_or_left(left_s, self._clock.wall(), self._request.max_wait_s, self._time_left())
            pending = sum(each[State.PENDING] for each in await self.counts(around.journal))
            await self._followed(self._clock.sleep(left_s), lambda: Progress("waiting", 0, pending, told))

    async def prepare(self, number: int, around: Around) -> None:
        """Bring a part to where its sending may begin; the parts before it have ended.

        What an earlier start prepared is read again only where its kind wants that, or where rows have come since.
        """
        part, revived = self._parts[number], 0
        own = part.journal_of(around.journal)
        if await self._bringer.bring(part, around):
            await self._take_in(part, around, change=await has_sent(own))
            await self._bringer.took_in(part, around)
        if part.refers:
            around.named.forget()
            # What was saved cannot be added to: rows that come later are for a retry, with a backup of its own.
            revived = await bind(own, part.source, part.kind.drafting, revive=not await backup_done(own))
            await part.kind.judge(own)
            await self._skip_done(part, around)
        prepared = await around.journal.get("prepared")
        if prepared is None:
            # A journal of a version that knew no steps has one part, prepared before it was sent.
            prepared = int(await around.journal.get("state") not in (None, "planned"))
        if number >= prepared or part.kind.rereads or revived:
            await self._screen(part, around)
            await around.journal.put(prepared=max(prepared, number + 1))

    async def carry(self, around: Around, first: int, forecast: Forecast) -> tuple[RunnerError | None, bool]:
        """Work on one part after the other, from the one that is prepared.

        Returns:
            Why that ended early, and whether a signal did it.
        """
        error, interrupted, number = await self._mend_besides(first, around), False, first
        meter = Meter(around.exchange, forecast)
        while error is None and number < len(self._parts):
            if number > first:
                error, interrupted = await self._prepare_later(number, around)
            if error is None and not interrupted:
                error, interrupted = await self._send(self._parts[number], around, meter)
            if error is not None or interrupted:
                break
            number = await self.next_open(around.journal, number + 1)
        return error, interrupted

    async def _mend_besides(self, first: int, around: Around) -> RunnerError | None:
        """End what a process that died left beside parts that have nothing to send any more."""
        for part in self._parts[:first]:
            if await around.journal.get(part.span.fact(BESIDE)):
                beside = part.kind.beside(self._request, around.folder, part.journal_of(around.journal))
                if beside is not None:
                    await beside.begin()
                    if (trouble := await beside.end()) is not None:
                        return trouble
                await around.journal.put(**{part.span.fact(BESIDE): False})
        return None

    async def _prepare_later(self, number: int, around: Around) -> tuple[RunnerError | None, bool]:
        around.log.info("step", name=self._parts[number].name)

        async def prepare() -> None:
            await self.prepare(number, around)
            await self.back_up(number, around)

        preparing = asyncio.ensure_future(prepare())

        def drain() -> None:
            preparing.cancel()

        self._interrupts.drain = drain
        if self._interrupts.received is not None:
            drain()
        try:
            await preparing
        except RunnerError as error:
            # A walk through a list ends by itself when a signal comes, and says so.
            return (None, True) if error.code == "interrupted" else (error, False)
        except (sqlite3.Error, OSError) as error:
            return disk_error(error, around.folder.id), False
        except asyncio.CancelledError:
            if self._interrupts.received is None:
                raise
            return None, True
        return None, False

    async def _send(self, part: Part, around: Around, meter: Meter) -> tuple[RunnerError | None, bool]:
        """Send what is pending of a part."""
        left_s, job = self._time_left(), self._request.job
        journal, kind = part.journal_of(around.journal), part.kind
        counts = await journal.counts()
        engine = Engine(
            journal=journal,
            exchange=around.exchange,
            work=kind.work,
            payloads=kind.payloads(part.source, journal),
            feed=kind.feed(journal, counts[State.PENDING]),
            counts=counts,
            options=EngineOptions(
                quarantine_s=job.reconcile.quarantine,
                stop_after=part.job.errors.stop_after,
                max_wait_s=self._request.max_wait_s,
                max_time_s=None if left_s is None else max(left_s, 0.0),
                speed=self._request.credentials.speed,
            ),
            log=around.log,
        )
        self._interrupts.drain = engine.interrupt
        if self._interrupts.received is not None:
            engine.interrupt()
        beside = kind.beside(self._request, around.folder, journal)
        if beside is not None:
            await journal.put(**{part.span.fact(BESIDE): True})
            await beside.begin()
        try:
            follow = None if beside is None else beside.follow()
            await self._followed(
                engine.run(), lambda: meter.complete(engine_progress(engine, kind.words, part.name)), follow
            )
        except asyncio.CancelledError:
            # The second signal: calls in flight were cut off, and their open intents are the next run's doubts.
            if self._interrupts.received is None:
                raise
            engine.interrupt()
        trouble = None if beside is None else await beside.end()
        if beside is not None and trouble is None:
            await journal.put(**{part.span.fact(BESIDE): False})
        return engine.ending or trouble, engine.interrupted

    async def _skip_done(self, part: Part, around: Around) -> None:
        ids = await around.journal.get("finished") or ()
        await part.skip_done(around.journal, [RunFolder(self._request.state.runs / each) for each in ids])

    async def _screen(self, part: Part, around: Around) -> None:
        kind, journal, exchange = part.kind, part.journal_of(around.journal), around.exchange
        pending = (await journal.counts())[State.PENDING]
        payloads = kind.payloads(part.source, journal)
        listed = await self._bringer.is_fresh(part, around)
        instance = self._request.credentials.key.kind
        surroundings = Surroundings(journal, exchange, payloads, around.log, instance, listed)
        screener = self.screener = kind.screener(surroundings)
        checking = f"{part.name}: {kind.words.checking}" if part.name else kind.words.checking

        def progress() -> Progress:
            until = self._closed_until(exchange)
            detail = f"Clerk closed a list until {clock_text(until)}" if until > self._clock.wall() else ""
            return meter.complete(Progress(checking, min(screener.screened, pending), pending, detail))

        meter = Meter(exchange)
        await self._followed(screener.run(), progress, self._watch_reads(exchange))

    async def _watch_reads(self, exchange: Exchange) -> None:
        """Leave before the first write where the time is over, or where a 429 closes a list for too long."""
        max_wait_s = self._request.max_wait_s
        while max_wait_s is not None or self._request.max_time_s is not None:
            until, left_s = self._closed_until(exchange), self._time_left()
            if left_s is not None and left_s <= 0:
                permit_s = until if until > self._clock.wall() else None
                raise left_early("the time given with --max-time is over", "the next permit", permit_s)
            if max_wait_s is not None and until - self._clock.wall() > max_wait_s:
                raise left_early("a list is closed for longer than --max-wait", "its next permit", until)
            await self._clock.sleep(WATCH_S)

    def _closed_until(self, exchange: Exchange) -> float:
        """Unix time at which every list that a 429 closed is open again, in the past where none is closed."""
        blocked = exchange.gate.blocked_until().items()
        return max((until for name, until in blocked if name.startswith(("GET", "*"))), default=0.0)

    def _time_left(self) -> float | None:
        """Seconds of ``--max-time`` that are left; None without one."""
        given = self._request.max_time_s
        return None if given is None else given - self.elapsed_s

    async def _followed(
        self,
        work: Coroutine[Any, Any, T],
        read: Callable[[], Progress],
        watch: Coroutine[Any, Any, None] | None = None,
    ) -> T:
        """Do the work while its progress is shown, and while ``watch`` may end it by an error."""
        with unwrapped():
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(self._view.follow(read), name="progress")]
                if self.record is not None:
                    beside.append(group.create_task(self.record.follow(read), name="record"))
                if self.log is not None:
                    beside.append(group.create_task(watch_loop(self.log), name="watchdog"))
                if watch is not None:
                    beside.append(group.create_task(watch, name="watch"))
                try:
                    return await work
                finally:
                    for task in beside:
                        task.cancel()
