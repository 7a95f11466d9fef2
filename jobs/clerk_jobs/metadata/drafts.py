"""A row becomes a draft: whose metadata, what is written to it, and two digests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from clerk_jobs.call import Draft, Item
from clerk_jobs.errors import RowProblem
from clerk_jobs.jobfile.metadata_job import FIELDS, MetadataJob
from clerk_jobs.listed import row_view
from clerk_jobs.metadata.targets import TARGETS, Matching, match_key
from clerk_jobs.metadata.trees import FIELD_BYTES, folded, size_of
from clerk_jobs.template import Template

__all__ = ["MetadataDrafting", "check_id", "wanted_of"]

_encode = msgspec.json.Encoder().encode

KEY_BYTES = 16
DIGEST_BYTES = 8
MOST_KNOWN = 1_000
"""Different contents that are kept, so that rows which say the same share it: few backfills have more."""
LONGEST_KNOWN = 1_000
"""Characters of the cells of such a content."""


class MetadataDrafting:
    """Renders rows for one job. A payload is ``{"value": id or identifier, "fields": {"public_metadata": {…}}}``.

    That of a listed object also has ``listed``, its kinds of metadata as the list showed them.
    """

    def __init__(self, job: MetadataJob) -> None:
        """Find out once by what subjects are found, and what is written."""
        self.job = job
        self.by: Matching = job.by
        self._subject: Template = job.subject
        self._view = row_view(job.listing, job.api_version)
        self._listed = TARGETS[job.target].fields if job.lists_itself else ()
        templates = ((name, getattr(job, name)) for name in FIELDS)
        self._fields = tuple((name, template) for name, template in templates if template is not None)
        self._columns = tuple(dict.fromkeys(column for _, template in self._fields for column in template.columns))
        self._known: dict[tuple[Any, ...], dict[str, Any]] = {}

    def draft(self, values: Mapping[str, Any]) -> Draft:
        """Check a row and name it.

        Raises:
            RowProblem: the row cannot be sent, with the reason and without its content.
        """
        group, payload = self.payload(values)
        name = f"{group}\0{match_key(self.by, payload['value'])}".encode()
        return Draft(blake2b(name, digest_size=KEY_BYTES).digest(), self.digest(group, payload), group)

    def payload(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The organization of a membership ("" for all else), and what is written to whom.

        Raises:
            RowProblem: a template does not fit the row's values, an id is none, or a kind is larger than 8 KB.
        """
        listed, values = values, self._view(values)
        subject, group = self._subject.render(values), ""
        if isinstance(subject, dict):
            if self.by == "id":
                group = check_id(subject.get("organization_id"), "organization_id")
            subject = subject.get("user_id" if self.by == "id" else self.by)
        fields = self._written(values)
        payload: dict[str, Any] = {"value": check_id(subject, self.by), "fields": fields}
        if self._listed and all(isinstance(listed.get(name, 0), dict | None) for name in self._listed):
            payload["listed"] = {name: listed[name] or {} for name in self._listed}
        return group, payload

    def _written(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What is written, by kind of metadata; nobody changes it, as rows of the same cells share it."""
        cells = tuple([values.get(column) for column in self._columns])
        try:
            known = self._known.get(cells)
        except TypeError:
            # A cell that is a list or an object.
            return self._rendered(values)
        if known is None:
            known = self._rendered(values)
            if len(self._known) < MOST_KNOWN and _is_short_text(cells):
                self._known[cells] = known
        return known

    def _rendered(self, values: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, template in self._fields:
            field = fields[name] = template.render(values)
            if self.job.mode == "replace" and size_of(field) > FIELD_BYTES:
                raise RowProblem("metadata_too_large", f"{name} would take more than {FIELD_BYTES:,} bytes")
        return fields

    def digest(self, group: str, payload: Mapping[str, Any]) -> bytes:
        """The digest of everything that a row says."""
        said = {"value": payload["value"], "fields": payload["fields"]}
        return blake2b(_encode((group, said)), digest_size=DIGEST_BYTES).digest()


def _is_short_text(cells: Sequence[Any]) -> bool:
    """Whether cells hold all that templates read, are the same where they are equal, and take little room."""
    return all(isinstance(cell, str) for cell in cells) and sum(map(len, cells)) <= LONGEST_KNOWN


def check_id(value: object, name: str) -> str:
    """An id or identifier that can stand in a request.

    Raises:
        RowProblem: it is empty, no text, or would lead a path astray.
    """
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise RowProblem("missing_value", f"{name} is empty")
    controls = not text.isprintable() and re.search(r"[\x00-\x1f\x7f]", text)
    if text in (".", "..") or controls or (name != "external_id" and "/" in text):
        raise RowProblem("invalid_id", f"this is not a valid {name}")
    return text


def wanted_of(items: Sequence[Item], *, merges: bool) -> dict[str, dict[str, Any]]:
    """What the rows of one subject say together, in their order, by kind of metadata: the last one wins.

    Nobody changes it: where there is one row, it is what that says.
    """
    if len(items) == 1:
        alone: dict[str, dict[str, Any]] = items[0].payload["fields"]
        return alone
    wanted: dict[str, dict[str, Any]] = {}
    for item in items:
        for name, field in item.payload["fields"].items():
            wanted[name] = folded(wanted[name], field) if merges and name in wanted else field
    return wanted
