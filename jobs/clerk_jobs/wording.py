"""How messages name things: safely shown names, and the nearest name to one that was mistyped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean", "nearest", "shown", "snake_case"]

_SHOWN_CHARACTERS = 60
_LEAST_COMMON = 3


def shown(name: str) -> str:
    r"""Quote a name that came from a file, so that it cannot disturb a terminal or fill it.

    Control characters, bidirectional marks and the like are escaped, long names are cut.

    Example:
        >>> shown("cohort"), shown("a\x1b[2J")
        ("'cohort'", "'a\\x1b[2J'")
    """
    return repr(name if len(name) <= _SHOWN_CHARACTERS else name[:_SHOWN_CHARACTERS] + "...")


def snake_case(name: str) -> str:
    """Give a camelCase or kebab-case name in snake_case.

    Example:
        >>> snake_case("publicMetadata"), snake_case("redirectURL"), snake_case("on-existing")
        ('public_metadata', 'redirect_url', 'on_existing')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[-\s]+", "_", parted).lower()


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Find the valid name that was most likely meant; None when none is near.

    Case, camelCase and blanks count for nothing. Most letters must agree in their order, or one name must begin
    with the other.

    Example:
        >>> nearest("integer", ["str", "int"]), nearest("emial", ["email"]), nearest("x", ["email"])
        ('int', 'email', None)
    """
    by_form = {snake_case(candidate.strip()): candidate for candidate in valid}
    # Matching is quadratic in the length: what is longer than any name of ours cannot be near to one.
    form = snake_case(name.strip())[:200]
    matches = get_close_matches(form, by_form, n=1, cutoff=0.65) or [
        candidate
        for candidate in by_form
        if min(len(candidate), len(form)) >= _LEAST_COMMON
        and (candidate.startswith(form) or form.startswith(candidate))
    ]
    return by_form[matches[0]] if matches else None


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Ask for the nearest valid name; empty when none is near. The guess is only ever shown, never applied.

    Example:
        >>> did_you_mean("chort", ["email", "cohort"])
        'did you mean cohort?'
    """
    guess = nearest(name, valid)
    return "" if guess is None else f"did you mean {guess}?"
