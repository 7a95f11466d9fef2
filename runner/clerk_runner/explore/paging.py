"""Walking the pages of a list, one call after the other.

The law: a page with fewer rows than ``limit`` is the last. Users are walked by the cursor ``starting_after``, which
costs the same at any depth; everything else, and users in another order than by creation, by ``offset``. What is
created or deleted meanwhile may shift an offset by its number of rows: whoever needs proof takes an export.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clerk_jobs.call import Call
from clerk_jobs.catalog import Json, ListShape, Operation

__all__ = ["Pager", "more_hint"]


class Pager:
    """Makes the call for the next page from the rows of the last; holds nothing but a position.

    Args:
        operation: a list.
        call: its first call; without a ``limit`` it is given the greatest.
    """

    def __init__(self, operation: Operation, call: Call) -> None:
        """Begin at the call's own offset or cursor."""
        assert operation.list_shape is not None
        query = dict(call.query)
        self._shape = operation.list_shape
        self._whole = operation.list_shape is ListShape.WHOLE
        self.limit = int(query.get("limit", operation.page_maximum or 0))
        self._offset = int(query.get("offset", 0))
        by_creation = query.get("order_by", "-created_at").lstrip("+-") == "created_at"
        self.by_cursor = operation.parameter("starting_after") is not None and by_creation and "offset" not in query
        pairs = tuple(pair for pair in call.query if pair[0] not in ("limit", "offset"))
        self._bare = replace(call, query=pairs)
        self._cursors: list[str] = []

    def first(self) -> Call:
        """The call for the first page."""
        start = (("offset", str(self._offset)),) if self._offset and not self.by_cursor else ()
        return self._bare if self._whole else self._page(start)

    def after(self, rows: Sequence[Json]) -> Call | None:
        """The call for the page that follows one with these rows; None after the last."""
        if self._whole or len(rows) < self.limit:
            return None
        self._offset += len(rows)
        if not self.by_cursor:
            return self._page((("offset", str(self._offset)),))
        self._cursors = [str(row["id"]) for row in rows if isinstance(row, Mapping) and "id" in row]
        return self._page(self._cursor()) if self._cursors else None

    def after_dead_cursor(self) -> Call | None:
        """The page again, from the row before the cursor's: the cursor's own may have been deleted meanwhile."""
        if len(self._cursors) < 2:
            return None
        self._cursors.pop()
        return self._page(self._cursor())

    def cursor_check(self) -> Call | None:
        """A call that tells by its rows whether the cursor is alive; None where no cursor was used."""
        if not self._cursors:
            return None
        return replace(self._bare, query=(("user_id", self._cursors[-1]), ("limit", "1")))

    def _cursor(self) -> tuple[tuple[str, str], ...]:
        return (("starting_after", self._cursors[-1]),)

    def _page(self, position: tuple[tuple[str, str], ...]) -> Call:
        kept = tuple(pair for pair in self._bare.query if pair[0] != "starting_after") if position else self._bare.query
        return replace(self._bare, query=(*kept, ("limit", str(self.limit)), *position))


def more_hint(operation: Operation, call: Call, shown: int) -> str:
    """What to say below a full page; empty where nothing was left out.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> from clerk_jobs.catalog.prepare import Inputs, prepare
        >>> users = load().operation("GetUserList")
        >>> more_hint(users, prepare(users, Inputs()), 10)
        '10 shown (limit 10); there may be more: --all, or --limit 500 --offset 10'
    """
    parameter = operation.parameter("limit")
    if parameter is None or operation.list_shape is None:
        return ""
    query = dict(call.query)
    default = parameter.schema.default
    limit = int(query.get("limit", default if isinstance(default, int) else 10))
    if shown < limit:
        return ""
    offset = int(query.get("offset", 0)) + shown
    more = f"--limit {operation.page_maximum} --offset {offset}"
    return f"{shown} shown (limit {limit}); there may be more: --all, or {more}"
