"""Writing for whoever reads: tables on a terminal, plain columns in a pipe, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import click

from clerk_runner.cli.colours import emphasised
from clerk_runner.cli.text import HIDDEN
from clerk_runner.explore.section import Section

__all__ = ["JsonArray", "write_json", "write_sections", "write_table"]

TEXT_COLUMNS = frozenset({"what it does", "required"})
"""Columns whose text may go on below; in all others a cell stays whole."""
LEAST_TEXT = 16
"""Characters of a line in such a column, at least."""


def write_json(value: Any) -> None:
    """One JSON value: indented on a terminal, one line in a pipe."""
    click.echo(_json(value, 2 if _terminal() else None))


def _json(value: Any, indent: int | None) -> str:
    """JSON in which nothing commands a terminal: such characters are written as JSON's escapes, and mean the same."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return HIDDEN.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


class JsonArray:
    """One JSON array on stdout, written row by row, so that a long list is never held whole."""

    def __init__(self) -> None:
        """Nothing is written before the block begins."""
        self._between = ""
        self._indent = 2 if _terminal() else None

    def __enter__(self) -> Self:
        """Open the array."""
        click.echo("[", nl=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, whatever happened: what was written stays readable."""
        click.echo("\n]" if self._indent and self._between else "]")

    def extend(self, rows: Iterable[Any]) -> None:
        """Write rows."""
        newline = "\n" if self._indent else ""
        for row in rows:
            click.echo(f"{self._between}{newline}{_json(row, self._indent)}", nl=False)
            self._between = "," if self._indent else ", "


def write_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under headers; in a pipe without the headers, cells parted by two blanks at least."""
    kept = [tuple(row) for row in rows]
    if _terminal():
        _rich_table(headers, kept)
        return
    widths = [max((len(row[n]) for row in kept), default=0) for n in range(len(headers))]
    for row in kept:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def write_sections(sections: Iterable[Section]) -> None:
    """Sections one below the other, their cells in columns."""
    for section in sections:
        if section.title:
            click.echo()
            click.echo(emphasised(section.title))
        indent = "  " if section.title else ""
        columns = max((len(row) for row in section.rows), default=0)
        widths = [max((len(row[n]) for row in section.rows if len(row) > n + 1), default=0) for n in range(columns)]
        for row in section.rows:
            cells = [cell.ljust(widths[n]) if n + 1 < len(row) else cell for n, cell in enumerate(row)]
            click.echo((indent + "  ".join(cells)).rstrip())


def _terminal() -> bool:
    return sys.stdout.isatty()


def _rich_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 (only a terminal needs it)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    columns = [[header, *(row[n] for row in rows)] for n, header in enumerate(headers)]
    needed = sum(LEAST_TEXT if c[0] in TEXT_COLUMNS else max(map(len, c)) for c in columns) + 2 * len(columns)
    if needed > console.width:
        _stacked(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold", no_wrap=header not in TEXT_COLUMNS)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _stacked(rows: Sequence[Sequence[str]]) -> None:
    """Rows of two lines, where a terminal is too narrow: a path that is cut in two can be neither read nor copied."""
    for first, second, *others in rows:
        click.echo(emphasised(f"{first:7} {second}"))
        click.echo(f"        {'  '.join(filter(None, others))}".rstrip())
