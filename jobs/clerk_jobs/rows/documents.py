"""A JSON document with an array of rows in it, ``{"users": [...]}``: streamed, and any row reachable by its offset."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Final, NoReturn

from clerk_jobs.errors import InputError
from clerk_jobs.rows.cursor import Cursor
from clerk_jobs.rows.lines import MAX_ROW
from clerk_jobs.rows.row import OWN_COLUMNS, Record, Row, RowFault
from clerk_jobs.wording import shown

__all__ = ["Document", "DocumentCursor", "find_rows"]

_BLOCK: Final = 65_536
_BLANK: Final = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Document:
    """Where the rows begin.

    Attributes:
        start: bytes from the start of the file to the first row.
        lines_before: physical lines before the line of it.
    """

    start: int
    lines_before: int


class _Text:
    """The text of a file from some byte on, as far as it has been looked at."""

    def __init__(self, file: BufferedReader, name: str, offset: int, lines_before: int) -> None:
        file.seek(offset)
        self._file = file
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._decode_json = json.JSONDecoder(parse_constant=_no_constant).raw_decode
        self._text = ""
        self._at_end = False
        self.offset = offset
        self.line = lines_before + 1

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            blank = _BLANK.match(self._text)
            self._pass(0 if blank is None else blank.end())
            if self._text or not self._fill():
                return self._text[:1]

    def expect(self, characters: str, what: str) -> str:
        """Pass one of these characters.

        Raises:
            InputError: another one comes.
        """
        found = self.peek()
        if not found or found not in characters:
            self.refuse(f"{what} is missing")
        self._pass(1)
        return found

    def value(self) -> Any:
        """Pass one JSON value.

        Raises:
            InputError: there is none, or it is larger than a row may be.
        """
        self.peek()
        while True:
            try:
                value, end = self._decode_json(self._text)
            except (ValueError, RecursionError):
                value, end = None, -1
            # What ends where the text does, a number, may go on behind it.
            whole = 0 < end < len(self._text) or (end > 0 and self._at_end)
            if whole and end <= MAX_ROW:
                self._pass(end)
                return value
            if len(self._text) > MAX_ROW or self._at_end:
                self.refuse(f"this value is not JSON, or is larger than {MAX_ROW:,} characters")
            self._fill()

    def refuse(self, why: str) -> NoReturn:
        """Say what is wrong with the document here."""
        raise InputError(self._name, why, line=self.line, hint="the file must be one whole JSON document in UTF-8")

    def _fill(self) -> bool:
        """Read on; False at the end."""
        block = self._file.read(max(_BLOCK, len(self._text)))
        try:
            more = self._decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            self.refuse("the text from here on is not UTF-8")
        self._text += more
        self._at_end = not block
        return bool(block)

    def _pass(self, characters: int) -> None:
        passed, self._text = self._text[:characters], self._text[characters:]
        self.offset += len(passed.encode())
        self.line += passed.count("\n")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def find_rows(file: BufferedReader, name: str, start: int, items: str | None) -> Document:
    """Find the array of rows.

    Args:
        start: length of a byte order mark.
        items: dotted path of the array; None where it is the document itself.

    Raises:
        InputError: the document has none there.
    """
    text = _Text(file, name, start, 0)
    for step in items.split(".") if items else ():
        _enter(text, name, step)
    if text.peek() != "[":
        hint = "name the array in it: source: {json: ..., items: users}" if items is None else "check items:"
        where = "the document" if items is None else shown(items)
        raise InputError(name, f"{where} is not an array of rows", line=text.line, hint=hint)
    text.expect("[", "[")
    text.peek()
    return Document(text.offset, text.line - 1)


def _enter(text: _Text, name: str, wanted: str) -> None:
    """Go to the value of a key of the object that comes next."""
    text.expect("{", "the object around the rows")
    seen: list[str] = []
    while text.peek() != "}":
        if seen:
            text.expect(",", "a comma")
        key = text.value()
        text.expect(":", "a colon")
        if key == wanted:
            return
        seen.append(str(key))
        text.value()
    there = f"there are {', '.join(map(shown, seen[:12]))}" if seen else "the object is empty"
    raise InputError(name, f"has no {shown(wanted)}", line=text.line, hint=f"{there}; check items:")


class DocumentCursor(Cursor):
    """Reads one element of the array after another."""

    def __init__(self, file: BufferedReader, name: str, document: Document) -> None:
        """Start at the first row."""
        self._file = file
        self._source = name
        self._text = _Text(file, name, document.start, document.lines_before)

    @property
    def offset(self) -> int:
        """See `Cursor.offset`."""
        return self._text.offset

    def move(self, offset: int, lines_before: int) -> None:
        """See `Cursor.move`."""
        self._text = _Text(self._file, self._source, offset, lines_before)

    def read(self, number: int) -> Record | None:
        """See `Cursor.read`; what comes after the array is not looked at."""
        text = self._text
        if text.peek() == "]":
            return None
        line, offset = text.line, text.offset
        value = text.value()
        if text.peek() != "]":
            text.expect(",", "a comma, or the end of the array,")
            if text.peek() == "]":
                text.refuse("a row is missing after the comma")
        if not isinstance(value, dict):
            return RowFault(
                number, line, offset, "not_an_object", f"the value on line {line} is JSON but not an object"
            )
        for column in OWN_COLUMNS & value.keys():
            del value[column]
        return Row(number, line, offset, value)
