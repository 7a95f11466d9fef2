"""`api call` against Clerk on this machine: what is sent, what is refused before, and what is said."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from clerk_jobs.call import Call
from clerk_jobs.catalog import Operation, load
from clerk_runner.cli.api.session import needed_scopes
from clerk_runner.credentials import discover
from clerk_runner.errors import AccessError, Exit, LeftEarly, RunnerError, StoppedError, UsageError
from clerk_runner.explore.calling import Caller, MayHaveHappened, open_caller
from clerk_runner.explore.sheet import example_call
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

Api = Callable[..., Result]


def sent(clerk: SimulatedClerk) -> int:
    """Requests that arrived."""
    return int(clerk.report()["requests_total"])


def users_of(clerk: SimulatedClerk) -> int:
    """How many users there are: other tests delete some."""
    return int(clerk.perform("GET", "/users/count")["total_count"])


def answer(result: Result) -> Any:
    assert result.exception is None, result.exception
    assert result.return_value == Exit.DONE, result.stderr
    return json.loads(result.stdout)


def refused(result: Result, kind: type[RunnerError], code: str) -> RunnerError:
    assert isinstance(result.exception, kind), result
    assert result.exception.code == code, result.exception
    return result.exception


@pytest.fixture
def user(clerk: SimulatedClerk) -> str:
    """The id of some user."""
    return str(clerk.perform("GET", "/users?limit=1")[0]["id"])


@pytest.fixture(scope="module")
def production() -> Iterator[SimulatedClerk]:
    """A production instance, whose limits are ten times as wide."""
    with simulated_clerk("--key", "sk_live_simulator", "--users", "30", "--organizations", "3") as clerk:
        yield clerk


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scope."""
    monkeypatch.setenv("CLERK_BAPI_SCOPES", "read, write,delete")


class TestReading:
    def test_a_page_of_users(self, run_api: Api, clerk: SimulatedClerk) -> None:
        result = run_api("GET", "/users", "--limit", "2")
        rows = answer(result)
        assert len(rows) == 2
        assert result.stdout.count("\n") == 1
        lines = result.stderr.splitlines()
        assert lines[0] == "Found 2 users:"
        assert lines[1] == f"  {rows[0]['id']}: {rows[0]['email_addresses'][0]['email_address']}"
        assert lines[-1] == "2 shown (limit 2); there may be more: --all, or --limit 500 --offset 2"

    @pytest.mark.parametrize(
        "words",
        [
            ("GET", "/v1/users?limit=3"),
            ("GET", "users/?limit=3"),
            ("call", "/users?limit=3"),
            ("call", "https://api.clerk.com/v1/users?limit=3&order_by=+created_at"),
            ("GET", "https://api.clerk.com/v1/users?limit=3"),
            ("call", "GetUserList", "-q", "limit=3"),
            ("call", "getuserlist", "--limit", "3"),
            ("GET", "/users?limit=9", "--limit", "3"),
        ],
    )
    def test_an_address_may_be_written_in_any_way(self, run_api: Api, clerk: SimulatedClerk, words: Any) -> None:
        assert len(answer(run_api(*words))) == 3

    def test_an_address_on_the_simulators_own_host(self, run_api: Api, clerk: SimulatedClerk) -> None:
        assert len(answer(run_api("GET", f"{clerk.address}/v1/users?limit=3"))) == 3

    def test_an_address_on_another_host_is_refused(self, run_api: Api, clerk: SimulatedClerk) -> None:
        refused(run_api("GET", "https://evil.example/v1/users"), UsageError, "host_foreign")

    def test_one_user(self, run_api: Api, clerk: SimulatedClerk, user: str) -> None:
        result = run_api("GET", f"/users/{user}")
        assert answer(result)["id"] == user
        assert result.stderr.startswith(f"Found {user}: user")
        assert answer(run_api("call", "GetUser", "-p", f"user_id={user}"))["id"] == user

    def test_a_count(self, run_api: Api, clerk: SimulatedClerk) -> None:
        assert run_api("GET", "/users/count").stderr == f"Total: {users_of(clerk)}\n"

    @pytest.mark.parametrize("words", [("GET", "/users"), ("GET", "/users?order_by=%2Bcreated_at&limit=100")])
    def test_all_pages_of_users(self, run_api: Api, clerk: SimulatedClerk, words: tuple[str, ...]) -> None:
        result = run_api(*words, "--all")
        rows = answer(result)
        assert len({row["id"] for row in rows}) == len(rows) == users_of(clerk)
        assert result.stderr.splitlines()[0] == f"Found {len(rows)} users:"
        assert result.stderr.splitlines()[-1] == f"  ... and {len(rows) - 20} more"

    def test_all_pages_by_offset(self, run_api: Api, clerk: SimulatedClerk) -> None:
        for words, count in (("/organizations?limit=5", 12), ("/users?order_by=username", users_of(clerk))):
            rows = answer(run_api("GET", words, "--all"))
            assert len({row["id"] for row in rows}) == len(rows) == count

    @pytest.mark.parametrize("version", load().versions)
    def test_every_read_of_every_version_can_be_called(
        self, production: SimulatedClerk, home: Path, version: str
    ) -> None:
        async def scenario() -> None:
            credentials = discover(production.environment, home.parent)
            async with open_caller(credentials, version, home) as caller:
                for operation in load(version).operations():
                    if operation.method == "GET":
                        await read(caller, operation)

        async def read(caller: Caller, operation: Operation) -> None:
            bodyless = operation.success is None or operation.success.schema is None
            reply = await caller.send(example_call(operation), bodyless=bodyless)
            assert reply.ok or reply.status in (403, 404), (operation, reply)
            if operation.list_shape is not None and reply.ok:
                assert operation.list_shape.rows(reply.value) is not None
                call = replace(example_call(operation), query=example_call(operation).query[:-1])
                rows = [row async for page in caller.pages(operation, call) for row in page]
                assert len(rows) >= len(operation.list_shape.rows(reply.value) or ())

        asyncio.run(scenario())

    def test_a_read_without_a_documented_body(self, run_api: Api, clerk: SimulatedClerk) -> None:
        result = run_api("GET", "/public/interstitial")
        assert (result.return_value, result.stdout, result.stderr) == (Exit.DONE, "", "Found.\n")

    def test_all_of_what_is_no_list_is_refused(self, run_api: Api, clerk: SimulatedClerk) -> None:
        refused(run_api("GET", "/users/count", "--all"), UsageError, "no_list")

    def test_a_failure_says_status_code_message_trace_and_remedy(self, run_api: Api, clerk: SimulatedClerk) -> None:
        result = run_api("GET", "/users/user_nobody")
        assert result.return_value == Exit.SOME_FAILED
        assert result.stdout == ""
        first, trace, remedy = result.stderr.splitlines()
        assert first.startswith("404 resource_not_found: ")
        assert trace.startswith("trace id: ")
        assert remedy == "check the id, and that the key belongs to the same instance"

    def test_a_failure_as_json(self, run_api: Api, clerk: SimulatedClerk) -> None:
        result = run_api("GET", "/users/user_nobody", "--json")
        assert result.stderr == ""
        error = json.loads(result.stdout)["error"]
        assert (error["exit"], error["status"], error["code"]) == (1, 404, "resource_not_found")
        assert error["hint"] == "check the id, and that the key belongs to the same instance"


class TestChecks:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("GET", "/users?created_at=gt:5"), "write created_at_after=5"),
            (("GET", "/users?limit=501"), "must be at most 500, is 501"),
            (("GET", "/users", "-q", "email_address[]=x"), "write email_address, and repeat the name"),
        ],
    )
    def test_what_does_not_fit_is_not_sent(
        self, run_api: Api, clerk: SimulatedClerk, words: tuple[str, ...], message: str
    ) -> None:
        before = sent(clerk)
        assert message in refused(run_api(*words), UsageError, "call_refused").hint
        assert sent(clerk) == before

    def test_no_check_sends_it_all_the_same(self, run_api: Api, clerk: SimulatedClerk) -> None:
        assert run_api("GET", "/users?limit=501", "--no-check").exception is None

    def test_what_is_missing_is_listed(self, run_api: Api, clerk: SimulatedClerk, allowed: None) -> None:
        error = refused(run_api("POST", "/organizations/{organization_id}/invitations"), UsageError, "call_refused")
        assert str(error) == "POST /organizations/{organization_id}/invitations cannot be called like this"
        assert [line.strip() for line in error.hint.splitlines()] == [
            "path organization_id: is required",
            "body email_address: is required",
            "body role: is required",
            "give what is missing with -p NAME=VALUE, --field NAME=VALUE or all of it with -d",
            "clerk-batch api show CreateOrganizationInvitation",
        ]

    def test_a_long_list_of_faults_is_cut(self, run_api: Api, clerk: SimulatedClerk, allowed: None) -> None:
        body = json.dumps([{"nonsense": number} for number in range(20)])
        error = refused(run_api("POST", "/invitations/bulk", "-d", body), UsageError, "call_refused")
        assert error.hint.splitlines()[-3].strip() == "... and 21 more"

    def test_what_is_missing_is_asked_for_at_a_terminal(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, at_terminal: None
    ) -> None:
        result = run_api("POST", "/invitations", input="asked@example.com\ny\n")
        assert answer(result)["email_address"] == "asked@example.com"
        assert "email_address (body, required)" in result.stderr

    def test_an_empty_answer_is_no_value(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, at_terminal: None
    ) -> None:
        refused(run_api("POST", "/invitations", input="\n"), UsageError, "call_refused")
        refused(run_api("call", "GetUser", input="\n"), UsageError, "call_refused")

    def test_ids_and_queries_are_asked_for_too(
        self, run_api: Api, clerk: SimulatedClerk, at_terminal: None, user: str
    ) -> None:
        assert answer(run_api("call", "GetUser", input=f"{user}\n"))["id"] == user
        result = run_api("GET", "/api_keys", "--dry-run")
        assert isinstance(result.exception, UsageError)

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("GET", "/nowhere"), "operation_unknown"),
            (("PUT", "/users"), "operation_unknown"),
            (("call", "GET"), "unknown_name"),
            (("call", "GET", "/users", "x"), "target_malformed"),
            (("GET", "http://[::1/users"), "target_malformed"),
            (("GET", "/users", "-q", "limit"), "option_malformed"),
            (("POST", "/invitations", "-d", "{"), "body_malformed"),
            (("POST", "/invitations", "-d", '{"email_address": NaN}'), "body_malformed"),
            (("POST", "/invitations", "-d", '{"notify": true, "notify": false}'), "body_malformed"),
            (("POST", "/invitations", "-d", "[" * 100_000), "body_malformed"),
            (("POST", "/invitations", "-d", '{"email_address": "\\ud800"}', "--dry-run"), "call_refused"),
            (("POST", "/invitations", "-d", "{}", "--file", "x"), "body_twice"),
            (("POST", "/invitations", "--file", "no-such-file"), "file_unreadable"),
            (("POST", "/invitations", "-d", "[]", "--field", "a=b"), "body_malformed"),
            (("POST", "/invitations", "--field", "notify=true", "--field", "notify.x=1"), "field_malformed"),
            (("POST", "/users/user_1/profile_image", "--dry-run"), "upload_unsupported"),
        ],
    )
    def test_usage_errors(self, run_api: Api, words: tuple[str, ...], code: str) -> None:
        assert refused(run_api(*words), UsageError, code).exit == 2

    @pytest.mark.parametrize(
        ("words", "hint"),
        [
            (("POST", "/invitations", "email_address=a@b.co"), "--field email_address=… gives a value"),
            (("GET", "/users", "limit=5", "offset=5"), "--query limit=… gives a value"),
            (("POST", "/invitations", "-d", "@body.json"), "--file body.json reads a file"),
        ],
    )
    def test_habits_of_other_tools_are_put_right(self, run_api: Api, words: tuple[str, ...], hint: str) -> None:
        error = run_api(*words).exception
        assert isinstance(error, UsageError)
        assert error.hint == hint

    def test_a_file_that_is_no_text(self, run_api: Api, tmp_path: Path) -> None:
        (tmp_path / "body").write_bytes(b"\xff\xfe")
        refused(run_api("POST", "/invitations", "--file", "body"), UsageError, "body_malformed")

    def test_a_body_comes_from_a_file_or_from_standard_input(self, run_api: Api, tmp_path: Path) -> None:
        text = '{"email_address": "a@b.co"}'
        (tmp_path / "body.json").write_text(text)
        for words in (("--file", "body.json"), ("--file", "-"), ("-d", "-"), ("-d", text)):
            shown = answer(run_api("POST", "/invitations", *words, "--dry-run", input=text))
            assert shown["body"] == {"email_address": "a@b.co"}


class TestDryRun:
    def test_nothing_is_needed_and_nothing_sent(self, run_api: Api) -> None:
        shown = answer(run_api("DELETE", "/users/user_1", "--dry-run"))
        assert shown == {
            "method": "DELETE",
            "url": "https://api.clerk.com/v1/users/user_1",
            "query": [],
            "headers": {"Authorization": "Bearer ***", "Clerk-API-Version": "2026-05-12"},
            "body": None,
        }

    def test_secrets_of_the_body_are_hidden_but_in_code(self, run_api: Api) -> None:
        body = (
            '{"password": "horse", "backup_codes": ["staple"], "private_metadata": {"tokens": [{"token": "battery"}]}}'
        )
        shown = answer(run_api("POST", "/users", "-d", body, "--dry-run"))["body"]
        assert shown == {"password": "***", "backup_codes": "***", "private_metadata": {"tokens": "***"}}
        bulk = '[{"email_address": "a@b.co", "public_metadata": {"list": [{"secret": 1}]}}]'
        (one,) = answer(run_api("POST", "/invitations/bulk", "-d", bulk, "--dry-run"))["body"]
        assert one["public_metadata"] == {"list": [{"secret": "***"}]}
        assert "horse" in run_api("POST", "/users", "-d", body, "--as", "curl").stdout

    def test_the_address_that_is_shown_is_the_one_that_is_called(
        self, run_api: Api, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLERK_API_URL", "http://127.0.0.1:8080/v1")
        assert answer(run_api("GET", "/users", "--dry-run"))["url"] == "http://127.0.0.1:8080/v1/users"
        monkeypatch.setenv("CLERK_API_URL", "http://clerk.example")
        refused(run_api("GET", "/users", "--dry-run"), UsageError, "url_insecure")

    def test_the_version_that_is_shown_is_the_version_that_is_sent(self, run_api: Api) -> None:
        shown = answer(run_api("GET", "/users", "version", "2025-11-10", "--dry-run"))
        assert shown["headers"]["Clerk-API-Version"] == "2025-11-10"

    def test_as_curl(self, run_api: Api) -> None:
        text = run_api("POST", "/invitations", "--field", "email_address=o'k@b.co", "--as", "curl").stdout
        assert "curl -X POST https://api.clerk.com/v1/invitations" in text
        assert 'Bearer $CLERK_SECRET_KEY"' in text
        assert "Clerk-API-Version: 2026-05-12" in text

    def test_as_python_is_a_program_that_runs(self, run_api: Api, clerk: SimulatedClerk) -> None:
        program = run_api("GET", "/users?limit=2", "--as", "python").stdout
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.count("'object': 'user'") == 2
        with_body = run_api("POST", "/invitations", "-d", '{"email_address": "x@y.z"}', "--as", "python").stdout
        compile(with_body, "example", "exec")

    def test_as_js(self, run_api: Api) -> None:
        text = run_api("POST", "/invitations", "-d", '{"email_address": "x@y.z"}', "--as", "js").stdout
        assert 'await fetch("https://api.clerk.com/v1/invitations"' in text
        assert "process.env.CLERK_SECRET_KEY" in text
        assert 'body: JSON.stringify({"email_address": "x@y.z"})' in text
        assert "body:" not in run_api("GET", "/users", "--as", "js").stdout

    def test_no_code_holds_a_key(self, run_api: Api, clerk: SimulatedClerk) -> None:
        for words in (("--dry-run",), ("--as", "curl"), ("--as", "python"), ("--as", "js")):
            assert clerk.key not in run_api("GET", "/users", *words).output


class TestWriting:
    def test_without_a_key(self, run_api: Api) -> None:
        error = refused(run_api("GET", "/users"), AccessError, "key_missing")
        assert "CLERK_SECRET_KEY" in str(error)
        assert ".env.local" in str(error)

    def test_at_a_terminal_the_key_is_asked_for(
        self, run_api: Api, clerk: SimulatedClerk, at_terminal: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CLERK_SECRET_KEY")
        result = run_api("GET", "/users?limit=1", input=f"{clerk.key}\n")
        assert len(answer(result)) == 1
        assert clerk.key not in result.stderr
        refused(run_api("GET", "/users", input="\n"), AccessError, "key_missing")

    @pytest.mark.parametrize("scopes", ["", "read", "writer", "WRITE", "read,delete"])
    def test_scopes_are_exact_tokens(
        self, run_api: Api, clerk: SimulatedClerk, scopes: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLERK_BAPI_SCOPES", scopes)
        before = sent(clerk)
        error = refused(
            run_api("POST", "/invitations", "--field", "email_address=a@b.co", "--yes"), AccessError, "scope_missing"
        )
        assert "your current scopes may not allow it. Rerun with --admin to bypass?" in str(error)
        assert sent(clerk) == before

    def test_at_a_terminal_the_bypass_is_offered(self, run_api: Api, clerk: SimulatedClerk, at_terminal: None) -> None:
        result = run_api("POST", "/invitations", "--field", "email_address=bypass@b.co", input="y\ny\n")
        assert answer(result)["email_address"] == "bypass@b.co"
        assert "scopes     bypassed by --admin" in result.stderr

    def test_without_a_terminal_yes_is_needed(self, run_api: Api, clerk: SimulatedClerk, allowed: None) -> None:
        before = sent(clerk)
        result = run_api("POST", "/invitations", "--field", "email_address=a@b.co")
        refused(result, AccessError, "confirmation_missing")
        assert sent(clerk) == before
        assert result.stderr.splitlines() == [
            "Create an invitation (CreateInvitation)",
            "  request    POST /invitations",
            f"  host       {clerk.address.removeprefix('http://')}, development key, API version 2026-05-12",
            "  scopes     delete, read, write",
            '  body       email_address="a@b.co"',
            "  note       an e-mail goes to a real person, unless notify is false; it cannot be unsent",
        ]

    def test_a_no_at_the_terminal_is_a_no(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, at_terminal: None
    ) -> None:
        before = sent(clerk)
        result = run_api("POST", "/invitations", "--field", "email_address=a@b.co", input="\n")
        refused(result, AccessError, "declined")
        assert sent(clerk) == before

    def test_a_write_that_is_allowed(self, run_api: Api, clerk: SimulatedClerk, allowed: None, home: Path) -> None:
        result = run_api("POST", "/invitations", "--field", "email_address=new@b.co", "--yes")
        made = answer(result)
        assert f"Created {made['id']}: new@b.co, pending" in result.stderr
        rows = sqlite3.connect(home / "calls.db").execute("SELECT operation, ending, code FROM call").fetchall()
        assert rows == [("CreateInvitation", "answered", None)]
        assert b"new@b.co" not in (home / "calls.db").read_bytes()
        again = run_api("POST", "/invitations", "--field", "email_address=new@b.co", "--yes")
        assert again.return_value == Exit.SOME_FAILED
        assert "it already exists: nothing has to be created" in again.stderr

    def test_a_delete_needs_the_id_of_what_it_destroys(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, user: str
    ) -> None:
        before = sent(clerk)
        result = run_api("DELETE", f"/users/{user}", "--yes")
        assert refused(result, AccessError, "confirmation_missing").hint == f"add --confirm {user}"
        for line in ("IRREVERSIBLE", "all sessions of the user", "all memberships of the user"):
            assert line in result.stderr
        refused(run_api("DELETE", f"/users/{user}", "--confirm", user), AccessError, "confirmation_missing")
        refused(
            run_api("DELETE", f"/users/{user}", "--yes", "--confirm", "user_x"), AccessError, "confirmation_missing"
        )
        assert sent(clerk) == before
        done = run_api("DELETE", f"/users/{user}", "--yes", "--confirm", user)
        assert done.stderr.splitlines()[-1] == f"Deleted: {user}"

    def test_at_a_terminal_the_id_is_typed(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, at_terminal: None, user: str
    ) -> None:
        refused(run_api("DELETE", f"/users/{user}", input="y\n"), AccessError, "confirmation_missing")
        assert run_api("DELETE", f"/users/{user}", input=f"{user}\n").stderr.splitlines()[-1] == f"Deleted: {user}"

    @pytest.mark.parametrize("version", load().versions)
    def test_every_write_of_every_version_is_refused_without_scopes(
        self, run_api: Api, clerk: SimulatedClerk, version: str
    ) -> None:
        before = sent(clerk)
        for operation in load(version).operations():
            if operation.method != "GET" and (operation.body is None or "json" in operation.body.media_type):
                path = operation.path.format_map({p.name: "value_1" for p in operation.path_parameters})
                result = run_api("call", operation.method, path, "--yes", "--confirm", "value_1", "--version", version)
                refused(result, AccessError, "scope_missing")
                assert needed_scopes(operation) == (("write", "delete") if operation.method == "DELETE" else ("write",))
        assert sent(clerk) == before


class TestMetadata:
    def test_a_merge_explains_the_kinds(self, run_api: Api, clerk: SimulatedClerk, allowed: None, user: str) -> None:
        words = ("--field", "public_metadata.plan=pro", "--field", "public_metadata.stripe_id=cus_1", "--yes")
        result = run_api("PATCH", f"/users/{user}/metadata", *words)
        assert answer(result)["public_metadata"]["plan"] == "pro"
        assert "-> public_metadata   client and server read, server writes" in result.stderr
        assert "stripe_id looks like private" in result.stderr
        assert "it merges deeply into public_metadata; null removes a key, the rest stays" in result.stderr
        assert f"Updated user {user}: public_metadata={{" in result.stderr

    def test_a_replacement_lists_the_keys_that_would_go(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, user: str
    ) -> None:
        clerk.perform("PATCH", f"/users/{user}/metadata", {"public_metadata": {"plan": "pro", "seats": 3}})
        words = ("--field", "public_metadata.plan=free", "--yes")
        result = run_api("PUT", f"/users/{user}/metadata", *words)
        assert "it REPLACES public_metadata as a whole" in result.stderr
        assert "public_metadata.seats" in next(line for line in result.stderr.splitlines() if "GONE" in line)
        assert f"clerk-batch api call PATCH /users/{user}/metadata -d" in result.stderr
        assert answer(result)["public_metadata"] == {"plan": "free"}

    @pytest.mark.parametrize("version", ["2025-11-10", "2026-05-12"])
    def test_an_update_with_metadata_is_stopped_at_every_version(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, user: str, version: str
    ) -> None:
        body = '{"first_name": "A", "public_metadata": {"it\'s": 1}}'
        error = refused(
            run_api("PATCH", f"/users/{user}", "-d", body, "--yes", "--version", version, "--no-check"),
            UsageError,
            "metadata_in_update",
        )
        assert f'clerk-batch api call PATCH /users/{user}/metadata -d \'{{"public_metadata"' in error.hint
        assert f"clerk-batch api call PUT /users/{user}/metadata -d" in error.hint

    def test_at_old_versions_replace_sends_it(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, user: str
    ) -> None:
        clerk.perform("PATCH", f"/users/{user}/metadata", {"public_metadata": {"old": 1}})
        words = ("PATCH", f"/users/{user}", "-d", '{"public_metadata": {"new": 1}}', "--yes", "--replace")
        result = run_api(*words, "--version", "2025-11-10")
        assert "it REPLACES" in result.stderr
        assert "public_metadata.old" in result.stderr
        assert answer(result)["public_metadata"] == {"new": 1}
        refused(run_api(*words, "--version", "2026-05-12"), UsageError, "metadata_in_update")
        camel = ("PATCH", f"/users/{user}", "-d", '{"publicMetadata": {"plan": "it\'s"}}', "--yes", "--replace")
        hint = refused(run_api(*camel), UsageError, "metadata_in_update").hint
        assert f"""PATCH /users/{user}/metadata -d '{{"public_metadata": {{"plan": "it'"'"'s"}}}}'""" in hint

    def test_a_kind_that_is_not_named_is_recommended(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, user: str
    ) -> None:
        words = ("PATCH", f"/users/{user}/metadata", "--field", "stripe_id=cus_1", "--field", "xyzzy=1", "--yes")
        error = refused(run_api(*words), UsageError, "metadata_kind_missing")
        assert "--field private_metadata.stripe_id=" in error.hint
        assert "--field public_metadata.xyzzy=" in error.hint
        members = ("PATCH", f"/organizations/org_1/memberships/{user}/metadata", "--field", "theme=dark", "--yes")
        hint = refused(run_api(*members), UsageError, "metadata_kind_missing").hint
        assert hint.endswith("write --field public_metadata.theme=… or private_metadata.theme=…")

    def test_at_a_terminal_the_kind_is_asked_for(
        self, run_api: Api, clerk: SimulatedClerk, allowed: None, at_terminal: None, user: str
    ) -> None:
        words = ("PATCH", f"/users/{user}/metadata", "--field", "plan=pro", "--field", "stripe_id=cus_1")
        result = run_api(*words, input="1\n2\ny\n")
        made = answer(result)
        assert made["public_metadata"]["plan"] == "pro"
        assert made["private_metadata"]["stripe_id"] == "cus_1"
        assert (
            "(recommended: private_metadata, because only the server may see ids and internal facts)" in result.stderr
        )
        refused(run_api(*words, input="9\n"), UsageError, "metadata_kind_missing")


class TestTrouble:
    @pytest.fixture
    def lossy(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SimulatedClerk]]:
        """Starts a simulator of its own with faults."""
        with ExitStack() as stack:

            def start(*options: str) -> SimulatedClerk:
                started = stack.enter_context(simulated_clerk(*options))
                for name, value in started.environment.items():
                    monkeypatch.setenv(name, value)
                return started

            yield start

    def test_a_quota_that_is_spent_is_told_and_not_waited_for(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], allowed: None
    ) -> None:
        lossy()
        bodies = [json.dumps([{"email_address": f"a{number}@b.co"}]) for number in range(23)]
        for body in bodies[:22]:
            assert run_api("POST", "/invitations/bulk", "-d", body, "--yes").exception is None
        error = refused(run_api("POST", "/invitations/bulk", "-d", bodies[22], "--yes"), LeftEarly, "limit_reached")
        assert error.exit == 5

    def test_a_lost_answer_to_a_create_is_told_and_not_sent_again(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], allowed: None, home: Path
    ) -> None:
        clerk = lossy("--fail", "POST /invitations:drop-after-effect:100%")
        result = run_api("POST", "/invitations", "--field", "email_address=a@b.co", "--yes")
        error = refused(result, MayHaveHappened, "may_have_happened")
        assert error.exit == 1
        assert "POST /invitations may have happened" in str(error)
        assert error.hint.endswith("clerk-batch api call GET /invitations")
        assert len(clerk.effects("CreateInvitation")) == 1
        rows = sqlite3.connect(home / "calls.db").execute("SELECT ending FROM call").fetchall()
        assert rows == [("lost",)]

    def test_a_read_and_an_idempotent_call_are_tried_again(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], allowed: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clerk = lossy("--users", "3", "--fail", "GET /users:500-before:first=2", "--speed", "50")
        monkeypatch.setenv("CLERK_BATCH_SPEED", "50")
        assert len(answer(run_api("GET", "/users"))) == 3
        # Beside them one that asks whose key it is, once in the life of a state folder.
        assert clerk.report()["requests_total"] == 3 + 1

    def test_what_fails_three_times_is_shown(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lossy("--fail", "GET /users:502-before:100%", "--speed", "50")
        monkeypatch.setenv("CLERK_BATCH_SPEED", "50")
        result = run_api("GET", "/users")
        assert result.return_value == Exit.SOME_FAILED
        assert result.stderr.startswith("502 ")

    def test_a_delete_whose_first_answer_was_lost_is_done_when_nothing_is_left(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], allowed: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clerk = lossy("--users", "3", "--fail", "DELETE /users/*:drop-after-effect:first=1", "--speed", "50")
        monkeypatch.setenv("CLERK_BATCH_SPEED", "50")
        user = clerk.perform("GET", "/users?limit=1")[0]["id"]
        words = ("DELETE", f"/users/{user}", "--yes", "--confirm", user)
        result = run_api(*words)
        assert result.return_value == Exit.DONE
        assert result.stderr.splitlines()[-1] == f"Deleted: {user}"
        again = run_api(*words)
        assert again.return_value == Exit.SOME_FAILED
        assert again.stderr.splitlines()[-1].startswith("it is already gone, or never existed: ")

    def test_a_refusal_after_a_lost_answer_says_that_it_was_perhaps_done(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], allowed: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clerk = lossy("--invitations", "1", "--fail", "POST /invitations/*/revoke:drop-after-effect:first=1")
        monkeypatch.setenv("CLERK_BATCH_SPEED", "50")
        invitation = clerk.perform("GET", "/invitations")[0]["id"]
        result = run_api("POST", f"/invitations/{invitation}/revoke", "--yes")
        assert result.return_value == Exit.SOME_FAILED
        told = "an earlier answer was lost: it may have been done then; see: clerk-batch api call GET /invitations"
        assert told in result.stderr.splitlines()

    def test_a_read_that_is_cut_off_is_read_again_and_never_shown_as_nothing(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLERK_BATCH_SPEED", "50")
        lossy("--users", "3", "--fail", "GET /users:truncated-json:first=2", "--speed", "50")
        assert len(answer(run_api("GET", "/users"))) == 3
        lossy("--users", "3", "--fail", "GET /users:truncated-json", "--speed", "50")
        assert refused(run_api("GET", "/users"), StoppedError, "unreachable").exit == 4

    def test_a_write_that_is_cut_off_has_happened(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], allowed: None
    ) -> None:
        clerk = lossy("--fail", "POST /invitations:truncated-json")
        result = run_api("POST", "/invitations", "--field", "email_address=a@b.co", "--yes")
        assert (result.return_value, result.stdout) == (Exit.DONE, "")
        assert "could not be read; what was asked for has happened" in result.stderr
        assert len(clerk.effects("CreateInvitation")) == 1

    def test_a_redirect_is_not_followed_and_not_repeated(
        self, run_api: Api, home: Path, allowed: None, redirecting: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLERK_API_URL", redirecting.pop())
        monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_x")
        assert refused(run_api("GET", "/users"), StoppedError, "redirected").exit == 4
        words = ("POST", "/organizations", "--field", "name=Acme", "--yes")
        refused(run_api(*words), MayHaveHappened, "may_have_happened")
        assert redirecting == ["/v1/users", "/v1/organizations"]

    def test_a_key_that_opens_nothing_is_exit_3(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lossy("--fail", "GET /organizations:401-before")
        result = run_api("GET", "/organizations")
        assert result.return_value == Exit.ACCESS
        assert result.stderr.splitlines()[-1] == "check CLERK_SECRET_KEY"
        assert run_api("GET", "/organizations", "--all").return_value == Exit.ACCESS
        monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_another")
        error = run_api("GET", "/users").exception
        assert isinstance(error, AccessError)
        assert (error.exit, error.hint) == (3, "check CLERK_SECRET_KEY")

    def test_a_429_that_is_short_is_waited_for_and_a_long_one_not(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lossy("--users", "3", "--fail", "GET /users:429:retry=1:first=1")
        assert len(answer(run_api("GET", "/users"))) == 3
        lossy("--fail", "GET /users:429:retry=100")
        assert refused(run_api("GET", "/users"), LeftEarly, "limit_reached").exit == 5

    def test_a_page_that_is_refused_ends_the_walk(self, run_api: Api, lossy: Callable[..., SimulatedClerk]) -> None:
        lossy("--organizations", "3", "--fail", "GET /organizations:403-before:skip=1")
        result = run_api("GET", "/organizations?limit=2", "--all")
        assert result.return_value == Exit.SOME_FAILED
        assert len(json.loads(result.stdout)) == 2
        assert result.stderr.startswith("403 ")

    def test_a_first_page_that_is_refused_is_no_empty_list(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk]
    ) -> None:
        lossy("--organizations", "3", "--fail", "GET /organizations:403-before")
        result = run_api("GET", "/organizations", "--all")
        assert (result.return_value, result.stdout) == (Exit.SOME_FAILED, "")
        as_json = run_api("GET", "/organizations", "--all", "--json")
        assert json.loads(as_json.stdout)["error"]["status"] == 403

    def test_a_walk_that_cannot_go_on_leaves_one_value_on_stdout(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk]
    ) -> None:
        lossy("--organizations", "5", "--fail", "GET /organizations:429:retry=100:skip=1")
        result = run_api("GET", "/organizations?limit=2", "--all", "--json")
        assert (result.return_value, len(json.loads(result.stdout))) == (Exit.LEFT_EARLY, 2)
        assert "allows the next call in" in result.stderr

    @pytest.mark.parametrize(
        ("address", "limit"),
        [
            ("/jwt_templates", ["--limit", "3"]),
            ("/organization_roles", ["--limit", "3"]),
            ("/m2m_tokens?subject=mch_2abcdefghijklmnopqrstuvwxyz", ["--limit", "3"]),
            ("/blocklist_identifiers", []),
        ],
    )
    def test_every_page_of_each_shape_is_walked(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], address: str, limit: list[str]
    ) -> None:
        lossy("--rows", "7")
        rows = answer(run_api("GET", address, *limit, "--all"))
        assert len({row["id"] for row in rows}) == len(rows) == 7

    def test_an_interrupted_write_may_have_happened(
        self, run_api: Api, lossy: Callable[..., SimulatedClerk], allowed: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lossy()

        async def interrupted(_self: Caller, _call: Call, **_: bool) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Caller, "send", interrupted)
        error = refused(
            run_api("POST", "/invitations", "--field", "email_address=a@b.co", "--yes"), RunnerError, "interrupted"
        )
        assert (error.exit, "may have happened" in str(error)) == (130, True)
        read = refused(run_api("GET", "/users"), RunnerError, "interrupted")
        assert str(read) == "interrupted; nothing was written"

    def test_clerk_out_of_reach(
        self, run_api: Api, home: Path, monkeypatch: pytest.MonkeyPatch, unused_port: int
    ) -> None:
        monkeypatch.setenv("CLERK_API_URL", f"http://127.0.0.1:{unused_port}")
        monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_x")
        assert refused(run_api("GET", "/users"), StoppedError, "unreachable").exit == 4


@pytest.fixture
def redirecting() -> Iterator[list[str]]:
    """A server that sends all but one call elsewhere: its address, and once that is taken, the paths of the others."""
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/v1/instance":
                self._tell_instance()
                return
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:9/v1/users")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _tell_instance(self) -> None:
            body = b'{"object": "instance", "id": "ins_1", "environment_type": "development"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (the base's names)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        asked.append(f"http://127.0.0.1:{server.server_address[1]}")
        yield asked
        server.shutdown()
        thread.join()


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_may_have_happened_is_exit_1() -> None:
    assert MayHaveHappened("x", code="y").exit == 1
