"""The first row of a CSV file: the names of its columns, and what parts its cells."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from clerk_jobs.errors import InputError
from clerk_jobs.rows.lines import Lines, RowTooLargeError
from clerk_jobs.rows.row import OWN_COLUMNS
from clerk_jobs.rows.skipping import Dialect
from clerk_jobs.rows.source import CsvSource
from clerk_jobs.wording import shown

__all__ = ["Header", "read_header"]

UTF_16 = "if it is UTF-16, name it: source: {csv: ..., encoding: utf-16-le}"

_DELIMITERS: Final = ",;\t|"
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_UNUSABLE: Final = frozenset("\r\n\0")


@dataclass(frozen=True, slots=True)
class Header:
    """What the first row says.

    Attributes:
        names: of all columns, ours among them, without blanks around them.
        line: where it ends, from 1.
        end: bytes from the start of the file to the first row after it.
    """

    names: tuple[str, ...]
    dialect: Dialect
    line: int
    end: int


def read_header(lines: Lines, source: CsvSource) -> Header:
    """Read the header of a file whose first line comes next.

    Raises:
        InputError: there is none, it looks like a row of data, it cannot be read, or a name is missing or doubled.
    """
    start = lines.offset
    try:
        dialect = _dialect(source, next((text for text in lines if text.strip("\r\n")), ""))
        lines.move(start, 0)
        if source.columns is not None:
            names = tuple(name.strip() for name in source.columns)
            _check_names(names, source.name, None)
            return Header(names, dialect, 0, start)
        reader = csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quotechar, strict=True)
        names = tuple(name.strip() for name in next((fields for fields in reader if fields), ()))
    except (csv.Error, RowTooLargeError) as error:
        message = "the header cannot be read as CSV"
        raise InputError(source.name, message, line=lines.line, hint="check its quotes") from error
    _check(names, lines, source.name)
    return Header(names, dialect, lines.line, lines.offset)


def _dialect(source: CsvSource, first_line: str) -> Dialect:
    for role, character in {"delimiter": source.delimiter, "quotechar": source.quotechar}.items():
        if character is not None and (len(character) != 1 or character in _UNUSABLE):
            raise InputError(source.name, f"{role} {shown(character)} is not one usable character")
    delimiter = source.delimiter or _sniff(first_line, source.quotechar)
    if delimiter == source.quotechar:
        raise InputError(source.name, "delimiter and quotechar are the same character")
    return Dialect(delimiter, source.quotechar)


def _sniff(first_line: str, quotechar: str) -> str:
    """Find the delimiter that alone stands in the header; a comma when none or several do."""
    quote = re.escape(quotechar)
    unquoted = re.sub(f"{quote}[^{quote}]*{quote}", "", first_line)
    found = [delimiter for delimiter in _DELIMITERS if delimiter in unquoted]
    return found[0] if len(found) == 1 else ","


def _check(names: tuple[str, ...], lines: Lines, file: str) -> None:
    line = lines.line
    if not names:
        raise InputError(file, "is empty: it has no header", hint="its first line must name the columns")
    if lines.nul:
        raise InputError(file, "the header contains a NUL byte", line=line, hint=UTF_16)
    if any(_ADDRESS.fullmatch(name) for name in names):
        hint = "add a first line that names the columns"
        raise InputError(file, "has no header: the first line holds an e-mail address", line=line, hint=hint)
    _check_names(names, file, line)


def _check_names(names: tuple[str, ...], file: str, line: int | None) -> None:
    for place, name in enumerate(names, 1):
        if not name:
            hint = "name it, or remove the column"
            raise InputError(file, f"column {place} of {len(names)} has no name", line=line, hint=hint)
    doubled = next((name for name, count in Counter(names).items() if count > 1), None)
    if doubled is not None:
        raise InputError(file, f"column {shown(doubled)} appears twice", line=line, hint="rename one of them")
    if OWN_COLUMNS.issuperset(names):
        raise InputError(file, "has only columns that clerk-batch itself writes", line=line)
