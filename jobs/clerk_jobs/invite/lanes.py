"""The two ways to send an invitation, and what Clerk's answer means for each item.

``POST /invitations`` and ``POST /invitations/bulk`` (and their twins below an organization) have separate hourly
quotas, so both are used at once. A bulk call carries 1 to 10 invitations and, for organizations, only those of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from clerk_jobs.call import Call, Item, Lane, Outcome, Reply, Safety, State

__all__ = [
    "BULK_SIZE",
    "EXISTING_CODES",
    "Existing",
    "Invitations",
    "Lane",
    "address_key",
    "existing_outcome",
    "refused",
]

Existing = Literal["skip", "fail", "reinvite"]

BULK_SIZE = 10
"""Most invitations in one bulk call. Source: Clerk's OpenAPI document 2026-05-12, CreateBulkInvitations, maxItems."""

EXISTING_CODES = {
    "duplicate_record": ("already_invited", "this address already has a pending invitation"),
    "organization_invitation_not_unique": (
        "already_invited",
        "this address already has a pending invitation",
    ),
    "form_identifier_exists": ("already_a_user", "this address already belongs to a user"),
    "already_a_member_in_organization": ("already_a_member", "this address already belongs to a member"),
}
"""Refusals that mean "not needed": Clerk's error code, then our word and sentence for it."""


def address_key(address: str) -> str:
    """The form in which two spellings of an address are the same person.

    Example:
        >>> address_key(" Jane.Doe@Example.COM ")
        'jane.doe@example.com'
    """
    return address.strip().casefold()


def existing_outcome(seq: int, code: str, message: str, policy: Existing) -> Outcome:
    """What ``on_existing`` makes of an item that Clerk has already; a user cannot be invited again."""
    state = State.FAILED if policy == "fail" else State.SKIPPED
    return Outcome(seq, state, code, message)


class Invitations:
    """Calls and settlements for a job's invitations.

    Args:
        organizations: whether the invitations go to organizations (an item's ``group`` is then its organization).
        lanes: which lanes the job allows.
        on_existing: what a refusal as a duplicate means.
    """

    def __init__(self, *, organizations: bool, lanes: Literal["both", "single", "bulk"], on_existing: Existing) -> None:
        """Choose the endpoints."""
        self.organizations = organizations
        self.on_existing: Existing = on_existing
        if organizations:
            base = "/organizations/{organization_id}/invitations"
            single = Lane("single", "CreateOrganizationInvitation", base, 1)
            bulk = Lane("bulk", "CreateOrganizationInvitationBulk", f"{base}/bulk", BULK_SIZE)
        else:
            single = Lane("single", "CreateInvitation", "/invitations", 1)
            bulk = Lane("bulk", "CreateBulkInvitations", "/invitations/bulk", BULK_SIZE)
        self.lanes: tuple[Lane, ...] = {"both": (bulk, single), "single": (single,), "bulk": (bulk,)}[lanes]

    def call(self, lane: Lane, items: Sequence[Item]) -> Call:
        """The one request that carries these items; they share a group."""
        body = [dict(item.payload) for item in items] if lane.name == "bulk" else dict(items[0].payload)
        path = lane.template.replace("{organization_id}", quote(items[0].group, safe=""))
        return Call(lane.operation, "POST", lane.template, path, Safety.ONCE, body=body, items=len(items))

    def revoke(self, item: Item) -> Call:
        """The call that takes an older invitation back, so that a new one may be sent (``on_existing: reinvite``)."""
        assert item.revoke is not None
        invitation = quote(item.revoke, safe="")
        if self.organizations:
            base = "/organizations/{organization_id}/invitations/{invitation_id}/revoke"
            path = f"/organizations/{quote(item.group, safe='')}/invitations/{invitation}/revoke"
            operation = "RevokeOrganizationInvitation"
        else:
            base, path = "/invitations/{invitation_id}/revoke", f"/invitations/{invitation}/revoke"
            operation = "RevokeInvitation"
        body: dict[str, Any] | None = {} if self.organizations else None
        return Call(operation, "POST", base, path, Safety.IDEMPOTENT, body=body)

    def settle(self, lane: Lane, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:
        """What a whole answer means for each item; None where only reading can tell (``Settling.after_refusal``).

        A success without a readable body is done with an unknown id. A bulk success that does not name one of its
        addresses leaves that item in doubt.
        """
        if lane.name == "bulk":
            return self._settle_bulk(items, reply)
        item = items[0]
        if reply.ok:
            return [Outcome(item.seq, State.DONE, resource_id=_id_of(reply.value))]
        if reply.code in EXISTING_CODES:
            if item.since_ms is not None:
                # Ours may be the very one that Clerk now calls a duplicate.
                return None
            return [existing_outcome(item.seq, *EXISTING_CODES[reply.code], self.on_existing)]
        return [refused(item.seq, reply)]

    def _settle_bulk(self, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:
        if not reply.ok:
            return None
        # From an unreadable body everybody is missing: reading will find the ids.
        made = {address_key(one["email_address"]): one for one in _objects(reply.value) if _addressed(one)}
        outcomes = []
        for item in items:
            one = made.get(address_key(item.payload["email_address"]))
            if one is None:
                outcomes.append(Outcome(item.seq, State.DOUBT))
            else:
                outcomes.append(Outcome(item.seq, State.DONE, resource_id=_id_of(one)))
        return outcomes


def refused(seq: int, reply: Reply) -> Outcome:
    """A failed item out of a definite refusal."""
    message = reply.problems[0].message if reply.problems else f"Clerk answered {reply.status}"
    return Outcome(seq, State.FAILED, reply.code, message, trace_id=reply.trace_id)


def _objects(value: Any) -> list[Any]:
    """The objects of a bulk answer, whether it is a bare array or ``{data: […]}``."""
    if isinstance(value, dict):
        value = value.get("data")
    return value if isinstance(value, list) else []


def _addressed(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("email_address"), str)


def _id_of(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else None
