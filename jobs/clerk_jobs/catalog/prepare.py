"""From what somebody wrote to one checked call: path, query and body against the documents of one API
version.

``prepare`` is pure and complete: whatever is wrong is found at once, before a request is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from clerk_jobs.call import Call
from clerk_jobs.catalog.check import Finding, check_value, parse_text
from clerk_jobs.catalog.operation import Operation, Parameter
from clerk_jobs.catalog.rules import check_rules
from clerk_jobs.catalog.schema import Json, Schema
from clerk_jobs.catalog.sendable import check_sendable
from clerk_jobs.catalog.spelling import comparison, field_hint, parameter_hint
from clerk_jobs.errors import ClerkBatchError

__all__ = ["CallRefusedError", "Inputs", "Missing", "missing", "prepare", "put_field"]

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Inputs:
    """What somebody wrote for an operation.

    Attributes:
        path: values of the path parameters, not yet encoded.
        query: pairs in order; a repeated name is an array.
        body: a JSON value, or None for no body.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str]] = ()
    body: Json = None


@dataclass(frozen=True, slots=True)
class Missing:
    """A required value that was not given.

    Attributes:
        place: ``path``, ``query`` or ``body``.
    """

    place: str
    name: str
    schema: Schema


class CallRefusedError(ClerkBatchError):
    """A call that does not fit its operation's documents; it was not sent.

    Attributes:
        findings: everything that is wrong, at least one thing.
    """

    def __init__(self, operation: Operation, findings: Sequence[Finding]) -> None:
        """Name the first few findings; whoever shows them lists them all."""
        shown = "; ".join(map(str, findings[:_SHOWN])) + ("; ..." if len(findings) > _SHOWN else "")
        super().__init__(f"{operation} cannot be called like this: {shown}")
        self.findings = tuple(findings)


def prepare(operation: Operation, inputs: Inputs, *, check: bool = True) -> Call:
    """The call that the inputs make.

    Args:
        check: False leaves out all checks but those of the path, without whose values there is no call, and of what
            no request can carry.

    Raises:
        CallRefusedError: with everything that is wrong.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> call = prepare(load().operation("GetUser"), Inputs(path={"user_id": "user_1"}))
        >>> call.method, call.path, call.subject
        ('GET', '/users/user_1', 'user_1')
    """
    findings = [
        *_check_path(operation, inputs.path, strict=check),
        *check_sendable(inputs.path.items(), inputs.query, inputs.body),
    ]
    if check:
        findings += _check_query(operation, inputs.query)
        findings += _check_body(operation, inputs.body)
        findings += check_rules(operation, _grouped(inputs.query), inputs.body)
    if findings:
        raise CallRefusedError(operation, findings)
    values = {name: quote(value, safe=":@!$'()*,;+=") for name, value in inputs.path.items()}
    return Call(
        operation=operation.operation_id,
        method=operation.method,
        template=operation.path,
        path=operation.path.format_map(values),
        safety=operation.safety,
        query=_joined(operation, inputs.query),
        body=inputs.body,
        subject=_subject(operation, inputs.path),
    )


def missing(operation: Operation, inputs: Inputs) -> tuple[Missing, ...]:
    """The required values that are not there, in the order in which one would ask for them."""
    found = [Missing("path", p.name, p.schema) for p in operation.path_parameters if not inputs.path.get(p.name)]
    names = {name for name, _ in inputs.query}
    found += [
        Missing("query", p.name, p.schema) for p in operation.query_parameters if p.required and p.name not in names
    ]
    if operation.body is not None and (inputs.body is None or isinstance(inputs.body, Mapping)):
        schema, body = operation.body.schema, inputs.body or {}
        found += [
            Missing("body", name, schema.properties.get(name, Schema())) for name in schema.required if name not in body
        ]
    return tuple(found)


def put_field(schema: Schema, body: Mapping[str, Json], name: str, text: str) -> dict[str, Json]:
    """The body with the field of a dotted name set to what ``text`` means there.

    The schema decides: digits are a number for an integer and text for a string. Where it says nothing
    (inside metadata), a text that is JSON means that value. A field that is an array takes each value that
    is given, or one JSON array.

    Raises:
        ValueError: a step of the name is set to something that has no fields.

    Example:
        >>> metadata = Schema(type="object", additional=True)
        >>> schema = Schema(type="object", properties={"public_metadata": metadata})
        >>> put_field(schema, {}, "public_metadata.seats", "5")
        {'public_metadata': {'seats': 5}}
    """
    first, _, rest = name.partition(".")
    known = schema.properties.get(first)
    if known is None:
        known = schema.additional if isinstance(schema.additional, Schema) else Schema()
    changed = dict(body)
    if rest:
        inner = changed.get(first, {})
        if not isinstance(inner, Mapping):
            raise ValueError(f"{first} has a value already, so it cannot have the field {rest}")
        changed[first] = put_field(known, inner, rest, text)
        return changed
    value = _meant(known, text)
    if known.type == "array" and not isinstance(value, list):
        before = changed.get(first, [])
        value = [*(before if isinstance(before, list) else [before]), value]
    changed[first] = value
    return changed


def _meant(schema: Schema, text: str) -> Json:
    if schema.type == "array" and not text.startswith("["):
        return parse_text(schema.items or Schema(type="string"), text)
    if schema.type in (None, "array", "object"):
        try:
            value: Json = json.loads(text)
        except ValueError:
            return text
        return value
    return parse_text(schema, text)


def _check_path(operation: Operation, values: Mapping[str, str], *, strict: bool) -> Iterator[Finding]:
    for parameter in operation.path_parameters:
        value = values.get(parameter.name, "")
        if not value:
            yield Finding("path", parameter.name, "missing", "is required")
        elif value in (".", "..") or re.search(r"[\x00-\x1f\x7f]", value):
            yield Finding("path", parameter.name, "value", "is not an id")
        elif re.fullmatch(r"\{.*\}|:\w+|<.*>", value):
            yield Finding("path", parameter.name, "missing", "is a placeholder: put the real value there")
        elif strict:
            yield from check_value(parameter.schema, value, parameter.name, "path")
    known = [parameter.name for parameter in operation.path_parameters]
    for name in values:
        if name not in known:
            hint = f"known: {', '.join(known)}" if known else "this path has none"
            yield Finding("path", name, "unknown", "is not a parameter of this path", hint)


def _check_query(operation: Operation, query: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    given = _grouped(query)
    known = {parameter.name: parameter for parameter in operation.query_parameters}
    for name, parameter in known.items():
        if parameter.required and name not in given:
            yield Finding("query", name, "missing", "is required")
    for name, values in given.items():
        if name not in known:
            hint = comparison(operation, name, values) or parameter_hint(operation, name)
            yield Finding("query", name, "unknown", "is not a parameter here", hint)
        else:
            yield from _check_parameter(known[name], values)


def _check_parameter(parameter: Parameter, values: Sequence[str]) -> Iterator[Finding]:
    schema = parameter.schema
    if schema.type == "array":
        items = schema.items or Schema(type="string")
        meant: list[Json] = [parse_text(items, value) for value in values]
        yield from check_value(schema, meant, parameter.name, "query")
        return
    if len(values) > 1:
        yield Finding("query", parameter.name, "type", "takes one value but is given more than once")
    for value in values:
        yield from check_value(schema, parse_text(schema, value), parameter.name, "query")


def _check_body(operation: Operation, body: Json) -> Iterator[Finding]:
    if operation.body is None:
        if body is not None:
            yield Finding("body", "", "unknown", "this operation takes none")
        return
    schema = operation.body.schema
    if body is None:
        if operation.body.required and not schema.required:
            yield Finding("body", "", "missing", "is required")
        for name in schema.required:
            yield Finding("body", name, "missing", "is required")
        return
    owner = schema.items if schema.type == "array" and schema.items is not None else schema
    for finding in check_value(schema, body):
        own = re.fullmatch(r"(?:\[\d+\]\.)?([^.\[\]]+)", finding.name)
        hint = field_hint(operation, owner, own[1]) if own is not None and finding.code == "unknown" else ""
        yield replace(finding, hint=hint) if hint else finding


def _grouped(query: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in query:
        grouped.setdefault(name, []).append(value)
    return grouped


def _joined(operation: Operation, query: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The pairs as they are sent: an array that is not exploded becomes one value with commas."""
    joined = {p.name for p in operation.query_parameters if p.schema.type == "array" and not p.explode}
    grouped = _grouped(query)
    pairs = [(name, value) for name, value in query if name not in joined]
    return (*pairs, *((name, ",".join(grouped[name])) for name in grouped if name in joined))


def _subject(operation: Operation, values: Mapping[str, str]) -> str | None:
    """Whose own limit counts the call: the user, the organization, or the membership in the path."""
    steps = operation.path.split("/")
    owners = {"users": "user_id", "organizations": "organization_id"}
    first = values.get(owners.get(steps[1], ""))
    member = values.get("user_id") if "memberships" in steps[2:] else None
    return f"{first}/{member}" if first and member else first
