"""The lists that can be exported: every list operation of the catalogue, named as its path is.

``users`` is GET /users, ``billing/plans`` is GET /billing/plans. Below a parent the name is what follows the parent's
id: with ``for_each: organizations``, ``memberships`` is GET /organizations/{organization_id}/memberships.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from clerk_jobs.call import Call, Safety
from clerk_jobs.catalog import ListShape, Operation, load
from clerk_jobs.catalog.prepare import Inputs, prepare
from clerk_jobs.errors import ClerkBatchError
from clerk_jobs.wording import did_you_mean, shown, snake_case

__all__ = [
    "PARENTS",
    "Parent",
    "UnknownListError",
    "call_of",
    "find_list",
    "is_sliced",
    "lists_of",
    "noun_of",
    "order_of",
    "with_total",
]

Parent: TypeAlias = Literal["organizations", "users"]
PARENTS: Final[Mapping[Parent, str]] = {
    "organizations": "/organizations/{organization_id}/",
    "users": "/users/{user_id}/",
}
"""What stands before the name of a list below each parent."""


class UnknownListError(ClerkBatchError):
    """A name that no list has.

    Attributes:
        hint: the name that was perhaps meant, or those that there are.
    """

    def __init__(self, message: str, hint: str) -> None:
        """Keep the hint apart from the message."""
        super().__init__(message)
        self.hint = hint


@cache
def lists_of(api_version: str, parent: Parent | None = None) -> Mapping[str, Operation]:
    """All lists of a version by name: those without a parent, or those below one.

    Looked up once: a plan asks for its own with each call that it plays, and to go through a version takes 15 ms.

    Raises:
        UnknownVersionError: the catalogue does not hold the version.

    Example:
        >>> sorted(lists_of("2026-05-12", "users"))
        ['organization_invitations', 'organization_memberships', 'trusted_devices']
    """
    prefix = "/" if parent is None else PARENTS[parent]
    found = {}
    for operation in load(api_version).operations():
        name = operation.path.removeprefix(prefix)
        if operation.list_shape is not None and operation.path.startswith(prefix) and "{" not in name:
            found[name] = operation
    return MappingProxyType(found)


def find_list(name: str, api_version: str, parent: Parent | None = None) -> Operation:
    """The list of a name; the operation's own id is a name too.

    Raises:
        UnknownVersionError: the catalogue does not hold the version.
        UnknownListError: there is no such list.
    """
    known = lists_of(api_version, parent)
    for called, operation in known.items():
        if name in (called, operation.operation_id):
            return operation
    for other in (None, *PARENTS):
        if other != parent and name in lists_of(api_version, other):
            hint = f"add for_each: {other}" if other else f"remove for_each: {parent}"
            raise UnknownListError(f"{name} is a list {f'below {other}' if other else 'of its own'}", hint)
    hint = did_you_mean(snake_case(name), known) or f"known: {', '.join(sorted(known))}"
    raise UnknownListError(f"there is no list {shown(name)} in API version {api_version}", hint)


def noun_of(operation: Operation) -> str:
    """One object of a list, in a word: its name in the singular.

    Example:
        >>> noun_of(find_list("users", "2026-05-12")), noun_of(find_list("waitlist_entries", "2026-05-12"))
        ('user', 'waitlist_entry')
    """
    name = operation.path.rpartition("/")[2]
    return f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")


def is_sliced(operation: Operation) -> bool:
    """Whether the list is walked by slices of time: users alone, who have bounds of creation and a cursor."""
    return operation.operation_id == "GetUserList"


def order_of(operation: Operation) -> tuple[tuple[str, str], ...]:
    """Oldest first, where the list can be ordered: what is created meanwhile then comes last.

    Source: Clerk's OpenAPI documents; every list that has order_by takes created_at.
    """
    return (("order_by", "+created_at"),) if operation.parameter("order_by") is not None else ()


def call_of(operation: Operation, where: tuple[tuple[str, str], ...], parent_id: str | None = None) -> Call:
    """The call for the list with these filters, without the parameters of a page.

    Raises:
        CallRefusedError: a filter is unknown or does not fit.
    """
    path = {parameter.name: parent_id or "" for parameter in operation.path_parameters}
    call = prepare(operation, Inputs(path=path, query=where))
    assert call.safety is Safety.READ
    return call


def with_total(operation: Operation) -> tuple[tuple[str, str], ...]:
    """What makes a bare array say how many rows there are, where the list has such a parameter."""
    bare = operation.list_shape is ListShape.ARRAY and operation.parameter("paginated") is not None
    return (("paginated", "true"),) if bare else ()
