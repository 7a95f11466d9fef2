"""A user as Clerk sends it: each field, in Clerk's order, and the identifications inside."""

from copy import deepcopy
from typing import Any

_BLANK: dict[str, Any] = {
    "id": "",
    "object": "user",
    "username": None,
    "first_name": None,
    "last_name": None,
    "locale": None,
    "image_url": "https://img.example.com/avatar.png",
    "has_image": False,
    "primary_email_address_id": None,
    "primary_phone_number_id": None,
    "primary_web3_wallet_id": None,
    "password_enabled": False,
    "two_factor_enabled": False,
    "totp_enabled": False,
    "backup_code_enabled": False,
    "email_addresses": [],
    "phone_numbers": [],
    "web3_wallets": [],
    "passkeys": [],
    "external_accounts": [],
    "saml_accounts": [],
    "enterprise_accounts": [],
    "password_last_updated_at": None,
    "public_metadata": {},
    "private_metadata": {},
    "unsafe_metadata": {},
    "external_id": None,
    "last_sign_in_at": None,
    "banned": False,
    "locked": False,
    "deprovisioned": False,
    "lockout_expires_in_seconds": None,
    "verification_attempts_remaining": 100,
    "created_at": 0,
    "updated_at": 0,
    "delete_self_enabled": True,
    "create_organization_enabled": True,
    "create_organizations_limit": None,
    "last_active_at": None,
    "mfa_enabled_at": None,
    "mfa_disabled_at": None,
    "legal_accepted_at": None,
    "bypass_client_trust": False,
    "scim": None,
    "profile_image_url": "https://img.example.com/avatar.png",
}


def user_record(user_id: str, created_at_ms: int) -> dict[str, Any]:
    """A user with nothing but an id."""
    return deepcopy(_BLANK) | {"id": user_id, "created_at": created_at_ms, "updated_at": created_at_ms}


def email_record(identifier: str, address: str, created_at_ms: int, reserved: bool = False) -> dict[str, Any]:
    """One entry of a user's email_addresses."""
    return _identification("email_address", identifier, address, created_at_ms, reserved) | {
        "matches_sso_connection": False
    }


def phone_record(identifier: str, phone: str, created_at_ms: int, reserved: bool = False) -> dict[str, Any]:
    """One entry of a user's phone_numbers."""
    return _identification("phone_number", identifier, phone, created_at_ms, reserved) | {
        "reserved_for_second_factor": False,
        "default_second_factor": False,
        "backup_codes": None,
    }


def wallet_record(identifier: str, wallet: str, created_at_ms: int) -> dict[str, Any]:
    """One entry of a user's web3_wallets."""
    record = _identification("web3_wallet", identifier, wallet, created_at_ms, reserved=False)
    return {name: value for name, value in record.items() if name not in {"reserved", "linked_to"}}


def _identification(kind: str, identifier: str, value: str, created_at_ms: int, reserved: bool) -> dict[str, Any]:
    verification = {"object": "verification_admin", "status": "verified", "strategy": "admin"}
    return {
        "id": identifier,
        "object": kind,
        kind: value,
        "reserved": reserved,
        "verification": None if reserved else verification | {"attempts": None, "expire_at": None},
        "linked_to": [],
        "created_at": created_at_ms,
        "updated_at": created_at_ms,
    }
