"""A documented limit and a share make an allowance: the numbers of a window and of its bucket."""

from dataclasses import dataclass

from clerk_limits.documented import LIMITS, DocumentedLimit, InstanceKind, LimitKind
from clerk_limits.options import GateOptions
from clerk_limits.pacer import burst_capacity

__all__ = ["Allowance", "Usage", "allowance", "allowances", "own_allowances"]

_HOUR_S = 3600.0
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What we take of one limit.

    Attributes:
        name: Of the limit; our own limits are called `per_hour` and `per_day`.
        allowed: Permits of our window.
        permits: Permits that Clerk documents; None for a limit of our own.
        period_s: Seconds of the period, as documented.
        capacity: Tokens of the bucket in front of the window.
        setting: The key of `limits:` in a job file that moves it.
        subject: "user", "organization" or "membership" where each has a window of its own, else None.
    """

    name: str
    allowed: int
    permits: int | None
    period_s: float
    capacity: int
    setting: str
    subject: str | None = None

    @property
    def is_quota(self) -> bool:
        """Whether it decides the length of a job, in hours; the others are over in seconds."""
        return self.period_s >= _HOUR_S

    @property
    def rate_per_s(self) -> float:
        """Tokens a second: the window's own rate."""
        return self.allowed / self.period_s

    def describe(self) -> str:
        """The bucket, the window and what is left, in one line.

        Example:
            >>> live = allowances(InstanceKind.PRODUCTION, GateOptions())
            >>> print(live[0].describe())
            bucket 175, refill 70/s; window 700 of 1000 per 10 s, the rest left to your application; \
limits: {share: 1.0} takes all
        """
        per_s, unit = {_HOUR_S: (_HOUR_S, "h"), _DAY_S: (_DAY_S, "day")}.get(self.period_s, (1.0, "s"))
        bucket = f"bucket {self.capacity}, refill {self.rate_per_s * per_s:g}/{unit}"
        period = {_HOUR_S: "hour", _DAY_S: "day"}.get(self.period_s, f"{self.period_s:g} s")
        if self.permits is None:
            own = f"your own limits: {{{self.setting}: {self.allowed}}}"
            return f"{bucket}; window {self.allowed} items per {period}, {own}"
        window = f"window {self.allowed} of {self.permits} per {period}"
        if self.subject is not None:
            window += f" for each {self.subject}"
        if self.allowed == self.permits:
            return f"{bucket}; {window}, nothing left to your application"
        left = f"the rest left to your application; limits: {{{self.setting}: 1.0}} takes all"
        return f"{bucket}; {window}, {left}"


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of one limit is out now.

    Attributes:
        name: Of the limit.
        used: Permits that are open or still held, of `allowed`; of the busiest subject where each has its own
            window.
        allowed: Permits of our window.
        permits: Permits that Clerk documents; None for a limit of our own.
        period_s: Seconds of the window's period, after `speed`.
        bucket_capacity: Tokens of the bucket at most.
        refill_per_s: Tokens a second, after `speed`.
        blocked: Seconds until the last block on an operation of this limit ends, 0.0 without one.
    """

    name: str
    used: int
    allowed: int
    permits: int | None
    period_s: float
    bucket_capacity: int
    refill_per_s: float
    blocked: float

    @property
    def rate_per_s(self) -> float:
        """Permits a second: the window's own rate."""
        return self.allowed / self.period_s


def allowance(limit: DocumentedLimit, instance: InstanceKind, options: GateOptions) -> Allowance:
    """Our part of one documented limit: rounded down, at least one permit."""
    quota = limit.kind is LimitKind.QUOTA
    share = options.quota_share if quota else options.share_for(instance)
    # Rounded before it is cut, or 0.29 of 100 would be 28.
    allowed = max(1, int(round(limit.permits * share, 6)))
    whole = quota or limit.per_subject
    return Allowance(
        name=limit.name,
        allowed=allowed,
        permits=limit.permits,
        period_s=limit.period_s,
        capacity=allowed if whole else burst_capacity(allowed),
        setting="quota_share" if quota else "share",
        subject=limit.scope.value if limit.per_subject else None,
    )


def own_allowances(options: GateOptions) -> tuple[Allowance, ...]:
    """The job's own limits on items, slowest last."""
    own = (("per_hour", options.per_hour, _HOUR_S), ("per_day", options.per_day, _DAY_S))
    return tuple(
        Allowance(name=name, allowed=items, permits=None, period_s=period_s, capacity=items, setting=name)
        for name, items, period_s in own
        if items is not None
    )


def allowances(instance: InstanceKind, options: GateOptions) -> tuple[Allowance, ...]:
    """All of them, in the order of the table, our own last."""
    documented = (limit for limit in LIMITS if limit.instance in (None, instance))
    return (*(allowance(limit, instance, options) for limit in documented), *own_allowances(options))
