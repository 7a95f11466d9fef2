"""The bytes of an output on their way to its sink: from the spool, from a former snapshot, as pieces or as lines."""

from __future__ import annotations

import gzip
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import msgspec

from clerk_jobs.export.distinct import count_distinct, digests
from clerk_jobs.export.form import packing_of
from clerk_runner.exporting.spool import Ranges, Spool

__all__ = ["Pieces", "Tally", "in_pieces", "lines_in", "snapshot_lines", "spooled"]

Pieces: TypeAlias = Generator[bytes, None, None]
"""Bytes that may end anywhere; together they are whole lines."""


class _Id(msgspec.Struct, gc=False):
    id: str


_ID = msgspec.json.Decoder(_Id)
PIECE = 256 * 1024
"""Bytes of a piece: what is read, digested and written at once finds room in a core's own cache."""


def spooled(ranges: Ranges, spool: Spool) -> Pieces:
    """The bytes of all ranges, small ones together and large ones in parts."""
    small: list[bytes] = []
    gathered = 0
    try:
        for start, length in ranges:
            for offset in range(start, start + length, PIECE):
                part = spool.read(offset, min(PIECE, start + length - offset))
                small.append(part)
                gathered += len(part)
                if gathered >= PIECE:
                    # A piece that stands alone is not copied.
                    yield b"".join(small)
                    small, gathered = [], 0
        if small:
            yield b"".join(small)
    finally:
        # Here, in the thread that goes through them.
        ranges.close()


def lines_in(pieces: Pieces) -> Iterator[bytes]:
    """The lines of pieces, without their ends."""
    rest = b""
    try:
        for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
    finally:
        pieces.close()


def in_pieces(lines: Iterable[bytes]) -> Pieces:
    """Lines as pieces."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= PIECE:
            yield b"\n".join((*gathered, b""))
            gathered, size = [], 0
    if gathered:
        yield b"\n".join((*gathered, b""))


def snapshot_lines(path: Path) -> Iterator[bytes]:
    """The lines of an output of JSON Lines, packed or not.

    Raises:
        OSError: it cannot be read.
    """
    with _opened(path) as file:
        for line in file:
            yield line.rstrip(b"\n")


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    packing = packing_of(path.name)
    if packing == "gz":
        with gzip.open(path, "rb") as file:
            yield file
    elif packing == "zst":
        import zstandard  # noqa: PLC0415  an extra

        with zstandard.open(path, "rb") as file:
            yield file
    else:
        with path.open("rb") as file:
            yield file


class Tally:
    """Counts rows, and different ids among them, on their way."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self.rows = 0
        self._ids: list[bytes] = []

    @property
    def distinct(self) -> int:
        """How many different ids there were."""
        return count_distinct(self._ids)

    def counted(self, pieces: Pieces) -> Pieces:
        """The same pieces, counted as they go by."""
        return in_pieces(self._seen(pieces))

    def _seen(self, pieces: Pieces) -> Iterator[bytes]:
        for line in lines_in(pieces):
            self.rows += 1
            self._ids.append(digests([_ID.decode(line).id]))
            yield line
