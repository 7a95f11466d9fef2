"""The job file of an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal, cast

from msgspec import Meta, field

from clerk_jobs.export.columns import Column, ColumnType, default_columns, documented_fields, documented_type
from clerk_jobs.export.form import ENDINGS, STDOUT, Form, Format, Formulas, format_of, packing_of
from clerk_jobs.export.lists import Parent, find_list
from clerk_jobs.jobfile.export_fields import PLACEHOLDERS, Pairs, WantedColumn, filters, output_file, wanted_columns
from clerk_jobs.jobfile.fields import Seconds, duration
from clerk_jobs.jobfile.listing_rules import filter_complaints, known_list, list_complaints
from clerk_jobs.jobfile.models import Job
from clerk_jobs.jobfile.pings import Ping
from clerk_jobs.jobfile.reading import Complaint, Rule
from clerk_jobs.wording import did_you_mean, shown

__all__ = ["ExportJob", "Pairs"]

LEAST_PAGE: Final = 10
"""Pages overlap, so they cannot be arbitrarily small."""


def _list_exists(listing: str, api_version: str, for_each: Parent | None) -> Iterator[Complaint]:
    yield from list_complaints(listing, api_version, for_each)


def _filters_exist(listing: str, where: Pairs, api_version: str, for_each: Parent | None) -> Iterator[Complaint]:
    yield from filter_complaints(listing, where, api_version, for_each)


def _page_fits(listing: str, page_size: int | None, api_version: str, for_each: Parent | None) -> Iterator[Complaint]:
    """Clerk answers ten rows where more are asked for than it gives, without a word."""
    operation = known_list(listing, api_version, for_each)
    most = operation.page_maximum if operation is not None else None
    if page_size is not None and most is not None and page_size > most:
        yield Complaint("page_size", f"must be a whole number of at most {most}")


def _format_is_known(output: str, chosen_format: Format | None) -> Iterator[Complaint]:
    found = chosen_format or format_of(output)
    if found is None:
        ends = ", ".join(f".{end}" for end in ENDINGS)
        yield Complaint("output", f"must end with one of {ends}", "or name it: format: jsonl")
    elif not Form(found).streams and (output == STDOUT or packing_of(output)):
        reason = "cannot be piped" if output == STDOUT else "is already compressed"
        yield Complaint("output", f"{found} {reason}", "use jsonl or csv, or a file of its own name")


def _columns_fit(
    listing: str,
    wanted: tuple[WantedColumn, ...] | None,
    output: str,
    chosen_format: Format | None,
    api_version: str,
    for_each: Parent | None,
) -> Iterator[Complaint]:
    operation = known_list(listing, api_version, for_each)
    if operation is None or wanted is None:
        return
    if (chosen_format or format_of(output)) == "jsonl":
        yield Complaint("columns", "is only for tables: JSON Lines has every field", "remove it, or use .csv")
    for name, many in Counter(column.name.lower() for column in wanted).items():
        if many > 1:
            yield Complaint("columns", f"the name {shown(name)} is used more than once", "write name: path")
    for column in wanted:
        if column.type is None and documented_type(operation, column.path) is None:
            first = column.path.partition(".")[0]
            hint = did_you_mean(first, documented_fields(operation))
            hint = hint or "an undocumented field needs a type: {path: …, type: any}"
            yield Complaint("columns", f"{shown(first)} is not a documented field of {listing}", hint)


def _increments_are_whole(
    listing: str,
    for_each: Parent | None,
    where: Pairs,
    incremental: str | None,
    output: str,
    chosen_format: Format | None,
) -> Iterator[Complaint]:
    if incremental is None:
        return
    if listing not in ("users", "GetUserList") or for_each is not None:
        yield Complaint("incremental", "is only for users: no other list can be ordered by updated_at")
    if where:
        yield Complaint(
            "incremental", "cannot have filters: users who no longer match would stay in the file", "remove where:"
        )
    if incremental == "snapshot" and ((chosen_format or format_of(output)) != "jsonl" or output == STDOUT):
        message = "needs a file of JSON Lines, which the changes are merged into"
        yield Complaint("incremental", message, "output: users.jsonl.gz")


def _outputs_differ(output: str, keep_outputs: int | None) -> Iterator[Complaint]:
    if keep_outputs is not None and not any(f"{{{name}}}" in output for name in PLACEHOLDERS):
        yield Complaint("keep_outputs", "needs an output name that differs from run to run", "put {date} into output:")


class ExportJob(Job, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="export"):
    """A list of Clerk's, written to a file.

    Attributes:
        list: what is exported (the field ``listing``): a list of Clerk's, named by its path.
        for_each: the list is one below each of these; unset, it stands alone.
        where: Clerk's own filters of the list; a time may be written as a date, and created_at_after of users
            includes its moment.
        output: the file, relative to the job file; {date}, {time} and {run} are filled in when the run starts. "-" is
            standard output.
        format: what the output is (the field ``chosen_format``); unset, as its name ends.
        columns: of everything but JSON Lines (the field ``wanted``); unset, every documented field.
        formulas: what becomes of CSV cells that a spreadsheet would execute.
        incremental: of users: ``changes`` since the last run of this job that is done, or a ``snapshot`` that these are
            merged into; unset, everything.
        full_every: how often a snapshot is made anew, which is what finds deletions.
        keep_outputs: how many outputs stay; older ones of this job are removed, if they still are as they were written.
        ping: who is told how a run ended.
        page_size: rows asked for at once; unset, as many as the list gives.
    """

    manners: ClassVar[frozenset[str]] = Job.manners | {"page_size", "full_every", "keep_outputs", "ping"}
    rules: ClassVar[tuple[Rule, ...]] = (
        _list_exists,
        _filters_exist,
        _page_fits,
        _format_is_known,
        _columns_fit,
        _increments_are_whole,
        _outputs_differ,
    )
    also_known: ClassVar[dict[str, str]] = {
        "filter": "where",
        "file": "output",
        "path": "output",
        "limit": "page_size",
        "fields": "columns",
    }

    listing: str = field(name="list")
    for_each: Parent | None = None
    output: Annotated[str, output_file()]
    where: Annotated[Pairs, filters()] = Pairs()
    chosen_format: Format | None = field(name="format", default=None)
    wanted: Annotated[tuple[WantedColumn, ...], wanted_columns()] | None = field(name="columns", default=None)
    formulas: Formulas = "defuse"
    incremental: Literal["changes", "snapshot"] | None = None
    full_every: Annotated[Seconds, duration(3600, 366 * 86_400)] = field(default_factory=lambda: Seconds(7 * 86_400))
    keep_outputs: Annotated[int, Meta(ge=1)] | None = None
    ping: Ping = field(default_factory=Ping)
    page_size: Annotated[int, Meta(ge=LEAST_PAGE)] | None = None

    @property
    def form(self) -> Form:
        """What the output looks like."""
        found = self.chosen_format or format_of(self.output)
        assert found is not None, "a rule has seen to it"
        table = self.listing.rpartition("/")[2]
        if found == "jsonl":
            return Form(found, packing_of(self.output))
        return Form(found, packing_of(self.output), self._table(), table, self.formulas)

    def _table(self) -> tuple[Column, ...]:
        operation = find_list(self.listing, self.api_version, self.for_each)
        if self.wanted is None:
            return default_columns(operation)
        return tuple(
            Column(
                each.name,
                each.path,
                cast("ColumnType", each.type) if each.type else documented_type(operation, each.path) or "any",
            )
            for each in self.wanted
        )
