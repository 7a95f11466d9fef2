"""What Clerk documents in words and not in a schema, where a slip would be costly: checked before a call is
sent.

Source of every number and rule here: the texts of Clerk's OpenAPI document 2026-05-12.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from clerk_jobs.catalog.check import Finding
from clerk_jobs.catalog.operation import Operation
from clerk_jobs.catalog.schema import Json

__all__ = ["check_rules"]

MAX_FILTER_VALUES: Final = 100
"""Values of one array filter of GET /users."""

USER_ORDERS: Final = (
    "created_at", "updated_at", "email_address", "web3wallet", "first_name", "last_name", "phone_number",
    "username", "last_active_at", "last_sign_in_at",
)  # fmt: skip
"""What GET /users can be ordered by, each with + or - before it."""


def check_rules(operation: Operation, query: Mapping[str, Sequence[str]], body: Json) -> Iterator[Finding]:
    """What breaks a rule that no schema states."""
    yield from _check_users(operation, query)
    if operation.operation_id == "GetSessionList" and not {"client_id", "user_id"} & set(query):
        yield Finding("query", "", "rule", "client_id or user_id is required")
    for role in query.get("role", ()):
        yield from _check_role(operation, role.lstrip("+-"), "query", "role")
    if isinstance(body, Mapping):
        yield from _check_role(operation, body.get("role"), "body", "role")
    elif isinstance(body, Sequence) and not isinstance(body, str):
        for number, element in enumerate(body):
            if isinstance(element, Mapping):
                yield from _check_role(operation, element.get("role"), "body", f"[{number}].role")


def _check_users(operation: Operation, query: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    if operation.operation_id not in ("GetUserList", "GetUsersCount"):
        return
    for name, values in query.items():
        if len(values) > MAX_FILTER_VALUES:
            yield Finding("query", name, "rule", f"takes at most {MAX_FILTER_VALUES} values, has {len(values)}")
    order = next(iter(query.get("order_by", ())), "-created_at")
    field = order.lstrip("+-")
    if field not in USER_ORDERS or len(order) > len(field) + 1:
        wanted = f"one of {', '.join(USER_ORDERS)}, with + (ascending) or - (descending) before it"
        yield Finding("query", "order_by", "rule", f"must be {wanted}")
    if "starting_after" not in query:
        return
    if "offset" in query:
        yield Finding("query", "offset", "rule", "cannot be used with starting_after", "leave out one of them")
    if field != "created_at":
        yield Finding("query", "order_by", "rule", "must be +created_at or -created_at with starting_after")


def _check_role(operation: Operation, role: Json, place: str, name: str) -> Iterator[Finding]:
    if not operation.path.startswith("/organizations/") or not isinstance(role, str) or role.startswith("org:"):
        return
    plain = role.lower().replace("basic_", "")
    hint = f"did you mean org:{plain}?" if plain in ("admin", "member") else "roles look like org:member"
    yield Finding(place, name, "rule", "is not a role key, which begins with org:", hint)
