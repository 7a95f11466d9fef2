"""Example values made from schemas and names: for the examples in ``api show`` and for generic simulated
answers.

Deterministic: the same schema and name give the same value. Every value fits its schema, patterns that
Clerk documents included; reserved names (example.com, +1 555 555 01xx) make sure that it reaches nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clerk_jobs.catalog.schema import Json, Schema

__all__ = ["example_id", "example_value"]

_TAIL: Final = "2abcdefghijklmnopqrstuvwxyz"
_HEX_TAIL: Final = "0123456789abcdef0123456789abcdef"
_NOW_MS: Final = 1_767_225_600_000

_ID_PREFIXES: Final = {
    "user": "user", "organization": "org", "org": "org", "invitation": "inv", "session": "sess", "machine": "mch",
    "email_address": "idn", "phone_number": "idn", "membership": "orgmem", "domain": "dmn", "client": "client",
    "template": "jtmp", "role": "role", "permission": "perm", "directory": "dir", "instance": "ins", "plan": "cplan",
    "oauth_application": "oauthapp", "waitlist_entry": "wtl", "api_key": "ak", "subscription_item": "csub_item",
}  # fmt: skip

_STRINGS: Final = {
    "email_address": "ada@example.com",
    "identifier": "ada@example.com",
    "support_email": "help@example.com",
    "phone_number": "+15555550100",
    "username": "ada",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "name": "Example",
    "slug": "example",
    "role": "org:member",
    "key": "org:example",
    "currency": "USD",
    "locale": "en-US",
    "provider": "oauth_google",
    "code": "424242",
    "password": "correct horse battery staple",
    "domain": "example.com",
    "web3_wallet": "0x0000000000000000000000000000000000000000",
}
_OBJECTS: Final[Mapping[str, Json]] = {
    "public_metadata": {"plan": "pro"},
    "private_metadata": {"stripe_id": "cus_example"},
    "unsafe_metadata": {"onboarding_step": 2},
    "actor": {"sub": f"user_{_TAIL}"},
}


def example_value(schema: Schema, name: str = "", *, required_only: bool = False) -> Json:
    """A value that fits a schema.

    Args:
        name: the field's name, which often says more than its type.
        required_only: leaves out fields that an object does not demand.

    Example:
        >>> example_value(Schema(type="string"), "email_address")
        'ada@example.com'
    """
    if schema.default is not None:
        return schema.default
    if schema.enum:
        return next((value for value in schema.enum if value is not None), None)
    if schema.one_of or (schema.any_of and not schema.properties):
        return example_value((*schema.one_of, *schema.any_of)[0], name, required_only=required_only)
    return _by_type(schema, name, required_only=required_only)


def example_id(name: str, *, hexadecimal: bool = False) -> str:
    """An id as it may stand in a parameter or field of that name.

    Example:
        >>> example_id("organization_id")
        'org_2abcdefghijklmnopqrstuvwxyz'
    """
    stem = name.lower().removesuffix("_id").removesuffix("id").removesuffix("_")
    known = (prefix for word, prefix in _ID_PREFIXES.items() if stem == word or stem.endswith(f"_{word}"))
    return f"{next(known, stem or 'id')}_{_HEX_TAIL if hexadecimal else _TAIL}"


def _by_type(schema: Schema, name: str, *, required_only: bool) -> Json:
    made: Json
    match schema.type:
        case "boolean":
            made = True
        case "integer" | "number":
            made = _number(schema, name)
        case "array":
            made = _array(schema, name, required_only=required_only)
        case "string":
            made = _string(schema, name)
        case "object":
            made = _object(schema, name, required_only=required_only)
        case _:
            made = _OBJECTS.get(name)
    return made


def _number(schema: Schema, name: str) -> Json:
    if name.endswith("_at"):
        return _NOW_MS
    least = schema.minimum if schema.minimum is not None else 1
    if schema.exclusive_minimum and schema.minimum is not None:
        least += 1
    return int(least) if float(least).is_integer() else least


def _array(schema: Schema, name: str, *, required_only: bool) -> Json:
    if schema.items is None:
        return []
    singular = name.removesuffix("s")
    item = example_value(schema.items, singular, required_only=required_only)
    return [item] * max(1, schema.min_items or 0) if not schema.unique_items else [item]


def _string(schema: Schema, name: str) -> Json:
    pattern = schema.pattern or ""
    if pattern.startswith("^") and "_" in pattern:
        # Clerk's id patterns: a prefix, or a choice of prefixes, before the tail.
        prefix = pattern[1:].lstrip("(").partition("_")[0].partition("|")[0].partition(")")[0]
        return f"{prefix}_{_HEX_TAIL if 'A-F' in pattern else _TAIL}" if prefix.isalpha() else "example"
    if pattern == "^[A-Z]{2}$":
        return "US"
    if name in _STRINGS:
        text = _STRINGS[name]
    elif name in ("id", "sub", "subject") or name.endswith(("_id", "ID")):
        text = example_id(name)
    else:
        text = _by_format(schema, name)
    return text[: schema.max_length] if schema.max_length is not None else text


def _by_format(schema: Schema, name: str) -> str:
    if schema.format == "date-time" or name.endswith("_at"):
        return "2026-01-01T00:00:00Z"
    if schema.format == "date":
        return "2026-01-01"
    if schema.format == "email" or "email" in name:
        return "ada@example.com"
    if schema.format == "uri" or name.endswith(("url", "uri", "origin")):
        return "https://example.com"
    return "example"


def _object(schema: Schema, name: str, *, required_only: bool) -> Json:
    if not schema.properties:
        return _OBJECTS.get(name, {})
    made: dict[str, Json] = {}
    demanded = {*schema.required, *(schema.any_of[0].required if schema.any_of else ())}
    for key, child in schema.properties.items():
        if not required_only or key in demanded:
            made[key] = example_value(child, key, required_only=required_only)
    return made
