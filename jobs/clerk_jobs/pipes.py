"""The functions behind the bars of a template: ``{user.public_metadata.plan|default:"free"|upper}``.

A pipe takes the value from its left, after the cast, and gives another to its right. ``default:VALUE`` stands in for
a value that is missing, null or blank; ``lower`` and ``upper`` change letters; ``date`` turns a time, unix
milliseconds or ISO 8601, into a date (UTC), ``date:"iso"`` into a whole time, ``date:"ms"`` and ``date:"s"`` into unix
time, ``date:"%Y-%m"`` into what the format says. There is no other function, and no code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Final

import msgspec

from clerk_jobs.casts import CASTS, Misfit
from clerk_jobs.errors import TemplateError
from clerk_jobs.values import Json
from clerk_jobs.wording import did_you_mean, shown

__all__ = ["Pipes", "compile_pipes"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_MS: Final = 10**11
"""March 1973: smaller numbers are seconds, or days, that would pass for a time in 1970."""
_PIPE: Final = re.compile(
    r"""\s*(?P<name>[^\s:|"']*)\s*(?P<colon>:\s*(?P<argument>"(?:[^"\\]|\\.)*"|'[^']*'|[^|"']*?)\s*)?(?P<end>\||$)"""
)
_DIRECTIVES: Final = frozenset("YmdHMSjy%")


@dataclass(frozen=True, slots=True)
class _Pipe:
    name: str
    argument: Json
    apply: Callable[[Json], Json]
    produces: type | None


class Pipes:
    """The functions of one placeholder, in their order.

    Attributes:
        source: as a job file has them, the first bar too.
        has_default: whether a missing value has a stand-in.
    """

    __slots__ = ("_pipes", "has_default", "source")

    def __init__(self, source: str, pipes: Sequence[_Pipe]) -> None:
        """Made by `compile_pipes`."""
        self.source = source
        self._pipes = tuple(pipes)
        self.has_default = any(pipe.name == "default" for pipe in pipes)

    def apply(self, value: Json) -> Json:
        """The value on the right of the last pipe.

        Raises:
            Misfit: a function cannot take what it is given.
        """
        for pipe in self._pipes:
            if pipe.name != "default":
                value = pipe.apply(value)
        return value

    def fallback(self) -> Json:
        """The same for a value that is missing: the default, and what stands behind it.

        Raises:
            Misfit: as for `apply`.
        """
        place = next(place for place, pipe in enumerate(self._pipes) if pipe.name == "default")
        value = self._pipes[place].argument
        for pipe in self._pipes[place + 1 :]:
            value = pipe.apply(value)
        return value

    def produces(self, start: type | None) -> type | None:
        """The type that every rendering has, when the cast brings ``start``; None where it depends on the row."""
        for pipe in self._pipes:
            if pipe.name != "default":
                start = pipe.produces
            elif type(pipe.argument) is not start:
                start = None
        return start


def compile_pipes(text: str, offset: int) -> Pipes:
    """Compile what stands behind the first bar of a placeholder.

    Args:
        offset: where it begins in the text of the template, for errors.

    Raises:
        TemplateError: an unknown function, or an argument that it does not take.

    Example:
        >>> pipes = compile_pipes('default:"free"|upper', 0)
        >>> pipes.apply("pro"), pipes.fallback(), compile_pipes("date", 0).apply(1706659200000)
        ('PRO', 'FREE', '2024-01-31')
    """
    pipes: list[_Pipe] = []
    place, end = 0, "|"
    while end == "|":
        match = _PIPE.match(text, place)
        if match is None:
            hint = "texts are written in quotes, default:\"free\" or default:'free'"
            raise TemplateError("a function's argument that cannot be read", offset + place, hint)
        pipes.append(_pipe(match, offset))
        place, end = match.end(), match["end"]
    if sum(pipe.name == "default" for pipe in pipes) > 1:
        raise TemplateError("default is given twice", offset, "the second one would never apply")
    return Pipes(f"|{text.strip()}", pipes)


def _pipe(match: re.Match[str], offset: int) -> _Pipe:
    name, place = match["name"], offset + match.start("name")
    if name not in _FUNCTIONS:
        if name in CASTS:
            hint = f"a cast follows the column and a colon, {{column:{name}}}"
        else:
            hint = did_you_mean(name, _FUNCTIONS) or f"functions are {', '.join(_FUNCTIONS)}"
        said = f"{shown(name)} is not a function" if name else "a bar without a function after it"
        raise TemplateError(said, place, hint)
    argument = _argument(match, offset) if match["colon"] else ...
    return _FUNCTIONS[name](argument, place)


def _argument(match: re.Match[str], offset: int) -> Json:
    text = match["argument"]
    if text.startswith("'"):
        return text[1:-1]
    try:
        value: Json = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        value = {}
    if isinstance(value, dict | list):
        hint = f'texts are written in quotes, {match["name"]}:"free"; numbers, true, false and null without'
        raise TemplateError("an argument that is not a value", offset + match.start("argument"), hint)
    return value


def _default(argument: object, place: int) -> _Pipe:
    if argument is ...:
        raise TemplateError("default needs a value", place, 'write default:"free"')
    assert isinstance(argument, str | int | float | None)
    return _Pipe("default", argument, lambda value: value, None)


def _letters(name: str, change: Callable[[str], str], argument: object, place: int) -> _Pipe:
    if argument is not ...:
        raise TemplateError(f"{name} takes no argument", place, f"write {name} alone")

    def apply(value: Json) -> Json:
        if not isinstance(value, str):
            raise Misfit(f"is not text, which {name} needs")
        return change(value)

    return _Pipe(name, None, apply, str)


def _date(argument: object, place: int) -> _Pipe:
    form = "%Y-%m-%d" if argument is ... else argument
    directives = re.findall("%(.?)", form) if isinstance(form, str) else []
    if form not in ("ms", "s", "iso") and (not directives or not _DIRECTIVES.issuperset(directives)):
        hint = 'it takes "ms", "s", "iso", or a format of %Y %m %d %H %M %S %j %y'
        raise TemplateError("date does not know this format", place, hint)
    kind = int if form in ("ms", "s") else str
    return _Pipe("date", str(form), partial(_dated, str(form)), kind)


def _dated(form: str, value: Json) -> Json:
    moment = _moment(value)
    if form in ("ms", "s"):
        return (moment - _EPOCH) // timedelta(milliseconds=1 if form == "ms" else 1000)
    if form == "iso":
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # Years before 1000 are padded by some C libraries only.
    return moment.strftime(form.replace("%Y", f"{moment.year:04}"))


def _moment(value: Json) -> datetime:
    """The time that a value means, in UTC.

    Raises:
        Misfit: it means none.
    """
    if isinstance(value, str) and re.fullmatch("-?[0-9]{1,17}", value.strip()):
        value = int(value)
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if abs(value) < _LEAST_MS:
                raise Misfit("is too small for unix milliseconds")
            return _EPOCH + timedelta(milliseconds=int(value))
    except (ValueError, OverflowError):
        pass
    raise Misfit("is not a time: neither unix milliseconds nor ISO 8601")


_FUNCTIONS: Final[Mapping[str, Callable[[object, int], _Pipe]]] = MappingProxyType(
    {
        "default": _default,
        "lower": partial(_letters, "lower", str.lower),
        "upper": partial(_letters, "upper", str.upper),
        "date": _date,
    }
)
