"""The gate: one permit for one request, in every window that covers it; none while a 429 forbids it."""

import asyncio
import random
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from clerk_limits.aimd import Shrunk, factor_at
from clerk_limits.allowance import Usage
from clerk_limits.block import Blocks
from clerk_limits.budget import Budget, WindowFactory, WindowSpec, sliding_window
from clerk_limits.clock import Clock
from clerk_limits.documented import InstanceKind, LimitScope
from clerk_limits.lane import Lane, Taken
from clerk_limits.options import GateOptions
from clerk_limits.permit import Ending, Permit
from clerk_limits.routes import LaneKey, Route, Routes
from clerk_limits.turnstile import Turnstile
from clerk_limits.window import Window

__all__ = ["Gate", "GateOptions", "Permit", "SharedLedger"]


class SharedLedger(Protocol):
    """What a gate asks of the ledger that processes share, see `clerk_limits.ledger`."""

    def window(self, spec: WindowSpec) -> Window:
        """A window of the ledger."""
        ...

    def listen(self, listener: "Gate") -> None:
        """Tell this gate what other processes learn, and what is known already."""
        ...

    def block(self, operation: str, left_s: float) -> None:
        """Close an operation for every process."""
        ...

    def shrink(self, scope: str, period_s: float) -> None:
        """Shrink everybody's share of a window."""
        ...


class Gate:
    """Permits for the calls of one process to one instance, on one event loop.

    Args:
        instance: Whose limits apply.
        options: How much of them is ours.
        clock: Time; virtual time for plans and tests.
        window: Makes the windows; in memory unless told otherwise.
        ledger: Shares windows, blocks and the share with other processes; makes the windows itself then.
        jitter: Random numbers from 0 to 1 for the end of a block.

    Attributes:
        instance, options: As they were given.

    Example:
        >>> from clerk_limits.clock import VirtualClock, run_virtual
        >>> async def scenario() -> list[float]:
        ...     clock = VirtualClock(start_wall_s=1_800_000_000.0)
        ...     gate = Gate(InstanceKind.PRODUCTION, GateOptions(), clock)
        ...     times = []
        ...     for _ in range(91):
        ...         with await gate.acquire("POST", "/invitations") as permit:
        ...             times.append(round(clock.now(), 2))
        ...             permit.settle()
        ...     return times[88:]
        >>> run_virtual(scenario())
        [0.0, 0.0, 3600.02]
    """

    def __init__(
        self,
        instance: InstanceKind,
        options: GateOptions,
        clock: Clock,
        *,
        window: WindowFactory = sliding_window,
        ledger: SharedLedger | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.instance = instance
        self.options = options
        self._clock = clock
        self._ledger = ledger
        self._blocks = Blocks(clock, options.speed, jitter)
        self._turnstile = Turnstile(clock)
        make = window if ledger is None else ledger.window
        self._budget = Budget(instance, options, make, self._turnstile)
        self._routes = Routes(instance, self._blocks, self._budget, clock)
        self._lanes: dict[LaneKey, Lane] = {}
        if ledger is not None:
            ledger.listen(self)

    async def acquire(
        self, method: str, template: str, *, subject: str | None = None, items: int = 0, spare: int = 0
    ) -> Permit:
        """Wait for a permit in every window and bucket that covers a call: all or none, in turn.

        Take it as the last thing before the send. Cancellation gives back whatever was granted.

        Args:
            method: `"GET"`, `"POST"` …
            template: The path as the OpenAPI document has it, for example `/users/{user_id}/metadata`.
            subject: The id that a per-user, per-organization or per-membership limit is counted by; elsewhere
                ignored.
            items: Items that the call carries, counted by `per_hour` and `per_day` alone; 0 for a read.
            spare: Permits of the hourly quota to leave untouched, for calls that must not wait for an hour;
                as many as leave one for this call.

        Raises:
            ValueError: When a subject is needed and missing, a number is negative, or the call can never
                pass.
            LedgerError: The ledger cannot be used any more, so nothing may be sent.
        """
        route = self._routes.route(method, template)
        key = self._routes.key(route, subject, items, spare)
        permit = self._at_once(route, key)
        if permit is not None:
            return permit
        lane = self._lanes.get(key) or self._open_lane(key, route)
        waiter = self._turnstile.enter(lane)
        try:
            if waiter.taken is None:
                waiter.future = asyncio.get_running_loop().create_future()
                await waiter.future
        except asyncio.CancelledError:
            self._turnstile.leave(lane, waiter)
            if waiter.taken is not None:
                # Granted and cancelled in the same turn of the loop: nobody will ever send it.
                self._permit(route, waiter.taken).give_back()
            raise
        finally:
            if lane.subject is not None and not lane.waiters:
                self._close_lane(key, lane)
        assert waiter.taken is not None
        return self._permit(route, waiter.taken)

    def acquire_at_once(
        self, method: str, template: str, *, subject: str | None = None, items: int = 0, spare: int = 0
    ) -> Permit | None:
        """The permit that `acquire` would give without a wait, as it mostly does; None where there is one.

        Raises:
            Exception: As `acquire`.
        """
        route = self._routes.route(method, template)
        return self._at_once(route, self._routes.key(route, subject, items, spare))

    def throttled(
        self,
        method: str,
        template: str,
        *,
        retry_after: str | None,
        date: str | None,
        permit: Permit | None = None,
    ) -> float:
        """A 429 came: close that endpoint (`clerk_limits.block` has the law). Settle the permit all the same.

        Args:
            method: Of the refused call.
            template: Of the refused call.
            retry_after: The reply's `Retry-After` header as it stands, if any.
            date: The reply's `Date` header as it stands, if any.
            permit: The call's permit, where at hand: it tells a late reply of an old incident from a new one.

        Returns:
            Seconds from now for which the endpoint stays closed.
        """
        granted_at_s = None if permit is None else permit.granted_at_s
        route = self._routes.route(method, template)
        incidents = self._blocks.incidents
        left_s = self._blocks.throttled(route.endpoint, retry_after=retry_after, date=date, granted_at_s=granted_at_s)
        self._budget.early.switch_off()
        if self._ledger is not None:
            for operation, until_s in self.blocked_until().items():
                self._ledger.block(operation, until_s - self._clock.wall())
        if self._blocks.incidents > incidents and not route.quota:
            self._shrink()
        return left_s

    def _shrink(self) -> None:
        """A 429 of the burst limits: somebody else spends from the same window, so leave more of it."""
        share = self._budget.share
        share.shrink(self._clock.now())
        if self._ledger is not None:
            self._ledger.shrink(LimitScope.INSTANCE.value, share.period_s)

    @property
    def share_left(self) -> float:
        """The part of the job's share of the instance's window that 429s have left it, 1.0 for all of it."""
        share = self._budget.share
        return factor_at(share.state, self._clock.now(), share.period_s)

    def heard_block(self, operation: str, left_s: float) -> None:
        """Another process learned that an operation is closed for so many seconds."""
        self._blocks.close_for(self._routes.endpoint(operation), left_s)

    def heard_share(self, state: Shrunk) -> None:
        """Another process may have shrunk the share of the instance's window: then nobody releases early any more."""
        self._budget.share.state = state
        if self.share_left < 1.0:
            self._budget.early.switch_off()

    def fail(self, error: BaseException) -> None:
        """Nobody counts any more what is sent, so nobody gets a permit any more."""
        self._turnstile.fail(error, self._lanes.values())

    def window_spec(self, limit_name: str) -> WindowSpec:
        """What the window of a limit is made from; for charging a ledger."""
        return self._budget.spec(limit_name)

    def blocked_until(self) -> dict[str, float]:
        """Unix time at which each closed operation opens, by `"POST /invitations"`; `"*"` is them all."""
        return self._blocks.blocked_until()

    def restore_block(self, operation: str, until_wall_s: float) -> None:
        """Close an operation until a time that an earlier process had from `blocked_until`.

        Raises:
            ValueError: When the name is neither `"*"` nor a method and a path template.
        """
        self._blocks.restore(self._routes.endpoint(operation), until_wall_s)

    def charge(self, limit_name: str, released_at_wall_s: Iterable[float]) -> None:
        """Count permits that an earlier process spent, so that a restart does not spend a quota twice.

        Args:
            limit_name: Of the limit, as in `usage`; `per_hour` and `per_day` count an item each.
            released_at_wall_s: For each permit, the unix time at which its period began to run: that of the
                response. A time in the future (the wall clock went back) counts as now: never free too early,
                nor an hour late.

        Raises:
            ValueError: When there is no such limit, or each subject has a window of its own.
        """
        now_s, wall_s = self._clock.now(), self._clock.wall()
        self._budget.charge(limit_name, (now_s - max(0.0, wall_s - moment_s) for moment_s in released_at_wall_s))

    def next_in(
        self, method: str, template: str, *, subject: str | None = None, items: int = 0, spare: int = 0
    ) -> float | None:
        """Seconds until such a call could have a permit at the earliest, for progress and for leaving early.

        Those who wait already are not counted. 0.0 means now; None means that it depends on calls under way.

        Raises:
            ValueError: As `acquire` does.
        """
        route = self._routes.route(method, template)
        now_s = self._clock.now()
        latest_s = max(now_s, route.endpoint.opens_at_s)
        needs = self._routes.known_needs(route, self._routes.key(route, subject, items, spare))
        for need in needs:
            when_s = need.scope.next_at(now_s, need.amount, need.spare)
            if when_s is None:
                return None
            latest_s = max(latest_s, when_s)
        return latest_s - now_s

    def items_free(self) -> int:
        """Items that `per_hour` and `per_day` both have room for now.

        Raises:
            ValueError: When the job has neither, so that no number would be true.
        """
        self._require_own()
        return self._budget.items_free(self._clock.now())

    def items_free_in(self, items: int) -> float | None:
        """Seconds until they have room for so many items if nobody takes one before; None as in `next_in`.

        Raises:
            ValueError: When the job has neither.
        """
        self._require_own()
        now_s = self._clock.now()
        when_s = self._budget.items_free_at(now_s, items)
        return None if when_s is None else when_s - now_s

    def _require_own(self) -> None:
        if not self._budget.counts_items:
            raise ValueError("the job has no per_hour and no per_day, so nothing counts items")

    def usage(self) -> list[Usage]:
        """How much of every limit is out now; a row for each limit of the instance, the job's own last."""
        now_s = self._clock.now()
        closed = {LimitScope.INSTANCE.value: self._blocks.instance_closed_s()}
        for route in self._routes.all():
            for limit in route.limits:
                if limit.scope is not LimitScope.INSTANCE:
                    left_s = route.endpoint.opens_at_s - now_s
                    closed[limit.name] = max(closed.get(limit.name, 0.0), left_s)
        return self._budget.usage(now_s, closed)

    def describe(self, names: Collection[str] | None = None) -> list[str]:
        """What is used and what stays free, a line for each limit (or those of `names`).

        Example:
            >>> from clerk_limits.clock import LoopClock
            >>> gate = Gate(InstanceKind.DEVELOPMENT, GateOptions(share=1.0), LoopClock())
            >>> print(*gate.describe({"instance"}))
            instance: bucket 25, refill 10/s; window 100 of 100 per 10 s, nothing left to your application
        """
        lines = self._budget.describe()
        return [f"{name}: {line}" for name, line in lines.items() if names is None or name in names]

    def _at_once(self, route: Route, key: LaneKey) -> Permit | None:
        lane = self._lanes.get(key)
        if lane is None:
            needs = self._routes.needs(route, key)
        elif lane.waiters:
            return None
        else:
            needs = lane.needs
        taken = self._turnstile.pass_at_once(route.endpoint, needs)
        return None if taken is None else self._permit(route, taken)

    def _open_lane(self, key: LaneKey, route: Route) -> Lane:
        lane = self._lanes[key] = Lane(route.endpoint, self._routes.needs(route, key), key.subject)
        for need in lane.needs:
            need.scope.lanes += 1
        return lane

    def _close_lane(self, key: LaneKey, lane: Lane) -> None:
        """Forget a subject's lane; the others are few and stay."""
        if self._lanes.get(key) is lane:
            del self._lanes[key]
            for need in lane.needs:
                need.scope.lanes -= 1

    def _permit(self, route: Route, taken: Taken) -> Permit:
        granted_at_s = taken[0][1].taken_at_s if taken else self._clock.now()
        return Permit(route.endpoint, taken, granted_at_s, self._end)

    def _end(self, permit: Permit, ending: Ending) -> None:
        now_s = self._clock.now()
        if ending is Ending.SETTLED:
            permit.endpoint.responses += 1
        for scope, slot in permit.taken:
            if ending is Ending.SETTLED:
                scope.window.settle(slot, now_s)
            elif ending is Ending.LOST:
                scope.window.lose(slot, now_s)
            else:
                scope.window.give_back(slot)
                if scope.pacer is not None:
                    scope.pacer.give_back(slot.amount)
        self._turnstile.changed(permit.taken, freed=ending is Ending.GIVEN_BACK)
