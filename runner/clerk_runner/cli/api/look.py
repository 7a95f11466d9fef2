"""Looking, never sending: ``api tags``, ``api list``, ``api show``, ``api diff``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

import click

from clerk_jobs.catalog import Body, Catalog, Operation, Schema
from clerk_runner.cli.api import prompt
from clerk_runner.cli.api.output import write_json, write_sections, write_table
from clerk_runner.cli.api.state import ApiState
from clerk_runner.cli.completing import complete_operations, complete_tags
from clerk_runner.cli.text import examples
from clerk_runner.errors import UsageError
from clerk_runner.explore.search import find_operation, nearby, search
from clerk_runner.explore.section import Section

__all__ = ["choose_operation", "diff", "list_operations", "show", "tags"]

SETTINGS = {"help_option_names": ["-h", "--help"]}
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON value on stdout.")


@click.command(context_settings=SETTINGS, epilog=examples("api tags"))
@as_json
@click.pass_obj
def tags(state: ApiState, *, as_json: bool) -> None:
    """List every tag with its number of operations, counted from the operations."""
    counted = {tag: len(operations) for tag, operations in state.catalog.tags().items()}
    if as_json:
        write_json({"version": state.catalog.version, "tags": counted})
        return
    numbered = [(str(n), tag, str(count)) for n, (tag, count) in enumerate(counted.items(), 1)]
    if not both_terminals():
        write_table(("tag", "operations"), [row[1:] for row in numbered])
        return
    write_table(("", "tag", "operations"), numbered)
    picked = prompt.ask_text("Tag to list, by number or name (empty: none)")
    if picked:
        name = [*counted][int(picked) - 1] if picked.isdigit() and 0 < int(picked) <= len(counted) else picked
        _write_list(_found(state.catalog, name), full=False)


@click.command(
    "list",
    context_settings=SETTINGS,
    epilog=examples("api list invitations", "api list Users --full", "api list /organizations"),
)
@click.argument("words", nargs=-1, shell_complete=complete_tags)
@click.option("--full", is_flag=True, help="Add parameters and body fields.")
@as_json
@click.pass_obj
def list_operations(state: ApiState, words: Sequence[str], *, full: bool, as_json: bool) -> None:
    """List the operations of a tag, of a path, or those that all WORDS fit; without WORDS all of them.

    A star marks what is required.
    """
    text = " ".join(words)
    operations = _found(state.catalog, text) if text else state.catalog.operations()
    if as_json:
        from clerk_runner.explore.sheet import sheet_json  # noqa: PLC0415 (it needs the limits)

        write_json([sheet_json(one, state.catalog.version) if full else _entry(one) for one in operations])
        return
    _write_list(operations, full=full)


@click.command(
    context_settings=SETTINGS,
    epilog=examples("api show UpdateUser", "api show POST /invitations", "api show /users/user_2abc"),
)
@click.argument("name", nargs=-1, required=True, shell_complete=complete_operations)
@as_json
@click.pass_obj
def show(state: ApiState, name: Sequence[str], *, as_json: bool) -> None:
    """Show one operation whole, and send nothing.

    NAME is an operationId, METHOD /path, or a path, which may hold real ids.
    """
    from clerk_runner.explore.sheet import sheet, sheet_json  # noqa: PLC0415 (it needs the limits)

    operations = _named(state.catalog, name)
    version = state.catalog.version
    prose = state.library.prose(version)
    if as_json:
        made = [sheet_json(one, version, prose.get(one.operation_id)) for one in operations]
        write_json(made[0] if len(made) == 1 else made)
        return
    for number, operation in enumerate(operations):
        if number:
            click.echo("\n" + "-" * 72)
        write_sections(sheet(operation, version, prose.get(operation.operation_id)))


@click.command(
    context_settings=SETTINGS,
    epilog=examples("api diff 2025-11-10 2026-05-12", "api diff UpdateUser 2025-11-10 2026-05-12"),
)
@click.argument("words", nargs=-1, required=True, shell_complete=complete_operations)
@as_json
@click.pass_obj
def diff(state: ApiState, words: Sequence[str], *, as_json: bool) -> None:
    """Show what changed: `diff V1 V2` for two versions, `diff NAME V1 V2` for one operation."""
    from clerk_runner.explore.diff import diff_operation, diff_versions  # noqa: PLC0415

    if len(words) < 2:
        raise UsageError(
            "diff takes two versions", code="version_missing", hint="clerk-batch api diff 2025-11-10 2026-05-12"
        )
    *name, first, second = words
    old, new = sorted(
        (state.library.catalog(version.removesuffix(".yml")) for version in (first, second)), key=lambda c: c.version
    )
    if name:
        known = old if find_operation(old, name) and not find_operation(new, name) else new
        changed = [diff_operation(old, new, choose_operation(known, name).operation_id)]
    else:
        changed = list(diff_versions(old, new))
    if as_json:
        write_json(
            [
                {
                    "operation": operation.operation_id,
                    "changes": [
                        {"kind": c.kind, "place": c.place, "name": c.name, "detail": c.detail} for c in changes
                    ],
                }
                for operation, changes in changed
            ]
        )
        return
    if not changed:
        click.echo("nothing changed")
    for operation, changes in changed:
        rows = tuple((str(change),) for change in changes) or (("nothing changed",),)
        write_sections([Section(f"{operation.operation_id}  {operation}", rows)])


def both_terminals() -> bool:
    """Whether somebody reads the table and can pick from it."""
    return sys.stdout.isatty() and sys.stdin.isatty()


def choose_operation(catalog: Catalog, words: Sequence[str]) -> Operation:
    """The one operation that words name.

    Raises:
        UsageError: none, or several.
    """
    first, *others = _named(catalog, words)
    if others:
        raise UsageError(
            f"{' '.join(words)} has several operations: {', '.join(map(str, (first, *others)))}",
            code="operation_ambiguous",
            hint="put the method before the path",
        )
    return first


def _named(catalog: Catalog, words: Sequence[str]) -> tuple[Operation, ...]:
    operations = find_operation(catalog, words)
    if operations:
        return operations
    name = " ".join(words)
    paths = catalog.methods(words[-1]) if "/" in words[-1] else ()
    if paths:
        hint = f"that path has {', '.join(paths)}"
    else:
        near = [*catalog.nearest(name), *(str(one) for one in search(catalog, name.replace("/", " "))[:3])]
        hint = f"did you mean {' or '.join([*dict.fromkeys(near)][:3])}?" if near else ""
        hint = hint or _as_sentence(catalog, "show", words) or "clerk-batch api list"
    raise UsageError(f"API version {catalog.version} has no operation {name!r}", code="operation_unknown", hint=hint)


def _found(catalog: Catalog, text: str) -> tuple[Operation, ...]:
    operations = search(catalog, text)
    if operations:
        return operations
    hint = _as_sentence(catalog, "list", text.split()) or nearby(catalog, text.split())
    raise UsageError(f"no operation fits {text!r}", code="nothing_found", hint=hint)


def _as_sentence(catalog: Catalog, command: str, words: Sequence[str]) -> str:
    """The way to ask for what was said with a subcommand's name for its verb: "list members of org_1"."""
    from clerk_jobs.words import Question, Understood, understand  # noqa: PLC0415 (only words that name nothing)

    said = [command, *words]
    if len(words) < 2 or not isinstance(understand(" ".join(said), catalog, 0), Understood | Question):
        return ""
    return f"in words: {shlex.join(['clerk-batch', 'api', 'ask', *said])}"


def _entry(operation: Operation) -> dict[str, object]:
    return {
        "method": operation.method,
        "path": operation.path,
        "operation": operation.operation_id,
        "summary": operation.phrase,
        "tags": list(operation.tags),
        "deprecated": operation.deprecated,
        "required": _required(operation),
    }


def _required(operation: Operation) -> list[str]:
    names = [p.name for p in operation.query_parameters if p.required]
    return names + (list(_row_schema(operation.body).required) if operation.body is not None else [])


def _row_schema(body: Body) -> Schema:
    """The schema of the body, or of one of its elements."""
    return body.schema.items if body.schema.type == "array" and body.schema.items is not None else body.schema


def _write_list(operations: Sequence[Operation], *, full: bool) -> None:
    if full:
        for operation in operations:
            rows = [_full_row(p.name, p.place, p.schema, required=p.required) for p in operation.parameters]
            if operation.body is not None:
                schema = _row_schema(operation.body)
                for name, child in schema.properties.items():
                    rows.append(_full_row(name, "body", child, required=name in schema.required))
            title = f"{operation}  {operation.operation_id}: {operation.phrase}"
            write_sections([Section(title, tuple(rows))])
        return
    write_table(
        ("method", "path", "operation", "what it does", "required"),
        [
            (
                operation.method,
                operation.path,
                operation.operation_id,
                operation.phrase + (" (deprecated)" if operation.deprecated else ""),
                " ".join(f"{name}*" for name in _required(operation)),
            )
            for operation in operations
        ],
    )


def _full_row(name: str, place: str, schema: Schema, *, required: bool) -> tuple[str, ...]:
    from clerk_runner.explore.shape import bounds_text, type_text  # noqa: PLC0415 (a plain list shows no types)

    return f"{name}{'*' if required else ''}", place, type_text(schema), bounds_text(schema)
