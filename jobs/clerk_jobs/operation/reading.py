"""Reading back the objects that an operation's path names: many at once where their list takes ids, else one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

from clerk_jobs.call import Call, Reply, Safety, Talk
from clerk_jobs.catalog import Catalog, Operation
from clerk_jobs.reading import READ_BATCH, read_batches

__all__ = ["Object", "ObjectReader", "Seen"]

Object: TypeAlias = Mapping[str, Any]
Seen: TypeAlias = "Object | Reply | None"
"""An object as Clerk has it; None where it has none; or the refusal of the read."""
Names: TypeAlias = Mapping[str, str]
"""The parameters of a path, by name."""


class ObjectReader:
    """Reads what ``/users/{user_id}/ban`` is about: the object of the last id in its path.

    Attributes:
        can_read: whether Clerk has a read for such objects.
    """

    def __init__(self, catalog: Catalog, path: str) -> None:
        """Find the read of one, and the list that takes ids."""
        object_path = path[: path.rindex("}") + 1] if "}" in path else ""
        collection, _, last = object_path.rpartition("/")
        self._name = last.strip("{}")
        single, many = catalog.find("GET", object_path), catalog.find("GET", collection)
        self._single = single if single is not None and single.list_shape is None else None
        takes_ids = many is not None and many.list_shape is not None and many.parameter(self._name) is not None
        self._many = many if takes_ids else None
        self.can_read = self._single is not None or self._many is not None

    def read(self, wanted: Sequence[Names]) -> Talk[list[Seen]]:
        """Read up to a few hundred objects, in their order.

        Raises:
            ReadRefused: an answer that is not a list of objects.
        """
        found: dict[tuple[str, ...], Seen] = {}
        groups: dict[tuple[str, ...], list[Names]] = {}
        for names in wanted:
            groups.setdefault(self._group(names), []).append(names)
        for members in groups.values():
            if self._many is not None and (len(members) > 1 or self._single is None):
                yield from self._read_many(self._many, members, found)
            else:
                assert self._single is not None
                for names in members:
                    found[tuple(names.values())] = yield from self._read_one(self._single, names)
        return [found[tuple(names.values())] for names in wanted]

    def _group(self, names: Names) -> tuple[str, ...]:
        return tuple(value for name, value in names.items() if name != self._name)

    def _read_many(
        self, operation: Operation, members: Sequence[Names], found: dict[tuple[str, ...], Seen]
    ) -> Talk[None]:
        by_id = {names[self._name]: tuple(names.values()) for names in members}
        found.update(dict.fromkeys(by_id.values()))
        # In the filters of lists a sign includes or excludes.
        sent = [f"+{each}" if each.startswith(("+", "-")) else each for each in by_id]
        path = _filled(operation.path, members[0])
        for batch in read_batches(self._name, sent):
            limit = () if operation.page_maximum is None else (("limit", str(READ_BATCH)),)
            reply = yield _call(operation, path, (*batch, *limit))
            if reply.status == 404:
                continue
            if not reply.ok:
                found.update((by_id[each.removeprefix("+")], reply) for _, each in batch)
                continue
            for row in reply.rows(operation.path.removeprefix("/")):
                key = by_id.get(_id_of(row, self._name))
                if key is not None:
                    found[key] = row

    def _read_one(self, operation: Operation, names: Names) -> Talk[Seen]:
        reply = yield _call(operation, _filled(operation.path, names))
        if reply.status == 404:
            return None
        return reply.value if reply.ok and isinstance(reply.value, dict) else reply


def _call(operation: Operation, path: str, query: tuple[tuple[str, str], ...] = ()) -> Call:
    return Call(operation.operation_id, operation.method, operation.path, path, Safety.READ, query)


def _filled(path: str, names: Names) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: quote(names[match[1]], safe=""), path)


def _id_of(row: Any, name: str) -> str:
    """The id by which a row was asked for: a membership is asked for by its user's."""
    if not isinstance(row, dict):
        return ""
    person = row.get("public_user_data")
    found = person.get("user_id") if name == "user_id" and isinstance(person, dict) else row.get("id")
    return found if isinstance(found, str) else ""
