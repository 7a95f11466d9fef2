"""The words after `clerk-batch api`: what each becomes, and that a slip is never run."""

from __future__ import annotations

import click
import pytest

from clerk_jobs.catalog import load
from clerk_runner.cli.api import api
from clerk_runner.errors import UsageError
from clerk_runner.explore.entry import WITH_VALUE, read_words, take_version

CATALOG = load()
COMMANDS = ("tags", "list", "show", "call", "ask", "browse", "diff", "versions", "update")


def operation_of(text: str) -> str | None:
    return next((name for name in CATALOG.operation_ids if name.lower() == text.lower()), None)


def read(line: str) -> str:
    return " ".join(read_words(line.split(), COMMANDS, CATALOG.tag, operation_of))


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("", ""),
        ("help", ""),
        ("-h", ""),
        ("--help", ""),
        ("tags", "tags"),
        ("tags --json", "tags --json"),
        ("help tags", "tags --help"),
        ("-h list", "list --help"),
        ("Users", "list Users"),
        ("users", "list Users"),
        ("organization invitations", "list Organization Invitations"),
        ("Users --json", "list Users --json"),
        ("Users help", "list Users"),
        ("Users --full -h", "list Users --full"),
        ("GET /users", "call GET /users"),
        ("get /users", "call GET /users"),
        ("GET v1/users", "call GET v1/users"),
        ("GET users/user_1", "call GET users/user_1"),
        ("GET https://api.clerk.com/v1/users", "call GET https://api.clerk.com/v1/users"),
        ("POST /invitations -d {}", "call POST /invitations -d {}"),
        ("--admin DELETE /users/user_1", "call DELETE --admin /users/user_1"),
        ("--json tags", "tags --json"),
        ("--admin call GET /users", "call --admin GET /users"),
        ("POST -d {} /invitations", "call POST -d {} /invitations"),
        ("-d {} POST /invitations -h", "show POST /invitations"),
        ("GET /users help", "show GET /users"),
        ("POST /invitations -h", "show POST /invitations"),
        ("help GET /users", "show GET /users"),
        ("GET /users --help", "show GET /users"),
        ("/users", "list /users"),
        ("DeleteUser", "show DeleteUser"),
        ("deleteuser", "show DeleteUser"),
        ("get user john_doe", "ask get user john_doe"),
        ("get users", "ask get users"),
        ("delete user_abc --yes", "ask delete user_abc --yes"),
        ("get user john_doe help", "ask get user john_doe --explain"),
        ("how many users", "ask how many users"),
        ("call -h", "call --help"),
        ("list help", "list --help"),
        ("list users -h", "list users -h"),
        ("call POST /invitations help", "show POST /invitations"),
        ("call POST /invitations -d {} --json -h", "show POST /invitations --json"),
        ("POST /invitations -d {} --yes --max-wait 5s --help", "show POST /invitations"),
        ("show GET /users help", "show GET /users"),
        ("DeleteUser --yes", "show DeleteUser"),
        ("update", "update"),
        ("update --source https://example.com", "update --source https://example.com"),
        ("update user_1 set plan pro", "ask update user_1 set plan pro"),
        ("ask tags", "ask tags"),
    ],
)
def test_what_words_mean(line: str, meaning: str) -> None:
    assert read(line) == meaning


@pytest.mark.parametrize(
    ("line", "suggestion"),
    [
        ("tag", "tags"),
        ("lst Users", "list"),
        ("cal GET /users", "call"),
        ("versoins", "versions"),
        ("brows", "browse"),
        ("updat", "update"),
    ],
)
def test_a_slip_is_suggested_and_not_run(line: str, suggestion: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(line)
    assert caught.value.hint == f"did you mean: clerk-batch api {suggestion}"


@pytest.mark.parametrize(
    ("line", "version", "rest"),
    [
        ("Users", None, "Users"),
        ("Users version 2025-11-10.yml", "2025-11-10", "Users"),
        ("Users version 2025-11-10", "2025-11-10", "Users"),
        ("--version 2025-11-10 tags", "2025-11-10", "tags"),
        ("tags --version=2025-11-10.yaml --json", "2025-11-10", "tags --json"),
        ("--api-version 2025-11-10 GET /users", "2025-11-10", "GET /users"),
        ("get version 2 of it", None, "get version 2 of it"),
        ("call -- --version x", None, "call -- --version x"),
        ("version", None, "version"),
    ],
)
def test_the_version_is_taken_from_wherever_it_stands(line: str, version: str | None, rest: str) -> None:
    assert take_version(line.split()) == (version, rest.split())


@pytest.mark.parametrize("line", ["--version", "tags --version newest", "--api-version= tags"])
def test_a_version_is_a_date(line: str) -> None:
    with pytest.raises(UsageError, match="--version takes the date of an API version"):
        take_version(line.split())


def test_every_option_that_takes_a_value_is_known_to_the_entry() -> None:
    context = click.Context(api, obj=None)
    commands = [command for name in COMMANDS if (command := api.get_command(context, name)) is not None]
    options = [one for command in commands for one in command.params if isinstance(one, click.Option)]
    assert {name for one in options if not one.is_flag for name in one.opts} == WITH_VALUE
