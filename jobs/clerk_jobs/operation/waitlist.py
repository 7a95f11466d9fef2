"""Whether somebody is on the waitlist, where the answer to putting them there was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clerk_jobs.absence import LOOKS
from clerk_jobs.call import Call, Item, Outcome, Safety, State, Talk

__all__ = ["on_waitlist"]

PATH: Final = "/waitlist_entries"


def on_waitlist(items: Sequence[Item]) -> Talk[list[Outcome]]:
    """Look every item's address up; who is not on the waitlist is put there again.

    Raises:
        ReadRefused: the waitlist cannot be read.
    """
    outcomes = []
    for item in items:
        outcome = Outcome(item.seq, State.PENDING)
        for _ in range(LOOKS):
            entry = yield from _entry(item.payload["body"]["email_address"])
            if entry is not None:
                outcome = Outcome(item.seq, State.DONE, resource_id=entry)
                break
        outcomes.append(outcome)
    return outcomes


def _entry(address: str) -> Talk[str | None]:
    """The id of the entry with this very address; the filter also finds parts of others."""
    query = (("query", address), ("limit", "500"))
    reply = yield Call("ListWaitlistEntries", "GET", PATH, PATH, Safety.READ, query)
    for row in reply.rows("the waitlist"):
        if isinstance(row, dict) and str(row.get("email_address")).casefold() == address.strip().casefold():
            return str(row.get("id"))
    return None
