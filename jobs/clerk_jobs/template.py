"""Templates: ``"{column:int}"`` in a job file becomes a value of a row.

The language, whole. ``{column}`` stands for a row's value, ``{user.name}`` for a value inside of one (see
`clerk_jobs.reach`). ``{column:int}`` casts it (str, int, float, bool, json, list, first, rest). ``{column|upper}`` and
``{column:int|default:1}`` send it through functions, see `clerk_jobs.pipes`. ``{column?}`` and ``{column:int?}`` drop
an empty value: the key or the list item that holds the template is left out. ``{{`` and ``}}`` are braces. A value
that is one template alone keeps its type; in mixed text every template becomes text, an empty optional one no text.
There is no code in it, and every size is bounded.

Templates are compiled once, when the job file is loaded, and rendered for each row.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from clerk_jobs.casts import CAST_TYPES, CASTS, PARTS, Misfit, as_text, is_empty
from clerk_jobs.errors import RowProblem, TemplateError
from clerk_jobs.pipes import Pipes, compile_pipes
from clerk_jobs.reach import reach
from clerk_jobs.values import DROPPED, MAX_DEPTH, MAX_TEXT, Dropped, Json, unsound
from clerk_jobs.wording import did_you_mean, shown

__all__ = [
    "DROPPED",
    "Constant",
    "Dropped",
    "ListTemplate",
    "MapTemplate",
    "MixedText",
    "Placeholder",
    "Template",
    "compile_text",
    "compile_value",
    "fixed_key",
]

MAX_TEMPLATE: Final = 16_384
"""Longest text of one template in a job file, in characters."""
MAX_PLACEHOLDERS: Final = 200
"""Most placeholders in one text."""

NONE: Final = Pipes("", ())
"""No functions: the value as it is."""

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Template(ABC):
    """A value of the job file that is rendered for each row.

    Attributes:
        columns: the columns that rendering reads, each once, in the order of the text. What is missing in a
            source is found before its first row.
        source: the value as the job file has it; two templates with the same source have the same effect.
        produces: the type that every rendering has, or None where it depends on the row.
    """

    __slots__ = ("columns", "produces", "source")

    def __init__(self, source: Json, columns: Iterable[str], produces: type | None) -> None:
        """Keep what is known before any row."""
        self.source = source
        self.columns = tuple(dict.fromkeys(columns))
        self.produces = produces

    @abstractmethod
    def render(self, values: Mapping[str, Json]) -> Json | Dropped:
        """Make the value for one row.

        Maps and lists are new for each call, so the caller may change them.

        Raises:
            RowProblem: the row's values do not fit: `missing_column`, `missing_value`, `cast_failed`,
                `value_too_large` or `value_invalid`.
        """

    def __repr__(self) -> str:
        """Show the text of the job file."""
        return f"{type(self).__name__}({self.source!r})"

    def __eq__(self, other: object) -> bool:
        """Compare by what was written; 1, 1.0 and true are three values."""
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        """Hash by what was written."""
        return hash(repr(self))


class Constant(Template):
    """A value that is the same for every row: a text without placeholders, a number, true, false or null."""

    __slots__ = ("_value",)

    def __init__(self, value: bool | int | float | str | None, source: Json = None) -> None:
        """Hold the value; ``source`` is given where it is written otherwise, with doubled braces."""
        super().__init__(value if source is None else source, (), type(value))
        self._value = value

    def render(self, values: Mapping[str, Json]) -> Json | Dropped:  # noqa: ARG002 - the same for every row
        """Give the value."""
        return self._value


class Placeholder(Template):
    """One ``{column:cast|function?}`` alone, whose value keeps its type."""

    __slots__ = ("_cast", "_cast_name", "_pipes", "column", "optional")

    def __init__(self, column: str, cast: str | None = None, *, optional: bool = False, pipes: Pipes = NONE) -> None:
        """Read ``column``, through the cast of that name if there is one, and then through ``pipes``."""
        source = f"{{{column}{f':{cast}' if cast else ''}{pipes.source}{'?' if optional else ''}}}"
        super().__init__(source, (column,), pipes.produces(CAST_TYPES.get(cast or "")))
        self.column = column
        self.optional = optional
        self._cast = CASTS[cast] if cast else None
        self._cast_name = cast
        self._pipes = pipes

    def render(self, values: Mapping[str, Json]) -> Json | Dropped:
        """Give the row's value, cast and sent through the functions."""
        value = reach(values, self.column)
        if self._pipes.has_default and (value is DROPPED or is_empty(value)):
            return self._piped(self._pipes.fallback)
        if value is DROPPED:
            if self.optional:
                return DROPPED
            raise self._problem("missing_column", "is not in this row")
        if self.optional and is_empty(value):
            return DROPPED
        typed = self._typed(value)
        if typed is DROPPED or self._pipes is NONE:
            return typed
        return self._piped(lambda: self._pipes.apply(typed))

    def _typed(self, value: Json) -> Json | Dropped:
        if self._cast is None:
            if reason := unsound(value):
                raise self._problem("value_too_large", reason)
            return value
        if self._cast_name != "str" and isinstance(value, str) and is_empty(value):
            optional = f"{{{self.column}:{self._cast_name}?}}"
            raise self._problem("missing_value", f"is empty; write {optional} to leave empty values out")
        try:
            found = self._cast(value)
        except Misfit as misfit:
            raise self._problem("cast_failed", str(misfit)) from None
        return DROPPED if self.optional and self._cast_name in PARTS and not found else found

    def _piped(self, work: Callable[[], Json]) -> Json:
        try:
            value = work()
        except Misfit as misfit:
            raise self._problem("function_failed", str(misfit)) from None
        if reason := unsound(value):
            raise self._problem("value_too_large", reason)
        return value

    def text(self, values: Mapping[str, Json]) -> str:
        """Give the row's value as a part of a longer text; an optional empty one is no text."""
        value = self.render(values)
        if isinstance(value, str):
            return value
        if value is DROPPED:
            return ""
        try:
            return as_text(value)
        except Misfit as misfit:
            raise self._problem("missing_value", str(misfit)) from None

    def _problem(self, code: str, reason: str) -> RowProblem:
        return RowProblem(code, f"column {shown(self.column)} {reason}", self.column)


class MixedText(Template):
    """Text around and between placeholders: always rendered to text."""

    __slots__ = ("_parts",)

    def __init__(self, source: str, parts: Sequence[str | Placeholder]) -> None:
        """Join ``parts``, in their order, for each row."""
        super().__init__(source, (part.column for part in parts if isinstance(part, Placeholder)), str)
        self._parts = tuple(parts)

    def lacks(self, values: Mapping[str, Json]) -> bool:
        """Tell whether an optional placeholder in it is empty in a row."""
        placeholders = (part for part in self._parts if isinstance(part, Placeholder))
        return any(part.optional and part.render(values) is DROPPED for part in placeholders)

    def render(self, values: Mapping[str, Json]) -> str:
        """Give the text for one row."""
        texts = [part if isinstance(part, str) else part.text(values) for part in self._parts]
        if sum(map(len, texts)) > MAX_TEXT:
            raise RowProblem("value_too_large", f"a text of this row is longer than {MAX_TEXT:,} characters")
        return "".join(texts)


class MapTemplate(Template):
    """A map with fixed keys and templates as values; keys whose optional value is empty are left out."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, Template]) -> None:
        """Render each entry under its key."""
        source = {key: template.source for key, template in entries.items()}
        super().__init__(source, (column for each in entries.values() for column in each.columns), dict)
        self._entries = tuple(entries.items())

    def render(self, values: Mapping[str, Json]) -> dict[str, Json]:
        """Give a new map for one row."""
        return {key: value for key, template in self._entries if (value := template.render(values)) is not DROPPED}


class ListTemplate(Template):
    """A list of templates; items whose optional value is empty are left out."""

    __slots__ = ("_items",)

    def __init__(self, items: Sequence[Template]) -> None:
        """Render each item in its place."""
        source = [template.source for template in items]
        super().__init__(source, (column for each in items for column in each.columns), list)
        self._items = tuple(items)

    def render(self, values: Mapping[str, Json]) -> list[Json]:
        """Give a new list for one row."""
        return [value for template in self._items if (value := template.render(values)) is not DROPPED]


def compile_text(text: str) -> Template:
    """Compile one text of a job file.

    Raises:
        TemplateError: a brace without its fellow, an unknown cast, no column name, too long; with the offset.

    Example:
        >>> compile_text("{seats:int}").render({"seats": "12"})
        12
        >>> compile_text("Hello {name?}, {{you}}").render({"name": "Ada"})
        'Hello Ada, {you}'
    """
    if len(text) > MAX_TEMPLATE:
        raise TemplateError(f"the text is longer than {MAX_TEMPLATE:,} characters", 0)
    parts: list[str | Placeholder] = []
    place = 0
    for token in _TOKEN.finditer(text):
        parts.append(text[place : token.start()])
        place = token.end()
        parts.append(_part(token))
    parts.append(text[place:])
    placeholders = [part for part in parts if isinstance(part, Placeholder)]
    kept = [part for part in parts if part != ""]
    if len(placeholders) > MAX_PLACEHOLDERS:
        raise TemplateError(f"more than {MAX_PLACEHOLDERS} placeholders in one text", 0)
    if not placeholders:
        return Constant("".join(part for part in kept if isinstance(part, str)), source=text)
    return placeholders[0] if len(kept) == 1 else MixedText(text, kept)


def _part(token: re.Match[str]) -> str | Placeholder:
    written = token.group()
    if written in {"{{", "}}"}:
        return written[0]
    if written in {"{", "}"}:
        other = "closed" if written == "{" else "opened"
        raise TemplateError(f"a brace that is never {other}", token.start(), f"write {written * 2} for a plain brace")
    return _placeholder(token.group(1), token.start(1))


def _placeholder(inner: str, offset: int) -> Placeholder:
    body = inner.strip()
    optional = body.endswith("?")
    head, bar, behind = body.removesuffix("?").partition("|")
    pipes = compile_pipes(behind, offset + inner.index("|") + 1) if bar else NONE
    column, colon, cast = head.rpartition(":")
    if not colon:
        column, cast = cast, ""
    column, cast = column.strip(), cast.strip()
    if colon and cast.removesuffix("?") not in CASTS:
        known = ", ".join(CASTS)
        hint = did_you_mean(cast, CASTS) or f"casts are {known}; a column with a colon in its name needs one"
        behind_colon = inner.index(body) + head.rindex(":") + 1
        raise TemplateError(f"{shown(cast)} is not a cast", offset + behind_colon, hint)
    if (colon and column.endswith("?")) or (bar and head.rstrip().endswith("?")):
        right = f"{{{head.replace('?', '').strip()}{bar}{behind}?}}"
        raise TemplateError("the question mark comes last", offset + inner.index("?"), f"write {right}")
    if colon and cast not in CASTS:
        raise TemplateError(f"{shown(cast)} is not a cast", offset + inner.rindex(":") + 1, did_you_mean(cast, CASTS))
    if not column:
        raise TemplateError("a placeholder without a column", offset, "name a column of the source, {email}")
    if optional and pipes.has_default:
        hint = "with a default it is never left out: drop the question mark"
        raise TemplateError("a default and a question mark", offset + inner.rindex("?"), hint)
    return Placeholder(column, cast or None, optional=optional, pipes=pipes)


def compile_value(value: Json, depth: int = 0) -> Template:
    """Compile a value with everything nested in it: texts become templates, all else stays.

    Raises:
        TemplateError: one of the texts does not compile, a key has braces, or the nesting is deeper than 32.
    """
    if isinstance(value, str):
        return compile_text(value)
    if not isinstance(value, dict | list):
        return Constant(value)
    if depth >= MAX_DEPTH:
        raise TemplateError(f"nested more than {MAX_DEPTH} levels deep", 0)
    if isinstance(value, list):
        return ListTemplate([compile_value(each, depth + 1) for each in value])
    return MapTemplate({fixed_key(key): compile_value(each, depth + 1) for key, each in value.items()})


def fixed_key(key: str) -> str:
    """Give the key back, when it is one: keys are the same for every row.

    Raises:
        TemplateError: the key has braces.
    """
    if "{" in key or "}" in key:
        raise TemplateError("a key cannot be a template", 0, "use templates in values only")
    return key
