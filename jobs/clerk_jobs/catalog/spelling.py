"""Wrong spellings that are often seen, and the right ones.

Clerk may ignore a query parameter that it does not know: a filter with a slip in its name would list
everybody. So these are refused with the right spelling beside them, and never silently mended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from clerk_jobs.catalog.check import nearest, snake_case
from clerk_jobs.catalog.operation import Operation
from clerk_jobs.catalog.schema import Schema

__all__ = ["comparison", "field_hint", "parameter_hint"]

# What other APIs, old recipes and the SDKs call it, and Clerk's name where the operation has it.
_OTHER_NAMES: Final = {
    "after": "starting_after",
    "cursor": "starting_after",
    "page_size": "limit",
    "per_page": "limit",
    "count": "limit",
    "max_results": "limit",
    "skip": "offset",
    "page": "offset",
    "sort": "order_by",
    "sort_by": "order_by",
    "order": "order_by",
    "search": "query",
    "q": "query",
    "email": "email_address",
    "emails": "email_address",
    "email_addresses": "email_address",
    "phone": "phone_number",
    "phone_numbers": "phone_number",
    "web3wallet": "web3_wallet",
    "id": "user_id",
    "ids": "user_id",
    "user_ids": "user_id",
    "org_id": "organization_id",
    "metadata": "public_metadata",
    "expires_in": "expires_in_days",
}
_COMPARISON: Final = re.compile(r"(gt|gte|lt|lte|after|before)[:=](.*)", re.DOTALL)
_METADATA: Final = ("public_metadata", "private_metadata", "unsafe_metadata")


def comparison(operation: Operation, name: str, values: Sequence[str]) -> str | None:
    """What to write instead of ``created_at=gt:MS``, which Clerk does not know; None where it is no such
    thing.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> comparison(load().operation("GetUserList"), "created_at", ["gt:1700000000000"])
        'write created_at_after=1700000000000'
    """
    for value in values:
        found = _COMPARISON.fullmatch(value)
        if found is None:
            continue
        side = "after" if found[1] in ("gt", "gte", "after") else "before"
        right = f"{name}_{side}"
        if operation.parameter(right) is not None:
            return f"write {right}={found[2]}"
    return None


def parameter_hint(operation: Operation, name: str) -> str:
    """What was perhaps meant by a query parameter that the operation does not have; may be empty.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> parameter_hint(load().operation("GetUserList"), "email_address[]")
        'write email_address, and repeat the name for each value'
    """
    known = [parameter.name for parameter in operation.query_parameters]
    bare = re.sub(r"\[\d*\]$", "", name)
    right = _known(bare, known)
    if right is None:
        return nearest(bare, known) or (f"known: {', '.join(known)}" if known else "this operation takes none")
    if bare != name:
        return f"write {right}, and repeat the name for each value"
    if right == snake_case(name) and name != name.lower():
        return f"the REST API uses snake_case: {right} (SDKs use camelCase)"
    return f"write {right}"


def field_hint(operation: Operation, schema: Schema, name: str) -> str:
    """What was perhaps meant by a field that the body lacks, where there is more to say than its nearest
    name.

    Metadata that an API version does not take in an update any more has operations of its own.
    """
    snake = snake_case(name)
    if snake in _METADATA and operation.operation_id in ("UpdateUser", "UpdateOrganization"):
        return f"use PATCH {operation.path}/metadata (merges) or PUT {operation.path}/metadata (replaces)"
    right = _known(name, [*schema.properties])
    return f"write {right}" if right is not None and snake == name else ""


def _known(name: str, known: Sequence[str]) -> str | None:
    snake = snake_case(name)
    candidates = (snake, _OTHER_NAMES.get(snake, ""), snake.removesuffix("s"))
    return next((candidate for candidate in candidates if candidate in known), None)
