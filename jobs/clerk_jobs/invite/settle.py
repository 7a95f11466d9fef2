"""What has really happened: reading after a lost answer or a refused bulk call.

Clerk has no idempotency keys; the natural key of an invitation is its address together with a ``created_at`` (server
time, unix milliseconds) not before our own intent. Two looks, each over every status that the list can hide, must both
come back empty before an invitation counts as absent, and the caller asks only after the quarantine is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from clerk_jobs.absence import CLOCK_MS, LOOKS
from clerk_jobs.call import Item, Outcome, Problem, ReadRefused, Reply, State, Talk
from clerk_jobs.invite.lanes import EXISTING_CODES, Existing, address_key, existing_outcome, refused
from clerk_jobs.invite.screen import PAGE, invitations, is_for, list_call

__all__ = ["Finding", "Settling", "Verdict"]

LIST_FROM = 3
"""From this many addresses on one walk over the newest invitations is cheaper than a question for each."""

STALE_PAGES = 3
"""Pages without anything new after which a list that ignores its offset is no longer believed."""

NEWEST = "the newest invitations"


class Verdict(Enum):
    """What reading says about one item."""

    MADE = "made"
    OLDER = "older"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with the invitation's id, where there is an invitation."""

    verdict: Verdict
    invitation_id: str | None = None


class Settling:
    """Conversations that settle what is in doubt."""

    def __init__(self, *, organizations: bool, on_existing: Existing) -> None:
        """See ``Invitations``."""
        # A status left out of the question may be left out of the answer: what the default hides is not documented.
        self._statuses: tuple[str | None, ...] = (
            ("pending", "accepted", "revoked", "expired") if organizations else (None, "revoked")
        )
        self._on_existing: Existing = on_existing

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:
        """Settle items of one group whose answer was lost, once their quarantine is over."""
        found = yield from self._look(items, since_ms)
        return [self._settled(item, found[item.seq]) for item in items]

    def after_refusal(self, items: Sequence[Item], since_ms: int, reply: Reply) -> Talk[list[Outcome]]:
        """Take a refused call apart: what was made all the same, who is to blame, and who goes again.

        The offenders are those that the refusal's ``meta`` names; where a call carried one item, that one. Where
        nobody knows which address is to blame, each goes alone and answers for itself.

        Args:
            since_ms: server time of the earliest send of these items whose effect is not known.
        """
        found = yield from self._look(items, since_ms)
        blamed = _blamed(items, reply)
        outcomes = []
        for item in items:
            problem = blamed.get(item.seq)
            finding = found[item.seq]
            if problem is not None and problem.code in EXISTING_CODES:
                outcomes.append(self._existing(item, finding, problem.code))
            elif finding.verdict is Verdict.MADE:
                outcomes.append(_made(item, finding))
            elif len(items) == 1:
                outcomes.append(refused(item.seq, reply))
            else:
                outcomes.append(Outcome(item.seq, State.PENDING, alone=problem is not None or not blamed))
        return outcomes

    def _existing(self, item: Item, finding: Finding, code: str) -> Outcome:
        """What "there is one already" means for an item that Clerk names."""
        if item.since_ms is not None:
            if finding.verdict is Verdict.MADE:
                return _made(item, finding)
            if finding.verdict is Verdict.ABSENT and EXISTING_CODES[code][0] == "already_invited":
                # A duplicate of what no list shows yet: it may be our own.
                return Outcome(item.seq, State.DOUBT, alone=True)
        # Nothing of ours was in doubt, so it stood before this call, however young it is.
        return existing_outcome(item.seq, *EXISTING_CODES[code], self._on_existing)

    def _settled(self, item: Item, finding: Finding) -> Outcome:
        if finding.verdict is Verdict.MADE:
            return _made(item, finding)
        if finding.verdict is Verdict.OLDER:
            # A reinvitation whose revoke did not hold: somebody else's invitation stands.
            return existing_outcome(item.seq, *EXISTING_CODES["duplicate_record"], self._on_existing)
        return Outcome(item.seq, State.PENDING, alone=True)

    def _look(self, items: Sequence[Item], since_ms: int) -> Talk[dict[int, Finding]]:
        """Look twice, over every status; an older pending invitation is noticed only where addresses are asked."""
        found: dict[int, Finding] = {}
        for _ in range(LOOKS):
            for status in self._statuses:
                open_items = [item for item in items if found.get(item.seq, ABSENT).verdict is not Verdict.MADE]
                if not open_items:
                    return found
                if len(open_items) >= LIST_FROM:
                    yield from _walk(open_items, status, since_ms, found)
                else:
                    for item in open_items:
                        yield from _ask(item, status, since_ms, found)
        return {item.seq: found.get(item.seq, ABSENT) for item in items}


ABSENT = Finding(Verdict.ABSENT)


def _made(item: Item, finding: Finding) -> Outcome:
    said = "the answer was lost, but Clerk had created the invitation"
    return Outcome(item.seq, State.DONE, "reconciled", said, resource_id=finding.invitation_id)


def _walk(items: Sequence[Item], status: str | None, since_ms: int, found: dict[int, Finding]) -> Talk[None]:
    """Read the newest invitations until they are older than the intent.

    Absence is believed only where the list was read to its end, or is in order and went past the intent.
    """
    wanted = {address_key(item.payload["email_address"]): item.seq for item in items}
    known: set[str] = set()
    offset = stale = 0
    while True:
        page = (("order_by", "-created_at"), ("limit", str(PAGE)), ("offset", str(offset)))
        reply = yield list_call(items[0].group, (*_status(status), *page))
        rows = invitations(reply, NEWEST)
        for row in rows:
            seq = None if row["email_address"] is None else wanted.get(address_key(row["email_address"]))
            if seq is not None and _is_ours(row, since_ms):
                found[seq] = Finding(Verdict.MADE, row["id"])
        times = [row["created_at"] for row in rows]
        if not rows or (not _is_ours(rows[-1], since_ms) and times == sorted(times, reverse=True)):
            return
        # New invitations push rows onto the next page, never off it: an offset walk by newest repeats, never loses.
        stale = stale + 1 if known.issuperset(row["id"] for row in rows) else 0
        if stale > 1 and len(rows) < PAGE:
            # The end, seen twice again because invitations were made meanwhile: a busy list must not look endless.
            return
        if stale == STALE_PAGES:
            raise ReadRefused(reply, NEWEST)
        known.update(row["id"] for row in rows)
        offset += len(rows)


def _ask(item: Item, status: str | None, since_ms: int, found: dict[int, Finding]) -> Talk[None]:
    """Ask about one address; the filter matches parts of addresses and ids too, so only equal ones count."""
    key = address_key(item.payload["email_address"])
    filter_name = "email_address" if item.group else "query"
    query = (*_status(status), (filter_name, item.payload["email_address"]), ("limit", str(PAGE)))
    reply = yield list_call(item.group, query)
    rows = invitations(reply, "the invitations to an address")
    for row in rows:
        if not is_for(row, key):
            continue
        if _is_ours(row, since_ms):
            found[item.seq] = Finding(Verdict.MADE, row["id"])
            return
        if row.get("status") == "pending":
            found[item.seq] = Finding(Verdict.OLDER, row["id"])
    if len(rows) >= PAGE:
        # So many partial matches that the one may be on another page.
        yield from _walk([item], status, since_ms, found)


def _status(status: str | None) -> tuple[tuple[str, str], ...]:
    return () if status is None else (("status", status),)


def _is_ours(row: Mapping[str, Any], since_ms: int) -> bool:
    """Whether an invitation was made after our intent, by the server's clock."""
    return bool(row["created_at"] >= since_ms - CLOCK_MS)


def _blamed(items: Sequence[Item], reply: Reply) -> dict[int, Problem]:
    """The items that a refusal names, each with the error that names it."""
    if len(items) == 1:
        return {items[0].seq: reply.problems[0]} if reply.problems else {}
    seqs = {address_key(item.payload["email_address"]): item.seq for item in items}
    named = [(address_key(address), problem) for problem in reply.problems for address in _named(problem.meta)]
    return {seqs[key]: problem for key, problem in reversed(named) if key in seqs}


def _named(meta: Mapping[str, Any]) -> list[str]:
    named = meta.get("email_addresses")
    if isinstance(named, str):
        named = named.split(",")
    return [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
