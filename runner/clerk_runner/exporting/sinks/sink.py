"""What every sink is, and the lines that one takes."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Lines", "Sink"]


class Sink(Protocol):
    """Takes the rows of an export, from the first to the last.

    The same bytes in the same order make the same output, whatever the size of the pieces: so an export that was
    killed while it was written ends with the bytes of an undisturbed one.
    """

    unfit: int
    """Values that the format has no place for, because their type is not that of their column."""

    def take(self, data: bytes) -> None:
        """Take the next bytes of the rows, one JSON object a line; a piece may end anywhere.

        Raises:
            OSError: they cannot be written.
        """

    def finish(self) -> None:
        """Write what is left; the rows end here.

        Raises:
            OSError: it cannot be written.
        """

    def abandon(self) -> None:
        """Close without finishing, after an error; never raises."""


class Lines:
    """Cuts pieces into whole lines."""

    def __init__(self) -> None:
        """Nothing is left over."""
        self._rest = b""

    def cut(self, data: bytes) -> list[bytes]:
        """The lines that are whole now, without their ends."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        return lines
