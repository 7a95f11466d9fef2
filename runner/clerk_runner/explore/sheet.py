"""All that is known of one operation, in sections: what ``api show`` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from clerk_jobs.call import Call, Safety
from clerk_jobs.catalog import Json, ListShape, Operation, Parameter, Schema
from clerk_jobs.catalog.example import example_value
from clerk_jobs.catalog.prepare import Inputs, prepare
from clerk_limits.documented import DocumentedLimit, InstanceKind, limits_for
from clerk_runner.explore.code import as_code, as_command
from clerk_runner.explore.prose import Prose
from clerk_runner.explore.section import Section
from clerk_runner.explore.shape import bounds_text, component_lines, field_lines, schema_json, type_text

__all__ = ["SAFETY_TEXT", "example_call", "limit_lines", "page_line", "sheet", "sheet_json"]

SAFETY_TEXT = {
    Safety.READ: "reads only; repeated freely",
    Safety.IDEMPOTENT: "twice is the same as once; repeated while that is safe",
    Safety.ONCE: "twice is a second effect; never sent again unless it is known not to have happened",
}
_SHAPE_TEXT = {
    ListShape.ARRAY: "a bare array",
    ListShape.DATA: "data, with total_count",
    ListShape.M2M_TOKENS: "m2m_tokens, with total_count",
    ListShape.WHOLE: "data, with total_count",
}
EXAMPLE_FIELDS = 3
"""Fields of an example body of which none is required."""

_USUAL_FIELDS = ("email_address", "name", "first_name", "last_name", "public_metadata")
_API_URL = "https://api.clerk.com"


def sheet(operation: Operation, version: str, prose: Prose | None = None) -> Iterator[Section]:
    """The sections, those without content left out."""
    yield Section("", tuple(_head(operation, version)))
    if prose is not None and prose.text:
        yield Section("Description", tuple((line,) for line in _wrapped(prose.text)))
    limits = tuple((line,) for line in limit_lines(operation))
    yield Section("Limits", limits or (("no limit applies",),))
    pages = page_line(operation)
    if pages:
        yield Section("Pages", ((pages,),))
    for title, parameters in (("Path", operation.path_parameters), ("Query", operation.query_parameters)):
        if parameters:
            yield Section(f"{title} parameters", tuple(_parameter_row(one, prose) for one in parameters))
    if operation.body is not None:
        needed = "required" if operation.body.required or operation.body.schema.required else "optional"
        title = f"Body ({operation.body.media_type}, {needed}): {type_text(operation.body.schema)}"
        title += f", {bounds}" if (bounds := bounds_text(operation.body.schema)) else ""
        yield Section(title, tuple(_field_rows(operation.body.schema, prose)))
    yield Section("Example", tuple((line,) for line in _example_lines(operation, version)), verbatim=True)
    yield from _answers(operation)


def limit_lines(operation: Operation) -> Iterator[str]:
    """The documented limits that count a call, one a line."""
    shown: list[str] = []
    for kind in InstanceKind:
        for limit in limits_for(operation.method, operation.path, kind):
            line = _limit_text(limit)
            if line not in shown:
                shown.append(line)
                yield line


def page_line(operation: Operation) -> str:
    """How the operation gives out its rows; empty where it is not a list."""
    if operation.list_shape is None:
        return ""
    rows = _SHAPE_TEXT[operation.list_shape]
    if operation.list_shape is ListShape.WHOLE:
        return f"rows in {rows}; everything at once, there is no limit parameter"
    limit = operation.parameter("limit")
    default = f", {limit.schema.default} without it" if limit is not None and limit.schema.default else ""
    step = "starting_after (fast at any depth) or offset" if operation.parameter("starting_after") else "offset"
    return f"rows in {rows}; limit 1..{operation.page_maximum}{default}; next page by {step}; --all walks every page"


def example_call(operation: Operation) -> Call:
    """A call of the operation with example values for all that it demands."""
    path = {p.name: str(example_value(p.schema, p.name)) for p in operation.path_parameters}
    query = [(p.name, str(example_value(p.schema, p.name))) for p in operation.query_parameters if p.required]
    if operation.page_maximum is not None:
        query.append(("limit", "10"))
    body = None
    if operation.body is not None and operation.body.media_type == "application/json":
        body = example_value(operation.body.schema, required_only=True) or _some_fields(operation.body.schema)
    return prepare(operation, Inputs(path, query, body), check=False)


def _some_fields(schema: Schema) -> Json:
    """An example where nothing is required: a few fields, because all at once are what nobody wants to send."""
    whole = example_value(schema)
    if not isinstance(whole, Mapping) or len(whole) <= EXAMPLE_FIELDS:
        return whole
    usual = [name for name in _USUAL_FIELDS if name in whole]
    plain = [name for name, child in schema.properties.items() if not child.deprecated]
    return {name: whole[name] for name in [*dict.fromkeys([*usual, *plain])][:EXAMPLE_FIELDS]}


def sheet_json(operation: Operation, version: str, prose: Prose | None = None) -> dict[str, Json]:
    """The same as JSON."""
    parameters: list[Json] = [
        {
            "name": p.name,
            "in": p.place,
            "required": p.required,
            "deprecated": p.deprecated,
            "schema": schema_json(p.schema),
        }
        for p in operation.parameters
    ]
    made: dict[str, Json] = {
        "operation": operation.operation_id,
        "method": operation.method,
        "path": operation.path,
        "version": version,
        "summary": operation.phrase,
        "tags": list(operation.tags),
        "deprecated": operation.deprecated,
        "safety": operation.safety.value,
        "sdk": operation.sdk,
        "limits": list(limit_lines(operation)),
        "list": operation.list_shape.value if operation.list_shape is not None else None,
        "page_maximum": operation.page_maximum,
        "parameters": parameters,
        "responses": {
            str(r.status): {"component": r.component, "schema": schema_json(r.schema) if r.schema else None}
            for r in operation.responses
        },
    }
    if operation.body is not None:
        body = operation.body
        made["body"] = {"required": body.required, "media_type": body.media_type, "schema": schema_json(body.schema)}
    if prose is not None and prose.text:
        made["description"] = prose.text
    return made


def _head(operation: Operation, version: str) -> Iterator[tuple[str, ...]]:
    yield (f"{operation.method} {operation.path}",)
    yield (operation.phrase + (" (deprecated)" if operation.deprecated else ""),)
    yield ("",)
    yield "Operation", operation.operation_id
    yield "Tags", ", ".join(operation.tags)
    yield "API version", version
    yield "Safety", f"{operation.safety.name}: {SAFETY_TEXT[operation.safety]}"
    if operation.method != "GET":
        yield "Scopes", "write and delete" if operation.method == "DELETE" else "write"
    yield "SDK", operation.sdk


def _answers(operation: Operation) -> Iterator[Section]:
    rows: list[tuple[str, ...]] = []
    for response in operation.responses:
        text = type_text(response.schema) if response.schema is not None else (response.component or "no body")
        rows.append((str(response.status), text))
    yield Section("Responses", tuple(rows))
    schemas = [response.schema for response in operation.responses if response.schema is not None]
    for response in operation.responses:
        inner = response.schema
        row = inner.items if inner is not None and inner.type == "array" else inner
        if inner is not None and row is not None and type_text(row) != row.component:
            fields = tuple(_field_rows(inner, None))
            if fields:
                yield Section(f"Response {response.status}", fields)
    body = [operation.body.schema] if operation.body is not None else []
    for name, schema in component_lines(iter([*body, *schemas])).items():
        yield Section(f"Component {name}", tuple(_field_rows(schema, None)))


def _parameter_row(parameter: Parameter, prose: Prose | None) -> tuple[str, ...]:
    notes = bounds_text(parameter.schema)
    if parameter.deprecated and "deprecated" not in notes:
        notes = f"{notes}, deprecated".lstrip(", ")
    said = _first_sentence(prose.parameters.get(parameter.name, "")) if prose is not None else ""
    star = "*" if parameter.required else ""
    return (f"{parameter.name}{star}", type_text(parameter.schema), _joined(notes, said))


def _field_rows(schema: Schema, prose: Prose | None) -> Iterator[tuple[str, ...]]:
    for line in field_lines(schema):
        said = _first_sentence(prose.fields.get(line.path, "")) if prose is not None else ""
        star = "*" if line.required else ""
        yield (f"{'  ' * line.depth}{line.name}{star}", line.type, _joined(line.notes, said))


def _example_lines(operation: Operation, version: str) -> Sequence[str]:
    if operation.body is not None and operation.body.media_type != "application/json":
        return [f"clerk-batch api call {operation.method} {example_call(operation).path} --file image.png"]
    call = example_call(operation)
    return [as_command(call), "", *as_code(call, "curl", api_url=_API_URL, api_version=version).splitlines()]


def _limit_text(limit: DocumentedLimit) -> str:
    period = "hour" if limit.period_s == 3600 else f"{limit.period_s:g} s"
    whose = f" for each {limit.scope.value}" if limit.per_subject else ""
    kind = f" ({limit.instance.value})" if limit.instance is not None else ""
    return f"{limit.permits} per {period}{whose}{kind}"


def _joined(notes: str, said: str) -> str:
    return "; ".join(part for part in (notes, said) if part)


def _first_sentence(text: str) -> str:
    line = " ".join(text.split())
    end = line.find(". ")
    return line if end < 0 else line[: end + 1]


def _wrapped(text: str) -> Iterator[str]:
    for paragraph in text.split("\n"):
        yield from textwrap.wrap(paragraph, 100) or [""]
