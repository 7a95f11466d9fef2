"""Operations that Clerk also has for many at once: fifty users are banned, or put on the waitlist, by one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from clerk_jobs.call import Call, Item, Outcome, Reply, State
from clerk_jobs.catalog import Catalog, Operation
from clerk_jobs.catalog.catalog import UnknownOperationError

__all__ = ["Bulk", "bulk_of"]


@dataclass(frozen=True, slots=True)
class _Form:
    """How a bulk call names its items, and how its answer names them again.

    Attributes:
        parameter: of the single call's path, the values of which make the list ``field``; None where the bodies of
            single calls are the list.
        told: the field of each answered object by which an item is known.
    """

    operation: str
    told: str
    parameter: str | None = None
    field: str = ""


_FORMS: Final[Mapping[str, _Form]] = {
    "BanUser": _Form("UsersBan", "id", "user_id", "user_ids"),
    "UnbanUser": _Form("UsersUnban", "id", "user_id", "user_ids"),
    "CreateWaitlistEntry": _Form("CreateBulkWaitlistEntries", "email_address"),
}
SIZE: Final = 50
"""Most items in one call. Source: Clerk's OpenAPI document 2026-05-12, UsersBan and CreateBulkWaitlistEntries."""


class Bulk:
    """A bulk form.

    Attributes:
        operation: of the catalogue.
        size: most items in one call.
        takes_one: whether an item that travels alone goes by this form too, and not by the single one.
    """

    size = SIZE

    def __init__(self, form: _Form, operation: Operation) -> None:
        """Made by `bulk_of`."""
        self._form = form
        self.operation = operation
        # Where sending twice has two effects, all calls take permits of one endpoint.
        self.takes_one = form.parameter is None

    def call(self, items: Sequence[Item]) -> Call:
        """The one request for these items."""
        form, facts = self._form, self.operation
        if form.parameter is None:
            body: Any = [item.payload["body"] for item in items]
        else:
            body = {form.field: [item.payload["path"][form.parameter] for item in items]}
        return Call(facts.operation_id, facts.method, facts.path, facts.path, facts.safety, body=body, items=len(items))

    def settle(self, items: Sequence[Item], reply: Reply) -> list[Outcome]:
        """What an answer means for each item; those that are not in it, or were refused with others, go alone.

        That is safe after a refusal: whoever is banned is banned again, and who is on the waitlist stays there
        (Clerk's document: "no new entry will be created").
        """
        if not reply.ok:
            return [Outcome(item.seq, State.PENDING, alone=True) for item in items]
        rows = reply.value if isinstance(reply.value, list) else []
        told = {_key(row.get(self._form.told)): row for row in rows if isinstance(row, dict)}
        found = ((item, told.get(self._key_of(item))) for item in items)
        missing = State.PENDING if len(items) > 1 and rows else State.DOUBT
        return [
            Outcome(item.seq, missing, alone=True)
            if row is None
            else Outcome(item.seq, State.DONE, resource_id=str(row["id"]) if "id" in row else None)
            for item, row in found
        ]

    def _key_of(self, item: Item) -> str:
        form = self._form
        said = item.payload["body"][form.told] if form.parameter is None else item.payload["path"][form.parameter]
        return _key(said)


def _key(value: Any) -> str:
    """Ids as they are, addresses without their case."""
    text = value.strip() if isinstance(value, str) else ""
    return text.casefold() if "@" in text else text


def bulk_of(operation: Operation, catalog: Catalog) -> Bulk | None:
    """The bulk form of an operation; None where there is none in its API version."""
    form = _FORMS.get(operation.operation_id)
    if form is None:
        return None
    try:
        return Bulk(form, catalog.operation(form.operation))
    except UnknownOperationError:
        return None
