"""What has metadata (users, organizations, memberships): how it is read, a hundred at once, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

from clerk_jobs.call import Call, ReadRefused, Reply, Safety, Talk
from clerk_jobs.metadata.answers import reader_of
from clerk_jobs.metadata.trees import ABSENT
from clerk_jobs.reading import read_batches
from clerk_jobs.record import Record

__all__ = ["TARGETS", "Current", "Found", "Matching", "Mode", "Target", "match_key", "read_current", "write_call"]

Mode: TypeAlias = Literal["merge", "replace"]
Matching: TypeAlias = Literal["id", "email_address", "external_id", "username", "phone_number"]

SIGNED: Final = frozenset({"user_id", "external_id", "organization_id"})
"""Filters in which a leading + includes and a leading - excludes. Source: Clerk's OpenAPI document 2026-05-12."""
WITHOUT_CASE: Final = frozenset({"email_address", "username"})
PAGE: Final = 100
LISTS: Final[Mapping[str, str]] = {"email_address": "email_addresses", "phone_number": "phone_numbers"}
"""Where an object of Clerk's has identifiers of which it may have several."""


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of thing that has metadata.

    Attributes:
        noun: one of them, in a word.
        fields: the kinds of metadata that it has.
        filter: the parameter of the list that takes ids.
        merge: operation that merges.
        replace: operation that replaces; None where there is none, so that a merge has to do it.
        template: path of both.
        list_operation: the list that is read.
        list_template: its path.
        list_name: the list of all of them, wherever they are.
    """

    noun: str
    fields: tuple[str, ...]
    filter: str
    merge: str
    replace: str | None
    template: str
    list_operation: str
    list_template: str
    list_name: str


_BOTH = ("public_metadata", "private_metadata")

TARGETS: Final[Mapping[str, Target]] = {
    "users": Target(
        noun="user",
        fields=(*_BOTH, "unsafe_metadata"),
        filter="user_id",
        merge="UpdateUserMetadata",
        replace="ReplaceUserMetadata",
        template="/users/{user_id}/metadata",
        list_operation="GetUserList",
        list_template="/users",
        list_name="users",
    ),
    "organizations": Target(
        noun="organization",
        fields=_BOTH,
        filter="organization_id",
        merge="MergeOrganizationMetadata",
        replace="ReplaceOrganizationMetadata",
        template="/organizations/{organization_id}/metadata",
        list_operation="ListOrganizations",
        list_template="/organizations",
        list_name="organizations",
    ),
    "memberships": Target(
        noun="membership",
        fields=_BOTH,
        filter="user_id",
        merge="UpdateOrganizationMembershipMetadata",
        replace=None,
        template="/organizations/{organization_id}/memberships/{user_id}/metadata",
        list_operation="ListOrganizationMemberships",
        list_template="/organizations/{organization_id}/memberships",
        list_name="organization_memberships",
    ),
}
"""By their name in a job file."""


class Current(Record, frozen=True):
    """A thing as Clerk has it now.

    Attributes:
        subject: its id; for a membership the organization's and the user's with a slash between.
        fields: its kinds of metadata, an empty one for null.
    """

    subject: str
    fields: Mapping[str, Mapping[str, Any]]


Found: TypeAlias = "dict[str, list[Current] | Reply]"
"""By `match_key`: who was found, or the refusal of this very value."""


def match_key(by: Matching, value: str) -> str:
    """The form in which two spellings of an identifier are the same."""
    return value.casefold() if by in WITHOUT_CASE else value


def write_call(target: Target, mode: Mode, subject: str, body: Mapping[str, Any], *, items: int) -> Call:
    """The one request that writes a subject's metadata."""
    replaces = mode == "replace" and target.replace is not None
    operation = target.replace if replaces and target.replace is not None else target.merge
    path = target.template
    organization, _, member = subject.rpartition("/")
    if organization:
        path = path.replace("{organization_id}", _in_path(organization))
    path = path.replace(f"{{{target.filter}}}", _in_path(member))
    return Call(
        operation,
        "PUT" if replaces else "PATCH",
        target.template,
        path,
        Safety.IDEMPOTENT,
        body=body,
        subject=subject,
        items=items,
        reads=reader_of(target.fields),
    )


def _in_path(text: str) -> str:
    """An id as one part of a path; Clerk's own are letters, digits and underscores, which stand for themselves."""
    return text if text.isascii() and text.isidentifier() else quote(text, safe="")


def read_current(target: Target, group: str, by: Matching, values: Sequence[str]) -> Talk[Found]:
    """Read what Clerk has for these ids or identifiers, 100 in a request.

    Args:
        group: the organization whose memberships are read; "" for everything else.

    Raises:
        ReadRefused: an answer that is not a list of such things.
    """
    found: Found = {match_key(by, value): [] for value in values}
    name = target.filter if by == "id" else by
    sent = [f"+{value}" if name in SIGNED and value.startswith(("+", "-")) else value for value in values]
    plain = dict(zip(sent, values, strict=True))
    for batch in read_batches(name, list(plain)):
        yield from _read_batch(target, group, by, batch, plain, found)
    return found


def _read_batch(
    target: Target, group: str, by: Matching, batch: tuple[tuple[str, str], ...], plain: Mapping[str, str], found: Found
) -> Talk[None]:
    """Read a batch; a refused one is asked again in halves, so that one bad value does not refuse the others."""
    path = target.list_template.replace("{organization_id}", _in_path(group))
    query = (*batch, ("limit", str(PAGE)))
    # By an id nothing else is looked at: addresses are a good part of what would be read.
    named = "public_user_data" if group else "id"
    reads = reader_of(tuple(dict.fromkeys((*target.fields, named, LISTS.get(by, by)))))
    reply = yield Call(target.list_operation, "GET", target.list_template, path, Safety.READ, query, reads=reads)
    if reply.status == 404:
        # The organization is not there, so nobody is its member.
        return
    if not reply.ok:
        if len(batch) > 1:
            middle = len(batch) // 2
            yield from _read_batch(target, group, by, batch[:middle], plain, found)
            yield from _read_batch(target, group, by, batch[middle:], plain, found)
            return
        for _, value in batch:
            found[match_key(by, plain[value])] = reply
        return
    for row in reply.rows(f"{target.noun}s"):
        current = _current(target, group, row, reply)
        for key in (current.subject.rpartition("/")[2],) if by == "id" else _keys_of(by, row):
            known = found.get(key)
            if isinstance(known, list):
                known.append(current)


def _current(target: Target, group: str, row: Any, reply: Reply) -> Current:
    """A row of the list; one without an id or a kind of metadata must not pass for an empty one."""
    what = f"{target.noun}s"
    if not isinstance(row, dict):
        raise ReadRefused(reply, what)
    subject = _member_of(row) if group else row.get("id")
    if not isinstance(subject, str):
        raise ReadRefused(reply, what)
    fields: dict[str, dict[str, Any]] = {}
    for name in target.fields:
        field = row.get(name, ABSENT)
        if field is not None and not isinstance(field, dict):
            raise ReadRefused(reply, what)
        fields[name] = field or {}
    return Current(f"{group}/{subject}" if group else subject, fields)


def _member_of(row: Mapping[str, Any]) -> Any:
    person = row.get("public_user_data")
    return person.get("user_id") if isinstance(person, dict) else None


def _keys_of(by: Matching, row: Mapping[str, Any]) -> set[str]:
    """The identifiers of a row that a job may have asked for."""
    if by in LISTS:
        listed = row.get(LISTS[by])
        values = [each.get(by) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    else:
        values = [row.get(by)]
    return {match_key(by, value) for value in values if isinstance(value, str)}
