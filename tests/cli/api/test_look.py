"""`api tags`, `list`, `show`, `diff`: everything can be looked at, in every version, and nothing is sent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from clerk_jobs.catalog import load
from clerk_runner.cli.api import COMMANDS
from clerk_runner.errors import UsageError
from clerk_runner.explore.sheet import sheet, sheet_json
from clerk_runner.explore.usage import USAGE

Api = Callable[..., Result]
CATALOG = load()


def output(result: Result) -> str:
    assert result.exception is None, result.exception
    assert result.exit_code == 0
    return result.stdout


def error(result: Result) -> UsageError:
    assert isinstance(result.exception, UsageError), result
    return result.exception


@pytest.mark.parametrize("words", [(), ("help",), ("-h",), ("--help",)])
def test_the_usage_text_is_fixed(run_api: Api, words: tuple[str, ...]) -> None:
    assert output(run_api(*words)).strip() == USAGE.strip()


def test_the_usage_text_names_every_command_of_the_group(run_api: Api) -> None:
    for name in COMMANDS:
        assert name in USAGE
        assert output(run_api(name, "-h")).startswith("Usage: ")


def test_all_tags_are_listed_with_their_counts(run_api: Api) -> None:
    lines = output(run_api("tags")).splitlines()
    assert len(lines) == 41
    assert "JWKS                      1" in lines
    assert next(line for line in lines if line.startswith("Users ")).split() == ["Users", "35"]
    assert json.loads(output(run_api("tags", "--json")))["tags"]["Users"] == 35


@pytest.mark.parametrize("version", CATALOG.versions)
def test_tags_of_each_version_are_counted_from_operations(run_api: Api, version: str) -> None:
    made = json.loads(output(run_api("tags", "--json", "--version", version)))
    assert made["version"] == version
    assert made["tags"] == {tag: len(found) for tag, found in load(version).tags().items()}


def test_a_tag_is_listed(run_api: Api) -> None:
    lines = output(run_api("invitations")).splitlines()
    assert len(lines) == 4
    assert lines[1].split() == [
        "POST",
        "/invitations",
        "CreateInvitation",
        "Create",
        "an",
        "invitation",
        "email_address*",
    ]
    assert lines[2].endswith("  email_address*")


def test_an_old_tag_is_known_in_its_version_alone(run_api: Api) -> None:
    assert "/commerce/plans" in output(run_api("Commerce", "version", "2025-04-10.yml"))
    assert "Commerce" not in json.loads(output(run_api("tags", "--json")))["tags"]
    assert error(run_api("list", "xyzzy")).hint == "clerk-batch api tags lists all tags"


@pytest.mark.parametrize("words", ["ban users", "users ban", "user ban", "BanUser"])
def test_words_are_found_in_any_order(run_api: Api, words: str) -> None:
    assert "/users/{user_id}/ban" in output(run_api("list", *words.split()))


def test_a_path_with_ids_lists_what_is_there_and_below(run_api: Api) -> None:
    lines = output(run_api("/users/user_1/metadata")).splitlines()
    assert [line.split()[0] for line in lines] == ["PUT", "PATCH"]
    assert len(output(run_api("list", "/users")).splitlines()) > 30


def test_a_full_list_shows_parameters_and_fields(run_api: Api) -> None:
    text = output(run_api("list", "Invitations", "--full"))
    lines = [line.split() for line in text.splitlines()]
    assert ["limit", "query", "integer", "1..500,", "default", "10"] in lines
    assert ["invitation_id*", "path", "string"] in lines
    # Once for one invitation, and once for each of ten.
    assert lines.count(["email_address*", "body", "string"]) == 2
    made = json.loads(output(run_api("list", "Invitations", "--full", "--json")))
    assert [one["operation"] for one in made] == [
        "ListInvitations", "CreateInvitation", "CreateBulkInvitations", "RevokeInvitation",
    ]  # fmt: skip


def test_everything_is_listed_without_words(run_api: Api) -> None:
    assert len(output(run_api("list")).splitlines()) == 249
    made = json.loads(output(run_api("list", "--json")))
    assert made[0].keys() == {"method", "path", "operation", "summary", "tags", "deprecated", "required"}


@pytest.mark.parametrize("version", CATALOG.versions)
def test_every_operation_of_every_version_is_shown(run_api: Api, version: str) -> None:
    for operation in load(version).operations():
        titles = [section.title for section in sheet(operation, version)]
        assert titles[0] == ""
        assert "Responses" in titles
        assert "Example" in titles
        json.dumps(sheet_json(operation, version))
    assert "GET /users" in output(run_api("show", "GetUserList", "--version", version))


@pytest.mark.parametrize("version", CATALOG.versions)
def test_every_field_of_every_answer_is_shown_and_every_component_explained(version: str) -> None:
    for operation in load(version).operations():
        sections = [*sheet(operation, version)]
        titles = {section.title for section in sections}
        rows = [row for section in sections for row in section.rows]
        inside = [one for response in operation.responses if response.schema for one in response.schema.walk()]
        named = {field for schema in inside for field in schema.properties}
        assert named <= {row[0].strip().rstrip("*") for row in rows}, operation
        components = {schema.component for schema in inside if schema.component is not None}
        types = {word for row in rows if len(row) > 1 and row[0] != "Tags" for word in re.findall(r"\w+", row[1])}
        assert {f"Component {name}" for name in components & types} <= titles, operation


@pytest.mark.parametrize(
    "words",
    [
        ("CreateOrganizationInvitation",),
        ("createorganizationinvitation",),
        ("POST", "/organizations/{organization_id}/invitations"),
        ("post", "/v1/organizations/org_1/invitations"),
        ("POST", "https://api.clerk.com/v1/organizations/org_1/invitations?x=1"),
    ],
)
def test_an_operation_is_shown_whole(run_api: Api, words: tuple[str, ...]) -> None:
    text = output(run_api("show", *words))
    for part in (
        "POST /organizations/{organization_id}/invitations\nCreate an organization invitation\n",
        "Safety       ONCE",
        "Scopes       write",
        "SDK          organizationInvitations.create",
        "1000 per 10 s (production)",
        "250 per hour",
        "organization_id*  string",
        "email_address*    string",
        "1..365",
        "200  OrganizationInvitation",
        "Component ClerkError\n",
        "clerk-batch api call POST /organizations/org_2abcdefghijklmnopqrstuvwxyz/invitations -d",
        "curl -X POST",
        "$CLERK_SECRET_KEY",
    ):
        assert part in text


def test_an_example_names_a_few_fields_where_none_is_required(run_api: Api) -> None:
    text = output(run_api("show", "CreateUser"))
    example = '{"email_address": ["ada@example.com"], "first_name": "Ada", "last_name": "Lovelace"}'
    assert f"clerk-batch api call POST /users -d '{example}'\n" in text
    assert '-d \'{"public_metadata"' in output(run_api("show", "UpdateUserMetadata"))


def test_a_path_alone_shows_all_its_methods(run_api: Api) -> None:
    text = output(run_api("show", "/users/user_1/metadata"))
    assert "PUT /users/{user_id}/metadata" in text
    assert "PATCH /users/{user_id}/metadata" in text
    assert len(json.loads(output(run_api("show", "/users/user_1/metadata", "--json")))) == 2


def test_pages_and_their_maximum_are_shown(run_api: Api) -> None:
    assert "limit 1..500, 10 without it; next page by starting_after" in output(run_api("GET", "/users", "help"))
    assert "limit 1..100" in output(run_api("GET", "/m2m_tokens", "-h"))
    assert "everything at once" in output(run_api("show", "ListDomains"))


def test_uploads_are_shown_with_a_file(run_api: Api) -> None:
    assert "--file image.png" in output(run_api("show", "UploadOrganizationLogo"))


def test_an_unknown_operation_suggests_the_nearest(run_api: Api) -> None:
    assert "DeleteUser" in error(run_api("show", "DeletUser")).hint
    assert error(run_api("show", "PUT", "/users")).hint == "that path has GET, POST"
    assert error(run_api("show", "xyzzy")).hint == "clerk-batch api list"
    assert "Sessions" in error(run_api("list", "sesions")).hint


@pytest.mark.parametrize(
    "line", ["list users created in the last 7 days", "list members of org_1", "show the sessions of user_1"]
)
def test_a_sentence_that_begins_with_a_subcommand_is_offered_to_be_asked(run_api: Api, line: str) -> None:
    assert error(run_api(*line.split())).hint == f"in words: clerk-batch api ask {line}"


def test_an_unknown_version_names_the_known(run_api: Api) -> None:
    caught = error(run_api("tags", "--version", "2020-01-01"))
    assert "known versions: 2021-02-05" in str(caught)
    assert error(run_api("Users", "--version", "2020-01-01")).exit == 2


def test_what_changed_in_one_operation(run_api: Api) -> None:
    text = output(run_api("diff", "UpdateUser", "2025-11-10", "2026-05-12"))
    assert text.splitlines()[1:] == [
        "UpdateUser  PATCH /users/{user_id}",
        "  - body public_metadata: object or null [deprecated]",
        "  - body private_metadata: object or null [deprecated]",
        "  - body unsafe_metadata: object or null [deprecated]",
    ]
    assert output(run_api("diff", "UpdateUser", "2026-05-12", "2025-11-10.yml")) == text
    assert "nothing changed" in output(run_api("diff", "GetJWKS", "2025-11-10", "2026-05-12"))


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ("RotateSCIMDirectoryAPIKey", "2025-11-10", "2026-05-12"),
            [
                "RotateSCIMDirectoryAPIKey  POST /scim_directories/{scim_directory_id}/rotate_api_key",
                "  + operation POST /scim_directories/{scim_directory_id}/rotate_api_key",
            ],
        ),
        (
            ("GET", "/commerce/plans", "2025-04-10", "2026-05-12"),
            [
                "GetCommercePlanList  GET /billing/plans",
                "  ~ operation GetCommercePlanList: GET /commerce/plans became",
            ],
        ),
        (("2025-11-10", "2025-11-10.yml"), ["nothing changed"]),
    ],
)
def test_what_came_moved_or_stayed(run_api: Api, words: tuple[str, ...], lines: list[str]) -> None:
    found = output(run_api("diff", *words)).strip().splitlines()
    assert [line[: len(wanted)] for line, wanted in zip(found, lines, strict=False)] == lines


def test_what_is_gone_is_told(run_api: Api) -> None:
    old, new = load("2021-02-05"), load("2026-05-12")
    gone = next(old.operation(name) for name in old.operation_ids if name not in new.operation_ids)
    lines = output(run_api("diff", gone.operation_id, old.version, new.version)).strip().splitlines()
    assert lines == [f"{gone.operation_id}  {gone}", f"  - operation {gone}"]


def test_what_changed_between_two_versions(run_api: Api) -> None:
    made = json.loads(output(run_api("diff", "2025-04-10", "2025-11-10", "--json")))
    changes = {one["operation"]: one["changes"] for one in made}
    assert changes["GetCommercePlanList"][0]["detail"] == "GET /commerce/plans became GET /billing/plans"
    assert changes["CreateDirectory"] == [
        {"kind": "added", "place": "operation", "name": "POST /directories", "detail": ""}
    ]
    assert changes["VerifySession"][0]["kind"] == "removed" if "VerifySession" in changes else True


def test_a_difference_needs_two_versions_and_one_operation(run_api: Api) -> None:
    assert error(run_api("diff", "2025-11-10")).code == "version_missing"
    assert error(run_api("diff", "/users", "2025-11-10", "2026-05-12")).code == "operation_ambiguous"


@pytest.mark.parametrize("words", [["list", "users"], ["show", "GetUserList"], ["tags"], ["help"]])
def test_looking_is_quick_because_it_loads_nothing_that_sends(home: Path, words: list[str]) -> None:
    script = f"""if True:
        import sys
        from clerk_runner.cli.api import api
        api({words!r}, standalone_mode=False)
        heavy = dict.fromkeys(["aiohttp", "aiolimiter", "asyncio", "orjson", "rich", "sqlite3", "yaml"])
        print(*(heavy.keys() & sys.modules.keys()), file=sys.stderr)
    """
    # Measuring coverage loads modules of its own into every process that finds its variables.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=clean)
    assert ended.stderr.strip() == ""


def test_at_a_terminal_tags_end_with_a_pick(run_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clerk_runner.cli.api.look.both_terminals", lambda: True)
    numbered = output(run_api("tags", input="\n")).splitlines()
    assert numbered[0].split()[:2] == ["1", "Actor"]
    assert "CreateInvitation" in output(run_api("tags", input="invitations\n"))
    assert "CreateActorToken" in output(run_api("tags", input="1\n"))
    assert error(run_api("tags", input="99\n")).code == "nothing_found"
