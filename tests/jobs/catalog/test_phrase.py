"""The one-line phrases: one for each operation, in English, and none of Clerk's own text."""

from __future__ import annotations

import re

import pytest

from clerk_jobs.catalog import load
from clerk_jobs.catalog.phrase import phrase_of, words_of

VERBS = {
    "Add", "Allow", "Apply", "Assign", "Ban", "Cancel", "Change", "Check", "Complete", "Count",
    "Create", "Delete", "Extend", "Forbid", "Get", "Give", "Invite", "List", "Lock", "Make", "Mark",
    "Merge", "Move", "Preview", "Raise", "Refresh", "Reject", "Remove", "Replace", "Revoke", "Rotate",
    "Send", "Set", "Start", "Switch", "Take", "Unban", "Unlock", "Update", "Upload", "Verify",
}  # fmt: skip
WRONG_ARTICLES = re.compile(r"\ba (?:[aeio]|OAuth|M2M|API)|\ban (?:[bcdfgs]|user|SAML|SCIM|JWT)")


@pytest.mark.parametrize("version", load().versions)
def test_every_operation_has_a_line_that_begins_with_a_verb(version: str) -> None:
    for operation in load(version).operations():
        phrase = operation.phrase
        assert phrase.split()[0] in VERBS, phrase
        assert 8 <= len(phrase) <= 70, phrase
        assert not phrase.endswith("."), phrase
        assert "  " not in phrase
        assert not WRONG_ARTICLES.search(phrase), phrase


@pytest.mark.parametrize("version", load().versions)
def test_no_two_operations_of_a_version_read_the_same(version: str) -> None:
    phrases = [o.phrase for o in load(version).operations() if not o.deprecated]
    assert len(set(phrases)) == len(phrases)


@pytest.mark.parametrize(
    ("operation_id", "phrase"),
    [
        ("CreateOrganizationInvitation", "Create an organization invitation"),
        ("GetUserList", "List users"),
        ("DeleteUser", "Delete a user"),
        ("ListOrganizationMemberships", "List the memberships of an organization"),
        ("UsersGetOrganizationMemberships", "List the organization memberships of a user"),
        ("getApiKeys", "List API keys"),
        ("CreateSignInToken", "Create a sign-in token"),
        ("ListSCIMDirectories", "List SCIM directories"),
        ("DisableMFA", "Switch off all second factors of a user"),
    ],
)
def test_phrases(operation_id: str, phrase: str) -> None:
    assert load().operation(operation_id).phrase == phrase


@pytest.mark.parametrize(
    ("method", "path", "operation_id", "phrase"),
    [
        ("POST", "/roads", "CreateRoad", "Create a road"),
        ("GET", "/users/{user_id}/roads", "ListUserRoads", "List the roads of a user"),
        ("GET", "/roads", "GetRoadList", "List roads"),
        ("GET", "/policies", "GetPolicyList", "List policies"),
        ("GET", "/roads", "getRoads", "List roads"),
        ("GET", "/roads/{road_id}", "getRoads", "Get a roads"),
        ("POST", "/ping", "ping", "Ping"),
        ("POST", "/a/{b}/c", "enableOAuthURLs", "Enable an OAuth URLs"),
    ],
)
def test_a_new_operation_is_read_by_rule(method: str, path: str, operation_id: str, phrase: str) -> None:
    assert phrase_of(method, path, operation_id) == phrase


def test_acronyms_are_written_as_people_write_them() -> None:
    assert words_of("RotateSCIMDirectoryAPIKey") == ["rotate", "SCIM", "directory", "API", "key"]
    assert words_of("UserWeb3WalletDelete") == ["user", "web3", "wallet", "delete"]
