"""Which lists can be exported, and how each is asked for."""

from __future__ import annotations

import pytest

from clerk_jobs.catalog import load
from clerk_jobs.export.lists import UnknownListError, call_of, find_list, is_sliced, lists_of, order_of, with_total

NEWEST = "2026-05-12"


def test_every_list_operation_has_a_name_or_needs_more_than_a_parent() -> None:
    named = {operation.operation_id for operation in lists_of(NEWEST).values()}
    for parent in ("organizations", "users"):
        named |= {operation.operation_id for operation in lists_of(NEWEST, parent).values()}
    left = [one for one in load(NEWEST).operations() if one.list_shape is not None and one.operation_id not in named]
    assert len(named) >= 35
    assert all("{" in operation.path for operation in left)


@pytest.mark.parametrize("name", ["organizations", "ListOrganizations"])
def test_a_list_is_found_by_path_and_by_id(name: str) -> None:
    assert find_list(name, NEWEST).path == "/organizations"


@pytest.mark.parametrize(
    ("name", "parent", "hint"),
    [
        ("organization", None, "did you mean organizations?"),
        ("organization-memberships", None, "did you mean organization_memberships?"),
        ("memberships", None, "add for_each: organizations"),
        ("machines", "organizations", "remove for_each: organizations"),
        ("xyzzy", "users", "known: organization_invitations, organization_memberships, trusted_devices"),
    ],
)
def test_a_name_that_no_list_has_is_told_with_the_right_one(name: str, parent: None, hint: str) -> None:
    with pytest.raises(UnknownListError) as caught:
        find_list(name, NEWEST, parent)
    assert caught.value.hint == hint


def test_how_lists_are_asked_for() -> None:
    users, invitations = find_list("users", NEWEST), find_list("invitations", NEWEST)
    directories = find_list("directories", NEWEST)
    assert [is_sliced(one) for one in (users, invitations)] == [True, False]
    assert (order_of(invitations), order_of(directories)) == ((("order_by", "+created_at"),), ())
    assert (with_total(invitations), with_total(directories)) == ((("paginated", "true"),), ())
    below = find_list("memberships", NEWEST, "organizations")
    assert call_of(below, (("role", "org:member"),), "org_1").path == "/organizations/org_1/memberships"
