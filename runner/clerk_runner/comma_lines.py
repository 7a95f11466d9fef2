"""Lines of CSV that every reader takes for what they are.

Python before 3.13 quotes a lone carriage return only where the line's own ending has one, and readers end a line at it.
So lines are made with both characters, and lose the first when they are written.
"""

from __future__ import annotations

import csv
from typing import Any, Protocol

__all__ = ["comma_writer"]


class _Written(Protocol):
    def write(self, text: str, /) -> object: ...


class _LineFeeds:
    def __init__(self, file: _Written) -> None:
        self._write = file.write

    def write(self, line: str) -> None:
        """Take one whole line, as a writer gives them."""
        self._write(f"{line[:-2]}\n")


def comma_writer(file: _Written) -> Any:
    """A ``csv.writer`` of lines that end with a line feed.

    Example:
        >>> import io
        >>> text = io.StringIO(newline="")
        >>> comma_writer(text).writerow(("a\\rb", "c"))
        >>> text.getvalue()
        '"a\\rb",c\\n'
    """
    return csv.writer(_LineFeeds(file), lineterminator="\r\n")
