"""Answers for every operation that nobody wrote down: made from the catalogue's facts about it.

Nothing is kept: a write answers with an example of its documented answer and is recorded as an effect; a read by
id answers with that id. A list is as long as the settings say, its rows differ in id and time, and it is walked by
limit and offset in the shape that its operation has. So whatever walks, shows or exports lists can be tried on all
of them.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from clerk_jobs.catalog import Catalog, ListShape, Operation, load
from clerk_jobs.catalog.example import example_value

from .call import Call, Reply
from .formulas import CreatedAt
from .listing import Page, bare, counted, flag
from .routes import Route
from .shelf import Record

Player = Callable[[Call], Reply]


class GenericOperations:
    """Plays any operation of the catalogue.

    Args:
        rows: how many rows every list has.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._created_at_ms = CreatedAt().formula(rows)
        self._routes: dict[tuple[str, str], Route] = {}

    def find(self, method: str, path: str, version: str) -> tuple[Route | None, dict[str, str], bool]:
        """The route in a version, the values in the path, and whether the path is known with some method."""
        catalog = _catalog(version)
        match = catalog.match(method, path)
        if match is None:
            return None, {}, bool(catalog.methods(path))
        operation, params = match
        key = version, operation.operation_id
        if key not in self._routes:
            self._routes[key] = self._route(operation)
        return self._routes[key], dict(params), True

    def _route(self, operation: Operation) -> Route:
        shape = operation.list_shape
        play = _single(operation) if shape is None else self._list(operation, shape)

        async def handle(call: Call) -> Reply:
            return play(call)

        return Route(operation.method, operation.path, handle)

    def _list(self, operation: Operation, shape: ListShape) -> Player:
        rows = shape.rows(_example(operation)) or [{}]
        example: Any = rows[0]

        def play(call: Call) -> Reply:
            page = Page(self._rows, 0)
            if operation.page_maximum is not None:
                page = Page.read(call.query, operation.page_maximum)
            descending = (call.query.first("order_by") or "-").startswith("-")
            numbers = range(self._rows)[:: -1 if descending else 1]
            shown = [self._row(example, number) for number in numbers[page.offset : page.offset + page.limit]]
            if shape is ListShape.ARRAY and not flag(call.query, "paginated"):
                return bare(shown)
            return counted(shown, self._rows, "m2m_tokens" if shape is ListShape.M2M_TOKENS else "data")

        return play

    def _row(self, example: Any, number: int) -> bytes:
        """The JSON of one row: as the example, with an id and times of its own where it has any."""
        if not isinstance(example, dict):
            return orjson.dumps(example)
        created_at_ms = self._created_at_ms(number)
        own: Record = {"created_at": created_at_ms, "updated_at": created_at_ms}
        if "id" in example:
            start, _, tail = example["id"].rpartition("_")
            start = example.get("object", start) if start == "id" else start
            own["id"] = f"{start}_{number:0{len(tail)}x}"
        return orjson.dumps({name: own.get(name, value) for name, value in example.items()})


def _single(operation: Operation) -> Player:
    """Plays an operation that answers with one object, or with nothing."""
    status = 200 if operation.success is None else operation.success.status
    example = _example(operation)
    by_id = isinstance(example, dict) and "id" in example and operation.path.endswith("}")

    def play(call: Call) -> Reply:
        last = list(call.params.values())[-1] if call.params else ""
        if operation.method != "GET":
            call.json()
            call.record(operation.operation_id, last, False)
        if example is None:
            return Reply(b"", status)
        return Reply.json(example | {"id": last} if by_id else example, status)

    return play


def _example(operation: Operation) -> Any:
    """An example of the documented answer, None where it is empty."""
    if operation.success is None or operation.success.schema is None:
        return None
    return example_value(operation.success.schema)


@cache
def _catalog(version: str) -> Catalog:
    return load(version)
