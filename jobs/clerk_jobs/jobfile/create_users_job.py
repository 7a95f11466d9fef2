"""The job files of users: creating them, and taking that back."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec

from clerk_jobs.catalog.catalog import UnknownVersionError
from clerk_jobs.create_users.facts import IDENTIFIERS, NEVER_COMPARED, PASSWORDS, create_fields, update_fields
from clerk_jobs.create_users.texts import SlotsTemplate
from clerk_jobs.jobfile.create_users_fields import Mapping, field_type, mapping_file, values_of_preset
from clerk_jobs.jobfile.models import Job
from clerk_jobs.jobfile.reading import Complaint, Rule
from clerk_jobs.jobfile.sources import sources
from clerk_jobs.rows.source import Source
from clerk_jobs.template import Template

__all__ = ["CREATE_USERS", "CreateUsersJob", "UndoCreatesJob"]


def _somebody_is_named(
    external_id: Template | None,
    email_address: Template | None,
    phone_number: Template | None,
    username: Template | None,
    web3_wallet: Template | None,
) -> Iterator[Complaint]:
    given = (external_id, email_address, phone_number, username, web3_wallet)
    if not any(each is not None and each.columns for each in given):
        hint = 'add email_address: "{email}"; with external_id: "{id}" a lost answer is looked up exactly'
        yield Complaint("email_address", "is missing, and no other field identifies a user", hint, at="source")


def _digest_and_hasher(
    password: Template | None, password_digest: Template | None, password_hasher: Template | None
) -> Iterator[Complaint]:
    if password_digest is not None and password_hasher is None:
        hint = "add password_hasher: bcrypt"
        yield Complaint(
            "password_hasher", "is missing: Clerk must know how the digest was made", hint, at="password_digest"
        )
    if password_hasher is not None and password_digest is None:
        yield Complaint("password_hasher", "is only used with password_digest", "add it, or remove password_hasher")
    if password is not None and password_digest is not None:
        yield Complaint("password", "and password_digest cannot both be given", "remove one of them")


def _states_fit(values: Template | None, states: Template | None, name: str) -> Iterator[Complaint]:
    key = f"{name}_identification_status"
    if not isinstance(states, SlotsTemplate):
        return
    if not isinstance(values, SlotsTemplate):
        yield Complaint(key, f"is only for {name}", f"add {name}, or remove it")
    elif not states.single and len(states) != len(values):
        hint = "give one for each in their order, or a single one for all"
        yield Complaint(key, f"has {len(states)} entries for {len(values)} of {name}", hint)


def _states_of_addresses(
    email_address: Template | None, email_address_identification_status: Template | None
) -> Iterator[Complaint]:
    yield from _states_fit(email_address, email_address_identification_status, "email_address")


def _states_of_numbers(
    phone_number: Template | None, phone_number_identification_status: Template | None
) -> Iterator[Complaint]:
    yield from _states_fit(phone_number, phone_number_identification_status, "phone_number")


def _old_id_is_known(mapping: Mapping | None, external_id: Template | None) -> Iterator[Complaint]:
    if mapping is not None and mapping.old_id is None and external_id is None:
        hint = 'add external_id, or write mapping: {file: ids.csv, old_id: "{id}"}'
        yield Complaint("mapping", "has no old id, because there is no external_id", hint)


def _passwords_are_given(
    update_passwords: bool, on_existing: str, password: Template | None, password_digest: Template | None
) -> Iterator[Complaint]:
    if update_passwords and (on_existing != "update" or (password is None and password_digest is None)):
        yield Complaint("update_passwords", "changes nothing here", "it is for on_existing: update, with a password")


def _version_has_them(**fields: Any) -> Iterator[Complaint]:
    version = fields.pop("api_version")
    try:
        known = create_fields(version)
    except UnknownVersionError as error:
        yield Complaint("api_version", str(error))
        return
    for name, value in fields.items():
        if value is not None and name not in known:
            yield Complaint(
                name, f"is not a field of a user in version {version}", "remove it, or use a newer api_version"
            )


_PARAMETERS = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ("api_version", *create_fields())]
_version_has_them.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]  # its fields are data


class CreateUsersJob(Job, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Users created from rows, each once; who exists already is skipped, changed where they differ, or failed.

    Every field of Clerk's CreateUser is a field here; they stand in `CREATE_USERS`, read from the catalogue.

    Attributes:
        source: the rows.
        preset: the fields of another system's export: auth0, authjs, clerk, cognito, firebase, supabase, or the path
            of a preset of your own. What the job file says itself counts more; null leaves a field of it out.
        preset_values: what a preset needs to know besides the rows.
        on_existing: skip leaves users alone who exist already, update changes what differs, fail fails the row.
        update_passwords: with on_existing update, send passwords of existing users too; nobody can compare them.
        mapping: the file that gets a line old_id,new_id for each user of a row, those who existed among them;
            {file: …, old_id: …} where the old id is not external_id.
    """

    manners: ClassVar[frozenset[str]] = Job.manners | {"mapping", "preset", "preset_values"}
    rules: ClassVar[tuple[Rule, ...]] = (
        _somebody_is_named,
        _digest_and_hasher,
        _states_of_addresses,
        _states_of_numbers,
        _old_id_is_known,
        _passwords_are_given,
        _version_has_them,
    )
    also_known: ClassVar[dict[str, str]] = {
        "email": "email_address",
        "phone": "phone_number",
        "id": "external_id",
        "user_id": "external_id",
        "metadata": "public_metadata",
        "hasher": "password_hasher",
        "csv": "source",
        "ids": "mapping",
    }

    source: Annotated[Source, sources()]
    preset: str | None = None
    preset_values: Annotated[dict[str, str], values_of_preset()] = msgspec.field(default_factory=dict)
    on_existing: Literal["skip", "update", "fail"] = "skip"
    update_passwords: bool = False
    mapping: Annotated[Mapping, mapping_file()] | None = None

    def fields(self) -> dict[str, Template]:
        """The fields of a user that the job sets, in the document's order."""
        found = {name: getattr(self, name) for name in create_fields()}
        return {name: template for name, template in found.items() if template is not None}

    def columns(self) -> dict[str, str]:
        """See `Job.columns`; the old id of a mapping is read too."""
        needed = super().columns()
        if self.mapping is not None and self.mapping.old_id is not None:
            for column in self.mapping.old_id.columns:
                needed.setdefault(column, "mapping")
        return needed

    def updated(self) -> tuple[str, ...]:
        """The fields that ``on_existing: update`` changes in an existing user, without metadata."""
        known = update_fields(self.api_version)
        sent = PASSWORDS if self.update_passwords else ()
        return tuple(name for name in self.fields() if name in known and (name in sent or name not in NEVER_COMPARED))

    @property
    def findable(self) -> tuple[str, ...]:
        """The identifiers that the job gives."""
        return tuple(name for name in IDENTIFIERS if getattr(self, name) is not None)


_DESCRIBED = """Users created from rows, each once; who exists already is found first.

Attributes:
"""


def _description(name: str) -> str:
    return f"    {name}: of each user, a template; see clerk-batch api show CreateUser.\n"


CREATE_USERS: type[CreateUsersJob] = cast(
    "type[CreateUsersJob]",
    msgspec.defstruct(
        "CreateUsers",
        [(name, field_type(name, schema), None) for name, schema in create_fields().items()],
        bases=(CreateUsersJob,),
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
        tag="create-users",
        namespace={"__doc__": _DESCRIBED + "".join(map(_description, create_fields()))},
    ),
)
"""`CreateUsersJob` with a field for each of Clerk's: what a job file is read as."""


class UndoCreatesJob(Job, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="undo-create-users"):
    """A run that created users, taken back; ``clerk-batch undo`` writes it, nobody else.

    Attributes:
        source: one line for each user that was created or changed.
        force: delete users who have signed in since, and put old values back even where somebody changed them.
    """

    manners: ClassVar[frozenset[str]] = Job.manners | {"force"}

    source: Annotated[Source, sources()]
    force: bool = False
