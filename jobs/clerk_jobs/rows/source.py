"""Which file the rows come from, and how it is written: the ``source:`` of a job file."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Final

from msgspec import Meta, Struct

from clerk_jobs.rows.encodings import encoding_problem

__all__ = ["STDIN", "CsvSource", "JsonSource", "JsonlSource", "Source", "source_from_text"]

STDIN: Final = "-"
"""The path that means standard input."""

_Character = Annotated[str, Meta(min_length=1, max_length=1)]
_EncodingName = Annotated[str, Meta(extra={"check": encoding_problem})]
_JSON_LINES = frozenset({".jsonl", ".ndjson", ".json"})


class Source:
    """Where rows come from: a `CsvSource`, a `JsonlSource` or a `JsonSource`."""

    __slots__ = ()

    encoding: str | None
    """As Python names it; None reads UTF-8, or what a byte order mark says."""

    @property
    def path(self) -> str:
        """The file, relative to the job file, or ``-``."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The source as messages name it."""
        return "standard input" if self.path == STDIN else self.path


class CsvSource(Struct, Source, frozen=True, forbid_unknown_fields=True):
    """A CSV file with a header, or without one where its columns are named.

    Attributes:
        csv: the file, relative to the job file, or ``-`` for standard input.
        delimiter: one character; unset, the one of ``, ; tab |`` that alone stands in the header, else ``,``.
        quotechar: one character.
        encoding: as Python names it; unset, UTF-8, or what a byte order mark says.
        columns: the names of its columns, for a file that has no header.
    """

    csv: str
    delimiter: _Character | None = None
    quotechar: _Character = '"'
    encoding: _EncodingName | None = None
    columns: Annotated[list[str], Meta(min_length=1)] | None = None

    @property
    def path(self) -> str:
        """The file, relative to the job file, or ``-``."""
        return self.csv


class JsonlSource(Struct, Source, frozen=True, forbid_unknown_fields=True):
    """A file of JSON Lines: one object a line.

    Attributes:
        jsonl: the file, relative to the job file, or ``-`` for standard input.
        encoding: as Python names it; unset, UTF-8, or what a byte order mark says.
    """

    jsonl: str
    encoding: _EncodingName | None = None

    @property
    def path(self) -> str:
        """The file, relative to the job file, or ``-``."""
        return self.jsonl


class JsonSource(Struct, Source, frozen=True, forbid_unknown_fields=True):
    """A JSON document with an array of objects in it, in UTF-8.

    Attributes:
        json: the file, relative to the job file, or ``-`` for standard input.
        items: where the array is, a dotted path, ``users``; unset, the document is the array.
        encoding: JSON is UTF-8.
    """

    json: str
    items: Annotated[str, Meta(min_length=1)] | None = None
    encoding: Annotated[str, Meta(pattern="^utf-8$")] | None = None

    @property
    def path(self) -> str:
        """The file, relative to the job file, or ``-``."""
        return self.json


def source_from_text(text: str) -> CsvSource | JsonlSource:
    """Read the short form, a path alone: its ending tells the format, CSV when it tells nothing.

    Example:
        >>> source_from_text("people.csv")
        CsvSource(csv='people.csv', delimiter=None, quotechar='"', encoding=None, columns=None)
    """
    ending = PurePath(text).suffix.lower()
    if ending in _JSON_LINES:
        return JsonlSource(jsonl=text)
    return CsvSource(csv=text, delimiter="\t" if ending == ".tsv" else None)
