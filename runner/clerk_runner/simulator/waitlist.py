"""The waitlist: entries alone and fifty at once; whoever is on it already stays there, and nothing new is created."""

from typing import Any

from .call import Call, Reply
from .errors import invalid, not_found, refusal
from .fields import Field, email, read_object
from .ids import Ids
from .listing import Order, Page, counted
from .shelf import Record, Shelf

_FIELDS = {"email_address": Field("string", required=True), "notify": Field("boolean")}
_BULK_MAXIMUM = 50


class Waitlist:
    """The operations on waitlist entries."""

    def __init__(self, seed: int) -> None:
        self._shelf = Shelf("waitlist entry", Ids("wle_", seed))
        self._by_address: dict[str, int] = {}

    async def create(self, call: Call) -> Reply:
        """POST /waitlist_entries."""
        address, notify = _read(call.json())
        return Reply(self._shelf.row(self._entry(call, address, notify)))

    async def create_bulk(self, call: Call) -> Reply:
        """POST /waitlist_entries/bulk: all of them or none."""
        body = call.json()
        if not isinstance(body, list) or not 1 <= len(body) <= _BULK_MAXIMUM:
            raise refusal(400, "bulk_size_exceeded", "wrong number of items", f"give 1 to {_BULK_MAXIMUM} entries")
        wanted = [_read(each) for each in body]
        if len({address for address, _ in wanted}) < len(wanted):
            raise invalid("email_address", "stands more than once in this request")
        numbers = [self._entry(call, address, notify) for address, notify in wanted]
        return Reply(b"[" + b",".join(self._shelf.rows(numbers)) + b"]")

    async def list_page(self, call: Call) -> Reply:
        """GET /waitlist_entries."""
        page, order = Page.read(call.query), Order.read(call.query, ("created_at",))
        query = (call.query.first("query") or "").lower()
        found = [number for address, number in self._by_address.items() if query in address]
        if order.descending:
            found.reverse()
        shown = found[page.offset : page.offset + page.limit]
        return counted(self._shelf.rows(shown), len(found))

    async def delete(self, call: Call) -> Reply:
        """DELETE /waitlist_entries/{waitlist_entry_id}."""
        entry_id = call.params["waitlist_entry_id"]
        number = self._shelf.find(entry_id)
        if number is None:
            raise not_found("waitlist entry", entry_id)
        del self._by_address[self._shelf.record(number)["email_address"]]
        self._shelf.remove(number)
        call.record("DeleteWaitlistEntry", entry_id, False)
        return Reply.json({"object": "waitlist_entry", "id": entry_id, "deleted": True})

    def _entry(self, call: Call, address: str, notify: bool) -> int:
        known = self._by_address.get(address)
        if known is not None:
            return known
        number = self._shelf.take_number()
        record: Record = {
            "object": "waitlist_entry",
            "id": self._shelf.ids.make(number),
            "email_address": address,
            "status": "pending",
            "is_locked": False,
            "created_at": call.now_ms,
            "updated_at": call.now_ms,
            "invitation": None,
        }
        self._shelf.put(number, record)
        self._by_address[address] = number
        call.record("CreateWaitlistEntry", address, notify)
        return number


def _read(value: object) -> tuple[str, bool]:
    wanted: dict[str, Any] = read_object(value, _FIELDS)
    return email(wanted["email_address"]), wanted.get("notify", True)
