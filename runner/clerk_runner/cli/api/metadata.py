"""Metadata in calls: which kind is meant, and no replacement by accident."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace

import click

from clerk_jobs.catalog import Json, Operation
from clerk_jobs.catalog.check import snake_case
from clerk_jobs.catalog.metadata import KINDS, explain_kinds, kinds_of, recommend
from clerk_jobs.catalog.prepare import Inputs
from clerk_runner.cli.api import prompt
from clerk_runner.cli.text import plain
from clerk_runner.errors import UsageError

__all__ = ["name_kinds", "stop_metadata_update"]

_UPDATES = ("UpdateUser", "UpdateOrganization")


def stop_metadata_update(operation: Operation, inputs: Inputs, *, replacing: bool) -> None:
    """Stop an update of a user or an organization that carries metadata: it would replace what is there.

    Args:
        replacing: ``--replace`` was given: at API versions that take metadata here, replacing it is wanted.

    Raises:
        UsageError: with the merge and the replacement, ready to paste.
    """
    if operation.operation_id not in _UPDATES or not isinstance(inputs.body, Mapping):
        return
    written = {snake_case(name): value for name, value in inputs.body.items() if snake_case(name) in KINDS}
    takes = set(written) <= set(kinds_of(operation))
    if not written or (replacing and takes):
        return
    path = operation.path.format_map({p.name: inputs.path.get(p.name, f"{{{p.name}}}") for p in operation.parameters})
    body = shlex.quote(json.dumps(written, ensure_ascii=False))
    lines = [
        f"merge:    clerk-batch api call PATCH {path}/metadata -d {body}",
        f"replace:  clerk-batch api call PUT {path}/metadata -d {body}",
        "--replace sends it as it is" if takes else "send the other fields without it",
    ]
    why = "would REPLACE the metadata as a whole" if takes else "takes no metadata at this API version"
    raise UsageError(f"{operation} {why}", code="metadata_in_update", hint="\n  ".join(lines))


def name_kinds(operation: Operation, inputs: Inputs) -> Inputs:
    """The inputs with every key of a metadata write below a kind; whoever left the kind out is asked.

    Raises:
        UsageError: a kind is not named, and there is nobody to ask.
    """
    kinds = kinds_of(operation)
    if not operation.path.endswith("/metadata") or not isinstance(inputs.body, Mapping):
        return inputs
    loose = [key for key in inputs.body if key not in KINDS and not key.endswith(("Metadata", "_metadata"))]
    if not loose:
        return inputs
    if not prompt.interactive():
        raise UsageError(
            f"which kind of metadata is {', '.join(loose)}?",
            code="metadata_kind_missing",
            hint="\n  ".join([*(line.strip() for line in explain_kinds([])), *(_advice(key, kinds) for key in loose)]),
        )
    click.echo("Metadata has three kinds:", err=True)
    for line in explain_kinds([]):
        click.echo(f"  {line}", err=True)
    body: dict[str, Json] = {key: value for key, value in inputs.body.items() if key not in loose}
    for key in loose:
        kind = _asked(key, kinds)
        held = body.get(kind)
        body[kind] = {**(held if isinstance(held, Mapping) else {}), key: inputs.body[key]}
    return replace(inputs, body=body)


def _asked(key: str, kinds: tuple[str, ...]) -> str:
    found = recommend(key)
    advised = found[0].field if found is not None and found[0].field in kinds else None
    note = f" (recommended: {advised}, because {found[1]})" if found is not None and advised else ""
    chosen = prompt.ask_choice(plain(f"Which kind is {key}?{note}"), list(kinds))
    if chosen is None:
        raise UsageError(f"the kind of {key} was not named; nothing was sent", code="metadata_kind_missing", hint="")
    return kinds[chosen]


def _advice(key: str, kinds: tuple[str, ...]) -> str:
    found = recommend(key)
    if found is None or found[0].field not in kinds:
        return f"write --field {' or '.join(f'{kind}.{key}=…' for kind in kinds)}"
    return f"--field {found[0].field}.{key}=… is recommended: {found[1]}"
