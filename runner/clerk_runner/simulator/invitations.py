"""Invitations to the instance: created alone and in bulk, listed, revoked."""

from dataclasses import dataclass

from .call import Call, Reply
from .errors import Problem, RefusalError, identifier_taken
from .fields import Field, Fields, email, read_object
from .formulas import DAY_MS, CreatedAt, Pattern
from .ids import Ids
from .invitation_book import InvitationBook, StatusLists, read_bulk
from .listing import Order, Page, bare, counted, flag
from .metadata import check_size
from .settings import BulkMode
from .shelf import Record, Shelf, breathe
from .timeline import Timeline
from .users import Users

# The end of the last day of 2099: an invitation of the formula is pending for as long as anybody tests.
_NEVER_MS = 4_102_444_799_999

_FIELDS: Fields = {
    "email_address": Field("string", required=True),
    "public_metadata": Field("object"),
    "redirect_url": Field("string"),
    "notify": Field("boolean"),
    "ignore_existing": Field("boolean"),
    "expires_in_days": Field("integer", minimum=1, maximum=365),
    "template_slug": Field("string", choices=("invitation", "waitlist_invitation")),
}


@dataclass(frozen=True, slots=True)
class InvitationSettings:
    """How many invitations are pending by formula, to whom, and what a bulk call with offenders does."""

    count: int
    pattern: Pattern
    bulk: BulkMode
    duplicate_lag_s: float
    seed: int


class Invitations:
    """The invitations of the instance, and the operations on them."""

    def __init__(self, settings: InvitationSettings, users: Users) -> None:
        self._users = users
        self._bulk = settings.bulk
        self._lag_ms = settings.duplicate_lag_s * 1000
        self._pattern = settings.pattern
        created_at_ms = CreatedAt().formula(settings.count)
        self._shelf = Shelf("invitation", Ids("inv_", settings.seed), settings.count, created_at_ms, self._formula_row)
        self._created_at_ms = created_at_ms
        self._lists = StatusLists(settings.count, created_at_ms)
        self._book = InvitationBook(self._shelf, lambda _: (self._lists,))
        self._written: dict[str, list[int]] = {}

    def _formula_row(self, number: int) -> bytes:
        address, created = self._pattern.make(number).encode(), self._created_at_ms(number)
        return (
            b'{"object":"invitation","id":"%b","email_address":"%b","public_metadata":{},"revoked":false,'
            b'"status":"pending","url":"https://accounts.example.com/sign-up?ticket=%d",'
            b'"expires_at":%d,"created_at":%d,"updated_at":%d}'
            % (self._shelf.ids.make(number).encode(), address, number, _NEVER_MS, created, created)
        )

    async def create(self, call: Call) -> Reply:
        """POST /invitations."""
        wanted = self._read(call.json())
        self._book.expire(call.now_ms)
        self._check_claimed(wanted, bulk=False)
        if not wanted.get("ignore_existing") and self._is_pending(wanted["email_address"], call.now_ms):
            raise _duplicates([wanted["email_address"]])
        return Reply(self._insert(call, wanted))

    async def create_bulk(self, call: Call) -> Reply:
        """POST /invitations/bulk: up to ten, all or nothing, or those that can be, as the settings say."""
        bodies = read_bulk(call.json())
        wanted = [self._read(body) for body in bodies]
        self._book.expire(call.now_ms)
        good, offence = self._judge(wanted, call.now_ms)
        if offence is not None and self._bulk == "all-or-nothing":
            raise offence
        if call.leave_out:
            good = good[:-1]
        rows = [self._insert(call, one) for one in good]
        if offence is not None and (self._bulk == "partial-refused" or not rows):
            raise offence
        return bare(rows)

    async def list_page(self, call: Call) -> Reply:
        """GET /invitations: all that are not revoked, or those of one status."""
        self._book.expire(call.now_ms)
        page = Page.read(call.query)
        order = Order.read(call.query, ("created_at", "email_address", "expires_at"))
        text = call.query.first("query")
        timeline = self._lists.wanted(call.query, self._lists.not_revoked)
        if text or order.field != "created_at":
            numbers, total = await self._select(timeline, text or "", page, order)
        else:
            total = len(timeline)
            numbers = timeline.page(page.offset, page.limit, order.descending)
        rows = self._shelf.rows(numbers)
        return counted(rows, total) if flag(call.query, "paginated") else bare(rows)

    async def revoke(self, call: Call) -> Reply:
        """POST /invitations/{invitation_id}/revoke: only a pending one can be."""
        self._book.expire(call.now_ms)
        number = self._shelf.get(call.params["invitation_id"])
        by_formula = self._shelf.is_formula(number)
        record = self._book.revoke(call.params["invitation_id"], call.now_ms)
        if by_formula:
            self._written.setdefault(record["email_address"], []).append(number)
        call.record("RevokeInvitation", record["id"], False)
        return Reply.json(record)

    def _read(self, body: object) -> Record:
        wanted: Record = read_object(body, _FIELDS)
        wanted["email_address"] = email(wanted["email_address"])
        check_size("public_metadata", wanted.get("public_metadata", {}))
        return wanted

    def _check_claimed(self, wanted: Record, bulk: bool) -> None:
        """Refuse an address that a user has; in a bulk call ignore_existing does not help."""
        if (bulk or not wanted.get("ignore_existing")) and self._users.has_email(wanted["email_address"]):
            raise identifier_taken("email_address")

    def _judge(self, wanted: list[Record], now_ms: int) -> tuple[list[Record], RefusalError | None]:
        """Which of a bulk call's invitations can be made, and the refusal that the others deserve."""
        good: list[Record] = []
        duplicates: list[str] = []
        claimed: RefusalError | None = None
        seen: set[str] = set()
        for one in wanted:
            address = one["email_address"]
            repeated = address in seen or (not one.get("ignore_existing") and self._is_pending(address, now_ms))
            seen.add(address)
            if repeated:
                duplicates.append(address)
                continue
            try:
                self._check_claimed(one, bulk=True)
            except RefusalError as offence:
                claimed = offence
            else:
                good.append(one)
        return good, _duplicates(duplicates) if duplicates else claimed

    def _is_pending(self, address: str, now_ms: int) -> bool:
        number = self._pattern.number(address)
        if number is not None and self._shelf.is_formula(number):
            return True
        return any(
            self._lists.pending.holds(written, self._shelf.created_at_ms(written))
            for written in self._written.get(address, ())
            if self._shelf.created_at_ms(written) + self._lag_ms <= now_ms
        )

    def _insert(self, call: Call, wanted: Record) -> bytes:
        number = self._shelf.take_number()
        address: str = wanted["email_address"]
        self._written.setdefault(address, []).append(number)
        call.record("CreateInvitation", address, wanted.get("notify", True))
        return self._book.put(
            number,
            {
                "object": "invitation",
                "id": self._shelf.ids.make(number),
                "email_address": address,
                "public_metadata": wanted.get("public_metadata", {}),
                "revoked": False,
                "status": "pending",
                "url": f"https://accounts.example.com/sign-up?ticket={number}",
                "expires_at": call.now_ms + wanted.get("expires_in_days", 30) * DAY_MS,
                "created_at": call.now_ms,
                "updated_at": call.now_ms,
            },
        )

    async def _select(self, timeline: Timeline, text: str, page: Page, order: Order) -> tuple[list[int], int]:
        """The numbers of a page that match a text (in address or id), in an order, and how many match."""
        numbers = await self._matching(timeline, text.strip())
        if order.field == "created_at":
            numbers.sort(key=lambda number: (self._shelf.created_at_ms(number), number))
        else:
            numbers.sort(key=lambda number: (self._shelf.record(number)[order.field], number))
        if order.descending:
            numbers.reverse()
        return numbers[page.offset : page.offset + page.limit], len(numbers)

    async def _matching(self, timeline: Timeline, text: str) -> list[int]:
        shelf = self._shelf
        by_id, text = shelf.find(text), text.lower()
        found = {number for address, numbers in self._written.items() if text in address for number in numbers}
        exact = self._pattern.number(text)
        found.update(number for number in (exact, by_id) if number is not None and shelf.exists(number))
        if self._pattern.may_hold(text):
            for number in range(shelf.count):
                await breathe(number)
                if text in self._pattern.make(number):
                    found.add(number)
        return [number for number in found if timeline.holds(number, shelf.created_at_ms(number))]


def _duplicates(addresses: list[str]) -> RefusalError:
    return RefusalError(
        400,
        Problem(
            "duplicate_record",
            "duplicate invitation",
            "there are pending invitations for some of these addresses",
            {"email_addresses": addresses},
        ),
    )
