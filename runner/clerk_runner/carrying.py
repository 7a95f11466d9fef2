"""One call: its request from the kind of job, its intent, its send, and what became of its items.

The order: permit, intent (durable), send within 5 s, outcome (durable), then the count that people see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from clerk_jobs.call import Call, Item, Lane, Outcome, ReadRefused, Safety, State
from clerk_limits.gate import Permit
from clerk_runner.client import DEADLINE_S
from clerk_runner.course import Course, Means
from clerk_runner.doubts import INTENT_LIFE_S, Doubts
from clerk_runner.errors import RunnerError, StoppedError
from clerk_runner.exchange import Sent
from clerk_runner.journal import Intent, OpenItem
from clerk_runner.reading_ahead import ReadAhead
from clerk_runner.refusals import fatal_error

__all__ = ["Carrier"]


class Carrier:
    """Carries items that a lane has taken from the feed; what does not happen is given back to it."""

    def __init__(self, means: Means, course: Course, doubts: Doubts) -> None:
        """Start with nothing sent."""
        self._journal = means.journal
        self._exchange = means.exchange
        self._clock = means.clock
        self._work = means.work
        self._payloads = ReadAhead(means.payloads, means.feed)
        self._feed = means.feed
        self._options = means.options
        self._log = means.log
        self._course = course
        self._doubts = doubts
        self._failed = 0
        self._sent = 0
        self._unsent = 0

    async def prepare(self, lane: Lane, opened: list[OpenItem]) -> tuple[list[Item], Call] | None:
        """The items with their payloads, and their call; None where they are settled without one."""
        try:
            items = await self._payloads.items(opened)
            prepared = await self._exchange.converse(self._work.prepare(lane, items))
            if isinstance(prepared, Call):
                return items, prepared
            await self._journal.settle(prepared)
        except BaseException:
            self._feed.give_back(opened)
            raise
        self._course.settled(opened, prepared, State.PENDING)
        return None

    async def carry(self, lane: Lane, opened: list[OpenItem], items: list[Item], call: Call, permit: Permit) -> None:
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
        intent, attempt, begun_at_s = begun
        self._course.move(opened, State.PENDING, State.INTENT)
        if lane.safety is Safety.ONCE:
            # A process that stood still meanwhile may wake up when the quarantine of this intent is over.
            void_at_s = begun_at_s + INTENT_LIFE_S / self._options.speed + DEADLINE_S
            sent = await self._exchange.once(call, permit, is_sound=lambda: self._clock.boot() <= void_at_s)
        else:
            sent = await self._exchange.repeated(call, permit)
        ended_ms = _ms(self._clock.wall())
        if sent.end == "not_sent":
            await self._journal.withdraw(attempt, intent.seqs)
            self._course.move(opened, State.INTENT, State.PENDING)
            self._feed.give_back(opened)
            self._unsent += 1
            if self._exchange.stop is None:
                await self._pause()
        else:
            self._unsent = 0
            outcomes = await self._outcomes(lane, items, intent, sent)
            await self._journal.finish(attempt, ended_ms, outcomes, answered=sent.end != "lost")
            is_doubt = any(outcome.state == State.DOUBT for outcome in outcomes)
            if is_doubt:
                self._doubts.begin(attempt)
            self._course.doubts_in_row[lane.name] = self._course.doubts_in_row[lane.name] + 1 if is_doubt else 0
            self._note(opened, outcomes)
        if self._exchange.stop is not None:
            self._course.stop(self._exchange.stop)

    async def _pause(self) -> None:
        """Wait before the next try; a drain does not wait for it."""
        pause = asyncio.ensure_future(self._exchange.pause(self._unsent))
        draining = asyncio.ensure_future(self._course.draining.wait())
        try:
            await asyncio.wait((pause, draining), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            draining.cancel()
            await asyncio.gather(pause, draining, return_exceptions=True)

    async def _begin(self, lane: Lane, opened: Sequence[OpenItem]) -> tuple[Intent, int, float] | None:
        """Write the intent down; None where a drain began before the send.

        Returns:
            It, the attempt's number, and the intent's time by the clock that counts a machine's sleep.

        Where the disk was slow, the intent's time is moved, so that it tells when the send began.
        """
        if self._course.draining.is_set():
            return None
        seqs = tuple(item.seq for item in opened)

        def now() -> Intent:
            wall = self._clock.wall()
            return Intent(lane.method, lane.template, seqs, _ms(wall), _ms(wall + self._exchange.client.offset_s))

        intent, begun = now(), self._clock.boot()
        attempt = await self._journal.begin(intent)
        while self._clock.boot() - begun > INTENT_LIFE_S / self._options.speed:
            intent, begun = now(), self._clock.boot()
            await self._journal.renew(attempt, intent.intent_ms, intent.server_ms)
        if self._course.draining.is_set():
            await self._journal.withdraw(attempt, seqs)
            return None
        return intent, attempt, begun

    async def _outcomes(self, lane: Lane, items: Sequence[Item], intent: Intent, sent: Sent) -> list[Outcome]:
        """What the end of a call means for its items."""
        if sent.end == "throttled":
            return [Outcome(item.seq, State.PENDING) for item in items]
        if sent.end == "lost":
            self._log.warning("doubt", operation=lane.operation, items=len(items), reason=sent.reason)
            return [Outcome(item.seq, State.DOUBT) for item in items]
        assert sent.reply is not None
        if (error := fatal_error(sent.reply)) is not None:
            self._course.stop(error)
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
            self._course.stop(error)
        return [Outcome(item.seq, State.DOUBT) for item in items]

    def _note(self, opened: Sequence[OpenItem], outcomes: Sequence[Outcome]) -> None:
        """Count what was saved, put back what is pending, and stop where too much fails."""
        self._course.settled(opened, outcomes, State.INTENT)
        for outcome in outcomes:
            if outcome.state in (State.DONE, State.SKIPPED, State.FAILED):
                self._sent += 1
                self._failed += outcome.state == State.FAILED
        failed, settled = self._failed, self._sent
        if self._course.ending is None and self._options.stop_after.reached(failed, settled):
            self._course.stop(
                StoppedError(
                    f"{failed} of the {settled} rows sent have failed, more than errors.stop_after allows",
                    code="threshold",
                    hint="look at the failed rows, fix the cause, then resume the run",
                )
            )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
