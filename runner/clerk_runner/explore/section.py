"""A piece of text in columns, as sheets and differences are made of."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Section"]


@dataclass(frozen=True, slots=True)
class Section:
    """A title, and rows of cells under it; a row of one cell is a line of text.

    Attributes:
        verbatim: the rows are code, to be copied as they stand.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]
    verbatim: bool = False
