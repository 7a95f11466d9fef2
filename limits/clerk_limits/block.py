"""What a 429 does: the endpoint is closed until Clerk opens it again, other endpoints go on.

**Law.** A closed endpoint opens `Retry-After` plus one second plus up to a second of jitter after the reply.
Where the reply does not say (absent, zero or less, not a number), the wait is ours: 10 s, for an operation
with an hourly quota 60 s, doubled each time until 3600 s and back to 60 s after a success. Requests that were
under way when the endpoint closed belong to the same incident and count once. 429s on two path templates
within a second mean that the instance's own limit was hit: then everything is closed, until the earlier of
the two opens (when both have hourly quotas, which explain a 429 by themselves, no longer than the instance's
own window could need).
"""

import math
import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

from clerk_limits.clock import Clock
from clerk_limits.documented import normalized
from clerk_limits.lane import Door

__all__ = ["EVERY_OPERATION", "Blocks", "Endpoint", "retry_after_s"]

EVERY_OPERATION = "*"
"""The name of an instance-wide block."""

_MARGIN_S = 1.0
_SAME_INSTANT_S = 1.0
_GENERAL_BACKOFF_S = 10.0
_QUOTA_BACKOFF_S = 60.0
_QUOTA_BACKOFF_MAX_S = 3600.0
_INSTANCE_PERIOD_S = 10.0
_NONSENSE_S = 1e10
"""Three centuries: a number that no server means."""

_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")


def retry_after_s(retry_after: str | None, date: str | None, wall_s: float) -> float | None:
    """Seconds that a reply asks to wait, or None where it says nothing usable.

    Args:
        retry_after: The `Retry-After` header: seconds (whole or not) or an HTTP date.
        date: The same reply's `Date` header; an HTTP date is counted from it, since the server's clock set
            both.
        wall_s: Our own time, where the reply has no usable `Date`.

    Example:
        >>> retry_after_s("2.5", None, 0.0)
        2.5
        >>> retry_after_s("Mon, 03 Aug 2026 10:00:30 GMT", "Mon, 03 Aug 2026 10:00:00 GMT", 0.0)
        30.0
        >>> retry_after_s("soon", None, 0.0) is None
        True
    """
    text = (retry_after or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        until_s = _http_date_s(text)
        if until_s is None:
            return None
        from_s = _http_date_s((date or "").strip())
        seconds = until_s - (wall_s if from_s is None else from_s)
    return seconds if 0 < seconds < _NONSENSE_S else None


def _http_date_s(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


class Endpoint(Door):
    """One operation, and what its 429s have led to.

    Attributes:
        operation: As it was named first, for example `"POST /invitations"`.
        template: Its path, parameters made anonymous: two methods on one path are one template.
        quota: Whether an hourly quota covers it.
    """

    __slots__ = (
        "closed_until_s",
        "incident_at_s",
        "operation",
        "quota",
        "refusals",
        "refused_at_s",
        "responses",
        "strikes",
        "template",
    )

    def __init__(self, operation: str, template: str, *, quota: bool) -> None:
        super().__init__()
        self.operation = operation
        self.template = template
        self.quota = quota
        self.closed_until_s = -math.inf
        self.incident_at_s = -math.inf
        self.refused_at_s = -math.inf
        self.refusals = 0
        self.responses = 0
        self.strikes = 0

    def begin_incident(self, now_s: float) -> None:
        """A 429 that no earlier one explains.

        Whether a call succeeded since the last incident is counted, not told: every 429 is one refusal and,
        before or after it was reported, one response. So responses beyond refusals are successes, whichever
        came first.
        """
        if self.responses > self.refusals:
            self.strikes = 0
        self.incident_at_s = now_s
        self.refusals = self.responses = 0

    def backoff_s(self) -> float:
        """How long to wait where the reply does not say; doubles from incident to incident for quotas."""
        if not self.quota:
            return _GENERAL_BACKOFF_S
        wait_s = min(_QUOTA_BACKOFF_MAX_S, _QUOTA_BACKOFF_S * 2.0**self.strikes)
        self.strikes = min(self.strikes + 1, 16)
        return wait_s


class Blocks:
    """Which endpoints are closed, and until when.

    Args:
        clock: Time.
        speed: Divides margins and backoffs of ours, never a Retry-After.
        jitter: Random numbers from 0 to 1, so that many processes do not come back in the same instant.
    """

    def __init__(self, clock: Clock, speed: float, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._speed = speed
        self._jitter = jitter
        self._endpoints: dict[str, Endpoint] = {}
        self._instance_until_s = -math.inf
        self.incidents = 0
        """429s that no earlier one explains."""

    def endpoint(self, method: str, template: str, *, quota: bool) -> Endpoint:
        """The endpoint of an operation, made when it is first asked for."""
        key = normalized(method, template)
        endpoint = self._endpoints.get(key)
        if endpoint is None:
            endpoint = Endpoint(f"{method.upper()} {template}", key.split(" ", 1)[1], quota=quota)
            endpoint.opens_at_s = self._instance_until_s
            self._endpoints[key] = endpoint
        return endpoint

    def throttled(
        self, endpoint: Endpoint, *, retry_after: str | None, date: str | None, granted_at_s: float | None
    ) -> float:
        """A 429 came: close the endpoint, and say for how many seconds from now it stays closed.

        Args:
            endpoint: Which operation was refused.
            retry_after: The reply's `Retry-After`, if any.
            date: The reply's `Date`, if any.
            granted_at_s: When the request's permit was granted, where that is known.
        """
        now_s = self._clock.now()
        asked_s = retry_after_s(retry_after, date, self._clock.wall())
        # Nothing is sent to a closed endpoint, so a refusal that comes while it is closed was under way
        # before.
        known = now_s < endpoint.closed_until_s or (granted_at_s is not None and granted_at_s <= endpoint.incident_at_s)
        if not known:
            self.incidents += 1
            endpoint.begin_incident(now_s)
        endpoint.refusals += 1
        endpoint.refused_at_s = now_s
        if asked_s is not None:
            self._close(endpoint, now_s + asked_s + self._margin_s())
        elif not known:
            self._close(endpoint, now_s + endpoint.backoff_s() / self._speed + self._margin_s())
        self._suspect_instance(endpoint, now_s)
        return max(0.0, endpoint.opens_at_s - now_s)

    def blocked_until(self) -> dict[str, float]:
        """Unix time at which each closed operation opens; `"*"` stands for the whole instance."""
        now_s, wall_s = self._clock.now(), self._clock.wall()
        ends = {endpoint.operation: endpoint.closed_until_s for endpoint in self._endpoints.values()}
        ends[EVERY_OPERATION] = self._instance_until_s
        return {operation: wall_s + end_s - now_s for operation, end_s in ends.items() if end_s > now_s}

    def instance_closed_s(self) -> float:
        """Seconds for which the whole instance stays closed, 0.0 when it is open."""
        return max(0.0, self._instance_until_s - self._clock.now())

    def restore(self, endpoint: Endpoint | None, until_wall_s: float) -> None:
        """Close an endpoint (None: the whole instance) until a unix time that an earlier process learned."""
        self.close_for(endpoint, until_wall_s - self._clock.wall())

    def close_for(self, endpoint: Endpoint | None, left_s: float) -> None:
        """Close an endpoint (None: the whole instance) for so many seconds, as another process learned."""
        until_s = self._clock.now() + left_s
        if endpoint is None:
            self._close_instance(until_s)
        else:
            self._close(endpoint, until_s)

    def _margin_s(self) -> float:
        return (_MARGIN_S + self._jitter()) / self._speed

    def _close(self, endpoint: Endpoint, until_s: float) -> None:
        endpoint.closed_until_s = max(endpoint.closed_until_s, until_s)
        endpoint.opens_at_s = max(endpoint.opens_at_s, endpoint.closed_until_s)

    def _close_instance(self, until_s: float) -> None:
        self._instance_until_s = max(self._instance_until_s, until_s)
        for endpoint in self._endpoints.values():
            endpoint.opens_at_s = max(endpoint.opens_at_s, self._instance_until_s)

    def _suspect_instance(self, refused: Endpoint, now_s: float) -> None:
        since_s = now_s - _SAME_INSTANT_S / self._speed
        for other in self._endpoints.values():
            if other.template == refused.template or other.refused_at_s < since_s:
                continue
            until_s = min(refused.closed_until_s, other.closed_until_s)
            if refused.quota and other.quota:
                until_s = min(until_s, now_s + _INSTANCE_PERIOD_S / self._speed + self._margin_s())
            self._close_instance(until_s)
