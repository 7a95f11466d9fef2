"""The lanes of a job: workers that wait for work and for permits, and hand both to the carrier.

A lane with one call of a kind that happens once waits for its permit first and takes items only then, so an item that
can go two ways goes by the lane whose permit comes first. Every other lane takes items first, because its permit may be
for their subject alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from clerk_jobs.call import Call, Lane, Safety, State
from clerk_limits.gate import Permit
from clerk_runner.call_size import RESERVE, CallSizes
from clerk_runner.carrying import Carrier
from clerk_runner.course import LONGEST_SLEEP_S, LOOK_S, Course, Means
from clerk_runner.deadlines import Wait
from clerk_runner.journal import OpenItem

__all__ = ["DOUBTS_IN_A_ROW", "Lanes"]

ANYBODY = ""
"""A subject whose own window is free, to ask what the others would let through."""
DOUBTS_IN_A_ROW = 3
"""Lost answers after which a lane waits until one of them is settled."""


class Lanes:
    """The workers of all lanes: as many for each as it may have requests in flight."""

    def __init__(self, means: Means, course: Course, carrier: Carrier) -> None:
        """Start with nothing taken."""
        self._exchange = means.exchange
        self._clock = means.clock
        self._feed = means.feed
        self._lanes = means.work.lanes
        self._sizes = CallSizes(means.work.lanes, means.exchange.gate)
        self._course = course
        self._carrier = carrier
        self.workers = [(lane, name) for lane in means.work.lanes for name in _names(lane)]
        """Each worker's lane and name."""

    async def work(self, lane: Lane, worker: str) -> None:
        """Be a worker of a lane, until it will never have anything to do again."""
        carry = self._permit_first if lane.safety is Safety.ONCE and lane.at_once == 1 else self._items_first
        alone = self._takes_alone(lane)
        while await self._has_work(lane, worker, alone=alone):
            size, wait_s = self._next_call(lane)
            if size:
                await carry(lane, size, worker)
            else:
                await self._wait_for_room(worker, wait_s)

    def permit_at(self) -> float | None:
        """Unix time at which the next call could have its permit; None where that depends on calls under way."""
        gate = self._exchange.gate
        waits = [
            gate.next_in(lane.method, lane.template, subject=ANYBODY, items=1, spare=self._spare(lane))
            for lane in self._lanes
            if self._feed.has(alone=self._takes_alone(lane))
        ]
        return min((self._clock.wall() + wait_s for wait_s in waits if wait_s is not None), default=None)

    async def _permit_first(self, lane: Lane, size: int, worker: str) -> None:
        """A call whose permit comes before its items are chosen."""
        spare = self._spare(lane)
        permit = await self._permit(
            self._exchange.permit(lane.method, lane.template, items=size, spare=spare),
            self._called_off(lane, size, spare, worker),
            worker,
        )
        if permit is None:
            return
        opened = [] if self._course.draining.is_set() else self._feed.take(size, alone=self._takes_alone(lane))
        if not opened:
            permit.give_back()
            return
        with self._course.at_work:
            try:
                prepared = await self._carrier.prepare(lane, opened)
            except BaseException:
                permit.give_back()
                raise
            if prepared is None:
                permit.give_back()
            else:
                await self._carrier.carry(lane, opened, *prepared, permit)

    async def _items_first(self, lane: Lane, size: int, worker: str) -> None:
        """A call whose permit may be for its items' subject alone."""
        opened = self._feed.take(size, alone=True)
        if not opened:
            return
        with self._course.at_work:
            prepared = await self._carrier.prepare(lane, opened)
            if prepared is None:
                return
            permit = await self._permit_for(prepared[1], opened, worker)
            if permit is not None:
                await self._carrier.carry(lane, opened, *prepared, permit)

    async def _permit_for(self, call: Call, opened: list[OpenItem], worker: str) -> Permit | None:
        """A permit for the call of items that are held meanwhile; they are given back where a drain comes first."""
        permit = None
        try:
            if not self._course.draining.is_set():
                permit = self._exchange.permit_at_once(call) or await self._wait_for_permit(call, worker)
        finally:
            if permit is None:
                self._feed.give_back(opened)
        return permit

    async def _wait_for_permit(self, call: Call, worker: str) -> Permit | None:
        """The permit of a call that is not to be had at once; None where a drain comes first."""

        def forecast() -> float | None:
            wait_s = self._exchange.gate.next_in(call.method, call.template, subject=call.subject, items=call.items)
            return None if wait_s is None else self._clock.now() + wait_s

        course = self._course
        course.held_back += 1
        course.waiting[worker] = forecast
        # No task beside this one: of those that wait there are as many as calls in flight, and each has its own.
        wait = Wait()
        course.waits.add(wait)
        try:
            with wait:
                return await self._exchange.permit(call.method, call.template, subject=call.subject, items=call.items)
        except TimeoutError:
            return None
        finally:
            course.waits.discard(wait)
            course.held_back -= 1
            del course.waiting[worker]

    def _takes_alone(self, lane: Lane) -> bool:
        return lane.size == 1 or len(self._lanes) == 1

    async def _has_work(self, lane: Lane, worker: str, *, alone: bool) -> bool:
        """Wait until this lane may begin a call; False once it never will again."""
        self._course.idle.discard(worker)
        while not self._course.draining.is_set():
            await self._feed.fill()
            held_up = self._course.doubts_in_row[lane.name] >= DOUBTS_IN_A_ROW and self._course.counts[State.DOUBT] > 0
            if self._feed.has(alone=alone) and not held_up:
                self._course.idle.discard(worker)
                return True
            self._course.idle.add(worker)
            if self._course.is_over:
                self._course.notify()
                return False
            await self._course.wait_for_change()
        return False

    def _next_call(self, lane: Lane) -> tuple[int, float]:
        """Items of the lane's next call, see ``CallSizes.ask``: its permit is for no more than will be sent."""
        carries = self._feed.carries(lane.size, alone=self._takes_alone(lane))
        return self._sizes.ask(lane, carries)

    async def _wait_for_room(self, worker: str, wait_s: float) -> None:
        """Let time pass until the job's own limits may have room for the lane."""
        room_at = self._clock.now() + wait_s
        self._course.waiting[worker] = lambda: room_at
        try:
            await self._course.wait_for_change(min(wait_s, LONGEST_SLEEP_S))
        finally:
            self._course.waiting.pop(worker, None)

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
            self._course.waiting.pop(worker, None)
            called_off.cancel()
            if not acquire.done():
                acquire.cancel()
            await asyncio.gather(acquire, called_off, return_exceptions=True)

    def _spare(self, lane: Lane) -> int:
        """Keep some of the single lane's hour for re-sends, as long as the bulk lane can carry what is left."""
        both = len(self._lanes) > 1
        return RESERVE if both and lane.size == 1 and not self._feed.urgent and self._feed.left > RESERVE else 0

    async def _called_off(self, lane: Lane, size: int, spare: int, worker: str) -> None:
        """Ends when waiting for the lane's permit has lost its sense: a drain, or other work than it was for."""
        while not self._course.draining.is_set() and self._spare(lane) == spare and self._next_call(lane)[0] == size:
            wait_s = self._exchange.gate.next_in(lane.method, lane.template, items=size, spare=spare)
            await self._look_again(worker, wait_s)

    async def _look_again(self, worker: str, wait_s: float | None) -> None:
        """Wait for a change; the longer the wait for a permit the rarer the look: an hour of waiting costs nothing."""
        permit_at = None if wait_s is None else self._clock.now() + wait_s
        self._course.waiting[worker] = lambda: permit_at
        await self._course.wait_for_change(LOOK_S if wait_s is None else min(max(LOOK_S, wait_s / 10), LONGEST_SLEEP_S))


def _names(lane: Lane) -> list[str]:
    """The workers of a lane, by name."""
    return [lane.name] if lane.at_once == 1 else [f"{lane.name} {number}" for number in range(1, lane.at_once + 1)]
