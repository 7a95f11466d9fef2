"""A listed object as a row: ``{user.public_metadata.plan}`` in a template leads into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from clerk_jobs.export.lists import find_list, noun_of
from clerk_jobs.references import looks_like_one
from clerk_jobs.values import Json

__all__ = ["ListedRow", "row_view"]


def row_view(listing: str | None, api_version: str) -> Callable[[Mapping[str, Json]], Mapping[str, Json]]:
    """How templates see the values of a row: as they are, or as an object of a list."""
    if listing is None:
        return lambda values: values
    noun = noun_of(find_list(listing, api_version))
    return lambda values: ListedRow(noun, values)


class ListedRow(Mapping[str, Json]):
    """The values of a listed object by dotted path, the list's noun first.

    A path leads through objects alone; where it leads to nothing, or through null, the value is missing. A key that
    itself has dots is found too.

    Example:
        >>> row = ListedRow("user", {"id": "user_1", "public_metadata": {"plan": "pro", "a.b": 1}})
        >>> row["user.id"], row["user.public_metadata.plan"], row["user.public_metadata.a.b"]
        ('user_1', 'pro', 1)
        >>> "user.public_metadata.plan.name" in row, "organization.id" in row
        (False, False)
    """

    __slots__ = ("_noun", "_value")

    def __init__(self, noun: str, value: Mapping[str, Json]) -> None:
        """Look into one object."""
        self._noun = noun
        self._value = value

    def __getitem__(self, path: str) -> Json:
        """What a path leads to.

        Raises:
            KeyError: nothing.
        """
        if looks_like_one(path):
            # Whoever resolves references puts their ids beside the object's own fields.
            return self._value[path]
        noun, _, rest = path.partition(".")
        if noun != self._noun or not rest:
            raise KeyError(path)
        return _led_to(self._value, rest)

    def __iter__(self) -> Iterator[str]:
        """The paths of the object's own fields."""
        return (f"{self._noun}.{name}" for name in self._value)

    def __len__(self) -> int:
        """How many fields the object has."""
        return len(self._value)


def _led_to(value: Json | Mapping[str, Json], path: str) -> Json:
    if not isinstance(value, Mapping):
        raise KeyError(path)
    if path in value:
        return value[path]
    first, _, rest = path.partition(".")
    if not rest:
        raise KeyError(path)
    return _led_to(value[first], rest)
