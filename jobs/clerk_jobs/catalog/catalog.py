"""The catalogue: every operation of Clerk's Backend API in every version, from compiled facts.

Loading reads the file of facts once; an operation is built when it is asked for, so that one costs little
and all of them still less than a blink.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from clerk_jobs.catalog.facts import Facts, package_facts
from clerk_jobs.catalog.operation import Body, ListShape, Operation, Parameter, Response
from clerk_jobs.catalog.safety import safety_of
from clerk_jobs.catalog.schema import Schema
from clerk_jobs.errors import ClerkBatchError

__all__ = ["Catalog", "UnknownOperationError", "UnknownVersionError", "load"]

_RENAMED: Final = {
    **{name: name for name in ("type", "component", "nullable", "deprecated", "format", "default", "pattern")},
    **{name: name for name in ("minimum", "maximum", "discriminator")},
    "exclusiveMinimum": "exclusive_minimum",
    "maxItems": "max_items",
    "maxLength": "max_length",
    "minItems": "min_items",
    "minLength": "min_length",
    "uniqueItems": "unique_items",
}


class UnknownVersionError(ClerkBatchError):
    """An API version that the catalogue does not hold."""

    def __init__(self, version: str, known: Sequence[str]) -> None:
        """Names the versions that there are."""
        super().__init__(f"unknown API version {version!r}; known versions: {', '.join(known)}")
        self.version = version


class UnknownOperationError(ClerkBatchError):
    """An operation that this API version does not have.

    Attributes:
        nearest: names that were perhaps meant, the likeliest first.
    """

    def __init__(self, name: str, version: str, nearest: Sequence[str]) -> None:
        """Names the nearest operations."""
        advice = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"API version {version} has no operation {name!r}{advice}")
        self.nearest = tuple(nearest)


class Catalog:
    """The operations of one API version.

    Attributes:
        version: the API version's date.
        versions: every version that the facts hold, oldest first.
    """

    def __init__(self, facts: Facts, version: str) -> None:
        self.version = version
        self.versions: tuple[str, ...] = tuple(sorted(facts.versions))
        self._facts = facts
        self._places: Mapping[str, int] = {facts.operations[i]["id"]: i for i in facts.versions[version]}
        self._built: dict[str, Operation] = {}
        self._schemas: dict[int, Schema] = {}
        self._parameters: dict[int, Parameter] = {}
        self._responses: dict[int, Response] = {}

    @property
    def operation_ids(self) -> tuple[str, ...]:
        """The operationIds, in the document's order."""
        return tuple(self._places)

    def operations(self) -> tuple[Operation, ...]:
        """Every operation, in the document's order."""
        return tuple(self.operation(name) for name in self._places)

    def operation(self, operation_id: str) -> Operation:
        """The operation of that exact operationId.

        Raises:
            UnknownOperationError: this version has none; the error names the nearest.

        Example:
            >>> load("2026-05-12").operation("GetUserList").path
            '/users'
        """
        built = self._built.get(operation_id)
        if built is None:
            place = self._places.get(operation_id)
            if place is None:
                raise UnknownOperationError(operation_id, self.version, self.nearest(operation_id))
            built = self._built[operation_id] = self._operation(self._facts.operations[place])
        return built

    def find(self, method: str, path: str) -> Operation | None:
        """The operation of a method (in any case) and a path, which may be a template or hold real ids.

        Example:
            >>> catalog = load("2026-05-12")
            >>> [str(catalog.find("get", p)) for p in ("/users/user_1", "/users/count", "/users/{id}")]
            ['GET /users/{user_id}', 'GET /users/count', 'GET /users/{user_id}']
        """
        found = self.match(method, path)
        return found[0] if found is not None else None

    def match(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]] | None:
        """As ``find``, with the path parameters' values, as written in the path.

        A literal step is preferred to a parameter. ``/v1`` before the path and a slash after it are allowed.

        Example:
            >>> operation, values = load("2026-05-12").match("DELETE", "/v1/users/user_1")
            >>> operation.operation_id, dict(values)
            ('DeleteUser', {'user_id': 'user_1'})
        """
        steps = path.strip("/").split("/")
        if steps[0] == "v1":
            del steps[0]
        best: tuple[list[bool], str, list[str]] | None = None
        for name, template in self._routes.get((method.upper(), len(steps)), ()):
            literal = [t == s for t, s in zip(template, steps, strict=True)]
            fits = all(same or (t.startswith("{") and s) for same, t, s in zip(literal, template, steps, strict=True))
            if fits and (best is None or literal > best[0]):
                best = (literal, name, template)
        if best is None:
            return None
        pairs = zip(best[2], steps, strict=True)
        return self.operation(best[1]), {t[1:-1]: s for t, s in pairs if t.startswith("{")}

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that a path (template or with real ids) has."""
        return tuple(m for m in ("GET", "POST", "PUT", "PATCH", "DELETE") if self.match(m, path) is not None)

    def tags(self) -> Mapping[str, tuple[Operation, ...]]:
        """Every tag that an operation has, sorted, with its operations; no list of tags is believed."""
        found: dict[str, list[Operation]] = {}
        for operation in self.operations():
            for tag in operation.tags:
                found.setdefault(tag, []).append(operation)
        return {tag: tuple(found[tag]) for tag in sorted(found, key=str.casefold)}

    def tag(self, words: str) -> str | None:
        """The tag that is meant, whatever its case and whether blanks, dashes or slashes part its words.

        Example:
            >>> load("2026-05-12").tag("sign-in tokens"), load("2026-05-12").tag("users")
            ('Sign-in Tokens', 'Users')
        """
        wanted = _bare(words)
        return next((tag for tag in self._tag_names if _bare(tag) == wanted), None)

    def nearest(self, name: str, count: int = 3) -> tuple[str, ...]:
        """The operationIds most like ``name``; whatever its case, an exact one alone."""
        by_lower = {known.lower(): known for known in self._places}
        exact = by_lower.get(name.lower())
        if exact is not None:
            return (exact,)
        import difflib  # noqa: PLC0415 (only a mistyped name needs it)

        close = difflib.get_close_matches(name.lower(), by_lower, count, 0.6)
        return tuple(by_lower[lower] for lower in close)

    @cached_property
    def _routes(self) -> Mapping[tuple[str, int], list[tuple[str, list[str]]]]:
        routes: dict[tuple[str, int], list[tuple[str, list[str]]]] = {}
        for name, place in self._places.items():
            record = self._facts.operations[place]
            template = record["path"].strip("/").split("/")
            routes.setdefault((record["method"], len(template)), []).append((name, template))
        return routes

    @cached_property
    def _tag_names(self) -> tuple[str, ...]:
        records = (self._facts.operations[place] for place in self._places.values())
        return tuple(dict.fromkeys(tag for record in records for tag in record["tags"]))

    def _operation(self, record: Mapping[str, Any]) -> Operation:
        parameters = tuple(self._parameter(place) for place in record["parameters"])
        responses = tuple(self._response(place) for place in record["responses"])
        limit = next((p for p in parameters if p.name == "limit" and p.place == "query"), None)
        maximum = limit.schema.maximum if limit is not None else None
        body = record.get("body")
        return Operation(
            method=record["method"],
            path=record["path"],
            operation_id=record["id"],
            tags=tuple(record["tags"]),
            deprecated=record.get("deprecated", False),
            parameters=parameters,
            body=Body(body["required"], body["media"], self._schema(body["schema"])) if body else None,
            responses=responses,
            safety=safety_of(record["method"], record["id"]),
            list_shape=_list_shape(record["method"], responses, paged=limit is not None),
            page_maximum=int(maximum) if maximum is not None else None,
            phrase=record["phrase"],
            sdk=record["sdk"],
        )

    def _parameter(self, place: int) -> Parameter:
        built = self._parameters.get(place)
        if built is None:
            record = self._facts.parameters[place]
            built = self._parameters[place] = Parameter(
                name=record["name"],
                place=record["in"],
                required=record["required"],
                schema=self._schema(record["schema"]),
                deprecated=record.get("deprecated", False),
                explode=record.get("explode", True),
            )
        return built

    def _response(self, place: int) -> Response:
        built = self._responses.get(place)
        if built is None:
            record = self._facts.responses[place]
            schema = record.get("schema")
            built = self._responses[place] = Response(
                record["status"], record.get("component"), None if schema is None else self._schema(schema)
            )
        return built

    def _schema(self, place: int) -> Schema:
        built = self._schemas.get(place)
        if built is not None:
            return built
        values: dict[str, Any] = {}
        for key, value in self._facts.schemas[place].items():
            if key in _RENAMED:
                values[_RENAMED[key]] = value
            elif key == "properties":
                values[key] = MappingProxyType({name: self._schema(child) for name, child in value})
            elif key in ("oneOf", "anyOf"):
                values["one_of" if key == "oneOf" else "any_of"] = tuple(map(self._schema, value))
            elif key in ("items", "additional"):
                values[key] = self._schema(value)
            elif key == "closed":
                values["additional"] = not value
            else:
                values[key] = tuple(value)
        built = self._schemas[place] = Schema(**values)
        return built


def load(version: str | None = None, facts: Facts | None = None) -> Catalog:
    """The catalogue of one API version.

    Args:
        version: its date; None for the newest.
        facts: where to look; None for the facts that belong to this package, which is what a job uses.

    Raises:
        UnknownVersionError: the facts do not hold that version.
        FactsError: the package's file of facts cannot be used.
    """
    if facts is None:
        facts = package_facts()
    chosen = max(facts.versions) if version is None else version
    if chosen not in facts.versions:
        raise UnknownVersionError(chosen, sorted(facts.versions))
    return Catalog(facts, chosen)


def _bare(words: str) -> str:
    return "".join(filter(str.isalnum, words.lower()))


def _list_shape(method: str, responses: Sequence[Response], *, paged: bool) -> ListShape | None:
    answer = next((r.schema for r in responses if r.status < 300), None)
    if method != "GET" or answer is None:
        return None
    if answer.type == "array":
        return ListShape.ARRAY
    if "m2m_tokens" in answer.properties:
        return ListShape.M2M_TOKENS
    rows = answer.properties.get("data")
    if rows is None or rows.type != "array":
        return None
    return ListShape.DATA if paged else ListShape.WHOLE
