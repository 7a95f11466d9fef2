"""Getting past a CSV row that cannot be read, to where the next one truly begins.

Going on at the next line would be wrong: the row may be in the middle of a quoted text of many lines, and a line of
that text must never pass for a row, with an address to write to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from clerk_jobs.rows.lines import Lines

__all__ = ["Dialect", "skip_row"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are parted: two characters."""

    delimiter: str
    quotechar: str


class _Place(Enum):
    CELL_START = auto()
    PLAIN = auto()
    QUOTED = auto()
    AFTER_QUOTE = auto()


def skip_row(lines: Lines, dialect: Dialect) -> bool:
    """Move ``lines`` from the start of a row to its end.

    Returns:
        False when the file ended within quotes: the quote is never closed.

    Raises:
        InputError: the bytes are not in the file's encoding.
    """
    place = _Place.CELL_START
    for part in lines.parts():
        place = _walk(part, place, dialect)
        if place is not _Place.QUOTED and part.endswith(("\n", "\r")):
            return True
    return place is not _Place.QUOTED


def _walk(text: str, place: _Place, dialect: Dialect) -> _Place:
    """Say where the end of ``text`` is, by the rules that `csv` reads by."""
    at = 0
    while at < len(text):
        if place is _Place.CELL_START:
            quoted = text[at] == dialect.quotechar
            place = _Place.QUOTED if quoted else _Place.PLAIN
            at += quoted
        elif place is _Place.AFTER_QUOTE:
            # Two quotes are one within the text; anything else ends it.
            doubled = text[at] == dialect.quotechar
            place = _Place.QUOTED if doubled else _Place.PLAIN
            at += doubled
        else:
            quoted = place is _Place.QUOTED
            found = text.find(dialect.quotechar if quoted else dialect.delimiter, at)
            if found == -1:
                return place
            place = _Place.AFTER_QUOTE if quoted else _Place.CELL_START
            at = found + 1
    return place
