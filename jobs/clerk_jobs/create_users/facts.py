"""Which fields a user is created with, and which can be changed later: read from the catalogue, not listed here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from clerk_jobs.catalog import Operation, Schema, load

__all__ = [
    "IDENTIFIERS",
    "METADATA",
    "NEVER_COMPARED",
    "PASSWORDS",
    "SECRETS",
    "TIMES",
    "create_fields",
    "create_operation",
    "update_fields",
    "update_operation",
]

IDENTIFIERS: Final = ("external_id", "email_address", "phone_number", "username", "web3_wallet")
"""By what a user is found, the best key first."""
METADATA: Final = ("public_metadata", "private_metadata", "unsafe_metadata")
TIMES: Final = ("created_at", "legal_accepted_at")
SECRETS: Final = ("password", "totp_secret", "backup_codes")
"""What must leave no trace in a journal, not even in a digest that could be guessed at."""
PASSWORDS: Final = ("password", "password_digest", "password_hasher")
NEVER_COMPARED: Final = (*PASSWORDS, "totp_secret", "backup_codes")
"""What Clerk never shows, so that nobody can tell whether it differs."""


@cache
def create_operation(api_version: str | None = None) -> Operation:
    """CreateUser, of the newest version where none is given.

    Raises:
        UnknownVersionError: the catalogue does not hold that version.
    """
    return (load() if api_version is None else load(api_version)).operation("CreateUser")


@cache
def update_operation(api_version: str) -> Operation:
    """UpdateUser.

    Raises:
        UnknownVersionError: the catalogue does not hold that version.
    """
    return load(api_version).operation("UpdateUser")


def create_fields(api_version: str | None = None) -> Mapping[str, Schema]:
    """The fields of a new user by name, in the document's order.

    Example:
        >>> create_fields()["email_address"].type
        'array'
    """
    body = create_operation(api_version).body
    assert body is not None
    return body.schema.properties


@cache
def update_fields(api_version: str) -> tuple[str, ...]:
    """The fields that a new user and a change of one share, without metadata, which has an operation of its own."""
    body = update_operation(api_version).body
    assert body is not None
    known = create_fields(api_version)
    return tuple(name for name in body.schema.properties if name in known and name not in METADATA)
