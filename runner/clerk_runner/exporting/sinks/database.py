"""SQLite: one typed table, with indexes on ids and e-mail addresses."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from clerk_jobs.export.columns import Cell, Column, ColumnType, cells
from clerk_jobs.export.form import Form
from clerk_runner.exporting.sinks.comma import moment
from clerk_runner.exporting.sinks.sink import Lines

__all__ = ["Database"]

_TYPES: Final[dict[ColumnType, str]] = {
    "text": "TEXT",
    "integer": "INTEGER",
    "number": "REAL",
    "boolean": "INTEGER",
    "time": "TEXT",
    "json": "TEXT",
    "any": "",
}
_INDEXED: Final = frozenset({"id", "primary_email", "email_address"})
_LARGEST: Final = 2**63


class Database:
    """Fills a new SQLite file, which exists empty; it is one transaction, so it needs no journal."""

    unfit = 0

    def __init__(self, path: Path, form: Form) -> None:
        """Make the table."""
        self._columns = form.columns
        self._lines = Lines()
        self._table = _quoted(form.table)
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.execute("PRAGMA synchronous = OFF")
            defined = ", ".join(f"{_quoted(each.name)} {_TYPES[each.type]}".rstrip() for each in form.columns)
            self._db.execute("BEGIN")
            self._db.execute(f"CREATE TABLE {self._table}({defined})")
        except BaseException:
            self._db.close()
            raise
        self._insert = f"INSERT INTO {self._table} VALUES ({', '.join('?' * len(form.columns))})"  # noqa: S608  quoted

    def take(self, data: bytes) -> None:
        """See `Sink`."""
        with _as_os_error():
            self._db.executemany(self._insert, [self._row(line) for line in self._lines.cut(data)])

    def finish(self) -> None:
        """See `Sink`."""
        with _as_os_error():
            for column in self._columns:
                if column.path in _INDEXED:
                    name = _quoted(f"{column.name} of {self._table}")
                    self._db.execute(f"CREATE INDEX {name} ON {self._table}({_quoted(column.name)})")
            self._db.execute("COMMIT")
            self._db.close()

    def abandon(self) -> None:
        """See `Sink`."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _row(self, line: bytes) -> list[str | int | float | None]:
        return [_value(column, cell) for column, cell in zip(self._columns, cells(self._columns, line), strict=True)]


def _value(column: Column, cell: Cell) -> str | int | float | None:
    if isinstance(cell, msgspec.Raw):
        return bytes(cell).decode()
    if column.type == "time" and isinstance(cell, int) and (found := moment(cell)) is not None:
        return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(cell, int) and not -_LARGEST <= cell < _LARGEST:
        return str(cell)
    return cell


class _as_os_error:  # noqa: N801  reads as the statement that it is
    """A full disk is told as the other sinks tell it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.OperationalError):
            raise OSError(f"the SQLite output cannot be written: {error}") from error


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
