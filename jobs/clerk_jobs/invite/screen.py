"""Who need not be invited: addresses with a pending invitation, users, and members of the organization.

Screening costs reads only, which are cheap, where every refused address costs quota, and a single refused one can
void a bulk call of ten: at 20 % known addresses the bulk lane would carry less than the single lane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from clerk_jobs.call import Call, Item, Outcome, ReadRefused, Reply, Safety, State, Talk
from clerk_jobs.invite.lanes import Existing, address_key, existing_outcome
from clerk_jobs.reading import TOO_LONG, read_batches

__all__ = [
    "PAGE",
    "PendingPages",
    "Screening",
    "Seen",
    "invitations",
    "is_for",
    "list_call",
]

PAGE = 500
"""Rows of a list page. Source: Clerk's OpenAPI document 2026-05-12, LimitParameter, maximum."""

OVERLAP = 10
"""Rows asked again on the next page, so that invitations revoked meanwhile do not hide their neighbours."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A pending invitation that Clerk listed: the address it is for, and its id."""

    address: str
    invitation_id: str


class PendingPages:
    """Walks the list of pending invitations of the instance or of one organization, page by page.

    Several pages may be asked for at once. A page may repeat or, when invitations end while we read, miss a few; that
    costs a refusal, never an e-mail.

    Attributes:
        done: a page was the last one, or came from behind it.
    """

    STEP = PAGE - OVERLAP
    """New rows a page."""

    def __init__(self, group: str = "") -> None:
        """Start before the first page; ``group`` is the organization, "" for the instance."""
        self._group = group
        self._offset = 0
        self.done = False

    def call(self) -> Call:
        """The request for the next page, oldest first, so that new invitations do not shift it."""
        query = (
            ("status", "pending"),
            ("order_by", "+created_at"),
            ("limit", str(PAGE)),
            ("offset", str(self._offset)),
        )
        self._offset += self.STEP
        return list_call(self._group, query)

    def read(self, reply: Reply) -> list[Seen]:
        """The invitations of a page."""
        rows = invitations(reply, "the pending invitations")
        self.done = self.done or len(rows) < PAGE
        return [Seen(row["email_address"], row["id"]) for row in rows if row["email_address"] is not None]


class Screening:
    """Reads about the addresses of a batch of items, and what follows for each of them."""

    def __init__(self, *, organizations: bool, on_existing: Existing) -> None:
        """See ``Invitations``."""
        self._organizations = organizations
        self._on_existing: Existing = on_existing

    def invited(self, seq: int, seen: Seen) -> Outcome:
        """What a pending invitation to an item's address means for the item."""
        if self._on_existing == "reinvite":
            return Outcome(seq, State.PENDING, revoke=seen.invitation_id)
        return existing_outcome(
            seq, "already_invited", "this address already has a pending invitation", self._on_existing
        )

    def count_call(self, group: str) -> Call:
        """A question whose answer may tell how many pending invitations there are."""
        return list_call(group, (("status", "pending"), ("paginated", "true"), ("limit", "1")))

    def ask(self, item: Item) -> Talk[list[Outcome]]:
        """Find out about one address; the filter matches parts of addresses too, so only an equal one counts."""
        address = item.payload["email_address"]
        query = (("status", "pending"), ("query", address), ("limit", str(PAGE)))
        reply = yield list_call(item.group, query)
        for row in invitations(reply, "the pending invitations"):
            if is_for(row, address_key(address)):
                return [self.invited(item.seq, Seen(address, row["id"]))]
        return []

    def members(self, items: Sequence[Item]) -> Talk[list[Outcome]]:
        """Find out which of up to 100 items of one group belong to users or members already."""
        addresses = {address_key(item.payload["email_address"]): item.seq for item in items}
        owners: dict[str, str] = {}
        for batch in read_batches("email_address", list(addresses)):
            owners.update((yield from _owners_of(batch)))
        known = {address: owners[address] for address in addresses if address in owners}
        if not self._organizations:
            return [self._existing(addresses[address], "user") for address in known]
        joined: set[str] = set()
        if known:
            joined = yield from _members_of(items[0].group, sorted(set(known.values())))
        return [self._existing(addresses[address], "member") for address, user in known.items() if user in joined]

    def _existing(self, seq: int, what: str) -> Outcome:
        return existing_outcome(
            seq, f"already_a_{what}", f"this address already belongs to a {what}", self._on_existing
        )


def _owners_of(batch: tuple[tuple[str, str], ...]) -> Talk[dict[str, str]]:
    """User ids by address. A gateway that finds the request too long is asked again in halves."""
    reply = yield Call("GetUserList", "GET", "/users", "/users", Safety.READ, (*batch, ("limit", str(PAGE))))
    if reply.status in TOO_LONG and len(batch) > 1:
        middle = len(batch) // 2
        first = yield from _owners_of(batch[:middle])
        return first | (yield from _owners_of(batch[middle:]))
    owners: dict[str, str] = {}
    for user in reply.rows("users by address"):
        addresses = _addresses_of(user)
        if addresses is None:
            raise ReadRefused(reply, "users by address")
        owners.update(addresses)
    return owners


def _members_of(organization: str, user_ids: list[str]) -> Talk[set[str]]:
    template = "/organizations/{organization_id}/memberships"
    path = f"/organizations/{quote(organization, safe='')}/memberships"
    joined: set[str] = set()
    for batch in read_batches("user_id", user_ids):
        query = (*batch, ("limit", str(PAGE)))
        reply = yield Call("ListOrganizationMemberships", "GET", template, path, Safety.READ, query)
        for row in reply.rows("the organization's members"):
            person = row.get("public_user_data") if isinstance(row, dict) else None
            if not isinstance(person, dict) or not isinstance(person.get("user_id"), str):
                raise ReadRefused(reply, "the organization's members")
            joined.add(person["user_id"])
    return joined


def list_call(group: str, query: tuple[tuple[str, str], ...]) -> Call:
    """A page of the instance's invitations, or of one organization's."""
    if not group:
        return Call("ListInvitations", "GET", "/invitations", "/invitations", Safety.READ, query)
    template = "/organizations/{organization_id}/invitations"
    path = f"/organizations/{quote(group, safe='')}/invitations"
    return Call("ListOrganizationInvitations", "GET", template, path, Safety.READ, query)


def invitations(reply: Reply, what: str) -> list[dict[str, Any]]:
    """The invitations of a list answer, each with its id, its time of creation and its address (None without one).

    Raises:
        ReadRefused: a refusal, no list, or a row without these: what cannot be read must not pass for "nobody".
    """
    rows = reply.rows(what)
    if not all(_is_invitation(row) for row in rows):
        raise ReadRefused(reply, what)
    return rows


def is_for(row: Mapping[str, Any], key: str) -> bool:
    """Whether an invitation is for the address of that key; a filter's answer may be for others too."""
    return row["email_address"] is not None and address_key(row["email_address"]) == key


def _is_invitation(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("id"), str)
        and isinstance(row.get("created_at"), int | float)
        and isinstance(row.get("email_address", 0), str | None)
    )


def _addresses_of(user: Any) -> dict[str, str] | None:
    """A user's addresses; None where this is no user as we know them."""
    listed = user.get("email_addresses") if isinstance(user, dict) and isinstance(user.get("id"), str) else None
    if not isinstance(listed, list):
        return None
    addresses = [row.get("email_address") if isinstance(row, dict) else None for row in listed]
    if not all(isinstance(address, str) for address in addresses):
        return None
    return {address_key(str(address)): user["id"] for address in addresses}
