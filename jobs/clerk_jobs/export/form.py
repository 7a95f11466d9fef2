"""The form of an output: its format and its packing, as its name or ``format:`` says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from clerk_jobs.export.columns import Column

__all__ = ["ENDINGS", "STDOUT", "Form", "Format", "Formulas", "Packing", "format_of", "packing_of"]

Format: TypeAlias = Literal["jsonl", "csv", "parquet", "sqlite"]
Packing: TypeAlias = Literal["gz", "zst"]
Formulas: TypeAlias = Literal["defuse", "keep"]

STDOUT: Final = "-"
"""The output's name where it goes to standard output."""
ENDINGS: Final[Mapping[str, Format]] = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "csv": "csv",
    "parquet": "parquet",
    "sqlite": "sqlite",
    "sqlite3": "sqlite",
    "db": "sqlite",
}
"""What the ends of names mean."""


@dataclass(frozen=True, slots=True)
class Form:
    """What an output looks like.

    Attributes:
        packing: how the bytes are compressed; None for not at all.
        columns: of everything but JSON Lines.
        table: the name of an SQLite table.
        formulas: whether CSV cells that a spreadsheet would execute are defused by an apostrophe.
    """

    format: Format
    packing: Packing | None = None
    columns: tuple[Column, ...] = ()
    table: str = "rows"
    formulas: Formulas = "defuse"

    @property
    def streams(self) -> bool:
        """Whether it can be written from front to end, and so packed and piped."""
        return self.format in ("jsonl", "csv")


def packing_of(name: str) -> Packing | None:
    """How a file of this name is packed."""
    found = re.search(r"\.(gz|zst)$", name)
    return None if found is None else ("gz" if found[1] == "gz" else "zst")


def format_of(name: str) -> Format | None:
    """The format of a file of this name; None where its end says nothing.

    Example:
        >>> format_of("users-{date}.csv.gz"), format_of("users.xlsx")
        ('csv', None)
    """
    if name == STDOUT:
        return "jsonl"
    packing = packing_of(name)
    bare = name if packing is None else name.removesuffix(f".{packing}")
    return ENDINGS.get(bare.rpartition(".")[2]) if "." in bare else None
