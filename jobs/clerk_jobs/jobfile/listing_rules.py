"""Rules for keys that name a list of Clerk's: that it exists, and that its filters do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from clerk_jobs.catalog import Operation
from clerk_jobs.catalog.catalog import UnknownVersionError
from clerk_jobs.catalog.prepare import CallRefusedError
from clerk_jobs.export.columns import documented_fields
from clerk_jobs.export.lists import Parent, UnknownListError, call_of, find_list, noun_of
from clerk_jobs.jobfile.export_fields import Pairs
from clerk_jobs.jobfile.reading import Complaint
from clerk_jobs.references import Reference
from clerk_jobs.rows.source import CsvSource, Source
from clerk_jobs.template import Template
from clerk_jobs.wording import did_you_mean, shown

__all__ = ["column_complaints", "filter_complaints", "known_list", "list_complaints", "row_complaints"]

OURS: Final = frozenset({"limit", "offset", "starting_after", "order_by", "paginated"})
"""Parameters that belong to the walk."""


def known_list(name: str, api_version: str, for_each: Parent | None = None) -> Operation | None:
    """The list; None where there is none, which ``list_complaints`` tells."""
    try:
        return find_list(name, api_version, for_each)
    except (UnknownVersionError, UnknownListError):
        return None


def list_complaints(name: str, api_version: str, for_each: Parent | None = None) -> Iterator[Complaint]:
    """That there is no such list."""
    try:
        find_list(name, api_version, for_each)
    except UnknownVersionError as error:
        yield Complaint("api_version", str(error), at="list")
    except UnknownListError as error:
        yield Complaint("list", str(error), error.hint)


def filter_complaints(name: str, where: Pairs, api_version: str, for_each: Parent | None = None) -> Iterator[Complaint]:
    """Filters that the list has not: Clerk may ignore what it does not know, and then everything would be listed."""
    for filtered in dict.fromkeys(filtered for filtered, _ in where):
        if filtered in OURS:
            yield Complaint(
                f"where.{filtered}", "is set by clerk-batch while it reads the list, and is not a filter", at="where"
            )
    operation = known_list(name, api_version, for_each)
    if operation is None:
        return
    try:
        call_of(operation, tuple(pair for pair in where if pair[0] not in OURS), "id")
    except CallRefusedError as error:
        for finding in error.findings:
            key = f"where.{finding.name}" if finding.name else "where"
            yield Complaint(key, finding.message, finding.hint, at="where")


def row_complaints(source: Source | None, listing: str | None, where: Pairs, api_version: str) -> Iterator[Complaint]:
    """Where the rows of a job come from: a file, or a list; or a file with objects of a list."""
    if listing is None:
        if source is None:
            hint = "name a file of rows, or one of Clerk's lists with list: users"
            yield Complaint("source", "is missing", hint, at="kind")
        if where:
            yield Complaint("where", "filters a list, but the job has none", "add list: users, or remove it")
        return
    if isinstance(source, CsvSource):
        yield Complaint(
            "source", "together with list: must be JSON Lines, as an export writes them", "remove one of them"
        )
    if source is not None and where:
        hint = "remove where:, or remove source: to read the list from Clerk"
        yield Complaint("where", "cannot filter objects that come from a file", hint)
    yield from list_complaints(listing, api_version)
    yield from filter_complaints(listing, where, api_version)


def column_complaints(
    listing: str | None, api_version: str, templates: Mapping[str, Template | None]
) -> Iterator[Complaint]:
    """Placeholders that lead to nothing of a listed object: every row would miss it."""
    operation = None if listing is None else known_list(listing, api_version)
    if operation is None:
        return
    noun, fields = noun_of(operation), documented_fields(operation)
    for key, template in templates.items():
        for written in template.columns if template is not None else ():
            reference = Reference.read(written)
            # What a reference looks up stands in the listed object, as what a placeholder shows does.
            column = written if reference is None else reference.column
            first, _, rest = column.partition(".")
            field = rest.partition(".")[0]
            if first != noun or not rest:
                hint = f"write {{{noun}.{column if first in fields else 'id'}}}"
                yield Complaint(key, f"{shown(column)} is not a field of the listed {noun}", hint)
            elif fields and field not in fields:
                known = did_you_mean(field, fields)
                yield Complaint(key, f"{shown(field)} is not a documented field of {listing}", known)
