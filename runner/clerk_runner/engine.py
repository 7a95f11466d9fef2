"""The engine: pending items become calls, calls become outcomes, and doubt is settled.

One TaskGroup owns everything: as many workers for each lane as it may have requests in flight, a reconciler, and a
watcher that leaves early when it was asked to. A lane of ONCE calls waits for its permit first and takes items only
then, so an item that can go two ways goes by the lane whose permit comes first. A lane of IDEMPOTENT calls takes items
first, because its permit may be for their subject alone, and repeats a call for a minute before it is a doubt.

The order of one call: permit, intent (durable), send within 5 s, outcome (durable), then the count that people see.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from clerk_jobs.call import Call, Item, Lane, Outcome, ReadRefused, Safety, State
from clerk_jobs.jobfile import StopAfter
from clerk_limits.clock import Clock
from clerk_limits.gate import Permit
from clerk_runner.errors import LeftEarly, RunnerError, StoppedError
from clerk_runner.exchange import Exchange, Sent, fatal_error
from clerk_runner.feed import Feed, Feeding
from clerk_runner.journal import Doubt, Intent, Journal, OpenItem
from clerk_runner.logs import Log
from clerk_runner.work import Payloads, Work

__all__ = ["DOUBTS_IN_A_ROW", "DOUBTS_PER_ITEM", "RESERVE", "Engine", "EngineOptions", "Status"]

INTENT_LIFE_S = 5.0
"""Longest time between an intent and its send."""
DOUBTS_IN_A_ROW = 3
"""Lost answers after which a lane waits until one of them is settled."""
DOUBTS_PER_ITEM = 5
"""How often one item may get into doubt before a person has to look at it."""
RESERVE = 5
"""Permits of the single lane's hour that are kept for re-sends while the bulk lane has work."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What may change between two starts of one run.

    Attributes:
        quarantine_s: how long absence proves nothing, from the end of an attempt, before ``speed``.
        stop_after: how many failed items stop the run.
        max_wait_s: leave when the next permit is further away.
        max_time_s: leave after this long.
        most_items: most items in one call; None where the lanes alone say how many.
        drain_s: how long calls in flight may take to end once the run is leaving.
    """

    quarantine_s: float = 120.0
    stop_after: StopAfter = field(default_factory=lambda: StopAfter(share=0.2))
    max_wait_s: float | None = None
    max_time_s: float | None = None
    speed: float = 1.0
    most_items: int | None = None
    drain_s: float = 30.0


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
        self._journal = journal
        self._exchange = exchange
        self._clock: Clock = exchange.clock
        self._work = work
        self._payloads = payloads
        self._options = options
        self._feed: Feeding = Feed(journal, counts[State.PENDING]) if feed is None else feed
        self._workers = sum(lane.at_once for lane in work.lanes)
        self._log = log
        self.counts = counts
        self._sent_failed = 0
        self._sent_settled = 0
        self._in_flight = 0
        self._held_back = 0
        self._unsent = 0
        self._doubts_in_row: Counter[str] = Counter()
        self._monotonic_due: dict[int, float] = {}
        self._checking_at: float | None = None
        self._waiting: dict[str, float | None] = {}
        self._idle: set[str] = set()
        self._changed = asyncio.Event()
        self._draining = asyncio.Event()
        self.ending: RunnerError | None = None
        """Why the run ended before its work did; None where everything is settled."""
        self.interrupted = False

    def status(self) -> Status:
        """A snapshot for people."""
        waits = [wait for wait in self._waiting.values() if wait is not None]
        return Status(
            counts=Counter(self.counts),
            requests=self._exchange.requests,
            throttled=self._exchange.throttled,
            doubtful=self.counts[State.DOUBT],
            checking_at=self._checking_at,
            next_permit_s=min(waits) if waits and not self._sending else (0.0 if self._sending else None),
            trouble=self._exchange.trouble,
        )

    @property
    def _sending(self) -> int:
        """Workers that are at work on a call, and do not wait for its permit."""
        return self._in_flight - self._held_back

    def interrupt(self) -> None:
        """Begin no new call, wait for those in flight; the run can be resumed."""
        self.interrupted = True
        self._draining.set()
        self._notify()

    def _stop(self, error: RunnerError) -> None:
        """The same, because of an error; the first one is kept."""
        self.ending = self.ending or error
        self._draining.set()
        self._notify()

    async def run(self) -> None:
        """Work until everything is settled, or until told to leave; see ``ending`` and ``interrupted``."""
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(self._watch(), name="watcher")
            lanes = [
                group.create_task(self._guard(self._lane(lane, name)), name=name)
                for lane in self._work.lanes
                for name in _names(lane)
            ]
            reconciler = group.create_task(self._guard(self._reconciler()), name="reconciler")
            for task in lanes:
                task.add_done_callback(lambda _: self._notify())
            drained = group.create_task(self._end_drain([*lanes, reconciler]), name="drain")
            await asyncio.wait([*lanes, reconciler])
            watcher.cancel()
            drained.cancel()

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Turn what ends one task into an end of the run that lets the others finish their calls."""
        try:
            await work
        except RunnerError as error:
            self._stop(error)
        except (sqlite3.Error, OSError) as error:
            self._stop(
                StoppedError(
                    f"the run's files cannot be written: {error}",
                    code="disk",
                    hint="make room on the disk, then resume the run; nothing was sent that is not on record",
                )
            )

    async def _end_drain(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Give calls in flight their time to end after a drain began, no longer."""
        await self._draining.wait()
        await self._clock.sleep(self._options.drain_s)
        for task in tasks:
            task.cancel()

    # ------------------------------------------------------------------ lanes

    async def _lane(self, lane: Lane, worker: str) -> None:
        alone = self._takes_alone(lane)
        carry = self._carry_once if lane.safety is Safety.ONCE else self._carry_repeatable
        while await self._has_work(lane, worker, alone=alone):
            await carry(lane, worker)

    async def _carry_once(self, lane: Lane, worker: str) -> None:
        """A call whose permit comes before its items are chosen."""
        alone = self._takes_alone(lane)
        size = self._call_size(lane)
        spare = self._spare(lane)
        permit = await self._permit(
            lambda: self._exchange.gate.acquire(lane.method, lane.template, items=size, spare=spare),
            self._called_off(lane, worker, spare),
            worker,
        )
        if permit is None:
            return
        opened = [] if self._draining.is_set() else self._feed.take(size, alone=alone)
        if not opened:
            permit.give_back()
            return
        with self._at_work():
            try:
                call = await self._prepare(lane, opened)
            except BaseException:
                permit.give_back()
                raise
            if call is None:
                permit.give_back()
            else:
                await self._carry(lane, opened, *call, permit)

    async def _carry_repeatable(self, lane: Lane, worker: str) -> None:
        """A call whose permit may be for its items' subject alone."""
        opened = self._feed.take(self._call_size(lane), alone=True)
        if not opened:
            return
        with self._at_work():
            prepared = await self._prepare(lane, opened)
            if prepared is None:
                return
            permit = await self._permit_for(prepared[1], opened, worker)
            if permit is not None:
                await self._carry(lane, opened, *prepared, permit)

    async def _permit_for(self, call: Call, opened: list[OpenItem], worker: str) -> Permit | None:
        """A permit for the call of items that are held meanwhile; they are given back where a drain comes first."""
        permit = None
        self._held_back += 1
        try:
            permit = await self._permit(
                lambda: self._exchange.gate.acquire(call.method, call.template, subject=call.subject, items=call.items),
                self._drained(call, worker),
                worker,
            )
        finally:
            self._held_back -= 1
            if permit is None:
                self._feed.give_back(opened)
        return permit

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            self._notify()

    def _takes_alone(self, lane: Lane) -> bool:
        return lane.size == 1 or len(self._work.lanes) == 1

    async def _has_work(self, lane: Lane, worker: str, *, alone: bool) -> bool:
        """Wait until this lane may begin a call; False once it never will again."""
        self._idle.discard(worker)
        while not self._draining.is_set():
            await self._feed.fill()
            held_up = self._doubts_in_row[lane.name] >= DOUBTS_IN_A_ROW and self.counts[State.DOUBT] > 0
            if self._feed.has(alone=alone) and not held_up:
                self._idle.discard(worker)
                return True
            self._idle.add(worker)
            if self._feed.left == 0 and self._in_flight == 0 and self.counts[State.DOUBT] == 0:
                self._notify()
                return False
            await self._wait_for_change()
        return False

    def _call_size(self, lane: Lane) -> int:
        """Most items in the lane's next call: its permit is for no more, and none may be for what cannot come."""
        most = lane.size if self._options.most_items is None else min(lane.size, self._options.most_items)
        return min(most, max(self._feed.left, 1))

    async def _permit(
        self, acquiring: Callable[[], Coroutine[Any, Any, Permit]], calling_off: Coroutine[Any, Any, None], worker: str
    ) -> Permit | None:
        """A permit for one call; None where the wait was called off."""
        acquire = asyncio.ensure_future(acquiring())
        called_off = asyncio.ensure_future(calling_off)
        try:
            await asyncio.wait((acquire, called_off), return_when=asyncio.FIRST_COMPLETED)
            if acquire.done():
                return acquire.result()
            return None
        finally:
            self._waiting.pop(worker, None)
            called_off.cancel()
            if not acquire.done():
                acquire.cancel()
            await asyncio.gather(acquire, called_off, return_exceptions=True)

    def _spare(self, lane: Lane) -> int:
        """Keep some of the single lane's hour for re-sends, as long as the bulk lane can carry what is left."""
        both = len(self._work.lanes) > 1
        return RESERVE if both and lane.size == 1 and not self._feed.urgent and self._feed.left > RESERVE else 0

    async def _called_off(self, lane: Lane, worker: str, spare: int) -> None:
        """Ends when waiting for the lane's permit has lost its sense: a drain, or other work than it was for."""
        alone = self._takes_alone(lane)
        while not self._draining.is_set() and self._feed.has(alone=alone) and self._spare(lane) == spare:
            self._waiting[worker] = self._exchange.gate.next_in(lane.method, lane.template, spare=spare)
            await self._wait_for_change()

    async def _drained(self, call: Call, worker: str) -> None:
        """Ends with a drain; tells meanwhile how far away the call's permit is."""
        while not self._draining.is_set():
            self._waiting[worker] = self._exchange.gate.next_in(call.method, call.template, subject=call.subject)
            await self._wait_for_change()

    async def _prepare(self, lane: Lane, opened: list[OpenItem]) -> tuple[list[Item], Call] | None:
        """The items with their payloads, and their call; None where they are settled without one."""
        try:
            items = await asyncio.to_thread(self._payloads.items, opened)
            prepared = await self._exchange.converse(self._work.prepare(lane, items))
            if isinstance(prepared, Call):
                return items, prepared
            await self._journal.settle(prepared)
        except BaseException:
            self._feed.give_back(opened)
            raise
        self._settled(opened, prepared, State.PENDING)
        return None

    async def _carry(self, lane: Lane, opened: list[OpenItem], items: list[Item], call: Call, permit: Permit) -> None:
        """One call, from the permit to its outcome."""
        try:
            begun = await self._begin(lane, opened)
        except BaseException:
            permit.give_back()
            self._feed.give_back(opened)
            raise
        if begun is None:
            permit.give_back()
            self._feed.give_back(opened)
            return
        intent, attempt = begun
        self._count(opened, State.PENDING, State.INTENT)
        carry = self._exchange.once if lane.safety is Safety.ONCE else self._exchange.repeated
        sent = await carry(call, permit)
        ended_ms = _ms(self._clock.wall())
        if sent.end == "not_sent":
            await self._journal.withdraw(attempt, intent.seqs)
            self._count(opened, State.INTENT, State.PENDING)
            self._feed.give_back(opened)
            self._unsent += 1
            if self._exchange.stop is None:
                await self._pause()
        else:
            self._unsent = 0
            outcomes = await self._outcomes(lane, items, intent, sent)
            await self._journal.finish(attempt, ended_ms, outcomes, answered=sent.end != "lost")
            if any(outcome.state == State.DOUBT for outcome in outcomes):
                self._monotonic_due[attempt] = self._clock.now() + self._options.quarantine_s / self._options.speed
            self._note(lane, opened, outcomes)
        if self._exchange.stop is not None:
            self._stop(self._exchange.stop)

    async def _pause(self) -> None:
        """Wait before the next try; a drain does not wait for it."""
        pause = asyncio.ensure_future(self._exchange.pause(self._unsent))
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait((pause, draining), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            draining.cancel()
            await asyncio.gather(pause, draining, return_exceptions=True)

    async def _begin(self, lane: Lane, opened: Sequence[OpenItem]) -> tuple[Intent, int] | None:
        """Write the intent down; None where a drain began before the send.

        Where the disk was slow, the intent's time is moved, so that it tells when the send began.
        """
        if self._draining.is_set():
            return None
        seqs = tuple(item.seq for item in opened)

        def now() -> Intent:
            wall = self._clock.wall()
            return Intent(lane.method, lane.template, seqs, _ms(wall), _ms(wall + self._exchange.client.offset_s))

        intent = now()
        begun = self._clock.now()
        attempt = await self._journal.begin(intent)
        while self._clock.now() - begun > INTENT_LIFE_S / self._options.speed:
            intent, begun = now(), self._clock.now()
            await self._journal.renew(attempt, intent.intent_ms, intent.server_ms)
        if self._draining.is_set():
            await self._journal.withdraw(attempt, seqs)
            return None
        return intent, attempt

    async def _outcomes(self, lane: Lane, items: Sequence[Item], intent: Intent, sent: Sent) -> list[Outcome]:
        """What the end of a call means for its items."""
        if sent.end == "throttled":
            return [Outcome(item.seq, State.PENDING) for item in items]
        if sent.end == "lost":
            self._log.warning("doubt", operation=lane.operation, items=len(items), reason=sent.reason)
            return [Outcome(item.seq, State.DOUBT) for item in items]
        assert sent.reply is not None
        if (error := fatal_error(sent.reply)) is not None:
            self._stop(error)
            # A call of many may have been carried out up to the end of the plan; a wrong key does nothing.
            state = State.PENDING if len(items) == 1 or sent.reply.status == 401 else State.DOUBT
            return [Outcome(item.seq, state) for item in items]
        outcomes = self._work.settle(lane, items, sent.reply)
        if outcomes is not None:
            return outcomes
        self._log.info("refused", code=sent.reply.code, items=len(items), trace_id=sent.reply.trace_id)
        since_ms = min([intent.server_ms, *(item.since_ms for item in items if item.since_ms is not None)])
        try:
            return await self._exchange.converse(self._work.after_refusal(items, since_ms, sent.reply))
        except ReadRefused as error:
            self._log.warning("doubt", operation=lane.operation, items=len(items), reason=str(error))
        except RunnerError as error:
            self._stop(error)
        return [Outcome(item.seq, State.DOUBT) for item in items]

    def _note(self, lane: Lane, opened: Sequence[OpenItem], outcomes: Sequence[Outcome]) -> None:
        """Count what was saved, put back what is pending, and stop where too much fails."""
        doubt = any(outcome.state == State.DOUBT for outcome in outcomes)
        self._doubts_in_row[lane.name] = self._doubts_in_row[lane.name] + 1 if doubt else 0
        self._settled(opened, outcomes, State.INTENT)
        for outcome in outcomes:
            if outcome.state in (State.DONE, State.SKIPPED, State.FAILED):
                self._sent_settled += 1
                self._sent_failed += outcome.state == State.FAILED
        failed, settled = self._sent_failed, self._sent_settled
        if self.ending is None and self._options.stop_after.reached(failed, settled):
            self._stop(
                StoppedError(
                    f"{failed} of the {settled} items sent have failed, which is over errors.stop_after",
                    code="threshold",
                    hint="read the failed rows, mend the cause, then resume the run",
                )
            )

    def _settled(self, opened: Sequence[OpenItem], outcomes: Sequence[Outcome], before: State) -> None:
        by_seq = {item.seq: item for item in opened}
        again = []
        for outcome in outcomes:
            self.counts[before] -= 1
            self.counts[outcome.state] += 1
            if outcome.state == State.PENDING:
                again.append(_again(by_seq[outcome.seq], outcome))
            self._log.debug(
                "item",
                seq=outcome.seq,
                state=outcome.state.name.lower(),
                code=outcome.code,
                trace_id=outcome.trace_id,
            )
        self._feed.give_back(again)
        self._notify()

    def _count(self, opened: Sequence[OpenItem], before: State, after: State) -> None:
        self.counts[before] -= len(opened)
        self.counts[after] += len(opened)

    # ------------------------------------------------------------------ doubt

    async def _reconciler(self) -> None:
        """Look up what is in doubt once its quarantine is over; ends when nothing can get into doubt any more."""
        while not self._draining.is_set():
            doubts = await self._journal.doubts() if self.counts[State.DOUBT] else []
            if not doubts:
                self._checking_at = None
                if self._feed.left == 0 and self._in_flight == 0 and self.counts[State.DOUBT] == 0:
                    return
                await self._wait_for_change()
                continue
            waits = {doubt.attempt: self._quarantine_left(doubt) for doubt in doubts}
            soonest = min(waits.values())
            self._checking_at = self._clock.wall() + max(soonest, 0.0)
            if soonest > 0:
                # In slices, so that a suspended machine or a set clock is noticed.
                await self._wait_for_change(min(soonest, 30.0))
                continue
            for doubt in doubts:
                if waits[doubt.attempt] <= 0 and not self._draining.is_set():
                    await self._reconcile(doubt)

    def _quarantine_left(self, doubt: Doubt) -> float:
        """Seconds until absence proves something: by the wall clock and, where this process sent it, ours too."""
        speed = self._options.speed
        base_ms = doubt.ended_ms if doubt.ended_ms is not None else doubt.intent_ms + INTENT_LIFE_S * 1000 / speed
        quarantine_s = self._options.quarantine_s / speed
        # A wall clock set back must not make anybody wait longer than the quarantine itself.
        wall_left = min(base_ms / 1000 + quarantine_s - self._clock.wall(), quarantine_s)
        return max(wall_left, self._monotonic_due.get(doubt.attempt, 0.0) - self._clock.now())

    async def _reconcile(self, doubt: Doubt) -> None:
        items = await asyncio.to_thread(self._payloads.items, doubt.items)
        since_ms = min([doubt.server_ms, *(item.since_ms for item in doubt.items if item.since_ms is not None)])
        try:
            outcomes = await self._exchange.converse(self._work.reconcile(items, since_ms))
        except ReadRefused as error:
            outcomes = [_unresolved(item.seq, f"it may have happened, and {error}") for item in doubt.items]
        doubts = {item.seq: item.doubts for item in doubt.items}
        outcomes = [
            _unresolved(outcome.seq, f"{doubts[outcome.seq]} answers were lost")
            if outcome.state == State.PENDING and doubts[outcome.seq] >= DOUBTS_PER_ITEM
            else outcome
            for outcome in outcomes
        ]
        await self._journal.settle(outcomes)
        self._monotonic_due.pop(doubt.attempt, None)
        self._doubts_in_row.clear()
        self._log.info("reconciled", items=len(outcomes), found=sum(one.state == State.DONE for one in outcomes))
        self._settled(doubt.items, outcomes, State.DOUBT)

    # ------------------------------------------------------------------ leaving

    async def _watch(self) -> None:
        """Leave when the next permit, or the time given, is too far away."""
        begun = self._clock.now()
        while True:
            options = self._options
            await self._clock.sleep(0.25)
            if options.max_time_s is not None and self._clock.now() - begun >= options.max_time_s:
                self._stop(_left("the time given with --max-time is over", None))
                return
            wait = self._longest_idle()
            if options.max_wait_s is not None and wait is not None and wait > options.max_wait_s:
                self._stop(_left("the next permit is further away than --max-wait", self._clock.wall() + wait))
                return

    def _longest_idle(self) -> float | None:
        """Seconds in which nothing at all will happen; None while something is at work, or between two calls."""
        if self._sending or len(self._waiting) + len(self._idle) < self._workers:
            return None
        waits = [wait for wait in self._waiting.values() if wait is not None]
        if self._checking_at is not None:
            waits.append(self._checking_at - self._clock.wall())
        return min(waits) if waits else None

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _wait_for_change(self, at_most_s: float = 1.0) -> None:
        """Wait until something changed, or for a while: what others see may change without a word."""
        changed = self._changed
        try:
            async with asyncio.timeout(at_most_s):
                await changed.wait()
        except TimeoutError:
            return


def _names(lane: Lane) -> list[str]:
    """The workers of a lane, by name."""
    return [lane.name] if lane.at_once == 1 else [f"{lane.name} {number}" for number in range(1, lane.at_once + 1)]


def _again(item: OpenItem, outcome: Outcome) -> OpenItem:
    """An open item as the journal has it now that it is pending again."""
    return dataclasses.replace(item, alone=item.alone or outcome.alone, revoke=outcome.revoke or item.revoke)


def _unresolved(seq: int, why: str) -> Outcome:
    return Outcome(seq, State.UNRESOLVED, "unresolved", f"{why}: look at Clerk's own list before you send it again")


def _left(why: str, until_s: float | None) -> LeftEarly:
    hint = "run the same command again to go on"
    if until_s is None:
        return LeftEarly(why, code="left_early", hint=hint)
    when = datetime.datetime.fromtimestamp(until_s).astimezone()
    return LeftEarly(
        f"{why}: it comes at {when:%H:%M:%S}",
        code="left_early",
        hint=hint,
        until=when.isoformat("T", "seconds"),
    )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
