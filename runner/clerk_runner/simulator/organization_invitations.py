"""Invitations to organizations: created alone and in bulk, listed for one or for all, revoked."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from .call import Call, Reply
from .errors import RefusalError, not_found, refusal
from .fields import Field, Fields, email, read_object
from .formulas import DAY_MS
from .ids import Ids
from .invitation_book import InvitationBook, StatusLists, read_bulk
from .listing import Order, Page, counted
from .memberships import Memberships, role_name
from .metadata import check_size
from .organizations import Organizations, role
from .settings import BulkMode
from .shelf import Record, Shelf
from .timeline import Timeline

_FIELDS: Fields = {
    "email_address": Field("string", required=True),
    "role": Field("string", required=True),
    "inviter_user_id": Field("string"),
    "public_metadata": Field("object"),
    "private_metadata": Field("object"),
    "redirect_url": Field("string"),
    "expires_in_days": Field("integer", minimum=1, maximum=365),
    "notify": Field("boolean"),
}
_ORDERS = ("created_at", "email_address")


@dataclass(frozen=True, slots=True)
class OrganizationInvitationSettings:
    """What a bulk call with offenders does, which roles there are, and the seed of the ids."""

    bulk: BulkMode
    duplicate_lag_s: float
    roles: tuple[str, ...]
    seed: int


class OrganizationInvitations:
    """The invitations to every organization, and the operations on them."""

    def __init__(
        self,
        organizations: Organizations,
        memberships: Memberships,
        settings: OrganizationInvitationSettings,
    ) -> None:
        self._organizations = organizations
        self._memberships = memberships
        self._settings = settings
        self._shelf = Shelf("organization invitation", Ids("orginv_", settings.seed))
        self._all = StatusLists()
        self._lists: dict[str, StatusLists] = {}
        self._book = InvitationBook(self._shelf, self._lists_of)
        self._written: dict[tuple[str, str], list[int]] = {}

    def _lists_of(self, record: Record) -> Iterable[StatusLists]:
        return self._all, self._lists.setdefault(record["organization_id"], StatusLists())

    async def create(self, call: Call) -> Reply:
        """POST /organizations/{organization_id}/invitations."""
        organization = self._organizations.get(call.params["organization_id"])
        self._book.expire(call.now_ms)
        wanted = self._read(call.json(), organization)
        offence = self._offence(organization, wanted, set(), call.now_ms)
        if offence is not None:
            raise offence
        self._check_room(organization, 1)
        return Reply(self._insert(call, organization, wanted))

    async def create_bulk(self, call: Call) -> Reply:
        """POST /organizations/{organization_id}/invitations/bulk."""
        organization = self._organizations.get(call.params["organization_id"])
        self._book.expire(call.now_ms)
        wanted = [self._read(body, organization) for body in read_bulk(call.json())]
        good: list[Record] = []
        offence: RefusalError | None = None
        seen: set[str] = set()
        for one in wanted:
            problem = self._offence(organization, one, seen, call.now_ms)
            seen.add(one["email_address"])
            if problem is None:
                good.append(one)
            offence = offence or problem
        if offence is not None and self._settings.bulk == "all-or-nothing":
            raise offence
        self._check_room(organization, len(good))
        if call.leave_out:
            good = good[:-1]
        rows = [self._insert(call, organization, one) for one in good]
        if offence is not None and (self._settings.bulk == "partial-refused" or not rows):
            raise offence
        return counted(rows, len(rows))

    async def list_page(self, call: Call) -> Reply:
        """GET /organizations/{organization_id}/invitations."""
        number = self._organizations.get(call.params["organization_id"])
        self._book.expire(call.now_ms)
        organization_id = self._organizations.shelf.ids.make(number)
        lists = self._lists.get(organization_id) or StatusLists()
        timeline = lists.wanted(call.query, lists.everything)
        address = (call.query.first("email_address") or "").strip().lower()
        found: Iterable[int] | None = None
        if address:
            found = self._written.get((organization_id, address), ())
        numbers, total = self._select(call, timeline, found)
        return counted(self._shelf.rows(numbers), total)

    async def list_pending(self, call: Call) -> Reply:
        """GET /organizations/{organization_id}/invitations/pending: the deprecated list of pending ones."""
        return await self.list_page(replace(call, query_text=f"{call.query_text}&status=pending"))

    async def list_all(self, call: Call) -> Reply:
        """GET /organization_invitations: those of every organization."""
        self._book.expire(call.now_ms)
        timeline = self._all.wanted(call.query, self._all.everything)
        text = (call.query.first("query") or "").strip().lower()
        found: Iterable[int] | None = None
        if text:
            found = self._to(lambda address: text in address)
        return self._reply(*self._select(call, timeline, found))

    async def list_of_user(self, call: Call) -> Reply:
        """GET /users/{user_id}/organization_invitations: those to one of the user's addresses."""
        self._book.expire(call.now_ms)
        addresses = set(self._memberships.addresses_of(call.params["user_id"]))
        timeline = self._all.wanted(call.query, self._all.everything)
        return self._reply(*self._select(call, timeline, self._to(addresses.__contains__)))

    async def get(self, call: Call) -> Reply:
        """GET /organizations/{organization_id}/invitations/{invitation_id}."""
        self._book.expire(call.now_ms)
        return Reply(self._shelf.row(self._of_organization(call)))

    async def revoke(self, call: Call) -> Reply:
        """POST /organizations/{organization_id}/invitations/{invitation_id}/revoke."""
        self._book.expire(call.now_ms)
        self._of_organization(call)
        wanted = read_object(call.json(), {"requesting_user_id": Field("string")})
        if "requesting_user_id" in wanted:
            self._check_administrator(
                self._organizations.get(call.params["organization_id"]), str(wanted["requesting_user_id"])
            )
        record = self._book.revoke(call.params["invitation_id"], call.now_ms)
        call.record("RevokeOrganizationInvitation", record["id"], False)
        return Reply.json(record)

    def drop(self, organization_id: str) -> None:
        """Forget the invitations of an organization that was deleted."""
        lists = self._lists.pop(organization_id, None)
        if lists is None:
            return
        for number in lists.everything.numbers(0, len(lists.everything)):
            record = self._shelf.record(number)
            self._written.pop((organization_id, record["email_address"]), None)
            self._all.drop(number, record["created_at"], record["status"])
            self._shelf.remove(number)

    def _read(self, body: object, organization: int) -> Record:
        wanted: Record = read_object(body, _FIELDS)
        wanted["email_address"] = email(wanted["email_address"])
        wanted["role"] = role(wanted["role"], self._settings.roles)
        for name in ("public_metadata", "private_metadata"):
            check_size(name, wanted.get(name, {}))
        if "inviter_user_id" in wanted:
            self._check_administrator(organization, wanted["inviter_user_id"])
        return wanted

    def _check_administrator(self, organization: int, user_id: str) -> None:
        membership = self._memberships.find(organization, self._memberships.user(user_id))
        if membership is None or self._memberships.shelf.record(membership)["role"] != "org:admin":
            raise refusal(403, "not_an_admin_in_organization", "not allowed", "the user is no administrator of it")

    def _offence(self, organization: int, wanted: Record, seen: set[str], now_ms: int) -> RefusalError | None:
        """Why one invitation cannot be made, None where it can."""
        address = wanted["email_address"]
        if address in seen or self._is_pending(organization, address, now_ms):
            return refusal(
                400,
                "organization_invitation_not_unique",
                "already invited",
                "there is a pending invitation for this address",
                param_name="email_address",
            )
        if self._memberships.member_with_email(organization, address) is not None:
            return refusal(
                400,
                "already_a_member_in_organization",
                "already a member",
                "the user with this address is a member",
                param_name="email_address",
            )
        return None

    def _is_pending(self, organization: int, address: str, now_ms: int) -> bool:
        organization_id = self._organizations.shelf.ids.make(organization)
        numbers = self._written.get((organization_id, address), ())
        lag_ms = self._settings.duplicate_lag_s * 1000
        return any(
            self._all.pending.holds(number, self._shelf.created_at_ms(number))
            for number in numbers
            if self._shelf.created_at_ms(number) + lag_ms <= now_ms
        )

    def _check_room(self, organization: int, more: int) -> None:
        lists = self._lists.get(self._organizations.shelf.ids.make(organization))
        self._memberships.check_room(organization, more, len(lists.pending) if lists else 0)

    def _insert(self, call: Call, organization: int, wanted: Record) -> bytes:
        number = self._shelf.take_number()
        organization_id = self._organizations.shelf.ids.make(organization)
        address, inviter_id = wanted["email_address"], wanted.get("inviter_user_id")
        self._written.setdefault((organization_id, address), []).append(number)
        call.record("CreateOrganizationInvitation", f"{organization_id}:{address}", wanted.get("notify", True))
        return self._book.put(
            number,
            {
                "object": "organization_invitation",
                "id": self._shelf.ids.make(number),
                "email_address": address,
                "role": wanted["role"],
                "role_name": role_name(wanted["role"]),
                "organization_id": organization_id,
                "inviter_id": inviter_id,
                "public_inviter_data": self._memberships.public_data(inviter_id) if inviter_id else None,
                "status": "pending",
                "public_metadata": wanted.get("public_metadata", {}),
                "private_metadata": wanted.get("private_metadata", {}),
                "url": f"https://accounts.example.com/join?ticket={number}",
                "expires_at": call.now_ms + wanted.get("expires_in_days", 30) * DAY_MS,
                "created_at": call.now_ms,
                "updated_at": call.now_ms,
            },
        )

    def _of_organization(self, call: Call) -> int:
        """The number of an invitation that belongs to the organization in the path."""
        organization = self._organizations.get(call.params["organization_id"])
        number = self._shelf.get(call.params["invitation_id"])
        if self._shelf.record(number)["organization_id"] != self._organizations.shelf.ids.make(organization):
            raise not_found("organization invitation", call.params["invitation_id"])
        return number

    def _select(self, call: Call, timeline: Timeline, found: Iterable[int] | None) -> tuple[list[int], int]:
        """The numbers of a page, of all in a list or of those found, and how many there are."""
        page, order = Page.read(call.query), Order.read(call.query, _ORDERS)
        if found is None and order.field == "created_at":
            return timeline.page(page.offset, page.limit, order.descending), len(timeline)
        candidates = timeline.numbers(0, len(timeline)) if found is None else found
        keys = [
            (self._shelf.record(number)[order.field], number)
            for number in candidates
            if timeline.holds(number, self._shelf.created_at_ms(number))
        ]
        keys.sort(reverse=order.descending)
        return [number for _, number in keys[page.offset : page.offset + page.limit]], len(keys)

    def _to(self, wanted: Callable[[str], bool]) -> Iterable[int]:
        """The invitations to the addresses that are wanted."""
        return itertools.chain.from_iterable(
            numbers for (_, address), numbers in self._written.items() if wanted(address)
        )

    def _reply(self, numbers: list[int], total: int) -> Reply:
        """A list of invitations to several organizations, with the public data of each."""
        records = [self._shelf.record(number) for number in numbers]
        data = [record | {"public_organization_data": self._public_data(record)} for record in records]
        return Reply.json({"data": data, "total_count": total})

    def _public_data(self, record: Record) -> Record:
        organization = self._organizations.shelf.record(self._organizations.get(record["organization_id"]))
        return {name: organization[name] for name in ("id", "name", "slug", "image_url", "has_image")}
