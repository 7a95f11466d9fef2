"""CSV: a header and one line a row; nested values are JSON, text that a spreadsheet would execute is defused."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from clerk_jobs.export.columns import Column, raw_cells
from clerk_jobs.export.form import Form
from clerk_runner.comma_lines import comma_writer
from clerk_runner.exporting.sinks.packing import Packed
from clerk_runner.exporting.sinks.sink import Lines

__all__ = ["CommaSeparated", "moment"]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_PHONE: Final = re.compile(r"\+[0-9]+")
"""Begins like a formula and is none."""


class CommaSeparated:
    """Writes CSV as RFC 4180 has it, in UTF-8, with line feeds."""

    unfit = 0

    def __init__(self, out: Packed, form: Form) -> None:
        """Write the header."""
        self._out = out
        self._columns = form.columns
        self._defuse = form.formulas == "defuse"
        self._lines = Lines()
        self._write([[self._safe(column.name) for column in form.columns]])

    def take(self, data: bytes) -> None:
        """See `Sink`."""
        rows = [self._row(line) for line in self._lines.cut(data)]
        if rows:
            self._write(rows)

    def finish(self) -> None:
        """See `Sink`."""
        self._out.finish()

    def abandon(self) -> None:
        """See `Sink`."""

    def _write(self, rows: list[list[str]]) -> None:
        text = io.StringIO(newline="")
        comma_writer(text).writerows(rows)
        self._out.write(text.getvalue().encode())

    def _row(self, line: bytes) -> list[str]:
        pairs = zip(self._columns, raw_cells(self._columns, line), strict=True)
        return [self._text(column, raw) for column, raw in pairs]

    def _text(self, column: Column, raw: msgspec.Raw | None) -> str:
        """Text without its quotes; numbers and nested values as they were sent."""
        if raw is None:
            return ""
        sent = bytes(raw)
        if sent.startswith(b'"') and column.type != "json":
            try:
                return self._safe(msgspec.json.decode(sent, type=str))
            except msgspec.DecodeError:
                # Half of a surrogate pair is JSON, and no text.
                return sent.decode()
        if column.type == "time" and sent.isdigit() and (found := moment(int(sent))) is not None:
            return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return sent.decode()

    def _safe(self, text: str) -> str:
        if self._defuse and text.startswith(_FORMULA) and not _PHONE.fullmatch(text):
            return f"'{text}"
        return text


def moment(unix_ms: int) -> datetime | None:
    """The moment of unix milliseconds; None beyond the calendar.

    Example:
        >>> moment(1_700_000_000_123).isoformat()
        '2023-11-14T22:13:20.123000+00:00'
    """
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)
    except OverflowError:
        return None
