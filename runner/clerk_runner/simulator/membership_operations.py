"""The operations on memberships: created, listed for an organization, a user or all, changed, ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .call import Call, Query, Reply
from .errors import not_found, refusal
from .fields import Field, Fields, read_object
from .listing import Order, Page, Wanted, number
from .memberships import Memberships
from .metadata import check_size, merged
from .organizations import Organizations, role
from .settings import BoundsMode
from .shelf import Record, breathe
from .user_filters import UserFilter
from .users import sort_key

_METADATA: Fields = {"public_metadata": Field("object"), "private_metadata": Field("object")}
_CREATE: Fields = {
    "user_id": Field("string", required=True),
    "role": Field("string", required=True),
    **_METADATA,
}
_ORDERS = ("created_at", "phone_number", "email_address", "first_name", "last_name", "username")
# Filters of users that the list of memberships does not have.
_USERS_ONLY = frozenset(
    {"external_id", "organization_id", "provider", "provider_user_id", "banned", "last_active_at_since"}
    | {"last_sign_in_at_before", "last_sign_in_at_after"}
)


@dataclass(frozen=True, slots=True)
class MembershipSettings:
    """Which roles there are, and whether bounds of times are inclusive."""

    roles: tuple[str, ...]
    bounds: BoundsMode


class MembershipOperations:
    """The operations on memberships."""

    def __init__(self, memberships: Memberships, organizations: Organizations, settings: MembershipSettings) -> None:
        self._memberships = memberships
        self._organizations = organizations
        self._settings = settings

    async def create(self, call: Call) -> Reply:
        """POST /organizations/{organization_id}/memberships."""
        organization = self._organizations.get(call.params["organization_id"])
        wanted: Record = read_object(call.json(), _CREATE)
        for name in _METADATA:
            check_size(name, wanted.get(name, {}))
        user = self._memberships.user(wanted["user_id"])
        known_role = role(wanted["role"], self._settings.roles)
        if self._memberships.find(organization, user) is not None:
            raise refusal(400, "already_a_member_in_organization", "already a member", "the user is a member already")
        self._memberships.check_room(organization, 1, 0)
        public, private = wanted.get("public_metadata", {}), wanted.get("private_metadata", {})
        membership = self._memberships.add(organization, user, known_role, public, private, call.now_ms)
        return self._written(call, "CreateOrganizationMembership", membership)

    async def list_page(self, call: Call) -> Reply:
        """GET /organizations/{organization_id}/memberships."""
        organization = self._organizations.get(call.params["organization_id"])
        wanted = _Filter.read(call.query, self._settings.bounds)
        numbers = [
            membership
            for membership in self._memberships.of_organization(organization)
            if wanted is None or wanted.admits(self._memberships, membership)
        ]
        return self._page(call.query, numbers)

    async def list_all(self, call: Call) -> Reply:
        """GET /organization_memberships: those of every organization."""
        timeline = self._memberships.shelf.by_creation
        page, order = Page.read(call.query), Order.read(call.query, _ORDERS)
        if order.field != "created_at":
            keys: list[tuple[Any, int]] = []
            for place, membership in enumerate(timeline.numbers(0, len(timeline))):
                await breathe(place)
                if self._memberships.shelf.exists(membership):
                    keys.append((self._sort_key(membership, order.field), membership))
            return self._shown(_sorted_page(keys, page, order), len(keys))
        return self._shown(timeline.page(page.offset, page.limit, order.descending), len(timeline))

    async def list_of_user(self, call: Call) -> Reply:
        """GET /users/{user_id}/organization_memberships."""
        user = self._memberships.user(call.params["user_id"])
        return self._page(call.query, self._memberships.of_user(user))

    async def update(self, call: Call) -> Reply:
        """PATCH /organizations/{organization_id}/memberships/{user_id}: the role."""
        membership = self._number(call)
        wanted: Record = read_object(call.json(), {"role": Field("string", required=True)})
        record = self._memberships.shelf.record(membership)
        record["role"] = role(wanted["role"], self._settings.roles)
        return self._write(call, "UpdateOrganizationMembership", membership, record)

    async def merge_metadata(self, call: Call) -> Reply:
        """PATCH /organizations/{organization_id}/memberships/{user_id}/metadata."""
        membership = self._number(call)
        record = merged(self._memberships.shelf.record(membership), call.json(), _METADATA)
        return self._write(call, "UpdateOrganizationMembershipMetadata", membership, record)

    async def delete(self, call: Call) -> Reply:
        """DELETE /organizations/{organization_id}/memberships/{user_id}: answers what it was."""
        membership = self._number(call)
        shown = self._memberships.shown(membership)
        self._memberships.remove(membership)
        call.record("DeleteOrganizationMembership", shown["id"], False)
        return Reply.json(shown)

    def _number(self, call: Call) -> int:
        organization = self._organizations.get(call.params["organization_id"])
        user = self._memberships.user(call.params["user_id"])
        membership = self._memberships.find(organization, user)
        if membership is None:
            raise not_found("organization membership", call.params["user_id"])
        return membership

    def _write(self, call: Call, operation: str, membership: int, record: Record) -> Reply:
        record["updated_at"] = call.now_ms
        self._memberships.shelf.put(membership, record)
        return self._written(call, operation, membership)

    def _written(self, call: Call, operation: str, membership: int) -> Reply:
        shown = self._memberships.shown(membership)
        call.record(operation, shown["id"], False)
        return Reply.json(shown)

    def _page(self, query: Query, numbers: list[int]) -> Reply:
        page, order = Page.read(query), Order.read(query, _ORDERS)
        keys = [(self._sort_key(membership, order.field), membership) for membership in numbers]
        return self._shown(_sorted_page(keys, page, order), len(keys))

    def _shown(self, numbers: Iterable[int], total: int) -> Reply:
        return Reply.json(
            {"data": [self._memberships.shown(membership) for membership in numbers], "total_count": total}
        )

    def _sort_key(self, membership: int, field: str) -> tuple[bool, Any]:
        if field == "created_at":
            return True, self._memberships.shelf.created_at_ms(membership)
        return sort_key(self._memberships.user_record(membership), field)


@dataclass(frozen=True, slots=True)
class _Filter:
    """What a list of memberships asks of the user and of the role."""

    user: UserFilter
    roles: Wanted
    after_ms: int | None
    before_ms: int | None

    @classmethod
    def read(cls, query: Query, bounds: BoundsMode) -> "_Filter | None":
        """The filters that are given, None without any."""
        user = UserFilter.read(query.without(_USERS_ONLY), bounds)
        roles = Wanted.read(query, "role")
        after, before = number(query, "created_at_after"), number(query, "created_at_before")
        if bounds == "exclusive":
            after = None if after is None else after + 1
            before = None if before is None else before - 1
        if not user.narrows and not roles and after is None and before is None:
            return None
        return cls(user, roles, after, before)

    def admits(self, memberships: Memberships, membership: int) -> bool:
        """Whether a membership passes."""
        record = memberships.shelf.record(membership)
        user = memberships.user_record(membership)
        after_ms, before_ms, created_at_ms = self.after_ms, self.before_ms, user["created_at"]
        in_time = (after_ms is None or created_at_ms >= after_ms) and (before_ms is None or created_at_ms <= before_ms)
        fits = in_time and self.roles.admits([record["role"]])
        return fits and self.user.matches(record["user"], user, memberships)


def _sorted_page(keys: list[tuple[Any, int]], page: Page, order: Order) -> list[int]:
    keys.sort(reverse=order.descending)
    return [membership for _, membership in keys[page.offset : page.offset + page.limit]]
