"""Parquet: typed columns, written in row groups as they fill; needs the extra ``parquet``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as arrow
from pyarrow import parquet

from clerk_jobs.export.columns import Cell, Column, ColumnType, cells
from clerk_jobs.export.form import Form
from clerk_runner.exporting.sinks.sink import Lines

__all__ = ["Columnar"]

GROUP: Final = 20_000
"""Rows of a row group: about as many as are in memory at once."""
_LARGEST: Final = 2**63
_TYPES: Final[dict[ColumnType, Any]] = {
    "text": arrow.string(),
    "integer": arrow.int64(),
    "number": arrow.float64(),
    "boolean": arrow.bool_(),
    "time": arrow.timestamp("ms", tz="UTC"),
    "json": arrow.string(),
    "any": arrow.string(),
}


class Columnar:
    """Writes Parquet into a file that exists empty."""

    def __init__(self, path: Path, form: Form) -> None:
        """Write the file's head."""
        self.unfit = 0
        self._columns = form.columns
        self._lines = Lines()
        self._rows: list[list[Cell]] = []
        self._schema = arrow.schema([(column.name, _TYPES[column.type]) for column in form.columns])
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def take(self, data: bytes) -> None:
        """See `Sink`."""
        for line in self._lines.cut(data):
            self._rows.append(cells(self._columns, line))
            if len(self._rows) == GROUP:
                self._write()

    def finish(self) -> None:
        """See `Sink`."""
        if self._rows:
            self._write()
        self._writer.close()

    def abandon(self) -> None:
        """See `Sink`."""
        with suppress(OSError, arrow.ArrowException):
            self._writer.close()

    def _write(self) -> None:
        by_column = zip(self._columns, zip(*self._rows, strict=True), strict=True)
        arrays = [
            arrow.array([self._value(column, cell) for cell in values], type=_TYPES[column.type])
            for column, values in by_column
        ]
        self._writer.write_table(arrow.Table.from_arrays(arrays, schema=self._schema), row_group_size=GROUP)
        self._rows.clear()

    def _value(self, column: Column, cell: Cell) -> str | int | float | None:
        """The value as the column's type; what does not fit is text where the column is, and else left out."""
        if cell is None:
            return None
        if column.type in ("text", "json", "any"):
            return _as_text(cell)
        too_large = isinstance(cell, int) and column.type != "number" and not -_LARGEST <= cell < _LARGEST
        if isinstance(cell, msgspec.Raw | str) or too_large:
            self.unfit += 1
            return None
        return float(cell) if column.type == "number" else cell


def _as_text(cell: str | float | msgspec.Raw) -> str:
    if isinstance(cell, str):
        return cell
    return bytes(cell).decode() if isinstance(cell, msgspec.Raw) else msgspec.json.encode(cell).decode()
