"""Reading what list operations share: limit and offset, an order, array filters, bounds."""

from collections.abc import Iterable
from dataclasses import dataclass

from .call import Query, Reply
from .errors import invalid

DEFAULT_LIMIT = 10
MAXIMUM_LIMIT = 500
ARRAY_MAXIMUM = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    limit: int
    offset: int

    @classmethod
    def read(cls, query: Query, maximum: int = MAXIMUM_LIMIT) -> "Page":
        """Read limit and offset. A limit outside 1..maximum is no error to Clerk: it answers ten.

        Raises:
            RefusalError: 422 where one is no whole number, or the offset is negative.
        """
        limit, offset = number(query, "limit"), number(query, "offset")
        if limit is None or not 1 <= limit <= maximum:
            limit = DEFAULT_LIMIT
        if offset is not None and offset < 0:
            raise invalid("offset", "must not be negative")
        return cls(limit, offset or 0)


@dataclass(frozen=True, slots=True)
class Order:
    """By which field a list is ordered, and which way."""

    field: str
    descending: bool

    @classmethod
    def read(cls, query: Query, fields: Iterable[str], default: str = "-created_at") -> "Order":
        """Read order_by: the first one counts, without a sign it ascends.

        Raises:
            RefusalError: 422 where the field is none of `fields`. An unencoded `+` arrives as a blank, which
                names none.
        """
        text = query.first("order_by") or default
        field = text[1:] if text[0] in "+-" else text
        if field not in fields:
            raise invalid("order_by", "names no field that this list can be ordered by")
        return cls(field, text.startswith("-"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """An array filter: values to include, and values to exclude; both empty means no filter."""

    include: frozenset[str]
    exclude: frozenset[str]

    @classmethod
    def read(cls, query: Query, name: str, signs: bool = False, lower: bool = False) -> "Wanted":
        """Read a repeated parameter; with `signs`, a value may begin with + (include) or - (exclude).

        With `lower`, the values are compared in lower case, and come in it.

        Raises:
            RefusalError: 422 where more than 100 values are given.
        """
        values = query.all(name)
        if len(values) > ARRAY_MAXIMUM:
            raise invalid(name, f"takes at most {ARRAY_MAXIMUM} values", "form_param_max_length_exceeded")
        if lower:
            values = [value.lower() for value in values]
        if not signs:
            return cls(frozenset(values), frozenset())
        include = frozenset(value.removeprefix("+") for value in values if not value.startswith("-"))
        return cls(include, frozenset(value[1:] for value in values if value.startswith("-")))

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def admits(self, values: Iterable[str]) -> bool:
        """Whether an object with these values passes: one is included, none is excluded."""
        held = set(values)
        return (not self.include or not held.isdisjoint(self.include)) and held.isdisjoint(self.exclude)


def number(query: Query, name: str) -> int | None:
    """A whole number in the query, None where it is absent or empty.

    Raises:
        RefusalError: 422 where it is something else.
    """
    text = query.first(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise invalid(name, "must be a whole number", "form_param_type_invalid") from error


def flag(query: Query, name: str) -> bool | None:
    """A boolean in the query, None where it is absent.

    Raises:
        RefusalError: 422 where it is neither true nor false.
    """
    text = query.first(name)
    if not text:
        return None
    if text not in {"true", "false"}:
        raise invalid(name, "must be true or false", "form_param_type_invalid")
    return text == "true"


def bare(rows: list[bytes]) -> Reply:
    """A list as a bare array, rows being JSON already."""
    return Reply(b"[" + b",".join(rows) + b"]")


def counted(rows: list[bytes], total: int, name: str = "data") -> Reply:
    """A list as {data, total_count}, rows being JSON already."""
    return Reply(b'{"%b":[%b],"total_count":%d}' % (name.encode(), b",".join(rows), total))
