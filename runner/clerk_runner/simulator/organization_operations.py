"""The operations on organizations: listed, created, changed, deleted, and their metadata."""

from collections.abc import Callable

from .call import Call, Reply
from .fields import Field, Fields, read_object, rfc3339_ms
from .listing import Order, Page, Wanted, counted, flag
from .memberships import Memberships
from .metadata import check_size, merged, replaced
from .organizations import Organizations
from .shelf import Record, breathe

_METADATA: Fields = {"public_metadata": Field("object"), "private_metadata": Field("object")}
_UPDATE: Fields = {
    "name": Field("string"),
    "slug": Field("string"),
    "max_allowed_memberships": Field("integer", minimum=0),
    "admin_delete_enabled": Field("boolean"),
    "created_at": Field("string"),
    "role_set_key": Field("string"),
}
_CREATE: Fields = {
    **{name: spec for name, spec in _UPDATE.items() if name != "admin_delete_enabled"},
    **_METADATA,
    "name": Field("string", required=True),
    "created_by": Field("string"),
}
# From this version on, organizations take metadata only at .../metadata.
_METADATA_APART = "2026-05-12"


class OrganizationOperations:
    """The operations on organizations themselves."""

    def __init__(
        self,
        organizations: Organizations,
        memberships: Memberships,
        drop_invitations: Callable[[str], None],
    ) -> None:
        self._organizations = organizations
        self._memberships = memberships
        self._drop_invitations = drop_invitations

    async def list_page(self, call: Call) -> Reply:
        """GET /organizations."""
        query, shelf = call.query, self._organizations.shelf
        page, order = Page.read(query), Order.read(query, ("name", "created_at", "members_count"))
        ids = Wanted.read(query, "organization_id", signs=True)
        users = Wanted.read(query, "user_id", signs=True)
        text = (query.first("query") or "").lower()
        if not (ids or users or text) and order.field == "created_at":
            numbers, total = shelf.by_creation.page(page.offset, page.limit, order.descending), len(shelf)
        else:
            matching = await self._matching(ids, users, text)
            matching.sort(key=self._sort_key(order.field), reverse=order.descending)
            numbers, total = matching[page.offset : page.offset + page.limit], len(matching)
        if flag(query, "include_members_count"):
            return Reply.json({"data": [self._with_count(number) for number in numbers], "total_count": total})
        return counted(shelf.rows(numbers), total)

    async def get(self, call: Call) -> Reply:
        """GET /organizations/{organization_id}: by id or slug."""
        number = self._organizations.get(call.params["organization_id"])
        if flag(call.query, "include_members_count"):
            return Reply.json(self._with_count(number))
        return Reply(self._organizations.shelf.row(number))

    async def create(self, call: Call) -> Reply:
        """POST /organizations: created_by, where given, becomes its administrator."""
        wanted = read_object(call.json(), _CREATE)
        for name in _METADATA:
            check_size(name, wanted.get(name, {}))
        shelf = self._organizations.shelf
        creator = None
        if "created_by" in wanted:
            creator = self._memberships.user(str(wanted["created_by"]))
        number = shelf.take_number()
        slug = str(wanted.get("slug") or f"org-{number}")
        self._organizations.check_slug(slug, None)
        created_at_ms = rfc3339_ms(wanted, "created_at", call.now_ms)
        record: Record = {
            "object": "organization",
            "id": shelf.ids.make(number),
            "name": wanted["name"],
            "slug": slug,
            "image_url": "https://img.example.com/organization.png",
            "has_image": False,
            "max_allowed_memberships": wanted.get("max_allowed_memberships", 0),
            "admin_delete_enabled": True,
            "public_metadata": wanted.get("public_metadata", {}),
            "private_metadata": wanted.get("private_metadata", {}),
            "created_at": created_at_ms,
            "updated_at": call.now_ms,
            "role_set_key": wanted.get("role_set_key"),
        }
        if creator is not None:
            record["created_by"] = wanted["created_by"]
        row = self._organizations.put(number, record)
        if creator is not None:
            self._memberships.add(number, creator, "org:admin", {}, {}, call.now_ms)
        call.record("CreateOrganization", record["id"], False)
        return Reply(row)

    async def update(self, call: Call) -> Reply:
        """PATCH /organizations/{organization_id}."""
        number = self._organizations.get(call.params["organization_id"])
        fields = _UPDATE if call.version >= _METADATA_APART else {**_UPDATE, **_METADATA}
        wanted = read_object(call.json(), fields)
        record = self._organizations.shelf.record(number)
        if "slug" in wanted:
            self._organizations.check_slug(str(wanted["slug"]), number)
        for name in _METADATA:
            check_size(name, wanted.get(name, {}))
        record.update(wanted, created_at=rfc3339_ms(wanted, "created_at", record["created_at"]))
        return self._write(call, "UpdateOrganization", number, record)

    async def merge_metadata(self, call: Call) -> Reply:
        """PATCH /organizations/{organization_id}/metadata."""
        number = self._organizations.get(call.params["organization_id"])
        record = merged(self._organizations.shelf.record(number), call.json(), _METADATA)
        return self._write(call, "MergeOrganizationMetadata", number, record)

    async def replace_metadata(self, call: Call) -> Reply:
        """PUT /organizations/{organization_id}/metadata."""
        number = self._organizations.get(call.params["organization_id"])
        record = replaced(self._organizations.shelf.record(number), call.json(), _METADATA)
        return self._write(call, "ReplaceOrganizationMetadata", number, record)

    async def delete(self, call: Call) -> Reply:
        """DELETE /organizations/{organization_id}: with its memberships and invitations."""
        number = self._organizations.get(call.params["organization_id"])
        self._memberships.remove_organization(number)
        record = self._organizations.remove(number)
        self._drop_invitations(record["id"])
        call.record("DeleteOrganization", record["id"], False)
        return Reply.json({"object": "organization", "id": record["id"], "slug": record["slug"], "deleted": True})

    def _write(self, call: Call, operation: str, number: int, record: Record) -> Reply:
        record["updated_at"] = call.now_ms
        row = self._organizations.put(number, record)
        call.record(operation, record["id"], False)
        return Reply(row)

    def _with_count(self, number: int) -> Record:
        record = self._organizations.shelf.record(number)
        return record | {"members_count": len(self._memberships.of_organization(number))}

    def _sort_key(self, field: str) -> Callable[[int], tuple[object, int]]:
        shelf = self._organizations.shelf
        if field == "members_count":
            return lambda number: (len(self._memberships.of_organization(number)), number)
        if field == "name":
            return lambda number: (shelf.record(number)["name"], number)
        return lambda number: (shelf.created_at_ms(number), number)

    async def _matching(self, ids: Wanted, users: Wanted, text: str) -> list[int]:
        shelf = self._organizations.shelf
        numbers = shelf.by_creation.numbers(0, len(shelf))
        if ids.include:
            numbers = [number for number in map(shelf.find, sorted(ids.include)) if number is not None]
        found: list[int] = []
        for place, number in enumerate(numbers):
            await breathe(place)
            if shelf.exists(number) and self._matches(shelf.record(number), number, ids, users, text):
                found.append(number)
        return found

    def _matches(self, record: Record, number: int, ids: Wanted, users: Wanted, text: str) -> bool:
        named = text == record["id"].lower() or text in record["name"].lower() or text in record["slug"]
        if not named or not ids.admits([record["id"]]):
            return False
        return not users or users.admits(self._memberships.user_ids_of(number))
