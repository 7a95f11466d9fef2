"""A row becomes the body of a call that creates a user: rendered, checked, and known by two digests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from clerk_jobs.call import Call, Draft
from clerk_jobs.catalog.prepare import CallRefusedError, Inputs, prepare
from clerk_jobs.create_users.digests import digest_problem
from clerk_jobs.create_users.facts import IDENTIFIERS, METADATA, SECRETS, create_operation
from clerk_jobs.create_users.texts import SlotsTemplate, status_of
from clerk_jobs.errors import RowProblem
from clerk_jobs.invite.drafts import check_address
from clerk_jobs.jobfile.create_users_job import CreateUsersJob
from clerk_jobs.metadata.trees import FIELD_BYTES, size_of
from clerk_jobs.template import DROPPED, Template

__all__ = ["CreateDrafting", "keys_of", "same_key"]

KEY_BYTES = 16
DIGEST_BYTES = 8
SHOWN = 3
STATES: Final = {name: f"{name}_identification_status" for name in ("email_address", "phone_number")}
PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
"""E.164, as Clerk takes phone numbers."""
WITHOUT_CASE: Final = frozenset({"email_address", "username", "web3_wallet"})


class CreateDrafting:
    """Renders rows for one job. A payload is the body of the call."""

    def __init__(self, job: CreateUsersJob) -> None:
        """Find out once which fields the job sets."""
        self.job = job
        self._operation = create_operation(job.api_version)
        fields = job.fields()
        self._plain = [(name, each) for name, each in fields.items() if name not in (*STATES, *STATES.values())]
        self._listed = [(name, fields[name], fields.get(states)) for name, states in STATES.items() if name in fields]
        self._old_id = _old_id_of(job)

    def draft(self, values: Mapping[str, Any]) -> Draft:
        """Check a row and name it.

        Raises:
            RowProblem: the row cannot be sent, with the reason and without its content.
        """
        group, payload = self.payload(values)
        _check(payload)
        self.call(payload)
        keys = keys_of(payload)
        name = _canonical(keys[0] if keys else payload)
        return Draft(blake2b(name, digest_size=KEY_BYTES).digest(), self.digest(group, payload), group)

    def payload(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """No group, and the body of a row, unchecked.

        Raises:
            RowProblem: a template does not fit the row's values.
        """
        found: dict[str, Any] = {}
        for name, template, states in self._listed:
            texts, said = _with_states(name, template, states, values)
            if texts:
                found[name] = texts
            if said:
                found[STATES[name]] = said
        for name, template in self._plain:
            value = template.render(values)
            # Nobody is created banned or locked unless it is said, and saying no may ask for a plan that has it.
            if value is not DROPPED and not (name in ("banned", "locked") and value is False):
                found[name] = value.strip() if name in IDENTIFIERS and isinstance(value, str) else value
        if "password_digest" not in found:
            # Whoever has no password here has no hasher either.
            found.pop("password_hasher", None)
        return "", found

    def digest(self, group: str, payload: Mapping[str, Any]) -> bytes:
        """The digest of everything that is sent, but for secrets: a short digest of a password could be guessed at."""
        told = {name: True if name in SECRETS else value for name, value in payload.items()}
        return blake2b(_canonical((group, told)), digest_size=DIGEST_BYTES).digest()

    def call(self, payload: Mapping[str, Any], *, check: bool = True) -> Call:
        """The call that creates the user; a payload that was drafted need not be checked again.

        Raises:
            RowProblem: it does not fit the operation's documents; the findings show no value.
        """
        try:
            return prepare(self._operation, Inputs(body=dict(payload)), check=check)
        except CallRefusedError as error:
            more = "; ..." if len(error.findings) > SHOWN else ""
            raise RowProblem("call_refused", "; ".join(map(str, error.findings[:SHOWN])) + more) from error

    def old_id(self, values: Mapping[str, Any]) -> str:
        """What the user of a row was called before; empty where the row does not say."""
        if self._old_id is None:
            return ""
        try:
            found = self._old_id.render(values)
        except RowProblem:
            return ""
        return "" if found is DROPPED or found is None else str(found).strip()


def _canonical(value: Any) -> bytes:
    """Canonical JSON."""
    return msgspec.json.encode(value, order="sorted")


def keys_of(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """By what a row's user is found: (kind, value), the best key first, values as they are compared."""
    given = [(kind, payload.get(kind)) for kind in IDENTIFIERS]
    listed = [(kind, each) for kind, value in given for each in (value if isinstance(value, list) else [value])]
    return [(kind, same_key(kind, value)) for kind, value in listed if isinstance(value, str) and value]


def same_key(kind: str, value: str) -> str:
    """The form in which two spellings of an identifier are the same."""
    return value.casefold() if kind in WITHOUT_CASE else value


def _old_id_of(job: CreateUsersJob) -> Template | None:
    if job.mapping is None:
        return None
    return job.mapping.old_id if job.mapping.old_id is not None else job.fields().get("external_id")


def _with_states(
    name: str, template: Template, states: Template | None, values: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Addresses and their states, one for each; no states where the job gives none.

    An address that stands twice counts once; where two states are said of it, it is reserved.
    """
    assert isinstance(template, SlotsTemplate)
    slots = template.texts(values)
    found: dict[str, tuple[str, str]] = {}
    said = [] if states is None or not any(slots) else _slots_of(states, values)
    for place, texts in enumerate(slots):
        if not texts:
            continue
        state = "" if states is None else status_of(said[place if len(said) > 1 else 0], STATES[name])
        for text in texts:
            key = same_key(name, text)
            first, before = found.get(key, (text, state))
            found[key] = (first, "reserved" if "reserved" in (before, state) else state)
    texts = [text for text, _ in found.values()]
    return texts, [] if states is None else [state for _, state in found.values()]


def _slots_of(states: Template, values: Mapping[str, Any]) -> list[Any]:
    assert isinstance(states, SlotsTemplate)
    return states.slots(values)


def _check(payload: Mapping[str, Any]) -> None:
    """Check what no schema states.

    Raises:
        RowProblem: with the reason and without the row's content.
    """
    if not keys_of(payload) and payload.get("skip_user_requirement") is not True:
        said = "nothing identifies this user: no external_id, e-mail address, phone number, username or wallet"
        raise RowProblem("missing_identifier", said)
    for address in payload.get("email_address", ()):
        check_address(address)
    if any(PHONE.fullmatch(number) is None for number in payload.get("phone_number", ())):
        said = "this is not an E.164 phone number: + and digits only, such as +12025550123"
        raise RowProblem("invalid_phone_number", said, "phone_number")
    if "password_digest" in payload:
        problem = digest_problem(payload["password_hasher"], payload["password_digest"])
        if problem is not None:
            raise RowProblem("invalid_digest", problem, "password_digest")
    for name in METADATA:
        if name in payload and size_of(payload[name]) > FIELD_BYTES:
            raise RowProblem("metadata_too_large", f"{name} would take more than {FIELD_BYTES:,} bytes")
