"""Objects of one kind: most by formula, the written ones in memory as the JSON that is sent."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from .errors import not_found
from .ids import Ids
from .timeline import Timeline

Record = dict[str, Any]
_PER_BREATH = 2000


class Shelf:
    """Objects that have an id, a number and a place in time.

    A number is never used twice. Numbers below the formula's count are the formula's; an object of the
    formula is in memory only after it was written, so a million of them cost nothing.

    Args:
        kind: what an error calls such an object.
        ids: its ids.
        count: how many exist by formula.
        created_at_ms: the formula's creation times; they must not decrease.
        formula_row: the JSON of one of them.
    """

    def __init__(
        self,
        kind: str,
        ids: Ids,
        count: int = 0,
        created_at_ms: Callable[[int], int] = int,
        formula_row: Callable[[int], bytes] = bytes,
    ) -> None:
        self._kind = kind
        self.ids = ids
        self.count = count
        self.by_creation = Timeline(count, created_at_ms)
        self._formula_created_at_ms = created_at_ms
        self._formula_row = formula_row
        self._written: dict[int, bytes] = {}
        self._created_at_ms: dict[int, int] = {}
        self._deleted: set[int] = set()
        self._next = count

    def __len__(self) -> int:
        return len(self.by_creation)

    def exists(self, number: int) -> bool:
        """Whether there is an object with this number now."""
        return number in self._written or (number < self.count and number not in self._deleted)

    def is_formula(self, number: int) -> bool:
        """Whether the formula alone still says what this object is."""
        return number < self.count and number not in self._written and number not in self._deleted

    def find(self, identifier: str) -> int | None:
        """The number of an existing object, by its id."""
        number = self.ids.number(identifier)
        return number if number is not None and self.exists(number) else None

    def get(self, identifier: str) -> int:
        """The number of an object, by its id.

        Raises:
            RefusalError: 404.
        """
        number = self.find(identifier)
        if number is None:
            raise not_found(self._kind, identifier)
        return number

    def row(self, number: int) -> bytes:
        """The JSON of an existing object."""
        written = self._written.get(number)
        return self._formula_row(number) if written is None else written

    def record(self, number: int) -> Record:
        """A fresh copy of an existing object."""
        record: Record = orjson.loads(self.row(number))
        return record

    def rows(self, numbers: Iterable[int]) -> list[bytes]:
        """The JSON of several objects."""
        return [self.row(number) for number in numbers]

    def take_number(self) -> int:
        """The number, and so the id, of an object that is about to be put."""
        self._next += 1
        return self._next - 1

    def created_at_ms(self, number: int) -> int:
        """When an object was made, known even after it was deleted."""
        known = self._created_at_ms.get(number)
        return self._formula_created_at_ms(number) if known is None else known

    def was_made(self, number: int) -> bool:
        """Whether there ever was an object with this number."""
        return number < self._next

    def put(self, number: int, record: Record) -> bytes:
        """Write an object, new or changed, and give back its JSON."""
        row = orjson.dumps(record)
        created_at_ms: int = record["created_at"]
        before_ms = self.created_at_ms(number) if self.exists(number) else None
        if before_ms != created_at_ms:
            if before_ms is not None:
                self.by_creation.discard(number, before_ms)
            self.by_creation.add(number, created_at_ms)
            self._created_at_ms[number] = created_at_ms
        self._written[number] = row
        return row

    def remove(self, number: int) -> None:
        """Delete an existing object."""
        self.by_creation.discard(number, self.created_at_ms(number))
        self._written.pop(number, None)
        self._deleted.add(number)


async def breathe(place: int) -> None:
    """Let other requests go on, once in a while, during a long walk over objects."""
    if place % _PER_BREATH == _PER_BREATH - 1:
        await asyncio.sleep(0)
