"""What all invitations have in common, to the instance or to an organization: statuses, and an end."""

import heapq
from collections.abc import Callable, Iterable

from .call import Query
from .errors import invalid, refusal
from .shelf import Record, Shelf
from .timeline import Timeline

STATUSES = ("pending", "accepted", "revoked", "expired")
BULK_MAXIMUM = 10


class StatusLists:
    """One list of invitations for each status, and those that clients ask for without one.

    Args:
        count: pending invitations that exist by formula.
        created_at_ms: when they were made.
    """

    def __init__(self, count: int = 0, created_at_ms: Callable[[int], int] = int) -> None:
        self._by_status = {status: Timeline(0, int) for status in STATUSES}
        self._by_status["pending"] = Timeline(count, created_at_ms)
        self.everything = Timeline(count, created_at_ms)
        self.not_revoked = Timeline(count, created_at_ms)

    @property
    def pending(self) -> Timeline:
        """Those that can still be accepted."""
        return self._by_status["pending"]

    def wanted(self, query: Query, otherwise: Timeline) -> Timeline:
        """The list of the status that a query asks for.

        Raises:
            RefusalError: 422 where there is no such status.
        """
        status = query.first("status")
        if not status:
            return otherwise
        if status not in STATUSES:
            raise invalid("status", f"must be one of {', '.join(STATUSES)}")
        return self._by_status[status]

    def add(self, number: int, created_at_ms: int) -> None:
        """Put in a new pending invitation."""
        for timeline in (self.pending, self.everything, self.not_revoked):
            timeline.add(number, created_at_ms)

    def drop(self, number: int, created_at_ms: int, status: str) -> None:
        """Take out an invitation that is no more."""
        for timeline in (self._by_status[status], self.everything, self.not_revoked):
            timeline.discard(number, created_at_ms)

    def move(self, number: int, created_at_ms: int, before: str, after: str) -> None:
        """Give an invitation another status."""
        self._by_status[before].discard(number, created_at_ms)
        self._by_status[after].add(number, created_at_ms)
        if after == "revoked":
            self.not_revoked.discard(number, created_at_ms)


class InvitationBook:
    """Keeps invitations on a shelf and in every list that shows them.

    Args:
        shelf: where they are.
        lists_of: the lists that show an invitation.
    """

    def __init__(self, shelf: Shelf, lists_of: Callable[[Record], Iterable[StatusLists]]) -> None:
        self._shelf = shelf
        self._lists_of = lists_of
        self._expiring: list[tuple[int, int]] = []

    def put(self, number: int, record: Record) -> bytes:
        """Write a new pending invitation and give back its JSON."""
        for lists in self._lists_of(record):
            lists.add(number, record["created_at"])
        heapq.heappush(self._expiring, (record["expires_at"], number))
        return self._shelf.put(number, record)

    def move(self, number: int, record: Record, status: str, now_ms: int) -> bytes:
        """Give an invitation another status and give back its JSON."""
        for lists in self._lists_of(record):
            lists.move(number, record["created_at"], record["status"], status)
        record.update(status=status, updated_at=now_ms)
        if "revoked" in record:
            record["revoked"] = status == "revoked"
        return self._shelf.put(number, record)

    def revoke(self, identifier: str, now_ms: int) -> Record:
        """Revoke a pending invitation and give it back as it is now.

        Raises:
            RefusalError: 404, or 400 where it is not pending.
        """
        number = self._shelf.get(identifier)
        record = self._shelf.record(number)
        if record["status"] != "pending":
            code = "invitation_already_revoked" if record["status"] == "revoked" else "invitation_not_pending"
            raise refusal(400, code, "cannot be revoked", f"the invitation is {record['status']}")
        self.move(number, record, "revoked", now_ms)
        return record

    def expire(self, now_ms: int) -> None:
        """Let those pass whose time is over."""
        while self._expiring and self._expiring[0][0] <= now_ms:
            number = heapq.heappop(self._expiring)[1]
            if not self._shelf.exists(number):
                continue
            record = self._shelf.record(number)
            if record["status"] == "pending":
                self.move(number, record, "expired", now_ms)


def read_bulk(value: object) -> list[object]:
    """The items of a bulk call.

    Raises:
        RefusalError: 400 where the body is no array of one to ten items.
    """
    if not isinstance(value, list):
        raise refusal(400, "request_body_invalid", "invalid body", "the request's body must be an array")
    if not 1 <= len(value) <= BULK_MAXIMUM:
        raise refusal(400, "bulk_size_exceeded", "wrong number of items", f"give 1 to {BULK_MAXIMUM} items")
    return value
