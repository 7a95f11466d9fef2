"""Whether an organization was made, where the answer to creating it was lost: its slug is unique, so it can be asked.

Source: Clerk's OpenAPI document 2026-05-12, GetOrganization ("by ID or slug") and ListOrganizations, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from clerk_jobs.absence import CLOCK_MS, LOOKS
from clerk_jobs.call import Call, Item, Outcome, ReadRefused, Safety, State, Talk

__all__ = ["ASK", "made_by_slug", "slug_of"]

LIST: Final = "/organizations"
ONE: Final = "/organizations/{organization_id}"
NEWEST: Final = (("order_by", "-created_at"), ("limit", "500"))
LIST_FROM: Final = 3
"""From so many slugs on the newest organizations are listed first: one read finds nearly all that were made."""
ASK: Final = "it may have happened: look at it, then decide with resume --on-unresolved retry or skip"


def slug_of(item: Item) -> str:
    """The slug that an item gives its organization; empty where Clerk makes one up."""
    slug = item.payload["body"].get("slug")
    return slug.strip().casefold() if isinstance(slug, str) else ""


def made_by_slug(items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:
    """Look every item's organization up; what is absent twice, or was there before, is sent (again).

    What was there before is Clerk's to refuse: two organizations cannot have one slug.

    Raises:
        ReadRefused: an organization cannot be read.
    """
    named = [item for item in items if slug_of(item)]
    found: dict[str, Mapping[str, Any]] = {}
    if len(named) >= LIST_FROM:
        reply = yield Call("ListOrganizations", "GET", LIST, LIST, Safety.READ, NEWEST)
        found = {str(row.get("slug")).casefold(): row for row in reply.rows("organizations") if isinstance(row, dict)}
    outcomes = []
    for item in items:
        slug = slug_of(item)
        if not slug:
            outcomes.append(Outcome(item.seq, State.UNRESOLVED, "unresolved", ASK))
            continue
        there = found.get(slug)
        for _ in range(LOOKS if there is None else 0):
            there = there or (yield from _read(slug))
        outcomes.append(_settled(item, there, item.since_ms or since_ms))
    return outcomes


def _read(slug: str) -> Talk[Mapping[str, Any] | None]:
    reply = yield Call(
        "GetOrganization", "GET", ONE, ONE.replace("{organization_id}", quote(slug, safe="")), Safety.READ
    )
    if reply.status == 404:
        return None
    if not reply.ok or not isinstance(reply.value, dict):
        raise ReadRefused(reply, "an organization by its slug")
    return reply.value if str(reply.value.get("slug")).casefold() == slug else None


def _settled(item: Item, there: Mapping[str, Any] | None, since_ms: int) -> Outcome:
    created_ms = None if there is None else there.get("created_at")
    if there is not None and item.payload["body"].get("created_at") is not None:
        # It may have been there before: when it was made is whatever the row says.
        return Outcome(item.seq, State.UNRESOLVED, "unresolved", ASK)
    if there is None or not isinstance(created_ms, int) or created_ms < since_ms - CLOCK_MS:
        return Outcome(item.seq, State.PENDING)
    said = "the answer was lost, but Clerk had created the organization"
    return Outcome(item.seq, State.DONE, "reconciled", said, resource_id=str(there["id"]))
