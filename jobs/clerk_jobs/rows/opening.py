"""Opening a source: its file, its encoding, its header; then rows, from the start or from any offset."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from clerk_jobs.errors import InputError
from clerk_jobs.rows.cursor import CsvCursor, Cursor, JsonlCursor
from clerk_jobs.rows.documents import Document, DocumentCursor, find_rows
from clerk_jobs.rows.encodings import Encoding, find_encoding
from clerk_jobs.rows.files import InputFile, find_input
from clerk_jobs.rows.header import Header, read_header
from clerk_jobs.rows.lines import open_lines
from clerk_jobs.rows.row import OWN_COLUMNS, Record, Row, RowFault
from clerk_jobs.rows.source import CsvSource, JsonSource, Source, source_from_text
from clerk_jobs.wording import nearest, shown

__all__ = ["RowSource", "open_rows"]

_HEAD: Final = 8
_SHOWN_COLUMNS: Final = 12


def open_rows(
    source: Source | str,
    folder: Path,
    *,
    stdin_copy: Path | None = None,
    stdin: BinaryIO | None = None,
    allow_outside: bool = False,
) -> RowSource:
    """Open the source of a job.

    Args:
        source: as the job has it, or a path alone.
        folder: of the job file; the source's path is relative to it.
        stdin_copy: where ``-``, standard input, is copied to first (0600); read from there if it is there already.
        stdin: instead of the process's own.
        allow_outside: let the path lead out of the folder.

    Raises:
        InputError: the source cannot be used as a whole: no such file, no text, no header, columns without a
            name or with the same name.
        OSError: the copy of standard input cannot be written.
    """
    if isinstance(source, str):
        source = source_from_text(source)
    file = find_input(
        source,
        folder,
        stdin_copy=stdin_copy,
        stdin=sys.stdin.buffer if stdin is None else stdin,
        allow_outside=allow_outside,
    )
    with file.open() as opened:
        encoding = find_encoding(opened.read(_HEAD), source.encoding, file.name)
        lines = open_lines(opened, encoding, file.name)
        if isinstance(source, CsvSource):
            return RowSource(file, encoding, read_header(lines, source))
        if isinstance(source, JsonSource):
            if encoding.codec != "utf-8":
                raise InputError(file.name, f"is {encoding.codec}, and JSON is UTF-8", hint="save it as UTF-8")
            document = find_rows(opened, file.name, encoding.start, source.items)
            first_row = DocumentCursor(opened, file.name, document).read(1)
            keys = tuple(first_row.values) if isinstance(first_row, Row) else ()
            return RowSource(file, encoding, None, keys, document)
        first = next((part for part in lines.parts() if part.strip()), "")
        if first.lstrip().startswith("["):
            hint = "write source: {json: FILE}, or one object a line: jq -c '.[]'"
            raise InputError(file.name, "is a JSON array, not JSON Lines", hint=hint)
        lines.move(encoding.start, 0)
        row = JsonlCursor(lines, file.name).read(1)
        return RowSource(file, encoding, None, tuple(row.values) if isinstance(row, Row) else ())


class RowSource:
    """The rows of a source. Nothing of it is held in memory but the row at hand.

    Iterating reads from the start, each time anew. `read_at` reads one row that was seen before, by its offset;
    reading on from there is as cheap as iterating. Use it in a ``with`` block, or `close` it, after `read_at`.

    Attributes:
        name: the source as messages name it.
        columns: of the header, without ours; for JSON Lines the keys of the first row.
        size: of the file, in bytes.
    """

    def __init__(
        self,
        file: InputFile,
        encoding: Encoding,
        header: Header | None,
        keys: tuple[str, ...] = (),
        document: Document | None = None,
    ) -> None:
        """Made by `open_rows`."""
        names = keys if header is None else header.names
        self.name = file.name
        self.columns = tuple(name for name in names if name not in OWN_COLUMNS)
        self.size = file.size
        self._file = file
        self._encoding = encoding
        self._header = header
        self._document = document
        self._opened: BufferedReader | None = None
        self._cursor: Cursor | None = None

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the file's bytes, in hexadecimal; the first use reads the file once.

        Raises:
            InputError: the file cannot be read, or was changed.
        """
        return self._file.fingerprint()

    def require(self, needed: Mapping[str, str]) -> None:
        """Check that all columns are there that a job needs, before the first row.

        Args:
            needed: columns, each with the key of the job file that needs it.

        Raises:
            InputError: naming every column that is missing, and the nearest of those that are there. JSON Lines
                have no header: there a key is missed row by row.
        """
        # "meta.name" may be a path into the column "meta".
        known = set(self.columns)
        missing = {
            column: key
            for column, key in needed.items()
            if column not in known and ("." not in column or column.partition(".")[0] not in known)
        }
        if self._header is None or not missing:
            return
        listed = ", ".join(f"{shown(column)} (for {key})" for column, key in missing.items())
        guesses = [guess for column in missing if (guess := nearest(column, self.columns)) is not None]
        if guesses:
            hint = f"did you mean {', '.join(map(shown, guesses))}?"
        else:
            more = ", ..." if len(self.columns) > _SHOWN_COLUMNS else ""
            hint = f"there are {', '.join(map(shown, self.columns[:_SHOWN_COLUMNS]))}{more}"
        word = "column" if len(missing) == 1 else "columns"
        verb = "is" if len(missing) == 1 else "are"
        message = f"{word} {listed} {verb} not in {self.name}"
        raise InputError(self.name, message, line=self._header.line or None, hint=hint)

    def __iter__(self) -> Iterator[Record]:
        """Read every row from the first.

        Raises:
            InputError: the file cannot be read on (wrong encoding, a quote that is never closed), or was changed.
        """
        with self._file.open() as opened:
            cursor = self._new_cursor(opened)
            number = 1
            while (record := cursor.read(number)) is not None:
                yield record
                number += 1
            self._file.check_unchanged(opened)

    def read_at(self, offset: int, line: int, number: int) -> Record:
        """Read the row that was seen at ``offset``, on ``line``, as the row of that number.

        Raises:
            InputError: the file was changed, or there is no row at this offset.
        """
        try:
            if self._cursor is None:
                self._opened = self._file.open()
                self._cursor = self._new_cursor(self._opened)
            if self._cursor.offset != offset:
                self._cursor.move(offset, line - 1)
            record = self._cursor.read(number)
        except InputError:
            # The cursor stands somewhere within the row that could not be read.
            self.close()
            raise
        if record is None or record.offset != offset:
            message = f"there is no row {number} at byte {offset}"
            raise InputError(self.name, message, line=line, hint="the file is not the one that was read before")
        return record

    def cells_of(self, fault: RowFault) -> tuple[dict[str, str], list[str]]:
        """The cells of a row that could not be read, by column, and those beyond the last column."""
        names = () if self._header is None else self._header.names
        cells = {name: cell for name, cell in zip(names, fault.fields, strict=False) if name not in OWN_COLUMNS}
        return cells, list(fault.fields[len(names) :])

    def close(self) -> None:
        """Close the file that `read_at` keeps open."""
        if self._opened is not None:
            self._opened.close()
        self._opened = self._cursor = None

    def __enter__(self) -> RowSource:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _new_cursor(self, opened: BufferedReader) -> Cursor:
        if self._document is not None:
            return DocumentCursor(opened, self.name, self._document)
        lines = open_lines(opened, self._encoding, self.name)
        if self._header is None:
            return JsonlCursor(lines, self.name)
        cursor = CsvCursor(lines, self.name, self._header.dialect, self._header.names)
        cursor.move(self._header.end, self._header.line)
        return cursor
