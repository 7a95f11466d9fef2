"""Which items of a journal belong to which step: each step has a range of numbers of its own.

``item.seq`` is the row's place in its input, counted from the step's base: 0 for the first step and for a job without
steps, ``WIDTH`` for the second. So an item's number alone tells its step, what is asked of one step is a range of the
primary key, and the journal of a job without steps is that of a job with one. Items that a changed input has moved out
of the way have the same numbers below zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["WIDTH", "Span", "facts_of_steps"]

WIDTH = 1 << 40
"""Most rows of a step: more than a file can hold."""


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers of one step's items.

    Attributes:
        number: the step's place, from 0.
        of_many: whether the journal holds other steps too.
    """

    number: int = 0
    of_many: bool = False

    @property
    def base(self) -> int:
        """The number before that of the first row."""
        return self.number * WIDTH

    @property
    def first(self) -> int:
        """The least number."""
        return self.base + 1

    @property
    def last(self) -> int:
        """The greatest number."""
        return self.base + WIDTH - 1

    @property
    def images(self) -> str:
        """The table that holds what the step changes, see ``clerk_runner.images``."""
        return f"image_{self.number}" if self.number else "image"

    @property
    def earlier(self) -> str:
        """The table that holds what it changed before its input was taken in anew."""
        return f"earlier_{self.number}" if self.number else "earlier"

    def fact(self, name: str) -> str:
        """What a fact about this step alone is called in the journal: as in a job without steps, or with its number.

        Example:
            >>> Span().fact("backup"), Span(2, of_many=True).fact("backup")
            ('backup', 'backup_2')
        """
        return f"{name}_{self.number}" if self.of_many else name

    def row(self, seq: int) -> int:
        """The place in the input of an item, from 1.

        Example:
            >>> Span(1).row(Span(1).first)
            1
        """
        return seq - self.base


def facts_of_steps(meta: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a journal says under ``Span.fact(name)`` of a run or of its steps, by what follows the name.

    Example:
        >>> facts_of_steps({"backup": 1, "backup_2": 3, "backup_done": True}, "backup")
        {'': 1, '_2': 3}
    """
    found = ((re.fullmatch(rf"{re.escape(name)}((?:_\d+)?)", key), value) for key, value in meta.items())
    return {match[1]: value for match, value in found if match is not None}
