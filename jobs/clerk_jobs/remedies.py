"""What to do about items that failed, by their code: one plain sentence for whoever has to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["REMEDIES", "remedy_of"]

_MEND: Final = "fix these rows (runs failed prints them), then run the job with the fixed file"

REMEDIES: Final[Mapping[str, str]] = {
    "already_exists": "they exist, and on_existing is fail: write on_existing: skip or update if that is right",
    "ambiguous": "name these users by their id instead",
    "ambiguous_user": "one row of yours matches two users at Clerk: look at them, then fix the row",
    "call_refused": _MEND,
    "cast_failed": _MEND,
    "changed_meanwhile": "look at what is there now, then resume with --on-unresolved retry (overwrites it) or skip",
    "conflict": "look at what is there now; undo --force overwrites it",
    "function_failed": _MEND,
    "exists_meanwhile": "retry RUN updates these users, as on_existing: update says",
    "form_identifier_exists": "another user has one of these identifiers, perhaps a phone number or a username",
    "form_param_exceeds_allowed_size": "keep less in this kind of metadata: Clerk takes at most 8 KB",
    "invalid_digest": "check password_hasher, and that the export did not truncate the digests",
    "invalid_email": _MEND,
    "invalid_id": _MEND,
    "invalid_phone_number": _MEND,
    "key_repeated": "give each row of this step a key of its own",
    "metadata_too_large": "keep less in this kind of metadata: Clerk takes at most 8 KB",
    "missing_identifier": _MEND,
    "missing_value": _MEND,
    "not_found": "check that the ids are those of this instance, and of users who still exist",
    "not_restorable": "set these values by hand: results.csv names the subjects",
    "other_external_id": "one person under two old ids: decide which one stays, and fix the rows",
    "reference_missing": "fix the row that is referred to, or the reference; then retry, or feed the failed rows back",
    "resource_not_found": "check that the ids are those of this instance, and of things that still exist",
    "stored_differently": "read these subjects and compare; if Clerk merged an array, write it under mode: replace",
}
"""Codes of ours and of Clerk's. One that is not here is explained by its message alone."""


def remedy_of(code: str) -> str:
    """What to do about a code; empty where its message says all there is to say.

    Example:
        >>> remedy_of("ambiguous"), remedy_of("an_error_of_tomorrow")
        ('name these users by their id instead', '')
    """
    return REMEDIES.get(code, "")
