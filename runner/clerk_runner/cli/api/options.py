"""The options of a call, shared by ``api call`` and ``api ask``, and the inputs that they make."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from clerk_jobs.catalog import Json, Operation, Schema
from clerk_jobs.catalog.prepare import Inputs, put_field
from clerk_runner.cli.text import DURATION
from clerk_runner.errors import UsageError

__all__ = ["CallOptions", "call_options", "gather", "with_fields"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """What the options say.

    Attributes:
        confirm: the ids that DELETEs ask for.
        language: shows the call in that language instead of sending it.
        as_json: an error is a JSON object on stdout too.
    """

    path: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    data: str | None = None
    file: str | None = None
    field: tuple[str, ...] = ()
    limit: str | None = None
    offset: str | None = None
    all_pages: bool = False
    dry_run: bool = False
    language: str | None = None
    check: bool = True
    replace: bool = False
    admin: bool = False
    yes: bool = False
    confirm: tuple[str, ...] = ()
    max_wait_s: float = 30.0
    as_json: bool = False

    @property
    def sends(self) -> bool:
        """Whether anything is sent at all."""
        return not self.dry_run and self.language is None


_OPTIONS = (
    click.option("-p", "--path", multiple=True, metavar="NAME=VALUE", help="Value of a path parameter."),
    click.option("-q", "--query", multiple=True, metavar="NAME=VALUE", help="Query parameter; repeat it for an array."),
    click.option("-d", "--data", metavar="JSON", help="The body; - reads it from standard input."),
    click.option("--file", metavar="FILE", help="The body from a file; - is standard input."),
    click.option("--field", multiple=True, metavar="NAME=VALUE", help="One field of the body, a.b=value; typed."),
    click.option("--limit", metavar="N", help="Rows of one page."),
    click.option("--offset", metavar="N", help="Rows to leave out."),
    click.option("--all", "all_pages", is_flag=True, help="Walk every page, inside the limits."),
    click.option("--dry-run", is_flag=True, help="Show the request, send nothing."),
    click.option(
        "--as", "language", type=click.Choice(["curl", "python", "js"]), help="Show it as code, send nothing."
    ),
    click.option("--check/--no-check", default=True, help="Check the call against the documents first."),
    click.option("--replace", is_flag=True, help="Send metadata in an update of a user or organization: it replaces."),
    click.option("--admin", is_flag=True, help="Bypass scope restrictions for write/delete."),
    click.option("--yes", is_flag=True, help="Do not ask; needed for writes without a terminal."),
    click.option("--confirm", metavar="ID", multiple=True, help="The id of what a DELETE destroys."),
    click.option("--max-wait", "max_wait_s", type=DURATION, default="30s", help="Longest wait for a permit."),
    click.option("--json", "as_json", is_flag=True, help="One JSON value on stdout in every case, for errors too."),
)
_NAMES = tuple(CallOptions.__dataclass_fields__)


def call_options(function: Callable[..., T]) -> Callable[..., T]:
    """Give a command's function the options of a call, gathered into its argument ``options``."""

    @functools.wraps(function)
    def gathered(*args: Any, **given: Any) -> T:
        options = CallOptions(**{name: given.pop(name) for name in _NAMES})
        return function(*args, **given, options=options)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def gather(
    operation: Operation, path: Mapping[str, str], query: Sequence[tuple[str, str]], options: CallOptions
) -> Inputs:
    """The inputs that an address and the options make together.

    Raises:
        UsageError: an option has no ``=``, or the body is not JSON.
    """
    pairs = [*query, *(_pair(text, "--query") for text in options.query)]
    page = [
        (name, value) for name, value in (("limit", options.limit), ("offset", options.offset)) if value is not None
    ]
    named = {name for name, _ in page}
    pairs = [pair for pair in pairs if pair[0] not in named] + page
    values = {**path, **dict(_pair(text, "-p") for text in options.path)}
    return with_fields(operation, Inputs(values, tuple(pairs), _body(options)), options.field)


def with_fields(operation: Operation, inputs: Inputs, fields: Sequence[str]) -> Inputs:
    """The inputs with fields of the body set, typed by the operation's schema.

    Raises:
        UsageError: a field has no ``=``, or does not fit into the body.
    """
    if not fields:
        return inputs
    body: Json = {} if inputs.body is None else inputs.body
    if not isinstance(body, Mapping):
        raise UsageError("--field needs a body that is an object", code="body_malformed", hint="give it all with -d")
    schema = operation.body.schema if operation.body is not None else Schema()
    try:
        for text in fields:
            body = put_field(schema, body, *_pair(text, "--field"))
    except ValueError as error:
        raise UsageError(str(error), code="field_malformed", hint="give the body with -d") from error
    return replace(inputs, body=body)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"{option} takes NAME=VALUE", code="option_malformed", hint=f"such as {option} name=value")
    return name, value


def _body(options: CallOptions) -> Json:
    if options.data is not None and options.file is not None:
        raise UsageError("-d and --file cannot be used together", code="body_twice", hint="leave out one of them")
    if options.data is None and options.file is None:
        return None
    where = options.file or "the body"
    try:
        value: Json = json.loads(_body_text(options), parse_constant=_no_constant, object_pairs_hook=_once_each)
    except OSError as error:
        raise UsageError(f"{options.file}: {error.strerror}", code="file_unreadable", hint="check the path") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        given = options.data or ""
        meant = f"--file {given[1:]} reads a file" if given.startswith("@") else ""
        raise _malformed(f"the body is not JSON ({place})", meant or "quote it for the shell") from error
    except UnicodeDecodeError as error:
        raise _malformed(f"{where} is not UTF-8 text", "the body is a JSON file") from error
    except RecursionError as error:
        raise _malformed("the body is nested too deeply", "no operation takes more than a few levels") from error
    except ValueError as error:
        raise _malformed(f"the body is not JSON: {error}", "correct the body") from error
    return value


def _malformed(message: str, hint: str) -> UsageError:
    return UsageError(message, code="body_malformed", hint=hint)


def _no_constant(name: str) -> Json:
    """NaN and Infinity are Python's: sent on, they would become null."""
    raise ValueError(f"it holds {name}")


def _once_each(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object whose names are all different: of two values for one name nobody knows which is meant."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it names {next(name for name in names if names.count(name) > 1)!r} twice")
    return made


def _body_text(options: CallOptions) -> str:
    if "-" in (options.data, options.file):
        return sys.stdin.read()
    if options.data is not None:
        return options.data
    return Path(options.file or "").read_text(encoding="utf-8")
