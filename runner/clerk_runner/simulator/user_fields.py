"""The body fields of creating and updating a user, and what each does to the user's record."""

from collections.abc import Callable, Mapping
from typing import Any

from .errors import identifier_taken, invalid, not_found, refusal
from .fields import Field, Fields, email, rfc3339_ms
from .metadata import check_size
from .shelf import Record
from .user_records import email_record, phone_record, wallet_record
from .users import Users

METADATA: Fields = {
    "public_metadata": Field("object"),
    "private_metadata": Field("object"),
    "unsafe_metadata": Field("object"),
}
_HASHERS = (
    "argon2i",
    "argon2id",
    "awscognito",
    "bcrypt",
    "bcrypt_sha256_django",
    "ldap_ssha",
    "md5",
    "md5_phpass",
    "pbkdf2_sha1",
    "pbkdf2_sha256",
    "pbkdf2_sha256_django",
    "pbkdf2_sha512",
    "pbkdf2_sha512_hex",
    "phpass",
    "scrypt_firebase",
    "scrypt_werkzeug",
    "sha256",
    "sha512_symfony",
)
_STATUSES = ("verified", "reserved")
# Enough for anybody who wants to see the refusal; a real list of stolen passwords has millions.
_PWNED = frozenset({"password", "password1", "password123", "12345678", "123456789", "qwertyuiop"})
_SHORTEST_PASSWORD = 8
# Fields that go into the record as they come.
_PLAIN = (
    "external_id",
    "first_name",
    "last_name",
    "locale",
    "username",
    "delete_self_enabled",
    "create_organization_enabled",
    "create_organizations_limit",
    "legal_accepted_at",
    "bypass_client_trust",
)
_CLEARABLE = ("external_id", "first_name", "last_name", "locale", "username", "legal_accepted_at")
_SHARED: Fields = {
    "external_id": Field("string"),
    "first_name": Field("string"),
    "last_name": Field("string"),
    "locale": Field("string"),
    "username": Field("string"),
    "password": Field("string"),
    "password_digest": Field("string"),
    "password_hasher": Field("string", choices=_HASHERS),
    "skip_password_checks": Field("boolean"),
    "totp_secret": Field("string"),
    "backup_codes": Field("strings"),
    "delete_self_enabled": Field("boolean"),
    "legal_accepted_at": Field("string"),
    "skip_legal_checks": Field("boolean"),
    "create_organization_enabled": Field("boolean"),
    "create_organizations_limit": Field("integer", minimum=0),
    "created_at": Field("string"),
    "bypass_client_trust": Field("boolean"),
}
CREATE: Fields = {
    **_SHARED,
    **METADATA,
    "email_address": Field("strings"),
    "email_address_identification_status": Field("strings"),
    "phone_number": Field("strings"),
    "phone_number_identification_status": Field("strings"),
    "web3_wallet": Field("strings"),
    "skip_password_requirement": Field("boolean"),
    "skip_user_requirement": Field("boolean"),
    "banned": Field("boolean"),
    "locked": Field("boolean"),
}
UPDATE: Fields = {
    **_SHARED,
    "primary_email_address_id": Field("string"),
    "primary_phone_number_id": Field("string"),
    "primary_web3_wallet_id": Field("string"),
    "notify_primary_email_address_changed": Field("boolean"),
    "profile_image_id": Field("string"),
    "sign_out_of_other_sessions": Field("boolean"),
}
_PRIMARY = {
    "primary_email_address_id": "email_addresses",
    "primary_phone_number_id": "phone_numbers",
    "primary_web3_wallet_id": "web3_wallets",
}


def apply(wanted: Mapping[str, Any], record: Record, now_ms: int) -> None:
    """Put the fields that creating and updating share into a user's record.

    Raises:
        RefusalError: 422 where a password, a time, metadata or a primary id does not do.
    """
    _check_password(wanted)
    for name in METADATA:
        if name in wanted:
            check_size(name, wanted[name])
            record[name] = wanted[name]
    record.update({name: wanted[name] for name in _PLAIN if name in wanted})
    if "legal_accepted_at" in wanted:
        record["legal_accepted_at"] = rfc3339_ms(wanted, "legal_accepted_at", now_ms)
    record["created_at"] = rfc3339_ms(wanted, "created_at", record["created_at"])
    if "password" in wanted or "password_digest" in wanted:
        record.update(password_enabled=True, password_last_updated_at=now_ms)
    record["totp_enabled"] = record["totp_enabled"] or "totp_secret" in wanted
    record["backup_code_enabled"] = record["backup_code_enabled"] or bool(wanted.get("backup_codes"))
    record["two_factor_enabled"] = record["totp_enabled"] or record["backup_code_enabled"]
    for name, entries in _PRIMARY.items():
        if name in wanted:
            if all(entry["id"] != wanted[name] for entry in record[entries]):
                raise not_found("identification", wanted[name])
            record[name] = wanted[name]


def cleared(body: Any) -> Record:
    """The names and ids that a change empties: null is a value for those that the document calls nullable."""
    return {name: None for name in _CLEARABLE if isinstance(body, dict) and name in body and body[name] is None}


def add_identifications(wanted: Mapping[str, Any], record: Record, new_id: Callable[[], str]) -> None:
    """Give a new user the addresses, phone numbers and wallets of a body; the first of each is primary.

    Raises:
        RefusalError: 422 where one is malformed, or the statuses do not match them one to one.
    """
    created_at_ms = record["created_at"]
    addresses = [email(text) for text in wanted.get("email_address", ())]
    statuses = _statuses(wanted, "email_address", len(addresses))
    record["email_addresses"] = [
        email_record(new_id(), address, created_at_ms, status == "reserved")
        for address, status in zip(addresses, statuses, strict=True)
    ]
    phones = [_phone(text) for text in wanted.get("phone_number", ())]
    statuses = _statuses(wanted, "phone_number", len(phones))
    record["phone_numbers"] = [
        phone_record(new_id(), phone, created_at_ms, status == "reserved")
        for phone, status in zip(phones, statuses, strict=True)
    ]
    record["web3_wallets"] = [wallet_record(new_id(), text, created_at_ms) for text in wanted.get("web3_wallet", ())]
    for name, entries in _PRIMARY.items():
        record[name] = record[entries][0]["id"] if record[entries] else None


def check_unique(users: Users, identifiers: list[tuple[str, str]], owner: int | None) -> None:
    """Refuse identifiers that another user has, or that are given twice.

    Raises:
        RefusalError: 422 form_identifier_exists.
    """
    seen: set[tuple[str, str]] = set()
    for kind, value in identifiers:
        holder = users.holder(kind, value)
        if (holder is not None and holder != owner) or (kind, value) in seen:
            raise identifier_taken(kind)
        seen.add((kind, value))


def _check_password(wanted: Mapping[str, Any]) -> None:
    if ("password_digest" in wanted) != ("password_hasher" in wanted):
        raise invalid("password_digest", "goes together with password_hasher", "form_param_missing")
    password: str | None = wanted.get("password")
    if password is None or wanted.get("skip_password_checks"):
        return
    if len(password) < _SHORTEST_PASSWORD:
        raise invalid("password", f"must have {_SHORTEST_PASSWORD} characters", "form_password_length_too_short")
    if password.lower() in _PWNED:
        raise refusal(422, "form_password_pwned", "is known", "the password is in a list", param_name="password")


def _statuses(wanted: Mapping[str, Any], name: str, count: int) -> list[str]:
    field = f"{name}_identification_status"
    statuses: list[str] = wanted.get(field) or ["verified"] * count
    if len(statuses) != count:
        raise invalid(field, f"must have one entry for each {name}")
    if not set(statuses) <= set(_STATUSES):
        raise invalid(field, f"must hold only {' and '.join(_STATUSES)}")
    return statuses


def _phone(text: str) -> str:
    digits = text.removeprefix("+")
    if not (text.startswith("+") and digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15):
        raise invalid("phone_number", "must be a phone number as in E.164", "form_param_format_invalid")
    return text
