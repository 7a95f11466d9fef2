"""Reading, creating, changing and deleting users, their metadata, and banning or locking them."""

from collections.abc import Callable
from typing import Any

from .call import Call, Reply
from .errors import refusal
from .fields import Field, read_object
from .ids import Ids
from .listing import bare
from .metadata import merged, replaced
from .routes import Handler
from .shelf import Record
from .user_fields import CREATE, METADATA, UPDATE, add_identifications, apply, check_unique, cleared
from .user_records import user_record
from .users import Users, identifiers

_BAN_MAXIMUM = 50
# From this version on, users take metadata only at .../metadata; before, PATCH replaces it.
_METADATA_APART = "2026-05-12"
_MARKS: dict[str, dict[str, Any]] = {
    "BanUser": {"banned": True},
    "UnbanUser": {"banned": False},
    "LockUser": {"locked": True, "lockout_expires_in_seconds": 3600},
    "UnlockUser": {"locked": False, "lockout_expires_in_seconds": None},
}


class UserOperations:
    """The operations on single users.

    Args:
        users: the users.
        quota: most users the instance holds, None for no bound.
        drop_memberships: ends the memberships of a user who is deleted.
        seed: of the ids of e-mail addresses and phone numbers.
    """

    def __init__(self, users: Users, quota: int | None, drop_memberships: Callable[[int], None], seed: int) -> None:
        self._users = users
        self._quota = quota
        self._drop_memberships = drop_memberships
        self._identification_ids = Ids("idn_", seed)
        self._identifications = 0

    async def get(self, call: Call) -> Reply:
        """GET /users/{user_id}."""
        return Reply(self._users.shelf.row(self._number(call)))

    async def create(self, call: Call) -> Reply:
        """POST /users."""
        wanted = read_object(call.json(), CREATE)
        self._check_quota()
        self._check_identified(wanted)
        shelf = self._users.shelf
        record = user_record("", call.now_ms)
        apply(wanted, record, call.now_ms)
        add_identifications(wanted, record, self._new_identification)
        record.update({name: True for name in ("banned", "locked") if wanted.get(name)})
        check_unique(self._users, list(identifiers(record)), None)
        number = shelf.take_number()
        record["id"] = shelf.ids.make(number)
        return self._write(call, "CreateUser", number, record)

    async def update(self, call: Call) -> Reply:
        """PATCH /users/{user_id}."""
        number = self._number(call)
        fields = UPDATE if call.version >= _METADATA_APART else {**UPDATE, **METADATA}
        wanted = read_object(call.json(), fields)
        record = self._users.shelf.record(number)
        record.update(cleared(call.json()))
        apply(wanted, record, call.now_ms)
        check_unique(self._users, list(identifiers(record)), number)
        return self._write(call, "UpdateUser", number, record)

    async def merge_metadata(self, call: Call) -> Reply:
        """PATCH /users/{user_id}/metadata."""
        number = self._number(call)
        record = merged(self._users.shelf.record(number), call.json(), METADATA)
        return self._write(call, "UpdateUserMetadata", number, record)

    async def replace_metadata(self, call: Call) -> Reply:
        """PUT /users/{user_id}/metadata."""
        number = self._number(call)
        record = replaced(self._users.shelf.record(number), call.json(), METADATA)
        return self._write(call, "ReplaceUserMetadata", number, record)

    async def delete(self, call: Call) -> Reply:
        """DELETE /users/{user_id}: with all memberships."""
        number = self._number(call)
        external_id = self._users.shelf.record(number)["external_id"]
        self._drop_memberships(number)
        self._users.remove(number)
        user_id = call.params["user_id"]
        call.record("DeleteUser", user_id, False)
        gone: Record = {"object": "user", "id": user_id, "deleted": True}
        return Reply.json(gone if external_id is None else gone | {"external_id": external_id})

    def mark(self, operation: str) -> Handler:
        """The handler of BanUser, UnbanUser, LockUser or UnlockUser."""

        async def handle(call: Call) -> Reply:
            number = self._number(call)
            record = self._users.shelf.record(number) | _MARKS[operation]
            return self._write(call, operation, number, record)

        return handle

    def mark_many(self, operation: str) -> Handler:
        """The handler of banning or unbanning up to 50 users; an unknown one refuses all."""

        async def handle(call: Call) -> Reply:
            ids: Any = read_object(call.json(), {"user_ids": Field("strings", required=True)})["user_ids"]
            if not 1 <= len(ids) <= _BAN_MAXIMUM:
                raise refusal(400, "bulk_size_exceeded", "wrong number of items", f"give 1 to {_BAN_MAXIMUM} ids")
            numbers = [self._users.shelf.get(user_id) for user_id in ids]
            for number in numbers:
                record = self._users.shelf.record(number) | _MARKS[operation]
                self._write(call, operation, number, record)
            return bare(self._users.shelf.rows(numbers))

        return handle

    def _number(self, call: Call) -> int:
        return self._users.shelf.get(call.params["user_id"])

    def _write(self, call: Call, operation: str, number: int, record: Record) -> Reply:
        record["updated_at"] = call.now_ms
        row = self._users.put(number, record)
        call.record(operation, record["id"], False)
        return Reply(row)

    def _new_identification(self) -> str:
        self._identifications += 1
        return self._identification_ids.make(self._identifications)

    def _check_quota(self) -> None:
        if self._quota is not None and len(self._users) >= self._quota:
            raise refusal(403, "user_quota_exceeded", "too many users", f"this instance holds {self._quota} users")

    def _check_identified(self, wanted: Record) -> None:
        """Refuse a user by whom nobody could sign in."""
        ways = ("email_address", "phone_number", "username", "web3_wallet")
        if not any(wanted.get(name) for name in ways) and not wanted.get("skip_user_requirement"):
            raise refusal(422, "form_data_missing", "something is missing", "give one of them", param_names=list(ways))
