"""The job files of metadata: writing it, and taking a run's changes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta, field

from clerk_jobs.catalog import load
from clerk_jobs.catalog.catalog import UnknownOperationError, UnknownVersionError
from clerk_jobs.export.lists import noun_of
from clerk_jobs.jobfile.export_fields import Pairs, filters
from clerk_jobs.jobfile.fields import map_of_templates, templated
from clerk_jobs.jobfile.listing_rules import column_complaints, known_list, row_complaints
from clerk_jobs.jobfile.models import Job
from clerk_jobs.jobfile.nodes import MapNode, Node, key_path
from clerk_jobs.jobfile.reading import UNREAD, Complaint, Reading, Rule, Unread
from clerk_jobs.jobfile.sources import sources
from clerk_jobs.metadata.targets import TARGETS, Matching, Mode
from clerk_jobs.rows.source import Source
from clerk_jobs.template import MapTemplate, Template, compile_value
from clerk_jobs.typed_template import text
from clerk_jobs.wording import did_you_mean

__all__ = ["MetadataJob", "UndoJob"]

MATCHES: Final[Mapping[str, Matching]] = {
    "email_address": "email_address",
    "external_id": "external_id",
    "username": "username",
    "phone_number": "phone_number",
}
FIELDS: Final = ("public_metadata", "private_metadata", "unsafe_metadata")
_MEMBERSHIP: Final = ("organization_id", "user_id")

_RequiredText = templated(text(required=True))


def _template(node: Node, path: str, reading: Reading) -> Template | Unread:
    value: Template | Unread = (_RequiredText.extra or {})["reader"](node, path, reading)
    if value is not UNREAD and not value.columns:
        return reading.fault(
            node.place, path, "names no column, so every row would mean the same one", 'write "{user_id}"'
        )
    return value


def _ids() -> Meta:
    def read(node: Node, path: str, reading: Reading) -> Template | Unread:
        if not isinstance(node, MapNode):
            return _template(node, path, reading)
        found: dict[str, Template] = {}
        for name, (key, each) in node.entries.items():
            below = key_path(path, name)
            if name not in _MEMBERSHIP:
                reading.fault(key.place, below, "is not a key here", did_you_mean(name, _MEMBERSHIP))
            elif (value := _membership_part(name, each, below, reading)) is not UNREAD:
                found[name] = value
        for name in _MEMBERSHIP:
            if name not in node.entries:
                reading.fault(node.place, key_path(path, name), "is missing", "a membership has two ids")
        if set(found) != set(_MEMBERSHIP):
            return UNREAD
        return MapTemplate(found)

    anyof: list[dict[str, Any]] = [{"type": "string"}, {"type": "object", "required": list(_MEMBERSHIP)}]
    return Meta(extra={"reader": read}, extra_json_schema={"anyOf": anyof})


def _membership_part(name: str, node: Node, path: str, reading: Reading) -> Template | Unread:
    """One organization for all rows is nothing strange, one user would be."""
    if name == "organization_id":
        value: Template | Unread = (_RequiredText.extra or {})["reader"](node, path, reading)
        return value
    return _template(node, path, reading)


def _match() -> Meta:
    def read(node: Node, path: str, reading: Reading) -> Template | Unread:
        if not isinstance(node, MapNode) or len(node.entries) != 1:
            hint = 'write match: {email_address: "{email}"}'
            return reading.fault(node.place, path, "must be a map with one identifier", hint)
        ((name, (key, value)),) = node.entries.items()
        if name in MATCHES:
            template = _template(value, key_path(path, name), reading)
            return UNREAD if template is UNREAD else MapTemplate({name: template})
        hint = did_you_mean(name, MATCHES) or f"known: {', '.join(MATCHES)}"
        return reading.fault(key.place, key_path(path, name), "is not something that users can be found by", hint)

    schema: dict[str, Any] = {"type": "object", "minProperties": 1, "maxProperties": 1}
    return Meta(extra={"reader": read}, extra_json_schema=schema)


def _keys(template: Template) -> tuple[str, ...]:
    """The keys of a template that is a map; none of one that is a text."""
    return tuple(template.source) if isinstance(template.source, dict) else ()


def _rows_come_from(source: Source | None, listing: str | None, where: Pairs, api_version: str) -> Iterator[Complaint]:
    yield from row_complaints(source, listing, where, api_version)


def _one_way(
    id: Template | None,  # noqa: A002  a key
    match: Template | None,
    target: str,
    listing: str | None,
    api_version: str,
) -> Iterator[Complaint]:
    if id is not None and match is not None:
        yield Complaint("match", "and id cannot both be given", "remove one of them")
    if id is None and match is None and not lists_itself(target, listing, api_version):
        hint = 'add id: "{user_id}", or match: {email_address: "{email}"}'
        if listing is not None:
            hint = f"add id:, or list: {TARGETS[target].list_name}, whose objects are the {target} themselves"
        yield Complaint("id", "is missing", hint, at="target")
    if match is not None and target != "users":
        yield Complaint("match", "is only for users: Clerk finds the others by id alone", "use id:")
    if id is not None and (target == "memberships") != (len(_keys(id)) > 0):
        right = '{organization_id: "{org}", user_id: "{user}"}' if target == "memberships" else '"{id}"'
        yield Complaint("id", f"does not fit target: {target}", f"write id: {right}")


def _columns_exist(
    listing: str | None,
    api_version: str,
    id: Template | None,  # noqa: A002  a key
    match: Template | None,
    public_metadata: Template | None,
    private_metadata: Template | None,
    unsafe_metadata: Template | None,
) -> Iterator[Complaint]:
    fields = zip(FIELDS, (public_metadata, private_metadata, unsafe_metadata), strict=True)
    yield from column_complaints(listing, api_version, {"id": id, "match": match, **dict(fields)})


def lists_itself(target: str, listing: str | None, api_version: str) -> bool:
    """Whether the listed objects are those whose metadata is written."""
    operation = None if listing is None else known_list(listing, api_version)
    return operation is not None and operation.path == f"/{TARGETS[target].list_name}"


def _some_field(
    public_metadata: Template | None, private_metadata: Template | None, unsafe_metadata: Template | None, target: str
) -> Iterator[Complaint]:
    if public_metadata is None and private_metadata is None and unsafe_metadata is None:
        yield Complaint("public_metadata", "is missing: the job would write nothing", at="target")
    if unsafe_metadata is not None and "unsafe_metadata" not in TARGETS[target].fields:
        yield Complaint("unsafe_metadata", f"does not exist for {target}", "only users have it")


def _no_null_in_replace(
    public_metadata: Template | None, private_metadata: Template | None, unsafe_metadata: Template | None, mode: str
) -> Iterator[Complaint]:
    for name, template in zip(FIELDS, (public_metadata, private_metadata, unsafe_metadata), strict=True):
        if mode == "replace" and template is not None and _has_null(template.source):
            yield Complaint(name, "has a null, which removes a key, but only under mode: merge", "leave the key out")


def _has_null(source: Any) -> bool:
    if isinstance(source, dict):
        return any(value is None or _has_null(value) for value in source.values())
    return False


def _version_has_it(target: str, mode: str, api_version: str) -> Iterator[Complaint]:
    facts = TARGETS[target]
    operation = facts.replace if mode == "replace" and facts.replace is not None else facts.merge
    try:
        load(api_version).operation(operation)
    except UnknownVersionError as error:
        yield Complaint("api_version", str(error))
    except UnknownOperationError:
        hint = "use a newer one" if mode == "merge" else "use a newer one, or mode: merge"
        yield Complaint("api_version", f"has no operation {operation}", hint, at="mode")


class MetadataJob(Job, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="metadata"):
    """Metadata written to users, organizations or memberships, where it differs.

    Attributes:
        source: the rows; beside ``list`` a file with objects of that list, as an export writes them.
        list: every object of this list is a row (the field ``listing``).
        where: Clerk's own filters of the list; a time may be written as a date.
        target: users, organizations or memberships.
        id: whose metadata it is, "{user_id}"; for memberships {organization_id: …, user_id: …}.
        match: for users, instead of id: {email_address: …}, or external_id, username, phone_number.
        mode: merge leaves other keys alone, and null removes one; replace leaves nothing else in a kind that is given.
        public_metadata: read by client and server, written by the server.
        private_metadata: for the server only.
        unsafe_metadata: read and written by client and server; only users have it.
        skip_unchanged: send nothing for rows that change nothing.
        undo: keep what was there before, so that the run can be taken back.
    """

    manners: ClassVar[frozenset[str]] = Job.manners | {"undo"}
    rules: ClassVar[tuple[Rule, ...]] = (
        _rows_come_from,
        _one_way,
        _some_field,
        _no_null_in_replace,
        _version_has_it,
        _columns_exist,
    )
    also_known: ClassVar[dict[str, str]] = {
        "user_id": "id",
        "organization_id": "id",
        "email": "match",
        "email_address": "match",
        "metadata": "public_metadata",
        "csv": "source",
        "filter": "where",
    }

    source: Annotated[Source, sources()] | None = None
    listing: str | None = field(name="list", default=None)
    where: Annotated[Pairs, filters()] = Pairs()
    target: Literal["users", "organizations", "memberships"]
    id: Annotated[Template, _ids()] | None = None
    match: Annotated[Template, _match()] | None = None
    mode: Mode = "merge"
    public_metadata: Annotated[Template, map_of_templates()] | None = None
    private_metadata: Annotated[Template, map_of_templates()] | None = None
    unsafe_metadata: Annotated[Template, map_of_templates()] | None = None
    skip_unchanged: bool = True
    undo: bool = True

    @property
    def by(self) -> Matching:
        """How subjects are found."""
        return "id" if self.match is None else MATCHES[next(iter(_keys(self.match)))]

    @property
    def subject(self) -> Template:
        """Whose metadata a row writes: as the job file says, or the listed object itself."""
        given = self.id if self.match is None else self.match
        if given is not None:
            return given
        operation = known_list(self.listing or "", self.api_version)
        assert operation is not None, "a rule has seen to it"
        noun = noun_of(operation)
        if self.target != "memberships":
            return compile_value(f"{{{noun}.id}}")
        ids = {"organization_id": f"{{{noun}.organization.id}}", "user_id": f"{{{noun}.public_user_data.user_id}}"}
        return compile_value({**ids})

    @property
    def lists_itself(self) -> bool:
        """Whether a listed object is the one whose metadata its row writes."""
        own = self.id is None and self.match is None
        return own and lists_itself(self.target, self.listing, self.api_version)


class UndoJob(Job, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="undo"):
    """A metadata run's changes, taken back; ``clerk-batch undo`` writes it, nobody else.

    Attributes:
        source: the changes, one line for each subject.
        target: what they were made to.
        force: put the old values back even where somebody changed them since.
    """

    manners: ClassVar[frozenset[str]] = Job.manners | {"force"}

    source: Annotated[Source, sources()]
    target: Literal["users", "organizations", "memberships"]
    force: bool = False
