"""The job file of an export."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from clerk_jobs.catalog import UnknownVersionError
from clerk_jobs.catalog.prepare import CallRefusedError
from clerk_jobs.export.lists import UnknownListError, call_of, find_list
from clerk_jobs.jobfile.models import Job
from clerk_jobs.jobfile.nodes import ListNode, MapNode, Node, Scalar, key_path
from clerk_jobs.jobfile.reading import UNREAD, Complaint, Reading, Rule, Unread
from clerk_jobs.paths import path_problem
from clerk_jobs.wording import did_you_mean

__all__ = ["ExportJob", "Pairs"]

OURS: Final = frozenset({"limit", "offset", "starting_after", "order_by", "paginated"})
"""Parameters that belong to the walk."""
PLACEHOLDERS: Final = ("date", "time", "run")
LEAST_PAGE: Final = 10
"""Pages overlap, so they cannot be arbitrarily small."""


class Pairs(tuple[tuple[str, str], ...]):
    """Query parameters, in order; a repeated name is an array."""

    __slots__ = ()


def _filters() -> Meta:
    def read(node: Node, path: str, reading: Reading) -> Pairs | Unread:
        if not isinstance(node, MapNode):
            return reading.fault(node.place, path, "must be a map of Clerk's filters", "where: {banned: true}")
        pairs: list[tuple[str, str]] = []
        faults = len(reading.faults)
        for name, (_, value) in node.entries.items():
            for each in value.items if isinstance(value, ListNode) else (value,):
                if isinstance(each, Scalar) and each.value is not None:
                    pairs.append((name, _as_text(name, each)))
                else:
                    reading.fault(each.place, key_path(path, name), "must be a value or a list of values")
        return Pairs(pairs) if len(reading.faults) == faults else UNREAD

    return Meta(extra={"reader": read}, extra_json_schema={"type": "object"})


def _as_text(name: str, node: Scalar) -> str:
    """The value as a query parameter; a date is milliseconds where the parameter is a time."""
    if isinstance(node.value, bool):
        return "true" if node.value else "false"
    if isinstance(node.value, str) and re.search(r"_at(_|$)", name):
        return _milliseconds(node.value)
    return str(node.value)


def _milliseconds(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return str(int(moment.timestamp() * 1000))


def _output_path() -> Meta:
    def read(node: Node, path: str, reading: Reading) -> str | Unread:
        text = node.value if isinstance(node, Scalar) else None
        if not isinstance(text, str) or not text or text.endswith("/"):
            return reading.fault(node.place, path, "must be the path of a file", "output: exports/users-{date}.jsonl")
        for name in re.findall(r"\{([^{}]*)\}", text):
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
                hint = did_you_mean(name, PLACEHOLDERS) or f"known: {known}"
                return reading.fault(node.place, path, f"{{{name}}} is nothing that is filled in here", hint)
        if not re.search(r"\.(jsonl|ndjson)(\.gz)?$", text):
            return reading.fault(node.place, path, "must end with .jsonl or .jsonl.gz")
        problem = path_problem(reading.folder, text, allow_outside=reading.allow_outside)
        return reading.fault(node.place, path, *problem) if problem else text

    return Meta(extra={"reader": read}, extra_json_schema={"type": "string"})


def _list_exists(list: str, api_version: str) -> Iterator[Complaint]:  # noqa: A002  named as in the job file
    try:
        find_list(list, api_version)
    except UnknownVersionError as error:
        yield Complaint("api_version", str(error), at="list")
    except UnknownListError as error:
        yield Complaint("list", str(error), error.hint)


def _filters_exist(list: str, where: Pairs, api_version: str) -> Iterator[Complaint]:  # noqa: A002  named as in the job file
    """Clerk may ignore a parameter that it does not know, and then everything would be exported."""
    for name in dict.fromkeys(name for name, _ in where):
        if name in OURS:
            yield Complaint(f"where.{name}", "belongs to the walk through the list, not to its filters", at="where")
    try:
        call_of(find_list(list, api_version), tuple(pair for pair in where if pair[0] not in OURS))
    except (UnknownVersionError, UnknownListError):
        # The list's own rule tells.
        return
    except CallRefusedError as error:
        for finding in error.findings:
            key = f"where.{finding.name}" if finding.name else "where"
            yield Complaint(key, finding.message, finding.hint, at="where")


def _page_fits(list: str, page_size: int | None, api_version: str) -> Iterator[Complaint]:  # noqa: A002  named as in the job file
    """Clerk answers ten rows where more are asked for than it gives, without a word."""
    try:
        most = find_list(list, api_version).page_maximum
    except (UnknownVersionError, UnknownListError):
        return
    if page_size is not None and most is not None and page_size > most:
        yield Complaint("page_size", f"must be a whole number of at most {most}")


class ExportJob(Job, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="export"):
    """A list of Clerk's, written to a file.

    Attributes:
        list: what is exported: a list of Clerk's, named by its path.
        where: Clerk's own filters; a time may be written as a date, and created_at_after includes its moment.
        output: the file, relative to the job file; {date}, {time} and {run} are filled in when the run starts.
        page_size: rows asked for at once; unset, as many as the list gives.
    """

    manners: ClassVar[frozenset[str]] = Job.manners | {"page_size"}
    rules: ClassVar[tuple[Rule, ...]] = (_list_exists, _filters_exist, _page_fits)
    also_known: ClassVar[dict[str, str]] = {
        "filter": "where",
        "file": "output",
        "path": "output",
        "limit": "page_size",
    }

    list: str
    output: Annotated[str, _output_path()]
    where: Annotated[Pairs, _filters()] = Pairs()
    page_size: Annotated[int, Meta(ge=LEAST_PAGE)] | None = None
