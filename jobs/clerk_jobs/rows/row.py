"""What reading a source brings: a row, or the fault of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from clerk_jobs.values import Json

__all__ = ["OWN_COLUMNS", "Record", "Row", "RowFault"]

OWN_COLUMNS: Final = frozenset({"_status", "_code", "_message", "_trace_id", "_surplus"})
"""What we add to failed.csv; dropped when such a file is fed back."""


class Row(Struct, frozen=True):
    """A row that could be read.

    Attributes:
        number: place among the rows, from 1; a faulty row has a number too.
        line: physical line on which it begins, from 1; the header's is 1.
        offset: bytes from the start of the file to its first.
        values: by column; texts from CSV, any JSON value from JSON Lines.
    """

    number: int
    line: int
    offset: int
    values: Mapping[str, Json]


class RowFault(Struct, frozen=True):
    """A row that could not be read; the rows after it can.

    Attributes:
        number: as for `Row`.
        line: as for `Row`.
        offset: as for `Row`.
        code: ``ragged_row``, ``bad_quotes``, ``field_too_large``, ``row_too_large``, ``nul_byte``,
            ``invalid_json`` or ``not_an_object``.
        message: one line for a person, without the row's content.
        fields: the cells, as far as they could be told apart, the columns of ours among them.
    """

    number: int
    line: int
    offset: int
    code: str
    message: str
    fields: tuple[str, ...] = ()


Record: TypeAlias = Row | RowFault
