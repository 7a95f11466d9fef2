"""Sentences to calls: a table of phrases, and every one of them understood as written there.

`phrases.jsonl` has one phrase a line: `say`, and either the `calls` that are meant, or `asks` (it has to ask back), or
`nothing` (no operation is meant). `{"ago_days": n}` stands for a moment on the day n days ago.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clerk_jobs.catalog import load
from clerk_jobs.words import Planned, Question, Topic, Unclear, Understood, understand

CATALOG = load()
DAY_MS = 86_400_000
NOW_MS = 1_790_000_000_000
PHRASES = [json.loads(line) for line in Path(__file__).with_name("phrases.jsonl").read_text().splitlines() if line]

FURTHER: list[dict[str, Any]] = [
    {"say": "get user john_doe", "calls": [("GET /users", {"username": "john_doe"}, None)]},
    {
        "say": "list users created in the last 7 days",
        "calls": [("GET /users", {"created_at_after": str(NOW_MS - 7 * DAY_MS)}, None)],
    },
    {
        "say": 'create organization "Acme Corp" for user_1 and invite a@b.co as admin',
        "calls": [
            ("POST /organizations", {}, {"name": "Acme Corp", "created_by": "user_1"}),
            ("POST /organizations/{1.id}/invitations", {}, {"email_address": "a@b.co", "role": "org:admin"}),
        ],
    },
    {
        "say": "set plan pro and onboarded true on user_1",
        "calls": [
            ("PATCH /users/user_1/metadata", {}, {"public_metadata": {"plan": "pro", "onboarded": True}}),
        ],
    },
    {"say": "delete user_abc123", "calls": [("DELETE /users/user_abc123", {}, None)]},
    {"say": "how many users", "calls": [("GET /users/count", {}, None)]},
    {"say": "ban user_1", "calls": [("POST /users/user_1/ban", {}, None)]},
    {"say": "list members of org_1", "calls": [("GET /organizations/org_1/memberships", {}, None)]},
    {"say": "revoke invitation inv_1", "calls": [("POST /invitations/inv_1/revoke", {}, None)]},
    {"say": "users who signed in today", "calls": [("GET /users", {"last_sign_in_at_after": "1789948800000"}, None)]},
    {"say": "users from acme.com", "calls": [("GET /users", {"email_address_query": "acme.com"}, None)]},
    {"say": "find organization acme", "calls": [("GET /organizations", {"query": "acme"}, None)]},
    {
        "say": "how many pending invitations are there",
        "calls": [("GET /invitations", {"status": "pending", "paginated": "true", "limit": "1"}, None)],
    },
    {"say": "list users limit 5 offset 10", "calls": [("GET /users", {"limit": "5", "offset": "10"}, None)]},
    {
        "say": "create a new user: email a@b.co, password \"x y\"",
        "calls": [("POST /users", {}, {"email_address": ["a@b.co"], "password": "x y"})],
    },
    {
        "say": "invite a@b.co and c@d.co to org_1",
        "calls": [
            (
                "POST /organizations/org_1/invitations/bulk",
                {},
                [
                    {"email_address": "a@b.co", "role": "org:member"},
                    {"email_address": "c@d.co", "role": "org:member"},
                ],
            )
        ],
    },
    {
        "say": "invite x@y.zz without sending an email",
        "calls": [("POST /invitations", {}, {"email_address": "x@y.zz", "notify": False})],
    },
    {
        "say": "disable two factor for jane@x.io",
        "calls": [
            ("GET /users", {"email_address": "jane@x.io"}, None),
            ("DELETE /users/{1.id}/mfa", {}, None),
        ],
    },
    {
        "say": "delete user john_doe",
        "calls": [("GET /users", {"username": "john_doe"}, None), ("DELETE /users/{1.id}", {}, None)],
    },
    {
        "say": "remove plan from user john_doe",
        "calls": [
            ("GET /users", {"username": "john_doe"}, None),
            ("PATCH /users/{1.id}/metadata", {}, {"public_metadata": {"plan": None}}),
        ],
    },
    {
        "say": "delete org acme",
        "calls": [("GET /organizations", {"query": "acme"}, None), ("DELETE /organizations/{1.id}", {}, None)],
    },
    {"say": "users limit 10 offset 20", "calls": [("GET /users", {"limit": "10", "offset": "20"}, None)]},
    {
        "say": "sign-in token for user_5, good for 2 hours",
        "calls": [("POST /sign_in_tokens", {}, {"user_id": "user_5", "expires_in_seconds": 7200})],
    },
    {
        "say": "disable email subaddresses",
        "calls": [("PATCH /instance/restrictions", {}, {"block_email_subaddresses": True})],
    },
    {
        "say": "change primary email of user_1 to idn_5",
        "calls": [("PATCH /users/user_1", {}, {"primary_email_address_id": "idn_5"})],
    },
    {
        "say": "get user user_1 and ban user_2",
        "calls": [("GET /users/user_1", {}, None), ("POST /users/user_2/ban", {}, None)],
    },
]  # fmt: skip


def facts(call: Planned) -> tuple[str, dict[str, Any], Any]:
    """Method with path, query, body."""
    query: dict[str, Any] = {}
    for name, value in call.query:
        query.setdefault(name, []).append(value)
    shown = {name: values[0] if len(values) == 1 else values for name, values in query.items()}
    return str(call).partition("?")[0], shown, call.body


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase["say"])
def test_the_table_of_phrases(phrase: dict[str, Any]) -> None:
    result = understand(phrase["say"], CATALOG, NOW_MS)
    if phrase.get("asks"):
        assert isinstance(result, Question)
        assert result.choices
    elif phrase.get("nothing"):
        assert isinstance(result, Unclear)
    else:
        assert isinstance(result, Understood), result
        assert len(result.calls) == len(phrase["calls"])
        for wanted, call in zip(phrase["calls"], result.calls, strict=True):
            line, query, body = facts(call)
            assert line == f"{wanted['method']} {wanted['path']}"
            assert body == wanted.get("body")
            assert query.keys() == wanted.get("query", {}).keys()
            for name, value in wanted.get("query", {}).items():
                if isinstance(value, dict):
                    latest = NOW_MS - value["ago_days"] * DAY_MS
                    assert latest - DAY_MS < int(query[name]) <= latest
                else:
                    assert query[name] == value


@pytest.mark.parametrize("phrase", FURTHER, ids=lambda phrase: phrase["say"])
def test_further_phrases(phrase: dict[str, Any]) -> None:
    result = understand(phrase["say"], CATALOG, NOW_MS)
    assert isinstance(result, Understood), result
    assert [facts(call) for call in result.calls] == phrase["calls"]
    assert result.reasons


@pytest.mark.parametrize(
    "say", ["what are the rate limits", "show my quota", "how many requests can I make", "how fast may I invite"]
)
def test_limits_are_a_topic_of_their_own(say: str) -> None:
    assert understand(say, CATALOG, NOW_MS) == Topic("limits")


def test_a_user_name_that_finds_nobody_is_searched_for() -> None:
    result = understand("get user john_doe", CATALOG, NOW_MS)
    assert isinstance(result, Understood)
    assert result.calls[0].fallback == (("query", "john_doe"),)


def test_all_means_every_page() -> None:
    every = understand("list all organizations", CATALOG, NOW_MS)
    some = understand("list organizations", CATALOG, NOW_MS)
    assert isinstance(every, Understood)
    assert isinstance(some, Understood)
    assert (every.calls[0].every, some.calls[0].every) == (True, False)


@pytest.mark.parametrize(
    "say",
    [
        "revoke all sessions of user_1",
        "delete the frobnicator of user_1",
        "delete user_1 from the newsletter",
        "remove the beard of user_1",
        "ban org_1",
        "delete inv_1 of mch_1",
        "users that never signed in",
        "please do not ban user_1",
        "never lock user_1",
        "ban user_1 unless they are admin",
        "ban user_1 only if they spam",
        "ban user_1 tomorrow",
        "lock user_1 for 2 hours",
        "delete user john_doe next week",
        "resend invitation inv_1",
        "send the invitation inv_1 again",
    ],
)
def test_what_is_not_understood_whole_is_not_done(say: str) -> None:
    assert not isinstance(understand(say, CATALOG, NOW_MS), Understood)


@pytest.mark.parametrize(
    ("say", "choices"),
    [
        ("block bob@spam.io", ["GET /users?email_address=bob@spam.io", "POST /blocklist_identifiers"]),
        ("suspend user_1", ["POST /users/user_1/ban", "POST /users/user_1/lock"]),
        ("add jane@x.io to org_1", ["GET /users?email_address=jane@x.io", "POST /organizations/org_1/invitations"]),
        ("mark user_1 as xyzzy", ["PATCH /users/user_1/metadata"] * 3),
        (
            "reset the password of user_1",
            ["POST /users/user_1/password/set_compromised", "POST /users/user_1/remove_password"],
        ),
        ("reset password for jane@x.io", ["GET /users?email_address=jane@x.io"] * 2),
        ("find acme", ["GET /users?username=acme", "GET /organizations?query=acme"]),
        ("add jane@x.io", ["POST /users", "POST /invitations", "POST /allowlist_identifiers"]),
        ("find user_1 and suspend them", ["GET /users/user_1", "GET /users/user_1"]),
    ],
)
def test_questions(say: str, choices: list[str]) -> None:
    result = understand(say, CATALOG, NOW_MS)
    assert isinstance(result, Question), result
    assert [str(choice.calls[0]) for choice in result.choices] == choices
    assert result.text.endswith("?")


def test_an_update_without_anything_to_change_says_what_it_can_change() -> None:
    result = understand("turn off sign up restrictions", CATALOG, NOW_MS)
    assert isinstance(result, Unclear)
    assert "block_disposable_email_domains" in result.text


@pytest.mark.parametrize("version", CATALOG.versions)
def test_every_version_understands_its_own_operations(version: str) -> None:
    catalog = load(version)
    for say in ("list users", "delete user_1", "list organizations", "invite a@b.co", "count users"):
        assert isinstance(understand(say, catalog, NOW_MS), Understood)


def test_an_old_version_offers_what_it_has() -> None:
    result = understand("reset the password of user_1", load("2021-02-05"), NOW_MS)
    assert isinstance(result, Question)
    assert [str(call) for choice in result.choices for call in choice.calls] == ["POST /users/user_1/remove_password"]
