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
import math
import sqlite3
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from clerk_jobs.call import Call, Item, Lane, Outcome, ReadRefused, Safety, State
from clerk_jobs.jobfile import StopAfter
from clerk_limits.clock import Clock
from clerk_limits.gate import Permit
from clerk_runner.call_size import RESERVE, CallSizes
from clerk_runner.errors import RunnerError, StoppedError
from clerk_runner.exchange import Exchange, Sent, fatal_error
from clerk_runner.feed import Feed, Feeding
from clerk_runner.journal import Doubt, Intent, Journal, OpenItem
from clerk_runner.leaving import left_early
from clerk_runner.logs import Log
from clerk_runner.work import Payloads, Work

__all__ = ["DOUBTS_IN_A_ROW", "DOUBTS_PER_ITEM", "Engine", "EngineOptions", "Status"]

INTENT_LIFE_S = 5.0
"""Longest time between an intent and its send."""
LONGEST_SLEEP_S = 30.0
"""Longest time without a look: the machine may have slept, and its clock may have been set."""
LOOK_S = 1.0
"""Time between two looks at what others may change without a word."""
WATCH_S = 0.25
"""Time between two looks at whether the run has to leave early."""
ANYBODY = ""
"""A subject whose own window is free, to ask what the others would let through."""
DOUBTS_IN_A_ROW = 3
"""Lost answers after which a lane waits until one of them is settled."""
DOUBTS_PER_ITEM = 5
"""How often one item may get into doubt before a person has to look at it."""


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
        self._sizes = CallSizes(work.lanes, exchange.gate)
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
        """When each worker that waits will have its permit, on the loop's clock; None where nobody knows."""
        self._idle: set[str] = set()
        self._changed = asyncio.Event()
        self._draining = asyncio.Event()
        self.ending: RunnerError | None = None
        """Why the run ended before its work did; None where everything is settled."""
        self.interrupted = False

    def status(self) -> Status:
        """A snapshot for people."""
        permit_at = min((at for at in self._waiting.values() if at is not None), default=None)
        wait_s = None if permit_at is None else max(permit_at - self._clock.now(), 0.0)
        return Status(
            counts=Counter(self.counts),
            requests=self._exchange.requests,
            throttled=self._exchange.throttled,
            doubtful=self.counts[State.DOUBT],
            checking_at=self._checking_at,
            next_permit_s=0.0 if self._sending else wait_s,
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
        carry = self._carry_once if lane.safety is Safety.ONCE else self._carry_repeatable
        while await self._has_work(lane, worker, alone=self._takes_alone(lane)):
            size, wait_s = self._next_call(lane)
            if size:
                await carry(lane, size, worker)
            else:
                await self._wait_for_room(worker, wait_s)

    async def _carry_once(self, lane: Lane, size: int, worker: str) -> None:
        """A call whose permit comes before its items are chosen."""
        spare = self._spare(lane)
        permit = await self._permit(
            self._exchange.permit(lane.method, lane.template, items=size, spare=spare),
            self._called_off(lane, size, spare, worker),
            worker,
        )
        if permit is None:
            return
        opened = [] if self._draining.is_set() else self._feed.take(size, alone=self._takes_alone(lane))
        if not opened:
            permit.give_back()
            return
        with self._at_work():
            try:
                prepared = await self._prepare(lane, opened)
            except BaseException:
                permit.give_back()
                raise
            if prepared is None:
                permit.give_back()
            else:
                await self._carry(lane, opened, *prepared, permit)

    async def _carry_repeatable(self, lane: Lane, size: int, worker: str) -> None:
        """A call whose permit may be for its items' subject alone."""
        opened = self._feed.take(size, alone=True)
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
                self._exchange.permit(call.method, call.template, subject=call.subject, items=call.items),
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

    def _next_call(self, lane: Lane) -> tuple[int, float]:
        """Items of the lane's next call, see ``CallSizes.ask``: its permit is for no more than will be sent."""
        carries = self._feed.carries(lane.size, alone=self._takes_alone(lane))
        return self._sizes.ask(lane, carries)

    async def _wait_for_room(self, worker: str, wait_s: float) -> None:
        """Let time pass until the job's own limits may have room for the lane."""
        self._waiting[worker] = self._clock.now() + wait_s
        try:
            await self._wait_for_change(min(wait_s, LONGEST_SLEEP_S))
        finally:
            self._waiting.pop(worker, None)

    async def _permit(
        self, acquiring: Coroutine[Any, Any, Permit], calling_off: Coroutine[Any, Any, None], worker: str
    ) -> Permit | None:
        """A permit for one call; None where the wait was called off."""
        acquire, called_off = asyncio.ensure_future(acquiring), asyncio.ensure_future(calling_off)
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

    async def _called_off(self, lane: Lane, size: int, spare: int, worker: str) -> None:
        """Ends when waiting for the lane's permit has lost its sense: a drain, or other work than it was for."""
        while not self._draining.is_set() and self._spare(lane) == spare and self._next_call(lane)[0] == size:
            wait_s = self._exchange.gate.next_in(lane.method, lane.template, items=size, spare=spare)
            await self._look_again(worker, wait_s)

    async def _drained(self, call: Call, worker: str) -> None:
        """Ends with a drain; tells meanwhile how far away the call's permit is."""
        while not self._draining.is_set():
            wait_s = self._exchange.gate.next_in(call.method, call.template, subject=call.subject, items=call.items)
            await self._look_again(worker, wait_s)

    async def _look_again(self, worker: str, wait_s: float | None) -> None:
        """Wait for a change; the longer the wait for a permit the rarer the look: an hour of waiting costs nothing."""
        self._waiting[worker] = None if wait_s is None else self._clock.now() + wait_s
        await self._wait_for_change(LOOK_S if wait_s is None else min(max(LOOK_S, wait_s / 10), LONGEST_SLEEP_S))

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
                await self._wait_for_change(min(soonest, LONGEST_SLEEP_S))
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
        max_wait_s, max_time_s = self._options.max_wait_s, self._options.max_time_s
        ends_at = math.inf if max_time_s is None else self._clock.now() + max_time_s
        while max_wait_s is not None or max_time_s is not None:
            left_s = ends_at - self._clock.now()
            await self._clock.sleep(min(left_s, LONGEST_SLEEP_S if max_wait_s is None else WATCH_S))
            if self._clock.now() >= ends_at:
                self._stop(left_early("the time given with --max-time is over", "the next permit", self._permit_at()))
                return
            idle = self._idle_until()
            if max_wait_s is not None and idle is not None and idle[1] - self._clock.wall() > max_wait_s:
                self._stop(left_early(f"{idle[0]} is further away than --max-wait", "it", idle[1]))
                return

    def _idle_until(self) -> tuple[str, float] | None:
        """What happens next and when (unix time), if nothing is at work before; None between two calls."""
        if self._sending or len(self._waiting) + len(self._idle) < self._workers:
            return None
        now, wall = self._clock.now(), self._clock.wall()
        events = [("the next permit", wall + at - now) for at in self._waiting.values() if at is not None]
        if self._checking_at is not None:
            events.append(("the look at what is in doubt", self._checking_at))
        return min(events, key=lambda event: event[1], default=None)

    def _permit_at(self) -> float | None:
        """Unix time at which the next call could have its permit; None where that depends on calls under way."""
        gate = self._exchange.gate
        waits = [
            gate.next_in(lane.method, lane.template, subject=ANYBODY, items=1, spare=self._spare(lane))
            for lane in self._work.lanes
            if self._feed.has(alone=self._takes_alone(lane))
        ]
        return min((self._clock.wall() + wait_s for wait_s in waits if wait_s is not None), default=None)

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _wait_for_change(self, at_most_s: float = LOOK_S) -> None:
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


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
