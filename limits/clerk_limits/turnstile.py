"""Who goes next: first come first served in every scope, and nobody waits for what he does not need.

**Law.** A waiter goes when every scope that it needs has room, and takes from all of them at once. Scopes
have an order, from the most specific (one user) to the most general (the instance). A waiter that cannot go
claims the scopes up to the first one that is short: those that came later cannot take from them before it has
gone. It claims nothing beyond, so a wait of forty minutes for a quota does not stop a read.

Nobody starves: the oldest waiter's first scope fills up for it alone, then the second beside it, and so on;
what it has claimed only those who came before it can take, and they are finitely many. A call that leaves a
reserve (`spare`) is the one exception, on purpose: it lets calls that may use the reserve go first.

Cost: a call that finds nobody before it takes at once; waiters with the same needs form a lane of which only
the first is looked at; lanes that wait for something specific are parked there and not looked at until it
changes; one timer serves all.
"""

import heapq
import math
from asyncio import TimerHandle
from collections.abc import Iterable
from itertools import count

from clerk_limits.clock import Clock
from clerk_limits.lane import Door, Lane, Need, Place, Scope, Taken, Waiter

__all__ = ["Turnstile"]


class Turnstile:
    """Lets waiters through in their order; all calls come from one event loop's thread.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tickets = count()
        self._line: list[tuple[bool, int, Lane]] = []
        """Heap of the lanes that are not parked: (needs the instance, ticket of the first waiter, lane)."""
        self._stalled = False
        """The first of the line waits for the instance, so all of it does."""
        self._wakes: list[tuple[float, int, Place]] = []
        self._wake_order = count()
        self._timer: TimerHandle | None = None
        self._rings_at_s = 0.0
        """When the timer rings; not every loop's timers tell."""
        self._failure: BaseException | None = None

    def pass_at_once(self, door: Door, needs: tuple[Need, ...]) -> Taken | None:
        """Take what a call needs that finds nobody before it, as most do; None where it has to stand in a lane.

        Raises:
            Exception: What `fail` was told.
        """
        if self._failure is not None:
            raise self._failure
        now_s = self._clock.now()
        if self._line or door.opens_at_s > now_s:
            return None
        for scope, amount, spare in needs:
            if scope.claims or scope.next_at(now_s, amount, spare) != now_s:
                return None
        return tuple([(scope, scope.take(now_s, amount)) for scope, amount, _ in needs])

    def enter(self, lane: Lane) -> Waiter:
        """Join a lane's end; the waiter has `taken` at once if nothing stands in its way.

        Raises:
            Exception: What `fail` was told.
        """
        if self._failure is not None:
            raise self._failure
        waiter = Waiter(next(self._tickets))
        lane.waiters[waiter.ticket] = waiter
        if not lane.in_line and lane.parked_at is None:
            self._line_up(lane, waiter.ticket)
            if not (self._stalled and lane.needs):
                self._sweep()
        return waiter

    def leave(self, lane: Lane, waiter: Waiter) -> None:
        """Give up waiting; a waiter that has gone already is not affected."""
        lane.waiters.pop(waiter.ticket, None)
        if lane.parked_at is not None and lane.ticket == waiter.ticket:
            self._wake(lane.parked_at)
            self._sweep()

    def changed(self, taken: Taken, *, freed: bool) -> None:
        """These slots have ended: it is known now when they return, or (`freed`) they have returned."""
        look = False
        for scope, _ in taken:
            if scope.parked:
                self._wake(scope)
                look = True
            elif scope.general and (freed or (scope.wake_at_s == math.inf and not scope.window.tells)):
                look = True
        if look and self._line:
            self._sweep()

    def refilled(self, scope: Scope) -> None:
        """Permits came to this scope from outside, or it is known now when they will."""
        if scope.parked:
            self._wake(scope)
        elif not scope.general:
            return
        if self._line:
            self._sweep()

    def waiting(self, scope: Scope) -> int:
        """How many wait for this scope and may go as soon as it has room."""
        lanes = (lane for _, _, lane in self._line) if scope.general else scope.parked
        return sum(len(lane.waiters) for lane in lanes)

    def fail(self, error: BaseException, lanes: Iterable[Lane]) -> None:
        """Nobody goes through any more: whoever waits in `lanes`, and whoever comes, gets this error."""
        self._failure = self._failure or error
        for lane in lanes:
            for waiter in lane.waiters.values():
                if waiter.future is not None and not waiter.future.done():
                    waiter.future.set_exception(self._failure)

    def _line_up(self, lane: Lane, ticket: int) -> None:
        lane.in_line = True
        heapq.heappush(self._line, (bool(lane.needs), ticket, lane))

    def _step_out(self) -> Lane:
        """Take the first lane out of the line."""
        lane = heapq.heappop(self._line)[2]
        lane.in_line = False
        return lane

    def _sweep(self) -> None:
        """Let through whoever can go, oldest first."""
        now_s = self._clock.now()
        line = self._line
        self._stalled = False
        while line and not self._stalled:
            _, ticket, lane = line[0]
            head = lane.head()
            if head is None:
                self._step_out()
            elif head.ticket != ticket:
                heapq.heapreplace(line, (bool(lane.needs), head.ticket, lane))
            elif lane.door.opens_at_s > now_s:
                self._park(self._step_out(), ticket, lane.door, lane.door.opens_at_s, ())
            else:
                self._admit(lane, head, now_s)
        self._set_timer()

    def _admit(self, lane: Lane, head: Waiter, now_s: float) -> None:
        """Let the first waiter of the first lane through, or put the lane where it has to wait."""
        shortage = lane.shortage(head.ticket, now_s)
        if shortage is None:
            head.taken = tuple([(need.scope, need.scope.take(now_s, need.amount)) for need in lane.needs])
            del lane.waiters[head.ticket]
            if head.future is not None and not head.future.done():
                head.future.set_result(None)
            return
        index, when_s = shortage
        scope = lane.needs[index].scope
        if scope.general:
            # Everybody behind needs the instance too and came later, so nobody behind has to be looked at.
            self._stalled = True
            self._wake_at(scope, when_s)
        else:
            self._park(self._step_out(), head.ticket, scope, when_s, lane.needs[: index + 1])

    def _park(self, lane: Lane, ticket: int, place: Place, when_s: float | None, claimed: tuple[Need, ...]) -> None:
        lane.park(place, ticket, claimed)
        self._wake_at(place, when_s)

    def _wake_at(self, place: Place, when_s: float | None) -> None:
        if when_s is not None and when_s < place.wake_at_s:
            place.wake_at_s = when_s
            heapq.heappush(self._wakes, (when_s, next(self._wake_order), place))

    def _wake(self, place: Place) -> None:
        """Put every lane that is parked here back in line, and those that were parked behind its claims."""
        places = [place]
        while places:
            for lane in tuple(places.pop().parked):
                places.extend(need.scope for need in lane.unpark() if need.scope.parked)
                head = lane.head()
                if head is not None:
                    self._line_up(lane, head.ticket)

    def _set_timer(self) -> None:
        wakes = self._wakes
        while wakes and wakes[0][0] != wakes[0][2].wake_at_s:
            heapq.heappop(wakes)
        if not wakes:
            return
        when_s = wakes[0][0]
        if self._timer is not None:
            if self._rings_at_s <= when_s:
                return
            self._timer.cancel()
        self._timer, self._rings_at_s = self._clock.call_at(when_s, self._ring), when_s

    def _ring(self) -> None:
        self._timer = None
        now_s = self._clock.now()
        while self._wakes and self._wakes[0][0] <= now_s:
            when_s, _, place = heapq.heappop(self._wakes)
            if when_s == place.wake_at_s:
                place.wake_at_s = math.inf
                self._wake(place)
        self._sweep()
