"""What may be shown of people's data in a report that somebody may pass on."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["masked", "masked_text"]

CLERK_ID: Final = re.compile(r"[a-z]{2,12}_[A-Za-z0-9]{6,}")
ADDRESS: Final = re.compile(r"([^\s@<>\"',;:()]{1,64})@([^\s@<>\"',;:()]{1,255})")


def masked(value: str) -> str:
    """A cell that tells which row is meant to whoever knows it, and nothing to anybody else.

    Clerk's own ids stay: they say nothing about a person.

    Example:
        >>> [masked(cell) for cell in ("jane@example.com", "Jane Doe", "ab", "user_2abcDEF", "")]
        ['j…@e….com', 'J…', '…', 'user_2abcDEF', '']
    """
    if not value or CLERK_ID.fullmatch(value):
        return value
    if ADDRESS.fullmatch(value):
        return masked_text(value)
    return f"{value[0]}…" if len(value) > 2 else "…"


def masked_text(text: str) -> str:
    """A sentence without the e-mail addresses in it.

    Example:
        >>> masked_text("jane@example.com has been invited")
        'j…@e….com has been invited'
    """
    return ADDRESS.sub(_short, text)


def _short(found: re.Match[str]) -> str:
    name, host = found.groups()
    _, dot, last = host.rpartition(".")
    return f"{name[0]}…@{host[0]}…{dot}{last if dot else ''}"
