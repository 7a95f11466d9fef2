"""Templates of what a user has several of, or in a form of its own: addresses, their states, times, digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from clerk_jobs.create_users.moments import MomentError, rfc3339
from clerk_jobs.errors import RowProblem
from clerk_jobs.template import MixedText, Template
from clerk_jobs.values import DROPPED, Dropped, Json

__all__ = ["MomentTemplate", "ObjectTemplate", "SlotsTemplate", "WholeText", "status_of"]

_VERIFIED: Final = frozenset({"verified", "true", "yes", "y", "t", "1"})
_RESERVED: Final = frozenset({"reserved", "unverified", "false", "no", "n", "f", "0", ""})


class WholeText(Template):
    """A text that is left out where an optional part of it is empty: half an address or digest is none."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Template) -> None:
        """Render ``inner``."""
        super().__init__(inner.source, inner.columns, inner.produces)
        self._inner = inner

    def render(self, values: Mapping[str, Json]) -> Json | Dropped:
        """Give the text for one row, or nothing."""
        if isinstance(self._inner, MixedText) and self._inner.lacks(values):
            return DROPPED
        return self._inner.render(values)


class SlotsTemplate(Template):
    """A list of texts, or one text; a template may also bring a list of its own.

    Attributes:
        single: whether the job file has one value and no list.
    """

    __slots__ = ("_items", "_name", "single")

    def __init__(self, items: Sequence[Template], name: str, *, single: bool) -> None:
        """Keep the templates; ``name`` is the field's, for messages."""
        source: Json = items[0].source if single else [item.source for item in items]
        super().__init__(source, (column for item in items for column in item.columns), list)
        self._items = tuple(items)
        self._name = name
        self.single = single

    def __len__(self) -> int:
        """How many templates the job file has here."""
        return len(self._items)

    def slots(self, values: Mapping[str, Json]) -> list[Json | Dropped]:
        """What each template renders to."""
        return [item.render(values) for item in self._items]

    def texts(self, values: Mapping[str, Json]) -> list[list[str]]:
        """The texts of each template: none where it is left out, several where it brings a list.

        Raises:
            RowProblem: something is no text, or empty.
        """
        return [self._texts(value) for value in self.slots(values)]

    def render(self, values: Mapping[str, Json]) -> Json | Dropped:
        """Give all texts in one list; nothing where there are none."""
        found: list[Json] = [text for texts in self.texts(values) for text in texts]
        return found or DROPPED

    def _texts(self, value: Json | Dropped) -> list[str]:
        if value is DROPPED:
            return []
        return [self._text(each) for each in (value if isinstance(value, list) else [value])]

    def _text(self, value: Json) -> str:
        column = self.columns[0] if len(self.columns) == 1 else None
        if not isinstance(value, str):
            raise RowProblem("value_invalid", f"{self._name} must be a text, or a list of texts", column)
        if not value.strip():
            raise RowProblem("missing_value", f"{self._name} is empty in this row", column)
        return value.strip()


class MomentTemplate(Template):
    """A time, as RFC 3339."""

    __slots__ = ("_inner", "_name")

    def __init__(self, inner: Template, name: str) -> None:
        """Render ``inner``; ``name`` is the field's, for messages."""
        super().__init__(inner.source, inner.columns, str)
        self._inner = inner
        self._name = name

    def render(self, values: Mapping[str, Json]) -> Json | Dropped:
        """Give the time for one row."""
        value = self._inner.render(values)
        if value is DROPPED:
            return DROPPED
        try:
            return rfc3339(value)
        except MomentError as error:
            column = self.columns[0] if len(self.columns) == 1 else None
            raise RowProblem("value_invalid", f"{self._name} {error}", column) from None


class ObjectTemplate(Template):
    """An object out of one placeholder, ``"{app_metadata:json?}"``."""

    __slots__ = ("_inner", "_name")

    def __init__(self, inner: Template, name: str) -> None:
        """Render ``inner``; ``name`` is the field's, for messages."""
        super().__init__(inner.source, inner.columns, dict)
        self._inner = inner
        self._name = name

    def render(self, values: Mapping[str, Json]) -> Json | Dropped:
        """Give the object for one row; nothing for null."""
        value = self._inner.render(values)
        if value is DROPPED or value is None:
            return DROPPED
        if not isinstance(value, dict):
            said = f"{self._name} must be an object; from a CSV write {{column:json}}"
            raise RowProblem("value_invalid", said, self.columns[0] if self.columns else None)
        return value


def status_of(value: Json | Dropped, name: str) -> str:
    """What an export says of an address, as Clerk takes it: verified or reserved.

    Besides these words it may be true or false, or when it was verified; nothing at all means that it was not.

    Raises:
        RowProblem: it is something else.

    Example:
        >>> status_of(True, "status"), status_of("", "status"), status_of("2024-01-02T03:04:05Z", "status")
        ('verified', 'reserved', 'verified')
    """
    if value is DROPPED or value is None or value is False:
        return "reserved"
    if value is True:
        return "verified"
    word = value.strip().lower() if isinstance(value, str) else ""
    if isinstance(value, str) and word in _RESERVED:
        return "reserved"
    if word in _VERIFIED or _is_moment(value):
        return "verified"
    raise RowProblem("value_invalid", f"{name} must be verified or reserved, true or false, or a time")


def _is_moment(value: Json) -> bool:
    """Whether it is a time; here one without a zone, or a date, will do."""
    try:
        rfc3339(value)
    except MomentError:
        return isinstance(value, str) and _is_date(value.strip())
    return True


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
