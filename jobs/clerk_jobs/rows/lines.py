"""Physical lines of a file, with the byte offset of each: what makes any row reachable again.

A line ends with LF, CR LF or CR, whichever comes, mixed if need be. Lines keep their ends, as `csv` wants them.
"""

from __future__ import annotations

import codecs
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from io import BufferedReader
from typing import Final

from clerk_jobs.errors import InputError
from clerk_jobs.rows.encodings import Encoding

__all__ = ["MAX_ROW", "ByteLines", "Lines", "RowTooLargeError", "WideLines", "open_lines"]

MAX_ROW: Final = 1_048_576
"""Largest row, in bytes."""
_BLOCK: Final = 8_192
"""Bytes that are read at once, not many, as the next row may lie elsewhere. A line that is longer doubles what is read,
so that it is not gone through again and again."""
_END: Final = re.compile(r"\r\n|\r|\n")
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


class RowTooLargeError(Exception):
    """The row that is being read is larger than `MAX_ROW`."""


class Lines(ABC):
    """An iterator over lines, as text.

    Attributes:
        offset: bytes from the start of the file to the end of what was given.
        line: how many lines were given, counted from the start of the file.
        row_start: offset at which the row began that is being read; set by whoever reads rows.
        nul: a NUL was seen; reset by whoever asks.
    """

    __slots__ = ("_codec", "_file", "_name", "line", "nul", "offset", "row_start")

    def __init__(self, file: BufferedReader, codec: str, name: str) -> None:
        """Read lines of ``file``, which messages call ``name``."""
        self._file = file
        self._codec = codec
        self._name = name
        self.offset = 0
        self.line = 0
        self.row_start = 0
        self.nul = False

    def __iter__(self) -> Lines:
        """Give itself."""
        return self

    @abstractmethod
    def __next__(self) -> str:
        """Give the next line.

        Raises:
            RowTooLargeError: the row is larger than `MAX_ROW`.
            InputError: the bytes are not in the encoding.
        """

    @abstractmethod
    def parts(self) -> Iterator[str]:
        """Go on with lines however long, each in one or several parts; to get past a row that is too large.

        Raises:
            InputError: the bytes are not in the encoding.
        """

    def move(self, offset: int, lines_before: int) -> None:
        """Go on at the line that begins at ``offset``, with ``lines_before`` lines before it."""
        self._file.seek(offset)
        self.offset = self.row_start = offset
        self.line = lines_before
        self.nul = False

    def _undecodable(self, error: UnicodeDecodeError, offset: int, line: int) -> InputError:
        byte = error.object[error.start]
        message = f"byte 0x{byte:02x} at offset {offset + error.start} is not {self._codec}"
        hint = "save it as UTF-8, or name its encoding: source: {csv: ..., encoding: windows-1252}"
        return InputError(self._name, message, line=line, hint=hint)


class ByteLines(Lines):
    """Lines found in bytes: fast, for every encoding in which the bytes 0x0A and 0x0D only end lines."""

    __slots__ = ("_pieces", "_tail")

    def __init__(self, file: BufferedReader, codec: str, name: str) -> None:
        """See `Lines`."""
        super().__init__(file, codec, name)
        self._pieces: deque[bytes] = deque()
        self._tail = b""

    def __next__(self) -> str:
        """Give the next line."""
        if not self._pieces and not self._fill():
            raise StopIteration
        raw, start = self._pieces.popleft(), self.offset
        self.offset += len(raw)
        self.line += 1
        if self.offset - self.row_start > MAX_ROW:
            raise RowTooLargeError
        if b"\0" in raw:
            self.nul = True
        try:
            return raw.decode(self._codec)
        except UnicodeDecodeError as error:
            raise self._undecodable(error, start, self.line) from error

    def parts(self) -> Iterator[str]:
        """Give lines, those that are too long in parts."""
        decoder = codecs.getincrementaldecoder(self._codec)()
        while self._pieces or self._fill():
            raw = self._pieces.popleft()
            try:
                text = decoder.decode(raw)
            except UnicodeDecodeError as error:
                raise self._undecodable(error, self.offset, self.line + 1) from error
            self.offset += len(raw)
            self.line += raw.endswith((b"\n", b"\r"))
            yield text

    def move(self, offset: int, lines_before: int) -> None:
        """See `Lines.move`."""
        super().move(offset, lines_before)
        self._pieces.clear()
        self._tail = b""

    def _fill(self) -> bool:
        """Read until there is a piece; False at the end of the file."""
        while not self._pieces:
            block = self._file.read(max(_BLOCK, len(self._tail)))
            pieces = (self._tail + block).splitlines(keepends=True)
            self._tail = b""
            if not pieces:
                return False
            last = pieces[-1]
            # It may go on in the next block, and so may a CR LF; a line that is too long goes out.
            if block and not last.endswith(b"\n") and (len(last) <= MAX_ROW or last.endswith(b"\r")):
                self._tail = pieces.pop()
            self._pieces.extend(pieces)
        return True


class WideLines(Lines):
    """Lines found in text, for UTF-16, in which a line's end is two bytes."""

    __slots__ = ("_at_end", "_decoder", "_pieces", "_read_offset", "_tail")

    def __init__(self, file: BufferedReader, codec: str, name: str) -> None:
        """See `Lines`."""
        super().__init__(file, codec, name)
        self._decoder = codecs.getincrementaldecoder(codec)()
        self._pieces: deque[str] = deque()
        self._tail = ""
        self._read_offset = 0
        self._at_end = False

    def __next__(self) -> str:
        """Give the next line."""
        text = next(self.parts(), None)
        if text is None:
            raise StopIteration
        if self.offset - self.row_start > MAX_ROW:
            raise RowTooLargeError
        return text

    def parts(self) -> Iterator[str]:
        """Give lines, those that are too long in parts."""
        while self._pieces or self._fill():
            text = self._pieces.popleft()
            self.offset += len(text.encode(self._codec))
            self.line += text.endswith(("\n", "\r"))
            self.nul |= "\0" in text
            yield text

    def move(self, offset: int, lines_before: int) -> None:
        """See `Lines.move`."""
        super().move(offset, lines_before)
        self._decoder.reset()
        self._pieces.clear()
        self._tail = ""
        self._read_offset = offset
        self._at_end = False

    def _fill(self) -> bool:
        """Read until there is a piece; False at the end of the file."""
        while not self._pieces and not self._at_end:
            block = self._file.read(max(_BLOCK, len(self._tail)))
            self._at_end = not block
            try:
                text = self._tail + self._decoder.decode(block, final=self._at_end)
            except UnicodeDecodeError as error:
                # The object is the block, and before it what the decoder had kept of the block before.
                start = self._read_offset + len(block) - len(error.object)
                before = self._tail + error.object[: error.start].decode(self._codec, "ignore")
                raise self._undecodable(error, start, self.line + len(_END.findall(before)) + 1) from error
            self._read_offset += len(block)
            pieces = _LINE.findall(text)
            # The last line may go on in the next block, and so may a CR LF; a line that is too long goes out.
            too_long = len(pieces) == 1 and len(text) > MAX_ROW
            self._tail = pieces.pop() if pieces and not self._at_end and not too_long else ""
            self._pieces.extend(pieces)
        return bool(self._pieces)


def open_lines(file: BufferedReader, encoding: Encoding, name: str) -> Lines:
    """Read the lines of an open file, from the first after its byte order mark."""
    lines: Lines = (WideLines if encoding.wide else ByteLines)(file, encoding.codec, name)
    lines.move(encoding.start, 0)
    return lines
