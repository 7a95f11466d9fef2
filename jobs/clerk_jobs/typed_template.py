"""Templates for fields of a certain type: ``notify: true`` or ``notify: "{notify:bool}"``.

What a field expects is checked as early as it can be known: a constant and the type of a cast when the job
file is loaded, everything else for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from clerk_jobs.errors import RowProblem
from clerk_jobs.template import Constant, Placeholder, Template
from clerk_jobs.values import DROPPED, Dropped, Json
from clerk_jobs.wording import did_you_mean

__all__ = ["Expectation", "TypedTemplate", "boolean", "integer", "one_of", "text"]

_CAST_NAMES: Mapping[type, str] = {bool: "bool", int: "int"}


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a field takes.

    Attributes:
        noun: for messages, ``true or false``.
        kind: the Python type, exactly: true is no number.
        schema: the JSON Schema of a constant.
        fits: what must hold beyond the type.
        choices: the texts among which it must be, if they are few.
        required: a row without this value is refused, so ``{x?}`` is no use here.
    """

    noun: str
    kind: type
    schema: Mapping[str, Json]
    fits: Callable[[Json], bool] = field(default=bool)
    choices: tuple[str, ...] = ()
    required: bool = False

    def accepts(self, value: Json) -> bool:
        """Tell whether a rendered value may be sent."""
        return type(value) is self.kind and self.fits(value)

    def refusal(self, template: Template) -> tuple[str, str] | None:
        """Say (message, hint) why this template can never fit, before any row; None when it may."""
        if not template.columns and template.produces not in {dict, list}:
            value = template.render({})
            assert value is not DROPPED
            if self.accepts(value):
                return None
            if self.kind is str and not isinstance(value, str | None):
                return f"must be {self.noun}", "write it in quotes"
            return f"must be {self.noun}", did_you_mean(str(value), self.choices)
        if template.produces not in {None, self.kind}:
            return f"must be {self.noun}, but this is always of another type", self._cast_hint()
        if self.required and isinstance(template, Placeholder) and template.optional:
            return "cannot be left out", "drop the question mark"
        return None

    def _cast_hint(self) -> str:
        cast = _CAST_NAMES.get(self.kind)
        return f"write one template with a cast, {{column:{cast}}}" if cast else ""


class TypedTemplate(Template):
    """A template whose rendered values are of the type that its field expects."""

    __slots__ = ("_expectation", "_field", "_inner")

    def __init__(self, inner: Template, expectation: Expectation, field_name: str) -> None:
        """Check what ``inner`` renders; ``field_name`` is for messages."""
        super().__init__(inner.source, inner.columns, expectation.kind)
        self._inner = inner
        self._expectation = expectation
        self._field = field_name

    @classmethod
    def constant(cls, value: bool | int | str, expectation: Expectation, field_name: str) -> TypedTemplate:
        """Make the template of a default."""
        return cls(Constant(value), expectation, field_name)

    def render(self, values: Mapping[str, Json]) -> Json | Dropped:
        """Give the row's value, of the expected type, or `DROPPED`."""
        value = self._inner.render(values)
        if value is DROPPED or self._expectation.accepts(value):
            return value
        column = self.columns[0] if len(self.columns) == 1 else None
        if isinstance(value, str) and not value.strip():
            raise RowProblem("missing_value", f"{self._field} is empty in this row", column)
        cast = _CAST_NAMES.get(self._expectation.kind)
        hint = f"; write {{{column}:{cast}}}" if cast and column and isinstance(value, str) else ""
        raise RowProblem("value_invalid", f"{self._field} must be {self._expectation.noun}{hint}", column)


def text(*, required: bool = False) -> Expectation:
    """Expect a text that is not empty."""

    def fits(value: Json) -> bool:
        return isinstance(value, str) and bool(value.strip())

    return Expectation("a text", str, {"type": "string", "minLength": 1}, fits, required=required)


def boolean() -> Expectation:
    """Expect true or false."""
    return Expectation("true or false", bool, {"type": "boolean"}, lambda _: True)


def integer(least: int, most: int) -> Expectation:
    """Expect a whole number from ``least`` to ``most``."""

    def fits(value: Json) -> bool:
        return isinstance(value, int) and least <= value <= most

    schema: dict[str, Json] = {"type": "integer", "minimum": least, "maximum": most}
    return Expectation(f"a whole number from {least} to {most}", int, schema, fits)


def one_of(*choices: str) -> Expectation:
    """Expect one of a few words."""
    noun = f"one of {', '.join(choices)}"
    return Expectation(noun, str, {"enum": list(choices)}, lambda value: value in choices, choices)
