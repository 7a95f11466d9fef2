"""What changed between two API versions: operations that came and went, and the facts of those that
stayed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clerk_jobs.catalog import Catalog, Operation, Schema
from clerk_runner.explore.shape import bounds_text, type_text

__all__ = ["Change", "diff_operation", "diff_operations", "diff_versions"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        kind: ``added``, ``removed`` or ``changed``, from the older to the newer.
        place: ``operation``, ``path``, ``query``, ``body``, ``response 200`` …
        name: dotted name within the place; the operation itself for ``operation``.
        detail: what it was and what it is.
    """

    kind: str
    place: str
    name: str
    detail: str = ""

    def __str__(self) -> str:
        sign = {"added": "+", "removed": "-", "changed": "~"}[self.kind]
        return f"{sign} {self.place} {self.name}".rstrip() + (f": {self.detail}" if self.detail else "")


def diff_versions(old: Catalog, new: Catalog) -> Iterator[tuple[Operation, tuple[Change, ...]]]:
    """Every operation that differs, with its differences; those of the newer version in its order, then the
    removed."""
    gone = (name for name in old.operation_ids if name not in new.operation_ids)
    for name in (*new.operation_ids, *gone):
        operation, changes = diff_operation(old, new, name)
        if changes:
            yield operation, changes


def diff_operation(old: Catalog, new: Catalog, operation_id: str) -> tuple[Operation, tuple[Change, ...]]:
    """The operation, newer where it is in both versions, with its differences.

    Raises:
        UnknownOperationError: neither version has it.
    """
    if operation_id not in new.operation_ids:
        gone = old.operation(operation_id)
        return gone, (Change("removed", "operation", str(gone)),)
    operation = new.operation(operation_id)
    if operation_id not in old.operation_ids:
        return operation, (Change("added", "operation", str(operation)),)
    return operation, tuple(diff_operations(old.operation(operation_id), operation))


def diff_operations(old: Operation, new: Operation) -> Iterator[Change]:
    """The differences between one operation's facts in two versions."""
    if str(old) != str(new):
        yield Change("changed", "operation", new.operation_id, f"{old} became {new}")
    if old.deprecated != new.deprecated:
        yield Change(
            "changed", "operation", new.operation_id, "now deprecated" if new.deprecated else "no longer deprecated"
        )
    for place in ("path", "query"):
        before = {p.name: _fact(p.schema, required=p.required) for p in old.parameters if p.place == place}
        after = {p.name: _fact(p.schema, required=p.required) for p in new.parameters if p.place == place}
        yield from _compare(place, before, after)
    yield from _compare("body", *(_facts(one.body.schema if one.body else None) for one in (old, new)))
    old_answers = {response.status: response.schema for response in old.responses}
    new_answers = {response.status: response.schema for response in new.responses}
    for status in sorted(old_answers.keys() | new_answers.keys()):
        if status not in new_answers or status not in old_answers:
            yield Change("added" if status in new_answers else "removed", f"response {status}", "")
        else:
            yield from _compare(f"response {status}", _facts(old_answers[status]), _facts(new_answers[status]))


def _compare(place: str, before: dict[str, str], after: dict[str, str]) -> Iterator[Change]:
    for name in [*after, *(name for name in before if name not in after)]:
        if name not in before:
            yield Change("added", place, name, after[name])
        elif name not in after:
            yield Change("removed", place, name, before[name])
        elif before[name] != after[name]:
            yield Change("changed", place, name, f"{before[name]} became {after[name]}")


def _facts(schema: Schema | None) -> dict[str, str]:
    """Every field's facts by dotted path; components are looked into, so that a change inside one is seen."""
    found: dict[str, str] = {}
    if schema is not None:
        _gather(schema, "", found, required=False)
    return found


def _gather(schema: Schema, path: str, found: dict[str, str], *, required: bool) -> None:
    if path:
        found[path] = _fact(schema, required=required)
    for name, child in schema.properties.items():
        _gather(child, f"{path}.{name}" if path else name, found, required=name in schema.required)
    if schema.items is not None:
        _gather(schema.items, f"{path}[]", found, required=False)
    if isinstance(schema.additional, Schema):
        _gather(schema.additional, f"{path}.*", found, required=False)
    for number, one in enumerate((*schema.one_of, *schema.any_of), 1):
        _gather(one, f"{path}<{number}>", found, required=False)


def _fact(schema: Schema, *, required: bool) -> str:
    bounds = bounds_text(schema)
    return type_text(schema) + (f" [{bounds}]" if bounds else "") + (", required" if required else "")
