"""The page of benchmark results: each benchmark writes its own part of it and leaves the others alone."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from pathlib import Path

__all__ = ["machine", "table", "write_part"]


def machine() -> str:
    """The day and the machine, and how busy it was."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{today}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"load of the machine at the end (1, 5, 15 min): {load}"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown, and an empty line before and after.

    Example:
        >>> table(["a", "b"], [["1", "2"]])
        ['', '| a | b |', '|-|-|', '| 1 | 2 |', '']
    """
    lines = [head, *rows]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return ["", text[0], "|" + "-|" * len(head), *text[1:], ""]


def write_part(path: Path, name: str, lines: Sequence[str]) -> None:
    """Replace the part of that name, or add it at the end.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     page = Path(folder, "page.md")
        ...     _ = page.write_text("# Results\\n")
        ...     for line in ("old", "new"):
        ...         write_part(page, "speed", [line])
        ...     page.read_text()
        '# Results\\n\\n<!-- speed -->\\n\\nnew\\n\\n<!-- end of speed -->\\n'
    """
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(first)
    _, _, after = rest.partition(last)
    body = "\n".join(lines).strip("\n")
    path.write_text(f"{before.rstrip()}\n\n{first}\n\n{body}\n\n{last}\n{after.lstrip()}", encoding="utf-8")
