"""The users of the instance: by formula, created, changed and deleted; found by what identifies them."""

from collections.abc import Iterator
from typing import Any

from .formulas import CreatedAt, Pattern
from .ids import Ids
from .shelf import Record, Shelf
from .timeline import Timeline
from .user_rows import EXTERNAL_ID, USERNAME, UserRows, number_of_phone

TIMES = ("created_at", "updated_at", "last_active_at", "last_sign_in_at")
IDENTIFIERS = ("email_address", "phone_number", "username", "external_id", "web3_wallet")


class Users:
    """Every user, and two orders of them: by creation and by last change.

    Args:
        count: how many exist by formula.
        email_pattern: their addresses.
        created: how their creation is spread in time.
        seed: of their ids.
    """

    def __init__(self, count: int, email_pattern: str, created: CreatedAt, seed: int) -> None:
        self._pattern = Pattern(email_pattern)
        ids = Ids("user_", seed)
        created_at_ms = created.formula(count)
        self.rows = UserRows(ids, self._pattern, created_at_ms)
        self.shelf = Shelf("user", ids, count, created_at_ms, self.rows.row)
        # By formula no user was changed since it was created, so both orders begin alike.
        self.by_change = Timeline(count, created_at_ms)
        self._numbers: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self.shelf)

    def holder(self, kind: str, value: str) -> int | None:
        """The number of the user who has an identifier, the kind being one of IDENTIFIERS."""
        written = self._numbers.get(_key(kind, value))
        if written is not None:
            return written
        number = self._by_formula(kind, value)
        return number if number is not None and self.shelf.is_formula(number) else None

    def has_email(self, address: str) -> bool:
        """Whether a user has this address."""
        return self.holder("email_address", address) is not None

    def put(self, number: int, record: Record) -> bytes:
        """Write a user, new or changed, and give back the JSON."""
        self._forget(number)
        for key in identifiers(record):
            self._numbers[key] = number
        self.by_change.add(number, record["updated_at"])
        return self.shelf.put(number, record)

    def remove(self, number: int) -> None:
        """Delete an existing user."""
        self._forget(number)
        self.shelf.remove(number)

    def updated_at_ms(self, number: int) -> int:
        """When an existing user was last changed."""
        if self.shelf.is_formula(number):
            return self.shelf.created_at_ms(number)
        updated_at_ms: int = self.shelf.record(number)["updated_at"]
        return updated_at_ms

    def _forget(self, number: int) -> None:
        """Take an existing user out of everything that is not the shelf."""
        if not self.shelf.exists(number):
            return
        self.by_change.discard(number, self.updated_at_ms(number))
        if not self.shelf.is_formula(number):
            for key in identifiers(self.shelf.record(number)):
                self._numbers.pop(key, None)

    def _by_formula(self, kind: str, value: str) -> int | None:
        if kind == "email_address":
            return self._pattern.number(value.lower())
        if kind == "username":
            return USERNAME.number(value.lower())
        if kind == "external_id":
            return EXTERNAL_ID.number(value)
        return number_of_phone(value) if kind == "phone_number" else None


def values_of(record: Record, kind: str) -> list[str]:
    """The values that a user has of one kind of identifier."""
    if kind in {"username", "external_id"}:
        return [record[kind]] if record[kind] is not None else []
    entries: list[dict[str, Any]] = record["email_addresses" if kind == "email_address" else f"{kind}s"]
    return [entry[kind] for entry in entries]


def identifiers(record: Record) -> Iterator[tuple[str, str]]:
    """Everything by which a user can be found: (kind, value as it is compared)."""
    for kind in IDENTIFIERS:
        for value in values_of(record, kind):
            yield _key(kind, value)


def _key(kind: str, value: str) -> tuple[str, str]:
    """An identifier as it is compared: without regard to case, but for external ids."""
    return kind, value if kind == "external_id" else value.lower()


def sort_key(record: Record, field: str) -> tuple[bool, Any]:
    """A key that compares: whoever lacks the field comes first."""
    if field in {"email_address", "phone_number", "web3wallet"}:
        values = values_of(record, "web3_wallet" if field == "web3wallet" else field)
        return bool(values), values[0] if values else ""
    value = record[field]
    return value is not None, value if value is not None else (0 if field in TIMES else "")
