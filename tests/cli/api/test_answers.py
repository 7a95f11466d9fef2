"""Lines for a person: what came back, why a call failed, what a write announces, and tables on a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from clerk_jobs.call import Problem, Reply
from clerk_jobs.catalog import Catalog, Json, load
from clerk_jobs.catalog.prepare import Inputs, prepare
from clerk_runner.cli.api.output import JsonArray, write_json, write_table
from clerk_runner.explore.announce import Surroundings, announcement, deletion_id
from clerk_runner.explore.answers import failure_lines, found_lines, success_lines, telling_read
from clerk_runner.explore.replacing import loss_lines, read_before, vanishing_keys
from clerk_runner.explore.sheet import example_call

Api = Callable[..., Result]
CATALOG = load()
WHERE = Surroundings("api.clerk.com", "production", "2026-05-12", "write")


def said(operation: str, answer: Json, body: Json = None) -> list[str]:
    chosen = CATALOG.operation(operation)
    path = {p.name: "id_1" for p in chosen.path_parameters}
    return list(success_lines(chosen, prepare(chosen, Inputs(path, body=body), check=False), answer))


@pytest.mark.parametrize(
    ("operation", "answer", "lines"),
    [
        ("GetUserList", [], ["Found 0 users"]),
        ("ListWaitlistEntries", {"data": [], "total_count": 0}, ["Found 0 waitlist entries"]),
        ("GetUserList", [{"object": "user", "id": "user_1"}], ["Found 1 user:", "  user_1: no email"]),
        (
            "ListOrganizationMemberships",
            {
                "data": [
                    {
                        "object": "organization_membership",
                        "id": "orgmem_1",
                        "role": "org:admin",
                        "public_user_data": {"identifier": "a@b.co"},
                    }
                ],
                "total_count": 1,
            },
            ["Found 1 organization membership:", "  orgmem_1: a@b.co, org:admin"],
        ),
        (
            "ListWaitlistEntries",
            {"data": [{"object": "waitlist_entry", "id": "w", "email_address": "a@b.co", "status": "pending"}] * 2},
            ["Found 2 waitlist entries:", "  w: a@b.co, pending", "  w: a@b.co, pending"],
        ),
        ("GetUsersCount", {"object": "total_count", "total_count": 7}, ["Total: 7"]),
        ("DeleteUser", {"id": "user_1", "object": "user", "deleted": True}, ["Deleted: user_1"]),
        ("DeleteTOTP", {"user_id": "user_1"}, ["Done: Delete the authenticator app codes (TOTP) of a user"]),
        (
            "DeleteUserProfileImage",
            {"object": "user", "id": "user_1"},
            ["Done: Delete the profile image of a user: user_1: no email"],
        ),
        (
            "CreateSignInToken",
            {"object": "sign_in_token", "id": "sit_1", "status": "pending", "url": "https://x.example/?ticket=secret"},
            ["Created sit_1: pending"],
        ),
        (
            "CreateRedirectURL",
            {"object": "redirect_url", "id": "ru_1", "url": "https://x.example"},
            ["Created ru_1: https://x.example"],
        ),
        ("DeleteUser", None, ["Deleted: id_1"]),
        ("VerifyPassword", {"verified": True}, ["Done: Check the password of a user"]),
        ("GetInstanceProtect", {"rules_enabled": True}, ["Found it"]),
        ("BanUser", {"object": "user", "id": "user_1"}, ["Done: user_1: no email"]),
        ("UsersBan", [{"object": "user", "id": "user_1"}, 5], ["Done: 2:", "  user_1: no email", "  5"]),
        ("ListOrganizationDomains", {"object": "strange"}, ["Found strange"]),
    ],
)
def test_what_came_back(operation: str, answer: Json, lines: list[str]) -> None:
    assert said(operation, answer) == lines


def test_an_answer_without_a_body_is_a_success_all_the_same() -> None:
    assert said("ChangeProductionInstanceDomain", None, {"home_url": "https://x.io"}) == ["Done."]


def test_the_primary_address_is_the_one_that_is_shown() -> None:
    addresses: list[Json] = [{"id": "a", "email_address": "first@x.io"}, {"id": "b", "email_address": "main@x.io"}]
    user: dict[str, Json] = {"object": "user", "id": "user_1", "email_addresses": addresses}
    assert said("GetUser", user) == ["Found user_1: first@x.io"]
    assert said("GetUser", {**user, "primary_email_address_id": "b"}) == ["Found user_1: main@x.io"]


def test_metadata_that_was_written_is_shown() -> None:
    answer: Json = {"object": "user", "id": "user_1", "public_metadata": {"plan": "pro"}}
    assert said("UpdateUserMetadata", answer, {"public_metadata": {"plan": "pro"}}) == [
        'Updated user user_1: public_metadata={"plan": "pro"}'
    ]


def test_a_long_list_is_cut() -> None:
    rows: list[Json] = [{"id": f"x_{number}"} for number in range(25)]
    lines = list(found_lines(CATALOG.operation("GetUserList"), rows, 25))
    assert (lines[0], len(lines), lines[-1]) == ("Found 25 users:", 22, "  ... and 5 more")


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (400, "bulk_size_exceeded", "send fewer at once"),
        (422, "form_param_unknown", "clerk-batch api show GetUser lists the fields of this operation"),
        (422, "form_something", "clerk-batch api show GetUser says what the operation takes"),
        (401, "authentication_invalid", "check CLERK_SECRET_KEY"),
        (418, "teapot", "try again later"),
    ],
)
def test_remedies(status: int, code: str, remedy: str) -> None:
    problem = Problem(code, "what Clerk says", {"param_name": "limit"})
    lines = list(failure_lines(CATALOG.operation("GetUser"), Reply(status, None, (problem,), "trace_1")))
    assert lines == [f"{status} {code} (limit): what Clerk says", "trace id: trace_1", remedy]


@pytest.mark.parametrize(
    ("operation", "command"),
    [
        ("CreateInvitation", "clerk-batch api call GET /invitations"),
        ("CreateBulkInvitations", "clerk-batch api call GET /invitations"),
        ("InviteWaitlistEntry", "clerk-batch api call GET /waitlist_entries"),
        ("CreateSAMLConnection", "clerk-batch api call GET /saml_connections --query order_by=-created_at"),
        ("CreateTestingToken", ""),
    ],
)
def test_the_read_that_tells_what_became_of_a_lost_call(operation: str, command: str) -> None:
    chosen = CATALOG.operation(operation)
    assert telling_read(CATALOG, chosen, example_call(chosen)) == command


@pytest.mark.parametrize(
    ("operation", "body", "command"),
    [
        ("CreateUser", {"external_id": "a 1", "email_address": ["a@b.co"]}, "GET /users --query 'external_id=a 1'"),
        ("CreateUser", {"email_address": ["a@b.co"]}, "GET /users"),
        ("CreateOrganization", {"name": "Acme", "slug": "acme"}, "GET /organizations --query query=acme"),
        ("CreateInvitation", {"email_address": "a@b.co"}, "GET /invitations"),
    ],
)
def test_a_thing_with_a_name_of_its_own_is_asked_for_by_it(operation: str, body: Json, command: str) -> None:
    chosen = CATALOG.operation(operation)
    call = prepare(chosen, Inputs(body=body))
    assert telling_read(CATALOG, chosen, call) == f"clerk-batch api call {command}"


@pytest.mark.parametrize("version", CATALOG.versions)
def test_every_write_of_every_version_is_announced(version: str) -> None:
    catalog: Catalog = load(version)
    for operation in catalog.operations():
        if operation.method != "GET":
            call = example_call(operation)
            lines = list(announcement(operation, call, WHERE))
            assert lines[0] == f"{operation.phrase} ({operation.operation_id})"
            assert lines[2] == "  host       api.clerk.com, production key, API version 2026-05-12"
            assert any("IRREVERSIBLE" in line for line in lines) is (operation.method == "DELETE")
            if operation.method == "DELETE":
                assert deletion_id(operation, call) in call.path


def test_the_id_that_has_to_be_typed_is_the_one_that_was_written() -> None:
    operation = CATALOG.operation("DeleteOrganizationMembership")
    call = prepare(operation, Inputs({"organization_id": "org_1", "user_id": "a b/c"}))
    assert (call.path, deletion_id(operation, call)) == ("/organizations/org_1/memberships/a%20b%2Fc", "a b/c")


def test_an_organization_without_a_creator_is_warned_of() -> None:
    operation = CATALOG.operation("CreateOrganization")
    lonely, owned = (
        list(announcement(operation, prepare(operation, Inputs(body=body)), WHERE))
        for body in ({"name": "Acme"}, {"name": "Acme", "created_by": "user_1"})
    )
    warning = "  note       it will have no members, because created_by is not given"
    assert warning in lonely
    assert warning not in owned


def test_secrets_are_not_announced_and_long_values_cut() -> None:
    operation = CATALOG.operation("CreateUser")
    body: Json = {"password": "correct horse", "skip_password_checks": True, "username": "a" * 200}
    line = next(
        line for line in announcement(operation, prepare(operation, Inputs(body=body)), WHERE) if "body" in line
    )
    assert "correct horse" not in line
    assert " password=***, skip_password_checks=true, " in line
    assert line.endswith("...")


def test_metadata_is_shown_longer_than_other_values_but_not_without_end() -> None:
    operation = CATALOG.operation("UpdateUserMetadata")
    body: Json = {"public_metadata": {"plan": "x" * 9000}}
    lines = list(announcement(operation, prepare(operation, Inputs({"user_id": "user_1"}, body=body)), WHERE))
    (shown,) = [line for line in lines if line.startswith("  body ")]
    assert len(shown) == len("  body       public_metadata=") + 2000


def test_arrays_are_counted() -> None:
    operation = CATALOG.operation("CreateBulkInvitations")
    body: Json = [{"email_address": "a@b.co", "public_metadata": {"stripe_id": "x"}}] * 2
    lines = list(announcement(operation, prepare(operation, Inputs(body=body)), WHERE))
    assert any('2 items, the first email_address="a@b.co"' in line for line in lines)
    assert any("stripe_id looks like private" in line for line in lines)


def test_keys_that_a_replacement_removes() -> None:
    current: Json = {"public_metadata": {"a": 1, "b": {"x": 1, "y": 2}}, "private_metadata": {"c": 3}}
    body: dict[str, Any] = {"public_metadata": {"b": {"y": 5}}, "private_metadata": None}
    assert list(vanishing_keys(current, body)) == ["public_metadata.a", "public_metadata.b.x", "private_metadata.c"]
    assert list(vanishing_keys(None, body)) == []
    assert list(vanishing_keys({"public_metadata": None}, body)) == []


def replacement(operation: str, version: str, body: Json) -> tuple[Catalog, Any, Any]:
    catalog = load(version)
    chosen = catalog.operation(operation)
    path = {p.name: "a b" for p in chosen.path_parameters}
    return catalog, chosen, prepare(chosen, Inputs(path, body=body), check=False)


@pytest.mark.parametrize(
    ("operation", "version", "body", "read"),
    [
        ("ReplaceUserMetadata", "2026-05-12", {"public_metadata": {}}, "/users/a%20b"),
        ("ReplaceOrganizationMetadata", "2026-05-12", {"private_metadata": {}}, "/organizations/a%20b"),
        ("UpdateOrganization", "2025-11-10", {"public_metadata": {}, "name": "x"}, "/organizations/a%20b"),
        ("UpdateUser", "2025-11-10", {"first_name": "x"}, None),
        ("UpdateUserMetadata", "2026-05-12", {"public_metadata": {}}, None),
        ("CreateUser", "2026-05-12", {"public_metadata": {}}, None),
        ("UpdateOrganizationMembership", "2026-05-12", {"role": "org:admin", "public_metadata": {}}, None),
    ],
)
def test_a_replacement_is_preceded_by_a_read(operation: str, version: str, body: Json, read: str | None) -> None:
    found = read_before(*replacement(operation, version, body))
    assert (found and found.path) == read


def test_the_merge_that_is_offered_carries_the_metadata_alone() -> None:
    catalog, chosen, call = replacement("UpdateUser", "2025-11-10", {"public_metadata": {"b": 1}, "first_name": "Ada"})
    read = read_before(catalog, chosen, call)
    assert read is not None
    lines = list(loss_lines(read, Reply(200, {"public_metadata": {"a": 1, "b": 2}}), call))
    assert lines == [
        "  these keys will be GONE: public_metadata.a",
        '  to keep them, merge: clerk-batch api call PATCH /users/a%20b/metadata -d \'{"public_metadata": {"b": 1}}\'',
    ]
    assert list(loss_lines(read, Reply(200, {"public_metadata": {"b": 2}}), call)) == []


def test_a_value_that_cannot_be_read_before_it_is_replaced_is_told() -> None:
    catalog, chosen, call = replacement("ReplaceUserMetadata", "2026-05-12", {"public_metadata": {"b": 1}})
    read = read_before(catalog, chosen, call)
    assert read is not None
    (line,) = loss_lines(read, Reply(404, None, (Problem("resource_not_found", ""),)), call)
    assert line.strip().startswith("the current value could not be read (404 resource_not_found)")


def test_the_kind_of_metadata_is_given_a_reason() -> None:
    operation = CATALOG.operation("UpdateUserMetadata")
    many: dict[str, Json] = {f"plan_{number}": 1 for number in range(10)}
    body: Json = {"public_metadata": {**many, "xyzzy": 1, "stripe_id": 2}, "unsafe_metadata": {"theme": "dark"}}
    lines = list(announcement(operation, prepare(operation, Inputs({"user_id": "user_1"}, body=body)), WHERE))
    reasons = [line.strip() for line in lines if line.startswith("    ") and "_metadata" not in line]
    why = "because the client reads it and only the server can change it"
    assert reasons == [
        "plan_0, plan_1, plan_2, plan_3, plan_4, plan_5, plan_6, plan_7 and 2 more: public, " + why,
        "xyzzy: public, as this call says",
        "stripe_id looks like private: only the server may see ids and internal facts",
        "theme: unsafe, because the client itself keeps its state there, and nothing depends on it",
    ]


class TestTerminal:
    @pytest.fixture(autouse=True)
    def terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever reads sits at a terminal."""
        monkeypatch.setattr("clerk_runner.cli.api.output._terminal", lambda: True)

    def test_a_table_has_headers(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_table(("tag", "operations"), [("Users [bold]", "35")])
        assert capsys.readouterr().out.split() == ["tag", "operations", "Users", "[bold]", "35"]

    @pytest.mark.parametrize("width", [200, 100, 80, 40])
    def test_a_path_stays_whole_however_narrow_the_terminal(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        path = "/organizations/{organization_id}/invitations/bulk"
        headers = ("method", "path", "what it does", "required")
        write_table(headers, [("POST", path, "Create up to 10 organization invitations at once", "role*")])
        lines = capsys.readouterr().out.splitlines()
        assert any(path in line for line in lines)
        assert ("method" in lines[0]) is (width >= 100)
        assert any("role*" in line for line in lines)

    def test_json_commands_no_terminal_and_means_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        value = {"name": "Zoe\u0301 \x1b[2J \x9b2J \u202egnp \U0001f600 \ud800", "list": [1]}
        write_json(value)
        text = capsys.readouterr().out
        assert json.loads(text) == value
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)
        assert "\U0001f600" in text

    def test_json_is_indented(self, run_api: Api, capsys: pytest.CaptureFixture[str]) -> None:
        text = run_api("tags", "--json").stdout
        assert text.startswith('{\n  "version"')
        with JsonArray() as array:
            array.extend([1, {"a": 2}])
        assert json.loads(capsys.readouterr().out) == [1, {"a": 2}]
        with JsonArray():
            pass
        assert capsys.readouterr().out == "[]\n"
