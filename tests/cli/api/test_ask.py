"""`api ask` against Clerk on this machine: what is shown, what is asked back, and that nothing is done by half."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from clerk_runner.errors import AccessError, Exit, RunnerError, UsageError
from clerk_testing.simulated import SimulatedClerk

Api = Callable[..., Result]


def done(result: Result) -> Result:
    assert result.exception is None, result.exception
    assert result.return_value == Exit.DONE, result.stderr
    return result


def refused(result: Result, kind: type[RunnerError], code: str) -> RunnerError:
    assert isinstance(result.exception, kind), result
    assert result.exception.code == code, result.exception
    return result.exception


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scope."""
    monkeypatch.setenv("CLERK_BAPI_SCOPES", "write,delete")


@pytest.fixture
def user(clerk: SimulatedClerk) -> dict[str, Any]:
    """Some user, with a name."""
    found: dict[str, Any] = clerk.perform("GET", "/users?limit=1")[0]
    return found


def test_words_become_a_call_that_is_shown_with_reasons(run_api: Api, clerk: SimulatedClerk) -> None:
    result = done(run_api("first", "3", "users"))
    assert result.stderr.startswith("List users: GET /users?limit=3\n   List users\n   3 rows\n")
    assert len(json.loads(result.stdout)) == 3
    assert "Found 3 users:" in result.stderr


def test_explaining_sends_nothing_and_needs_no_key(run_api: Api) -> None:
    for words in (("ask", "ban", "user_1", "--explain"), ("ban", "user_1", "help"), ("ban", "user_1", "-h")):
        result = done(run_api(*words))
        assert result.stderr.splitlines()[0] == "Ban a user: POST /users/user_1/ban"
        assert result.stdout == ""
    shown = json.loads(done(run_api("ask", "first 3 users", "--explain", "--json")).stdout)
    assert shown["calls"][0] == {
        "operation": "GetUserList",
        "method": "GET",
        "path": "/users",
        "query": [["limit", "3"]],
        "body": None,
        "all": False,
    }


@pytest.mark.parametrize("words", ["how do I delete user_1", "How to delete user_1", "how can we delete user_1"])
def test_who_asks_how_is_shown_the_way_and_nothing_is_sent(run_api: Api, words: str) -> None:
    result = run_api(*words.split())
    assert (result.exception, result.return_value) == (None, Exit.DONE)
    assert result.stderr.splitlines() == [
        "Delete a user: DELETE /users/user_1",
        "   Delete a user",
        "   clerk-batch api show DeleteUser",
    ]


def test_a_dry_run_shows_every_call(run_api: Api) -> None:
    result = done(run_api("ask", 'create organization "Acme" for user_1 and invite a@b.co as admin', "--dry-run"))
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["body"] == {"name": "Acme", "created_by": "user_1"}
    assert second["url"].endswith("/v1/organizations/ID_OF_ANSWER_1/invitations")


def test_all_walks_every_page(run_api: Api, clerk: SimulatedClerk) -> None:
    count = clerk.perform("GET", "/users/count")["total_count"]
    assert len(json.loads(done(run_api("ask", "list all users")).stdout)) == count


def test_the_limits_are_shown_by_their_own_command(run_api: Api) -> None:
    result = done(run_api("what are the rate limits"))
    assert "Backend API" in result.stdout
    assert result.stderr == "clerk-batch limits\n"


def test_what_is_not_understood_is_a_usage_error(run_api: Api) -> None:
    error = refused(run_api("ask", "asdf", "qwerty"), UsageError, "not_understood")
    assert error.hint == "clerk-batch api tags lists all tags"
    assert refused(run_api("userz"), UsageError, "not_understood").hint == "did you mean Users?"


def test_two_meanings_are_listed_and_nothing_is_sent(run_api: Api, clerk: SimulatedClerk) -> None:
    error = refused(run_api("block", "bob@spam.io"), UsageError, "ambiguous")
    first, second, _ = error.hint.splitlines()
    assert str(error) == "Ban the user, or put the address on the block-list?"
    assert "POST /users/{1.id}/ban" in first
    assert "POST /blocklist_identifiers" in second


def test_at_a_terminal_one_is_chosen(run_api: Api, clerk: SimulatedClerk, allowed: None, at_terminal: None) -> None:
    result = done(run_api("block", "bob@spam.io", input="2\ny\n"))
    assert '  body       identifier="bob@spam.io"' in result.stderr
    assert json.loads(result.stdout)["object"] == "blocklist_identifier"
    refused(run_api("block", "bob@spam.io", input="\n"), UsageError, "ambiguous")


def test_a_user_is_looked_up_and_its_id_carried_over(
    run_api: Api, clerk: SimulatedClerk, allowed: None, user: dict[str, Any]
) -> None:
    address = user["email_addresses"][0]["email_address"]
    result = done(run_api("ban", address, "--yes"))
    assert result.stderr.startswith(f"1. List users: GET /users?email_address={address}\n2. Ban a user: ")
    assert json.loads(result.stdout)["id"] == user["id"]
    assert clerk.perform("GET", f"/users/{user['id']}")["banned"] is True


def test_nobody_is_written_to_by_guess(run_api: Api, clerk: SimulatedClerk, allowed: None) -> None:
    error = refused(run_api("ban", "nobody@example.org", "--yes"), UsageError, "target_unclear")
    assert str(error) == "nobody fits, so nothing was written"
    error = refused(run_api("lock", "user", "nobody_at_all", "--yes"), UsageError, "target_unclear")
    assert error.hint == "find the id first: clerk-batch api call GET /users --query query=nobody_at_all"


def test_an_organization_is_made_and_its_id_carried_over(
    run_api: Api, clerk: SimulatedClerk, allowed: None, user: dict[str, Any]
) -> None:
    words = f'create organization "Acme Corp" for {user["id"]} and invite carried@b.co as admin'
    result = done(run_api("ask", words, "--yes"))
    made, invited = (json.loads(line) for line in result.stdout.splitlines())
    assert made["name"] == "Acme Corp"
    assert (invited["organization_id"], invited["role"]) == (made["id"], "org:admin")


def test_scopes_are_asked_for_before_the_first_call(run_api: Api, clerk: SimulatedClerk, user: dict[str, Any]) -> None:
    before = clerk.report()["requests_total"]
    address = user["email_addresses"][0]["email_address"]
    refused(run_api("ban", address, "--yes"), AccessError, "scope_missing")
    assert clerk.report()["requests_total"] == before


def test_what_is_missing_is_told_before_the_first_call(run_api: Api, clerk: SimulatedClerk, allowed: None) -> None:
    before = clerk.report()["requests_total"]
    error = refused(run_api("ask", "create sign-in token", "--yes"), UsageError, "call_refused")
    assert "body user_id: is required" in error.hint
    assert clerk.report()["requests_total"] == before


def test_options_add_to_what_the_words_say(
    run_api: Api, clerk: SimulatedClerk, allowed: None, user: dict[str, Any]
) -> None:
    assert len(json.loads(done(run_api("ask", "list users", "--limit", "2")).stdout)) == 2
    words = ("ask", f"create organization Globex for {user['id']}", "--field", "slug=globex", "--yes")
    made = json.loads(done(run_api(*words)).stdout)
    assert (made["name"], made["slug"]) == ("Globex", "globex")
    words = ("ask", "invite a1@b.co, a2@b.co", "-d", '[{"email_address": "a3@b.co"}]', "--dry-run")
    assert json.loads(done(run_api(*words)).stdout)["body"] == [{"email_address": "a3@b.co"}]


def test_a_delete_by_words_needs_the_id_too(run_api: Api, clerk: SimulatedClerk, allowed: None) -> None:
    first, second = (row["id"] for row in clerk.perform("GET", "/users?limit=2"))
    refused(run_api(f"delete {first} and {second}", "--yes", "--confirm", second), AccessError, "confirmation_missing")
    result = done(run_api(f"delete {first} and {second}", "--yes", "--confirm", first, "--confirm", second))
    assert f"Deleted: {first}" in result.stderr
    assert f"Deleted: {second}" in result.stderr


def test_a_call_that_fails_ends_the_sentence(run_api: Api, clerk: SimulatedClerk, allowed: None) -> None:
    result = run_api("lock user_nobody1 and lock user_nobody2", "--yes")
    assert result.return_value == Exit.SOME_FAILED
    assert result.stderr.count("404 resource_not_found") == 1


def test_a_name_that_nobody_has_is_offered_to_be_searched_for(
    run_api: Api, clerk: SimulatedClerk, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = done(run_api("get", "user", "nobody_at_all"))
    assert "Nobody has that name. Perhaps: clerk-batch api call GET /users --query query=nobody_at_all" in result.stderr
    monkeypatch.setattr("clerk_runner.cli.api.prompt.interactive", lambda: True)
    first_name = str(user["first_name"]).lower()
    asked = done(run_api("get", "user", f"{first_name}_x", input="y\n"))
    assert asked.stderr.count("Found 0") == 2
    assert asked.stdout.splitlines()[-1] == "[]"
