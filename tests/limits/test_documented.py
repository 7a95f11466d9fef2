"""The table says what Clerk's page says, and finds the rows that cover a call."""

import pytest

from clerk_limits.documented import (
    FRONTEND_LIMITS,
    LIMITS,
    InstanceKind,
    LimitKind,
    LimitScope,
    limits_for,
)

PRODUCTION = InstanceKind.PRODUCTION


@pytest.mark.parametrize(
    ("method", "template", "expected"),
    [
        ("GET", "/users", [("instance", 1000, 10)]),
        ("GET", "/jwks", []),
        ("POST", "/invitations", [("instance", 1000, 10), ("invitations", 100, 3600)]),
        ("POST", "/invitations/bulk", [("instance", 1000, 10), ("invitations-bulk", 25, 3600)]),
        ("GET", "/invitations", [("instance", 1000, 10)]),
        ("POST", "/invitations/{invitation_id}/revoke", [("instance", 1000, 10)]),
        (
            "POST",
            "/organizations/{organization_id}/invitations",
            [("instance", 1000, 10), ("organization-invitations", 250, 3600)],
        ),
        (
            "POST",
            "/organizations/{org}/invitations/bulk",
            [("instance", 1000, 10), ("organization-invitations-bulk", 50, 3600)],
        ),
        ("PATCH", "/users/{user_id}", [("instance", 1000, 10), ("user", 10, 10)]),
        ("PATCH", "/users/{id}/metadata", [("instance", 1000, 10), ("user", 10, 10)]),
        ("PUT", "/users/{user_id}/metadata", [("instance", 1000, 10), ("user", 10, 10)]),
        ("DELETE", "/users/{user_id}", [("instance", 1000, 10)]),
        ("PATCH", "/organizations/{organization_id}", [("instance", 1000, 10), ("organization", 10, 10)]),
        ("PUT", "/organizations/{id}/metadata", [("instance", 1000, 10), ("organization", 10, 10)]),
        (
            "PATCH",
            "/organizations/{organization_id}/memberships/{user_id}",
            [("instance", 1000, 10), ("membership", 10, 10)],
        ),
        (
            "PATCH",
            "/organizations/{organization_id}/memberships/{user_id}/metadata",
            [("instance", 1000, 10), ("membership", 10, 10)],
        ),
        (
            "PUT",
            "/organizations/{organization_id}/memberships/{user_id}/metadata",
            [("instance", 1000, 10)],
        ),
    ],
)
def test_the_limits_of_an_operation(method: str, template: str, expected: list[tuple[str, int, int]]) -> None:
    found = limits_for(method, template, PRODUCTION)
    assert [(limit.name, limit.permits, limit.period_s) for limit in found] == expected


def test_a_development_instance_has_a_tenth() -> None:
    (limit,) = limits_for("GET", "/users", InstanceKind.DEVELOPMENT)
    assert (limit.permits, limit.period_s, limit.instance) == (100, 10, InstanceKind.DEVELOPMENT)


def test_names_are_unique_within_an_instance_kind() -> None:
    for kind in InstanceKind:
        names = [limit.name for limit in LIMITS if limit.instance in (None, kind)]
        assert len(names) == len(set(names))


def test_every_row_says_where_and_when_it_was_read() -> None:
    for limit in (*LIMITS, *FRONTEND_LIMITS):
        assert limit.source.startswith("https://clerk.com/docs/")
        assert limit.read == "2026-08"


def test_quotas_are_the_hourly_ones() -> None:
    hourly = {limit.name for limit in LIMITS if limit.period_s == 3600}
    assert hourly == {limit.name for limit in LIMITS if limit.kind is LimitKind.QUOTA}
    assert len(hourly) == 4


def test_no_backend_call_counts_against_the_frontend_api() -> None:
    assert [limit.permits for limit in FRONTEND_LIMITS] == [5, 3, 5, 3]
    assert {limit.scope for limit in FRONTEND_LIMITS} == {LimitScope.ADDRESS}
    assert not set(FRONTEND_LIMITS) & set(LIMITS)
