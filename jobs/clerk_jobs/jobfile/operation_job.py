"""The job file of any operation of the catalogue, over rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from clerk_jobs.catalog import load
from clerk_jobs.catalog.catalog import UnknownOperationError, UnknownVersionError
from clerk_jobs.catalog.operation import Operation
from clerk_jobs.export.form import STDOUT
from clerk_jobs.jobfile.export_fields import Pairs, filters, output_file
from clerk_jobs.jobfile.fields import compile_node, map_of_templates
from clerk_jobs.jobfile.listing_rules import column_complaints, row_complaints
from clerk_jobs.jobfile.models import Job
from clerk_jobs.jobfile.nodes import ListNode, MapNode, Node
from clerk_jobs.jobfile.reading import Complaint, Reading, Rule, Unread
from clerk_jobs.jobfile.sources import sources
from clerk_jobs.operation.reading import ObjectReader
from clerk_jobs.rows.source import Source
from clerk_jobs.template import Template
from clerk_jobs.wording import did_you_mean

__all__ = ["OperationJob", "operation_of"]


def _body() -> Meta:
    def read(node: Node, path: str, reading: Reading) -> Template | Unread:
        if not isinstance(node, MapNode | ListNode):
            return reading.fault(node.place, path, "must be a map, or a list", 'body: {name: "{name}"}')
        return compile_node(node, path, reading)

    return Meta(extra={"reader": read}, extra_json_schema={"type": ["object", "array"]})


def operation_of(name: str, api_version: str) -> Operation:
    """The operation of an operationId, or of a method and a path.

    Raises:
        UnknownVersionError: the catalogue does not hold that version.
        UnknownOperationError: the version has no such operation.
    """
    catalog = load(api_version)
    method, _, path = name.partition(" ")
    found = catalog.find(method, path.strip()) if path.strip().startswith("/") else None
    return catalog.operation(name) if found is None else found


def _operation_exists(operation: str, api_version: str) -> Iterator[Complaint]:
    try:
        found = operation_of(operation, api_version)
    except UnknownVersionError as error:
        yield Complaint("api_version", str(error))
    except UnknownOperationError as error:
        yield Complaint("operation", str(error), "clerk-batch api list shows them all")
    else:
        if found.method == "GET":
            yield Complaint("operation", "only reads, and changes nothing", "use kind: export, or clerk-batch api call")


def _parts_fit(
    operation: str, api_version: str, path: Template | None, query: Template | None, body: Template | None
) -> Iterator[Complaint]:
    try:
        found = operation_of(operation, api_version)
    except (UnknownOperationError, UnknownVersionError):
        return
    wanted = [parameter.name for parameter in found.path_parameters]
    yield from _names_fit("path", path, wanted, required=wanted)
    known = [parameter.name for parameter in found.query_parameters]
    yield from _names_fit("query", query, known, required=[p.name for p in found.query_parameters if p.required])
    if found.body is None:
        if body is not None:
            yield Complaint("body", f"does not apply to {found.operation_id}", "remove it")
    elif body is None and (found.body.required or found.body.schema.required):
        yield Complaint("body", "is missing", f"{found.operation_id} needs one", at="operation")


def _names_fit(key: str, template: Template | None, known: list[str], *, required: list[str]) -> Iterator[Complaint]:
    given = dict(template.source) if template is not None and isinstance(template.source, dict) else {}
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or (f"known: {', '.join(known)}" if known else "this operation has none")
            yield Complaint(key, f"has {name}, which is not a parameter of the operation", hint)
    for name in required:
        if name not in given:
            yield Complaint(key, f"lacks {name}", f'write {key}: {{{name}: "{{{name}}}"}}', at="operation")


def _rows_come_from(source: Source | None, listing: str | None, where: Pairs, api_version: str) -> Iterator[Complaint]:
    yield from row_complaints(source, listing, where, api_version)


def _columns_exist(
    listing: str | None, api_version: str, path: Template | None, query: Template | None, body: Template | None
) -> Iterator[Complaint]:
    yield from column_complaints(listing, api_version, {"path": path, "query": query, "body": body})


def _backup_can_be_made(backup: str | None, operation: str, api_version: str) -> Iterator[Complaint]:
    if backup is None:
        return
    if backup == STDOUT or not backup.endswith(".jsonl"):
        yield Complaint("backup", "must be the path of a file of JSON Lines", "backup: before-{run}.jsonl")
    try:
        found = operation_of(operation, api_version)
    except (UnknownOperationError, UnknownVersionError):
        return
    if not ObjectReader(load(api_version), found.path).can_read:
        said = f"cannot be made: Clerk has no operation that reads what {found.operation_id} changes"
        yield Complaint("backup", said, "remove it, or export the list first")


def _something_varies(path: Template | None, query: Template | None, body: Template | None) -> Iterator[Complaint]:
    if not any(part is not None and part.columns for part in (path, query, body)):
        yield Complaint(
            "path", "names no column, nor do query and body: every row would be the same call", at="operation"
        )


class OperationJob(Job, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="operation"):
    """One operation of Clerk's Backend API, called for each row.

    Attributes:
        source: the rows; beside ``list`` a file with objects of that list, as an export writes them.
        list: every object of this list is a row (the field ``listing``).
        where: Clerk's own filters of the list; a time may be written as a date.
        operation: its operationId, DeleteUser, or its method and path, "DELETE /users/{user_id}".
        path: templates of the parameters in its path.
        query: templates of its query parameters.
        body: its body, templates and all.
        lanes: ``bulk`` sends fifty rows in a call where Clerk has a form for that, ``single`` never does.
        max_rows: refuse an input with more rows.
        backup: save the objects that the rows name to this file first; {date}, {time} and {run} are filled in.
        protect: ids that no row may name in its path: such a row is skipped.
    """

    manners: ClassVar[frozenset[str]] = Job.manners | {"max_rows", "lanes", "backup"}
    rules: ClassVar[tuple[Rule, ...]] = (
        _rows_come_from,
        _operation_exists,
        _parts_fit,
        _something_varies,
        _columns_exist,
        _backup_can_be_made,
    )
    also_known: ClassVar[dict[str, str]] = {
        "csv": "source",
        "filter": "where",
        "parameters": "path",
        "params": "path",
        "data": "body",
    }

    source: Annotated[Source, sources()] | None = None
    listing: str | None = msgspec.field(name="list", default=None)
    where: Annotated[Pairs, filters()] = Pairs()
    operation: Annotated[str, Meta(min_length=1)]
    path: Annotated[Template, map_of_templates()] | None = None
    query: Annotated[Template, map_of_templates()] | None = None
    body: Annotated[Template, _body()] | None = None
    lanes: Literal["bulk", "single"] = "bulk"
    max_rows: Annotated[int, Meta(ge=1)] | None = None
    backup: Annotated[str, output_file()] | None = None
    protect: list[str] = msgspec.field(default_factory=list)

    @property
    def deletes(self) -> bool:
        """Whether it destroys what its rows name."""
        return self.facts.method == "DELETE"

    @property
    def facts(self) -> Operation:
        """What the catalogue says of the operation."""
        return operation_of(self.operation, self.api_version)
