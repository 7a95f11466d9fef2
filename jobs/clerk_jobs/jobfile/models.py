"""Models of the job file: what every kind of job has, and the kinds.

A kind is a Struct with its name as tag. It becomes loadable by standing in `clerk_jobs.jobfile.kinds`; its
cross-field checks are its ``rules`` (see `clerk_jobs.jobfile.structs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from clerk_jobs.jobfile.fields import Seconds, StopAfter, duration, map_of_templates, templated, threshold, worded
from clerk_jobs.jobfile.reading import Complaint, Rule
from clerk_jobs.jobfile.sources import sources
from clerk_jobs.rows.source import Source
from clerk_jobs.template import Template
from clerk_jobs.typed_template import TypedTemplate, boolean, integer, one_of, text

__all__ = [
    "ATTEMPT_DEADLINE_S",
    "Errors",
    "InviteJob",
    "Job",
    "Limits",
    "Reconcile",
]

ATTEMPT_DEADLINE_S: Final = 60.0
"""How long one attempt at a request may take, in seconds."""
_QUARANTINE_MARGIN_S: Final = 20.0
_QUARANTINE_REASON: Final = (
    "an attempt may take 60s and its effect may show 20s later; a shorter one could invite somebody twice"
)

_NAME: Final = "at most 64 of letters, digits, blanks and . _ -, a letter or digit first"
_Fraction = Annotated[float, Meta(gt=0, le=1)]
_Count = Annotated[int, Meta(ge=1)]


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much of Clerk's limits the job may use.

    Attributes:
        share: of the instance's requests per 10 s; unset, 0.7 on a production and 0.9 on a development key.
        quota_share: of each hourly quota.
        per_hour: items an hour at most, slower than Clerk asks.
        per_day: items a day at most, slower than Clerk asks.
        early_release: count a request's slot from this long after its send instead of from its response; for
            slow list calls on steady networks.
    """

    share: _Fraction | None = None
    quota_share: _Fraction = 0.9
    per_hour: _Count | None = None
    per_day: _Count | None = None
    early_release: Annotated[Seconds, duration(0.001, 10)] | None = None


class Errors(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When failures end the run early.

    Attributes:
        stop_after: failed items as a count (50) or as a share (5%); a share is judged from 100 items on, and
            needs at least 50 failures.
    """

    stop_after: Annotated[StopAfter, threshold()] = msgspec.field(default_factory=lambda: StopAfter(share=0.2))


class Reconcile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How doubtful effects are settled.

    Attributes:
        quarantine: how long after an attempt the absence of its effect proves nothing; at least 80s, the
            deadline of an attempt and 20s.
    """

    quarantine: Annotated[Seconds, duration(ATTEMPT_DEADLINE_S + _QUARANTINE_MARGIN_S, 86_400, _QUARANTINE_REASON)] = (
        msgspec.field(default_factory=lambda: Seconds(120))
    )


class Job(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What every kind of job has.

    Attributes:
        name: names the job and, with what it does, its runs.
        instance: the key must be of this kind, whichever it is when unset.
        limits: how much of Clerk's limits the job may use.
        errors: when failures end the run early.
        reconcile: how doubtful effects are settled.
        api_version: of Clerk's Backend API, a date.
        folder: of the job file; its paths are relative to it.
    """

    given: ClassVar[frozenset[str]] = frozenset({"folder"})
    manners: ClassVar[frozenset[str]] = frozenset({"name", "instance", "limits", "errors", "reconcile", "folder"})
    """Fields that decide how the work is done, not what it does: they may change while a run goes on."""
    rules: ClassVar[tuple[Rule, ...]] = ()
    also_known: ClassVar[dict[str, str]] = {}

    name: Annotated[str, worded("[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", _NAME)]
    instance: Literal["production", "development"] | None = None
    limits: Limits = msgspec.field(default_factory=Limits)
    errors: Errors = msgspec.field(default_factory=Errors)
    reconcile: Reconcile = msgspec.field(default_factory=Reconcile)
    api_version: Annotated[str, worded("20[0-9]{2}-[0-9]{2}-[0-9]{2}", "a date, 2026-05-12")] = "2026-05-12"
    folder: Annotated[Path, Meta(extra_json_schema={"type": "string"})]

    @property
    def kind(self) -> str:
        """The kind as the job file names it."""
        return str(self.__struct_config__.tag)

    def templates(self) -> dict[str, Template]:
        """Give the templates by their key in the job file."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if isinstance(value, Template)}

    def columns(self) -> dict[str, str]:
        """Give the columns that the job reads, each with the first key that needs it."""
        needed: dict[str, str] = {}
        for key, template in self.templates().items():
            for column in template.columns:
                needed.setdefault(column, key)
        return needed

    def effects_identity(self) -> bytes:
        """Give canonical JSON of what decides the effects: kind, source, templates, modes, API version.

        Two job files with the same bytes here do the same to the same rows, whatever their names, limits,
        comments, order of keys, and whether a default is written out.
        """
        effects: dict[str, Any] = {
            name: getattr(self, name) for name in self.__struct_fields__ if name not in self.manners
        }
        effects["kind"] = self.kind
        return msgspec.json.encode(effects, order="sorted", enc_hook=_written)


def _written(value: object) -> object:
    assert isinstance(value, Template)
    return value.source


_ONLY_FOR_ORGANIZATIONS: Final = (
    "is only for invitations to organizations",
    "add organization:, or remove it",
)


def _organization_and_role(organization: Template | None, role: Template | None) -> Iterator[Complaint]:
    if organization is not None and role is None:
        message = "is missing; an invitation to an organization needs a role"
        yield Complaint("role", message, "add role: org:member", at="organization")
    if role is not None and organization is None:
        yield Complaint("role", "is only for organizations", 'add organization: "{org_id}", or remove it')


def _role_prefix(role: Template | None) -> Iterator[Complaint]:
    if role is not None and not role.columns and not str(role.source).startswith("org:"):
        yield Complaint("role", "must begin with org:", f"did you mean org:{role.source}?")


def _private_metadata(organization: Template | None, private_metadata: Template | None) -> Iterator[Complaint]:
    if private_metadata is not None and organization is None:
        yield Complaint("private_metadata", *_ONLY_FOR_ORGANIZATIONS)


def _inviter(organization: Template | None, inviter_user_id: Template | None) -> Iterator[Complaint]:
    if inviter_user_id is not None and organization is None:
        yield Complaint("inviter_user_id", *_ONLY_FOR_ORGANIZATIONS)


def _only_for_the_instance(organization: Template | None, template_slug: Template | None) -> Iterator[Complaint]:
    if template_slug is not None and organization is not None:
        yield Complaint("template_slug", "is not for invitations to organizations", "remove it")


def _email_names_a_column(email: Template) -> Iterator[Complaint]:
    if not email.columns:
        hint = 'write the column in braces and quotes, "{email}"'
        yield Complaint("email", "names no column, so every row would have the same address", hint)


def _redirect_is_absolute(redirect_url: Template | None) -> Iterator[Complaint]:
    if redirect_url is not None and not redirect_url.columns and not _is_absolute(str(redirect_url.source)):
        yield Complaint("redirect_url", "must be a full URL", "begin with https://")


def _is_absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path))


_Text = Annotated[Template, templated(text())]
_RequiredText = Annotated[Template, templated(text(required=True))]
_Metadata = Annotated[Template, map_of_templates()]


class InviteJob(Job, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="invite"):
    """Invitations by e-mail, to the instance or to organizations.

    Attributes:
        source: the rows.
        email: whom to invite.
        organization: id of the organization; with it, ``role`` is required.
        role: in the organization, ``org:member``.
        public_metadata: becomes the user's (or the membership's) when the invitation is accepted.
        private_metadata: the same, for organizations.
        redirect_url: where the invitation leads.
        notify: whether Clerk sends the e-mail.
        expires_in_days: 1 to 365; Clerk's default is 30.
        template_slug: of the e-mail, for invitations to the instance.
        inviter_user_id: an administrator of the organization.
        on_existing: what becomes of addresses that have a pending invitation or a user.
        lanes: which of Clerk's two endpoints to use; each has its own quota.
    """

    manners: ClassVar[frozenset[str]] = Job.manners | {"lanes"}
    rules: ClassVar[tuple[Rule, ...]] = (
        _email_names_a_column,
        _organization_and_role,
        _role_prefix,
        _private_metadata,
        _inviter,
        _only_for_the_instance,
        _redirect_is_absolute,
    )
    also_known: ClassVar[dict[str, str]] = {
        "email_address": "email",
        "organization_id": "organization",
        "org_id": "organization",
        "csv": "source",
        "metadata": "public_metadata",
        "ignore_existing": "on_existing",
    }

    source: Annotated[Source, sources()]
    email: _RequiredText
    organization: _RequiredText | None = None
    role: _RequiredText | None = None
    public_metadata: _Metadata | None = None
    private_metadata: _Metadata | None = None
    redirect_url: _Text | None = None
    notify: Annotated[Template, templated(boolean())] = msgspec.field(
        default_factory=lambda: TypedTemplate.constant(True, boolean(), "notify")
    )
    expires_in_days: Annotated[Template, templated(integer(1, 365))] | None = None
    template_slug: Annotated[Template, templated(one_of("invitation", "waitlist_invitation"))] | None = None
    inviter_user_id: _Text | None = None
    on_existing: Literal["skip", "fail", "reinvite"] = "skip"
    lanes: Literal["both", "single", "bulk"] = "both"
