"""What an operation gets and what it gives: a `Call` and a `Reply`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qs

import orjson

from .errors import refusal

EffectRecorder = Callable[[str, str, bool], None]


@dataclass(slots=True)
class Reply:
    """A whole answer: a JSON body as bytes, or none."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, status: int = 200) -> "Reply":
        """An answer of one JSON value."""
        return cls(orjson.dumps(value), status)


class Query:
    """The query of a request, each name with its values in order.

    As on a real server an unencoded `+` is a blank.
    """

    def __init__(self, text: str) -> None:
        self._values = parse_qs(text, keep_blank_values=True) if text else {}

    def first(self, name: str) -> str | None:
        """The first value of a name, None where it is absent."""
        values = self._values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Every value of a name."""
        return self._values.get(name, [])

    def without(self, names: frozenset[str]) -> "Query":
        """The same query, as if these names were not there."""
        query = Query("")
        query._values = {name: values for name, values in self._values.items() if name not in names}
        return query

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether one of these names is there."""
        return not names.isdisjoint(self._values)


@dataclass
class Call:
    """A request that was admitted, at the moment of its effect.

    Attributes:
        params: the values in its path, by the names of the template.
        query_text: the raw query.
        body: the raw body.
        version: the API version it asks for.
        now_ms: the server's wall clock, unix milliseconds.
        record: told of every effect: (operation, key, whether an e-mail goes out).
        leave_out: for a bulk creation: leave one item out (a fault that was asked for).
    """

    params: Mapping[str, str]
    query_text: str
    body: bytes
    version: str
    now_ms: int
    record: EffectRecorder
    leave_out: bool = False

    @cached_property
    def query(self) -> Query:
        """The query, parsed when it is first asked for."""
        return Query(self.query_text)

    def json(self) -> object:
        """The body as JSON; an absent one is an empty object.

        Raises:
            RefusalError: 400 where it is not JSON.
        """
        if not self.body:
            return {}
        try:
            value: object = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise refusal(400, "request_body_invalid", "invalid body", "the request's body is not JSON") from error
        return value
