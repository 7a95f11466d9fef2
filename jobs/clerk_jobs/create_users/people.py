"""Who has the identifiers of a row: asked a hundred at once, the best key first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from clerk_jobs.call import Call, ReadRefused, Reply, Safety, Talk
from clerk_jobs.create_users.drafts import keys_of, same_key
from clerk_jobs.reading import read_batches

__all__ = ["Found", "User", "find", "is_same_person", "users_by"]

User = Mapping[str, Any]
"""A user as Clerk sends it."""

PAGE: Final = "100"
SIGNED: Final = frozenset({"user_id", "external_id"})
"""Filters in which a leading + includes and a leading - excludes. Source: Clerk's OpenAPI document 2026-05-12."""
SURE: Final = ("external_id", "email_address")
"""Keys that settle it; others are asked for only where a row has none of these."""
LISTED: Final = {"email_address": "email_addresses", "phone_number": "phone_numbers", "web3_wallet": "web3_wallets"}
COMPARED: Final = ("external_id", "first_name", "last_name", "locale", "username")


@dataclass(slots=True)
class Found:
    """Who has a row's identifiers.

    Attributes:
        users: by id, in the order of the keys that found them.
        refusal: Clerk's refusal to look one of these very identifiers up.
    """

    users: dict[str, User] = field(default_factory=dict)
    refusal: Reply | None = None


def find(payloads: Sequence[Mapping[str, Any]], *, everything: bool = False) -> Talk[list[Found]]:
    """Find the users of up to 100 rows.

    Args:
        everything: ask for every key, and not only for those that settle it.

    Raises:
        ReadRefused: an answer that is not a list of users.
    """
    wanted = [_asked(payload, everything=everything) for payload in payloads]
    found = [Found() for _ in payloads]
    kinds = dict.fromkeys(kind for keys in wanted for kind, _ in keys)
    for kind in kinds:
        # By e-mail even those whose external id was found: the two may be two people.
        values = list(dict.fromkeys(value for keys in wanted for each, value in keys if each == kind))
        known = yield from users_by(kind, values)
        for keys, one in zip(wanted, found, strict=True):
            for each, value in keys:
                answer = known.get(value) if each == kind else None
                if isinstance(answer, Reply):
                    one.refusal = answer
                elif answer is not None:
                    one.users.update({str(user["id"]): user for user in answer})
    return found


def users_by(kind: str, values: Sequence[str]) -> Talk[dict[str, list[User] | Reply]]:
    """Users by one kind of identifier (or ``user_id``), 100 in a request; a refusal of one value stands for it.

    Raises:
        ReadRefused: an answer that is not a list of users.
    """
    found: dict[str, list[User] | Reply] = {same_key(kind, value): [] for value in values}
    sent = {f"+{value}" if kind in SIGNED and value.startswith(("+", "-")) else value: value for value in values}
    for batch in read_batches(kind, list(sent)):
        yield from _read(kind, batch, sent, found)
    return found


def _read(
    kind: str, batch: tuple[tuple[str, str], ...], sent: Mapping[str, str], found: dict[str, list[User] | Reply]
) -> Talk[None]:
    """Read a batch; a refused one is asked again in halves, so that one bad value does not refuse the others."""
    reply = yield Call("GetUserList", "GET", "/users", "/users", Safety.READ, (*batch, ("limit", PAGE)))
    if not reply.ok:
        if len(batch) > 1:
            middle = len(batch) // 2
            yield from _read(kind, batch[:middle], sent, found)
            yield from _read(kind, batch[middle:], sent, found)
        else:
            for _, value in batch:
                found[same_key(kind, sent[value])] = reply
        return
    for row in reply.rows("users"):
        if not isinstance(row, dict) or not isinstance(row.get("id"), str):
            raise ReadRefused(reply, "users")
        for value in _values(row, kind):
            known = found.get(value)
            if isinstance(known, list):
                known.append(row)


def _asked(payload: Mapping[str, Any], *, everything: bool) -> list[tuple[str, str]]:
    keys = keys_of(payload)
    sure = [key for key in keys if key[0] in SURE]
    return keys if everything or not sure else sure


def _values(user: User, kind: str) -> Iterable[str]:
    """The identifiers of one kind that a user has, as they are compared."""
    if kind == "user_id":
        return (str(user["id"]),)
    listed = user.get(LISTED[kind]) if kind in LISTED else None
    if kind in LISTED:
        values = [each.get(kind) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    else:
        values = [user.get(kind)]
    return {same_key(kind, value) for value in values if isinstance(value, str)}


def is_same_person(payload: Mapping[str, Any], user: User) -> bool:
    """Whether a user is what a row would have created: same external id, or the same in all that the row says.

    ``created_at`` may be back-dated, so it tells nothing.
    """
    external_id = payload.get("external_id")
    if external_id is not None:
        return bool(user.get("external_id") == external_id)
    if any((user.get(name) or None) != (payload.get(name) or None) for name in COMPARED if name in payload):
        return False
    wanted = [(kind, value) for kind, value in keys_of(payload) if kind in LISTED]
    if any(value not in _values(user, kind) for kind, value in wanted):
        return False
    return all(
        _holds(user.get(name) or {}, payload[name])
        for name in ("public_metadata", "private_metadata", "unsafe_metadata")
        if name in payload
    )


def _holds(has: Any, wanted: Any) -> bool:
    """Whether an object has every key of another with its value."""
    if isinstance(wanted, dict):
        return isinstance(has, dict) and all(_holds(has.get(key), value) for key, value in wanted.items())
    return bool(has == wanted)
