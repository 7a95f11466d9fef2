"""One operation of Clerk's Backend API: what it is called, what it takes, what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from clerk_jobs.call import Safety
from clerk_jobs.catalog.schema import Json, Schema

__all__ = ["Body", "ListShape", "Operation", "Parameter", "Response"]


class ListShape(Enum):
    """How an operation that answers with rows puts them into its answer.

    Pages are walked in the first three; the fourth has no ``limit`` parameter and answers everything at once.
    """

    ARRAY = "array"
    """The answer is the array; with ``paginated=true``, where that exists, it is an envelope as in DATA."""
    DATA = "data"
    """``{"data": [...], "total_count": n}``."""
    M2M_TOKENS = "m2m_tokens"
    """``{"m2m_tokens": [...], "total_count": n}``."""
    WHOLE = "whole"
    """``{"data": [...], "total_count": n}``, always complete."""

    def rows(self, answer: Json) -> Sequence[Json] | None:
        """The rows of an answer, or None where the answer does not have the shape of a list.

        An array and an envelope are both taken for each shape that knows them, because ``paginated`` turns
        one into the other.

        Example:
            >>> ListShape.DATA.rows({"data": [1, 2], "total_count": 9})
            [1, 2]
            >>> ListShape.ARRAY.rows({"errors": []}) is None
            True
        """
        if isinstance(answer, list):
            return answer if self is ListShape.ARRAY else None
        if not isinstance(answer, Mapping):
            return None
        rows = answer.get("m2m_tokens" if self is ListShape.M2M_TOKENS else "data")
        return rows if isinstance(rows, list) else None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path or in the query.

    Attributes:
        place: ``path`` or ``query``.
        explode: whether an array repeats the name (``a=1&a=2``); else its values are joined by commas.
    """

    name: str
    place: str
    required: bool
    schema: Schema
    deprecated: bool = False
    explode: bool = True


@dataclass(frozen=True, slots=True)
class Body:
    """The request's body.

    Attributes:
        required: whether the document demands a body at all.
        media_type: ``application/json`` or ``multipart/form-data``.
    """

    required: bool
    media_type: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Response:
    """One documented answer.

    Attributes:
        component: the name under which the document keeps this answer, if it has one.
        schema: the shape of the body; None where the document states none.
    """

    status: int
    component: str | None = None
    schema: Schema | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation in one API version.

    Attributes:
        method: in capitals.
        path: as documented, without ``/v1``: ``/users/{user_id}``.
        operation_id: Clerk's name for it, unique within a version.
        tags: the documented groups it belongs to, at least one.
        parameters: path and query parameters, in the document's order.
        responses: sorted by status.
        safety: what may be done when its answer is lost.
        list_shape: where the answer's rows are; None for an operation that is not a list.
        page_maximum: the greatest ``limit``; None where there is no such parameter.
        phrase: what it does, in one line of our own.
        sdk: resource and method in Clerk's generated SDKs (``users.list``).
    """

    method: str
    path: str
    operation_id: str
    tags: tuple[str, ...]
    deprecated: bool
    parameters: tuple[Parameter, ...]
    body: Body | None
    responses: tuple[Response, ...]
    safety: Safety
    list_shape: ListShape | None
    page_maximum: int | None
    phrase: str
    sdk: str

    @property
    def path_parameters(self) -> tuple[Parameter, ...]:
        """The parameters in the path, in the path's order."""
        found = (p for p in self.parameters if p.place == "path")
        return tuple(sorted(found, key=lambda p: self.path.index("{" + p.name + "}")))

    @property
    def query_parameters(self) -> tuple[Parameter, ...]:
        """The parameters in the query, in the document's order."""
        return tuple(p for p in self.parameters if p.place == "query")

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that exact name, if there is one."""
        return next((p for p in self.parameters if p.name == name), None)

    def response(self, status: int) -> Response | None:
        """The documented answer of that status, if there is one."""
        return next((r for r in self.responses if r.status == status), None)

    @property
    def success(self) -> Response | None:
        """The first documented answer below 300."""
        return next((r for r in self.responses if r.status < 300), None)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
