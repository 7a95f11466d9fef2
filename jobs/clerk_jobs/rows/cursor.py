"""Reading one record after another, from any record's offset on: CSV and JSON Lines."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import msgspec

from clerk_jobs.errors import InputError
from clerk_jobs.rows.lines import MAX_ROW, Lines, RowTooLargeError
from clerk_jobs.rows.row import OWN_COLUMNS, Record, Row, RowFault
from clerk_jobs.rows.skipping import Dialect, skip_row
from clerk_jobs.values import MAX_TEXT

__all__ = ["CsvCursor", "Cursor", "JsonlCursor"]


class Cursor(ABC):
    """A place between two records."""

    def __init__(self, lines: Lines, name: str) -> None:
        """Read records of ``lines``; ``name`` is the source's, for messages."""
        self._lines = lines
        self._name = name

    @property
    def offset(self) -> int:
        """Bytes from the start of the file to this place."""
        return self._lines.offset

    def move(self, offset: int, lines_before: int) -> None:
        """Go to the record that begins at ``offset``, after ``lines_before`` physical lines."""
        self._lines.move(offset, lines_before)

    @abstractmethod
    def read(self, number: int) -> Record | None:
        """Read the next record, which gets that number; None at the end. Blank lines are passed over.

        Raises:
            InputError: the file cannot be read on: wrong encoding, a quote that is never closed.
        """


class CsvCursor(Cursor):
    """Reads CSV by the rules of `csv`, strictly: text after a closing quote is a fault of the row."""

    def __init__(self, lines: Lines, name: str, dialect: Dialect, header: Sequence[str] = ()) -> None:
        """Read rows under a header; without one, `fields` reads it."""
        super().__init__(lines, name)
        self._dialect = dialect
        self._width = len(header)
        self._columns = tuple(column for column in header if column not in OWN_COLUMNS)
        self._kept = [place for place, column in enumerate(header) if column not in OWN_COLUMNS]
        self._reader = self._new_reader()

    def move(self, offset: int, lines_before: int) -> None:
        """See `Cursor.move`."""
        super().move(offset, lines_before)
        self._reader = self._new_reader()

    def read(self, number: int) -> Record | None:
        """See `Cursor.read`."""
        lines = self._lines
        while True:
            line, lines.row_start = lines.line + 1, lines.offset
            try:
                fields = next(self._reader, None)
            except (csv.Error, RowTooLargeError) as error:
                return self._unreadable(error, number, line)
            if fields is None:
                return None
            if fields:
                break
        if lines.nul:
            lines.nul = False
            return RowFault(
                number, line, lines.row_start, "nul_byte", f"line {line} contains a NUL byte", tuple(fields)
            )
        if len(fields) != self._width:
            message = f"line {line} has {len(fields)} cells, the header has {self._width}"
            return RowFault(number, line, lines.row_start, "ragged_row", message, tuple(fields))
        if len(self._columns) != self._width:
            fields = [fields[place] for place in self._kept]
        return Row(number, line, lines.row_start, dict(zip(self._columns, fields, strict=True)))

    def _new_reader(self) -> Iterator[list[str]]:
        dialect = self._dialect
        return csv.reader(self._lines, delimiter=dialect.delimiter, quotechar=dialect.quotechar, strict=True)

    def _unreadable(self, error: csv.Error | RowTooLargeError, number: int, line: int) -> RowFault:
        """Make the fault of a row that `csv` gave up, and go to the row after it."""
        offset = self._lines.row_start
        self.move(offset, line - 1)
        if not skip_row(self._lines, self._dialect):
            hint = "close it, or double it if it belongs to the text"
            raise InputError(self._name, "a quote in this row is never closed", line=line, hint=hint)
        self.move(self._lines.offset, self._lines.line)
        if isinstance(error, RowTooLargeError):
            code, message = "row_too_large", f"the row from line {line} on is larger than {MAX_ROW:,} bytes"
        elif "field limit" in str(error):
            code, message = "field_too_large", f"a cell from line {line} on is longer than {MAX_TEXT:,} characters"
        else:
            code, message = "bad_quotes", f"line {line} has text after a closing quote; double the quotes inside a text"
        return RowFault(number, line, offset, code, message)


class JsonlCursor(Cursor):
    """Reads one JSON object a line."""

    def __init__(self, lines: Lines, name: str) -> None:
        """Start at the first line."""
        super().__init__(lines, name)
        self._decode = msgspec.json.Decoder().decode

    def read(self, number: int) -> Record | None:
        """See `Cursor.read`."""
        lines = self._lines
        while True:
            line, lines.row_start = lines.line + 1, lines.offset
            try:
                text = next(lines, None)
            except RowTooLargeError:
                return self._too_large(number, line)
            if text is None:
                return None
            if text := text.strip():
                break
        try:
            values = self._decode(text)
        except (msgspec.DecodeError, RecursionError):
            return RowFault(number, line, lines.row_start, "invalid_json", f"line {line} is not one JSON value")
        if not isinstance(values, dict):
            message = f"line {line} is JSON but not an object"
            return RowFault(number, line, lines.row_start, "not_an_object", message)
        for column in OWN_COLUMNS & values.keys():
            del values[column]
        return Row(number, line, lines.row_start, values)

    def _too_large(self, number: int, line: int) -> RowFault:
        offset = self._lines.row_start
        self.move(offset, line - 1)
        for part in self._lines.parts():
            if part.endswith(("\n", "\r")):
                break
        return RowFault(number, line, offset, "row_too_large", f"line {line} is larger than {MAX_ROW:,} bytes")
