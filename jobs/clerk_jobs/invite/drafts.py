"""A row becomes a draft: rendered, checked, and known by two digests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from clerk_jobs.call import Draft
from clerk_jobs.errors import RowProblem
from clerk_jobs.invite.lanes import address_key
from clerk_jobs.jobfile import InviteJob
from clerk_jobs.template import DROPPED
from clerk_jobs.wording import did_you_mean

__all__ = ["Drafting"]

KEY_BYTES = 16
DIGEST_BYTES = 8
ROLES = ("org:member", "org:admin")
"""The roles that every instance begins with; others may exist."""

PLAIN_LOCAL = re.compile(r"[A-Za-z0-9_+-]{1,64}|(?=[A-Za-z0-9_+.-]{1,64}\Z)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)+")
PLAIN_ADDRESS = 200
"""Bounds within which an address is right when its domain is: nearly all addresses, at a tenth of the price."""

FIELDS = (
    "role",
    "public_metadata",
    "private_metadata",
    "redirect_url",
    "notify",
    "expires_in_days",
    "template_slug",
    "inviter_user_id",
)
"""Fields of an invitation besides the address, in the order in which they are sent."""


class Drafting:
    """Renders rows for one job.

    Args:
        job: the loaded job file.
    """

    def __init__(self, job: InviteJob) -> None:
        """Find out once which fields the job sets."""
        self.job = job
        templates = ((name, getattr(job, name)) for name in FIELDS)
        self._templates = tuple((name, template.render) for name, template in templates if template is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that every row must have."""
        return tuple(self.job.columns())

    def draft(self, values: Mapping[str, Any]) -> Draft:
        """Check a row and name it.

        Raises:
            RowProblem: the row cannot be sent, with the reason and without its content.
        """
        group, payload = self.payload(values)
        check_address(payload["email_address"])
        _check_role(payload)
        return Draft(self.key(payload["email_address"], group), self.digest(group, payload), group)

    def key(self, address: str, group: str) -> bytes:
        """The digest of a person in a group, whatever the spelling of the address."""
        return blake2b(f"{group}\0{address_key(address)}".encode(), digest_size=KEY_BYTES).digest()

    def digest(self, group: str, payload: Mapping[str, Any]) -> bytes:
        """The digest of everything that is sent for a row; see ``Draft.digest``.

        Two spellings of an address are one person, so they do not make two rows contradict each other.
        """
        whole = (group, {**payload, "email_address": address_key(payload["email_address"])})
        return blake2b(msgspec.json.encode(whole), digest_size=DIGEST_BYTES).digest()

    def payload(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The group and the body of a row, unchecked.

        Raises:
            RowProblem: a template does not fit the row's values.
        """
        group = ""
        if self.job.organization is not None:
            group = _text(self.job.organization.render(values), "organization")
        payload: dict[str, Any] = {"email_address": _text(self.job.email.render(values), "email").strip()}
        for name, render in self._templates:
            value = render(values)
            if value is not DROPPED:
                payload[name] = value
        return group, payload


def _text(value: Any, name: str) -> str:
    if value is DROPPED or value is None or value == "":
        raise RowProblem("missing_value", f"{name} is empty")
    if not isinstance(value, str):
        raise RowProblem("not_text", f"{name} is not text")
    return value


def check_address(address: str) -> None:
    """Check an e-mail address's syntax, without asking the network; never repair it.

    Raises:
        RowProblem: Clerk could not send to this address.

    Example:
        >>> check_address("jane+news@example.com")
    """
    local, at, domain = address.rpartition("@")
    if at and len(address) <= PLAIN_ADDRESS and PLAIN_LOCAL.fullmatch(local) and _domain_problem(domain) is None:
        return
    if (problem := _problem(address)) is not None:
        raise RowProblem("invalid_email", _without(address, problem), "email")


def _problem(address: str) -> str | None:
    """The library's verdict; None where there is nothing wrong."""
    # Imported here: it costs more than all of the rest that --help needs.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        validate_email(address, check_deliverability=False, allow_smtputf8=True)
    except EmailNotValidError as error:
        return str(error)
    return None


@lru_cache(maxsize=4096)
def _domain_problem(domain: str) -> str | None:
    """The verdict on a domain, which thousands of addresses share."""
    return _problem(f"a@{domain}")


def _without(address: str, message: str) -> str:
    """The library's sentence, unless it quotes from the address."""
    quoted = any(part and len(part) > 1 and part in message for part in address.split("@"))
    return "this is not an e-mail address" if quoted else message


def _check_role(payload: Mapping[str, Any]) -> None:
    """Clerk's roles begin with ``org:``; a job file's fixed role is checked when it is loaded, a column's here."""
    role = payload.get("role")
    if role is not None and not role.startswith("org:"):
        raise RowProblem(
            "invalid_role",
            f"a role begins with org:, {did_you_mean(f'org:{role}', ROLES)}".rstrip(", "),
            "role",
        )
