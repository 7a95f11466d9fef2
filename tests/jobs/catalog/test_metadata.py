"""The kinds of metadata, and which one a key is recommended to."""

from __future__ import annotations

import pytest

from clerk_jobs.catalog import Json, load
from clerk_jobs.catalog.metadata import KINDS, explain_kinds, kinds_of, kinds_written, recommend, replaces


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("plan", "public"),
        ("plan_tier", "public"),
        ("onboarded", "public"),
        ("role", "public"),
        ("featureFlags", "public"),
        ("seats", "public"),
        ("stripe_id", "private"),
        ("stripeCustomerId", "private"),
        ("internal_note", "private"),
        ("kyc_passed", "private"),
        ("id", "private"),
        ("theme", "unsafe"),
        ("onboarding_step", "unsafe"),
        ("sidebarOpen", "unsafe"),
    ],
)
def test_keys_are_recommended_by_their_names(key: str, word: str) -> None:
    found = recommend(key)
    assert found is not None
    assert found[0].word == word


def test_a_name_that_does_not_tell_is_not_guessed() -> None:
    assert recommend("xyzzy") is None


def test_all_three_are_explained_and_the_chosen_marked() -> None:
    public, private, unsafe = explain_kinds(["private_metadata"])
    assert public == "   public_metadata   client and server read, server writes: plan tier, roles, feature flags"
    assert private == "-> private_metadata  server only: Stripe ids, compliance flags, internal ids"
    assert unsafe.endswith("client and server read and write: ephemeral UI state, onboarding steps, nothing sensitive")


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        (None, ()),
        ({"name": "x"}, ()),
        ({"unsafe_metadata": {}, "public_metadata": {}}, ("public_metadata", "unsafe_metadata")),
        ([{"public_metadata": {}}, {"x": 1}, 5], ("public_metadata",)),
        ("text", ()),
    ],
)
def test_kinds_in_a_body(body: Json, kinds: tuple[str, ...]) -> None:
    assert kinds_written(body) == kinds


def test_kinds_that_operations_take() -> None:
    catalog = load()
    assert kinds_of(catalog.operation("UpdateUserMetadata")) == tuple(KINDS)
    assert kinds_of(catalog.operation("CreateBulkInvitations")) == ("public_metadata",)
    assert kinds_of(catalog.operation("UpdateUser")) == ()
    assert kinds_of(catalog.operation("GetUser")) == ()
    assert len(kinds_of(load("2025-11-10").operation("UpdateUser"))) == 3


def test_what_replaces_and_what_merges() -> None:
    assert replaces(load("2025-11-10").operation("UpdateUser")) is True
    assert replaces(load().operation("ReplaceOrganizationMetadata")) is True
    assert replaces(load().operation("UpdateOrganizationMembershipMetadata")) is False
    assert replaces(load().operation("CreateInvitation")) is None
