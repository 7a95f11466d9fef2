"""What each operation counts against, resolved once for all of its calls."""

from dataclasses import dataclass, field
from typing import NamedTuple

from clerk_limits.block import EVERY_OPERATION, Blocks, Endpoint
from clerk_limits.budget import Budget
from clerk_limits.clock import Clock
from clerk_limits.documented import DocumentedLimit, InstanceKind, LimitKind, limits_for
from clerk_limits.lane import Need

__all__ = ["LaneKey", "Route", "Routes"]


class LaneKey(NamedTuple):
    """What makes two calls equal: the operation, the subject, the items of the call and what it leaves."""

    operation: str
    subject: str | None
    items: int
    spare: int


@dataclass(frozen=True, slots=True)
class Route:
    """An operation as it was asked for.

    Attributes:
        per: The limit of which each user, organization or membership has a window of its own, named after its scope.
        quota: Whether it has a quota.
        common: What calls take from everybody's windows, by their items and what they leave: there are few of either.
    """

    endpoint: Endpoint
    limits: tuple[DocumentedLimit, ...]
    per: str | None
    quota: bool
    common: dict[tuple[int, int], tuple[Need, ...]] = field(default_factory=dict)


class Routes:
    """The operations that a gate was asked for.

    Args:
        instance: Whose limits apply.
        blocks: Knows the endpoints.
        budget: Knows the windows.
        clock: Time.
    """

    def __init__(self, instance: InstanceKind, blocks: Blocks, budget: Budget, clock: Clock) -> None:
        self._instance = instance
        self._blocks = blocks
        self._budget = budget
        self._clock = clock
        self._known: dict[tuple[str, str], Route] = {}

    def all(self) -> list[Route]:
        """Every route that was asked for."""
        return list(self._known.values())

    def route(self, method: str, template: str) -> Route:
        """The route of an operation."""
        route = self._known.get((method, template))
        if route is None:
            limits = limits_for(method, template, self._instance)
            quota = any(limit.kind is LimitKind.QUOTA for limit in limits)
            per = next((limit.name for limit in limits if limit.per_subject), None)
            route = Route(self._blocks.endpoint(method, template, quota=quota), limits, per, quota)
            self._known[method, template] = route
        return route

    def endpoint(self, operation: str) -> Endpoint | None:
        """The endpoint that an operation's name means; None for the whole instance.

        Raises:
            ValueError: When the name is neither `"*"` nor a method and a path template.
        """
        if operation == EVERY_OPERATION:
            return None
        method, _, template = operation.partition(" ")
        if not template.startswith("/"):
            raise ValueError(f"{operation!r} names no operation; write it as 'POST /invitations', or '*' for all")
        return self.route(method, template).endpoint

    def key(self, route: Route, subject: str | None, items: int, spare: int) -> LaneKey:
        """What makes a call equal to others; whatever makes no difference to its needs is left out.

        Raises:
            ValueError: When a subject is needed and missing, or a number is negative.
        """
        if items < 0 or spare < 0:
            raise ValueError(f"items and spare are numbers from 0 on, not {items} and {spare}")
        if route.per is None:
            subject = None
        elif subject is None:
            raise ValueError(f"{route.endpoint.operation} is limited for each {route.per}: name it as the subject")
        return LaneKey(
            route.endpoint.operation,
            subject,
            items if self._budget.counts_items else 0,
            spare if route.quota else 0,
        )

    def needs(self, route: Route, key: LaneKey) -> tuple[Need, ...]:
        """What a call takes, the most specific scope first and the instance last.

        Raises:
            ValueError: When it can never pass.
        """
        common = self._common_needs(route, key)
        if route.per is None or key.subject is None:
            return common
        return (self._budget.subject_need(route.per, key.subject, self._clock.now()), *common)

    def known_needs(self, route: Route, key: LaneKey) -> tuple[Need, ...]:
        """The same, without a window for a subject that has none yet."""
        common = self._common_needs(route, key)
        if route.per is None or key.subject is None:
            return common
        known = self._budget.known_subject_need(route.per, key.subject)
        return common if known is None else (known, *common)

    def _common_needs(self, route: Route, key: LaneKey) -> tuple[Need, ...]:
        """What it takes from everybody's windows."""
        needs = route.common.get((key.items, key.spare))
        if needs is None:
            needs = self._budget.common_needs(route.limits, key.items, key.spare)
            route.common[key.items, key.spare] = needs
        return needs
