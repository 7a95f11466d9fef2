"""Doubts: items of which nobody knows whether they happened, settled by reading once their quarantine is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from clerk_jobs.call import Outcome, ReadRefused, State
from clerk_runner.course import LONGEST_SLEEP_S, Course, Means
from clerk_runner.journal import Doubt

__all__ = ["DOUBTS_PER_ITEM", "GATHER_S", "INTENT_LIFE_S", "Doubts"]

INTENT_LIFE_S = 5.0
"""Longest time between an intent and its send, before ``speed``."""
DOUBTS_PER_ITEM = 5
"""How often one item may get into doubt before a person has to look at it."""
GATHER_S = 5.0
"""How long a doubt whose quarantine is over waits for others that one read can ask about, too, before ``speed``."""


class Doubts:
    """Looks up what is in doubt: as much at once as the kind of job can ask about, else attempt by attempt.

    **Law.** Absence at Clerk proves something only a quarantine after the attempt ended, or could still have been sent
    where its end is not known: by the wall clock, and by our own where this process sent it. What is asked about
    together has waited that long each for itself.
    """

    def __init__(self, means: Means, course: Course) -> None:
        """Start with what the journal has."""
        self._journal = means.journal
        self._exchange = means.exchange
        self._clock = means.clock
        self._work = means.work
        self._payloads = means.payloads
        self._options = means.options
        self._log = means.log
        self._course = course
        self._monotonic_due: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        """When an attempt was first seen in doubt, by our own clock."""

    def begin(self, attempt: int) -> None:
        """An attempt of this process ended in doubt just now."""
        self._monotonic_due[attempt] = self._clock.now() + self._options.quarantine_s / self._options.speed

    async def run(self) -> None:
        """Look up what is in doubt once its quarantine is over; ends when nothing can get into doubt any more."""
        while not self._course.draining.is_set():
            doubts = await self._journal.doubts() if self._course.counts[State.DOUBT] else []
            if not doubts:
                self._course.checking_at = None
                if self._course.is_over:
                    return
                await self._course.wait_for_change(concerns=self._concerns)
                continue
            waits = {doubt.attempt: self._quarantine_left(doubt) for doubt in doubts}
            wait_s = self._until_look(waits)
            self._course.checking_at = self._clock.wall() + max(wait_s, 0.0)
            if wait_s > 0:
                # In slices, so that a suspended machine or a set clock is noticed.
                await self._course.wait_for_change(min(wait_s, LONGEST_SLEEP_S))
                continue
            for together in self._together([doubt for doubt in doubts if waits[doubt.attempt] <= 0]):
                if not self._course.draining.is_set():
                    await self._reconcile(together)

    def _until_look(self, waits: Mapping[int, float]) -> float:
        """Seconds until the next look: those that are due soon after the first are waited for, to be asked with it."""
        soonest = min(waits.values())
        if not self._work.asks_about:
            return soonest
        last = soonest + GATHER_S / self._options.speed
        return max(wait for wait in waits.values() if wait <= last)

    def _together(self, doubts: Sequence[Doubt]) -> Iterator[list[Doubt]]:
        """Attempts that one reconciliation asks about."""
        together: list[Doubt] = []
        items = 0
        for doubt in doubts:
            if together and items + len(doubt.items) > self._work.asks_about:
                yield together
                together, items = [], 0
            together.append(doubt)
            items += len(doubt.items)
        if together:
            yield together

    def _concerns(self) -> bool:
        course = self._course
        return bool(course.counts[State.DOUBT]) or course.draining.is_set() or course.is_over

    def _quarantine_left(self, doubt: Doubt) -> float:
        """Seconds until absence proves something: by the wall clock and, where this process sent it, ours too."""
        speed = self._options.speed
        base_ms = doubt.ended_ms if doubt.ended_ms is not None else doubt.intent_ms + INTENT_LIFE_S * 1000 / speed
        quarantine_s = self._options.quarantine_s / speed
        now = self._clock.now()
        # A wall clock set back must not make anybody wait longer than the quarantine itself: whatever this process
        # has known for so long by its own clock is over.
        own_left = self._seen.setdefault(doubt.attempt, now) + quarantine_s - now
        left = min(base_ms / 1000 + quarantine_s - self._clock.wall(), own_left)
        due = self._monotonic_due.get(doubt.attempt)
        return left if due is None else max(left, due - now)

    async def _reconcile(self, together: Sequence[Doubt]) -> None:
        opened = [item for doubt in together for item in doubt.items]
        items = await asyncio.to_thread(self._payloads.items, opened)
        since = [doubt.server_ms for doubt in together]
        since_ms = min([*since, *(item.since_ms for item in opened if item.since_ms is not None)])
        try:
            outcomes = await self._exchange.converse(self._work.reconcile(items, since_ms))
        except ReadRefused as error:
            if len(together) > 1:
                # What one of them brings about must not leave the others unresolved.
                for doubt in together:
                    if not self._course.draining.is_set():
                        await self._reconcile([doubt])
                return
            outcomes = [_unresolved(item.seq, f"it may have happened, and {error}") for item in opened]
        doubts = {item.seq: item.doubts for item in opened}
        outcomes = [
            _unresolved(outcome.seq, f"{doubts[outcome.seq]} answers were lost")
            if outcome.state == State.PENDING and doubts[outcome.seq] >= DOUBTS_PER_ITEM
            else outcome
            for outcome in outcomes
        ]
        await self._journal.settle(outcomes)
        for doubt in together:
            self._monotonic_due.pop(doubt.attempt, None)
            self._seen.pop(doubt.attempt, None)
        self._course.doubts_in_row.clear()
        self._log.info("reconciled", items=len(outcomes), found=sum(one.state == State.DONE for one in outcomes))
        by_seq = {outcome.seq: outcome for outcome in outcomes}
        for doubt in together:
            # Attempt by attempt: what is pending again goes back as the unit that one call carried.
            self._course.settled(doubt.items, [by_seq[item.seq] for item in doubt.items], State.DOUBT)


def _unresolved(seq: int, why: str) -> Outcome:
    return Outcome(seq, State.UNRESOLVED, "unresolved", f"{why}: look at Clerk's own list before you send it again")
