"""Clerk's documented rate limits: one table, and which of its rows cover a call.

Nothing else in the project states a limit's number. Each row says where it was read and when; a row that
Clerk changes is changed here, and every window, bucket, plan and table follows.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

__all__ = [
    "FRONTEND_LIMITS",
    "LIMITS",
    "DocumentedLimit",
    "InstanceKind",
    "LimitKind",
    "LimitScope",
    "limits_for",
    "normalized",
]

_SOURCE = "https://clerk.com/docs/guides/how-clerk-works/system-limits"
_READ = "2026-08"
_HOUR_S = 3600.0


class InstanceKind(StrEnum):
    """Whose key it is: `sk_live_` keys are production, `sk_test_` keys development."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class LimitScope(StrEnum):
    """What one window of a limit counts."""

    INSTANCE = "instance"
    """Every call of the instance together."""
    ENDPOINT = "endpoint"
    """The calls of the named operations, for the whole instance."""
    USER = "user"
    """The named operations on one user."""
    ORGANIZATION = "organization"
    """The named operations on one organization."""
    MEMBERSHIP = "membership"
    """The named operations on one membership: a user in an organization."""
    ADDRESS = "user and IP address"
    """One visitor of the Frontend API."""


class LimitKind(StrEnum):
    """How a limit feels: a burst is over in seconds, a quota decides the length of a job."""

    BURST = "burst"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class DocumentedLimit:
    """One row: at most `permits` calls of `operations` in any `period_s`, counted for each `scope`.

    Attributes:
        name: One word, unique among the limits of an instance kind.
        permits: Calls that Clerk allows in the period.
        period_s: Seconds of the period; whether it slides is not stated, so ours does, which satisfies both.
        scope: What has a window of its own.
        kind: Burst or quota.
        operations: `"POST /invitations"` with the OpenAPI document's path template, or `"*"` for every
            operation.
        exceptions: Operations that `"*"` does not cover.
        instance: The instance kind that the row is for; None means both.
        source: The address of the page that states it.
        read: Year and month in which the page was read.
    """

    name: str
    permits: int
    period_s: float
    scope: LimitScope
    kind: LimitKind
    operations: tuple[str, ...]
    exceptions: tuple[str, ...] = ()
    instance: InstanceKind | None = None
    source: str = _SOURCE
    read: str = _READ

    @property
    def per_subject(self) -> bool:
        """Whether every user, organization or membership has a window of its own."""
        return self.scope in _SUBJECT_SCOPES

    def covers(self, method: str, template: str) -> bool:
        """Whether a call counts against this limit, whatever the template calls its parameters.

        Example:
            >>> user = next(limit for limit in LIMITS if limit.name == "user")
            >>> user.covers("patch", "/users/{id}"), user.covers("GET", "/users/{id}")
            (True, False)
        """
        operation = normalized(method, template)
        if operation in (normalized(*other.split(" ", 1)) for other in self.exceptions):
            return False
        return any(other == "*" or operation == normalized(*other.split(" ", 1)) for other in self.operations)


_SUBJECT_SCOPES = (LimitScope.USER, LimitScope.ORGANIZATION, LimitScope.MEMBERSHIP)


def normalized(method: str, template: str) -> str:
    """An operation's name with its path parameters made anonymous.

    Example:
        >>> normalized("post", "/organizations/{organization_id}/invitations")
        'POST /organizations/{}/invitations'
    """
    return f"{method.upper()} {re.sub(r'{[^{}/]*}', '{}', template)}"


def _quota(name: str, permits: int, operation: str) -> DocumentedLimit:
    return DocumentedLimit(
        name=name,
        permits=permits,
        period_s=_HOUR_S,
        scope=LimitScope.ENDPOINT,
        kind=LimitKind.QUOTA,
        operations=(operation,),
    )


def _instance(kind: InstanceKind, permits: int) -> DocumentedLimit:
    return DocumentedLimit(
        name="instance",
        permits=permits,
        period_s=10.0,
        scope=LimitScope.INSTANCE,
        kind=LimitKind.BURST,
        operations=("*",),
        exceptions=("GET /jwks",),
        instance=kind,
    )


def _subject(scope: LimitScope, *operations: str) -> DocumentedLimit:
    return DocumentedLimit(
        name=scope.value,
        permits=10,
        period_s=10.0,
        scope=scope,
        kind=LimitKind.BURST,
        operations=operations,
    )


def _frontend(name: str, permits: int, *operations: str) -> DocumentedLimit:
    return DocumentedLimit(
        name=name,
        permits=permits,
        period_s=10.0,
        scope=LimitScope.ADDRESS,
        kind=LimitKind.BURST,
        operations=operations,
    )


LIMITS: tuple[DocumentedLimit, ...] = (
    _instance(InstanceKind.PRODUCTION, 1000),
    _instance(InstanceKind.DEVELOPMENT, 100),
    _quota("invitations", 100, "POST /invitations"),
    _quota("invitations-bulk", 25, "POST /invitations/bulk"),
    # Counted for the whole instance, not for each organization: the page can be read both ways and this is
    # safe.
    _quota("organization-invitations", 250, "POST /organizations/{organization_id}/invitations"),
    _quota("organization-invitations-bulk", 50, "POST /organizations/{organization_id}/invitations/bulk"),
    _subject(
        LimitScope.USER,
        "PATCH /users/{user_id}",
        "PATCH /users/{user_id}/metadata",
        "PUT /users/{user_id}/metadata",
    ),
    _subject(
        LimitScope.ORGANIZATION,
        "PATCH /organizations/{organization_id}",
        "PATCH /organizations/{organization_id}/metadata",
        "PUT /organizations/{organization_id}/metadata",
    ),
    _subject(
        LimitScope.MEMBERSHIP,
        "PATCH /organizations/{organization_id}/memberships/{user_id}",
        "PATCH /organizations/{organization_id}/memberships/{user_id}/metadata",
    ),
)
"""The Backend API's limits, as documented."""

FRONTEND_LIMITS: tuple[DocumentedLimit, ...] = (
    _frontend("sign-in creation", 5, "POST /client/sign_ins"),
    _frontend(
        "sign-in attempts",
        3,
        "POST /client/sign_ins/{sign_in_id}/attempt_first_factor",
        "POST /client/sign_ins/{sign_in_id}/attempt_second_factor",
    ),
    _frontend("sign-up creation", 5, "POST /client/sign_ups"),
    _frontend("sign-up attempts", 3, "POST /client/sign_ups/{sign_up_id}/attempt_verification"),
)
"""The Frontend API's limits: information for a reader. No job calls that API, so no gate enforces them."""


@lru_cache(maxsize=1024)
def limits_for(method: str, template: str, kind: InstanceKind) -> tuple[DocumentedLimit, ...]:
    """The limits that a call counts against, in the table's order.

    Args:
        method: `"GET"`, `"POST"` …, in any case.
        template: The path as the OpenAPI document has it, for example `/users/{user_id}`.
        kind: Whose limits.

    Example:
        >>> [limit.name for limit in limits_for("POST", "/invitations/bulk", InstanceKind.PRODUCTION)]
        ['instance', 'invitations-bulk']
        >>> limits_for("GET", "/jwks", InstanceKind.PRODUCTION)
        ()
    """
    return tuple(limit for limit in LIMITS if limit.instance in (None, kind) and limit.covers(method, template))
