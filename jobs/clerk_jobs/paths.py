"""Paths of a job file: relative to its folder, and inside it unless the user allows otherwise."""

from __future__ import annotations

import os.path
from pathlib import Path

__all__ = ["path_problem"]


def path_problem(folder: Path, path: str, *, allow_outside: bool) -> tuple[str, str] | None:
    """Say (message, hint) why a job file may not name this path; None when it may.

    Symbolic links are followed as far as the path exists: what counts is the file that would be opened.
    """
    if not path or "\0" in path:
        return "is not a path", ""
    if path.startswith("~"):
        return "~ is not expanded", "write the path out, relative to the job file"
    if allow_outside:
        return None
    home = os.path.realpath(folder)
    real = os.path.realpath(os.path.join(home, path))  # noqa: PTH118 - Path.resolve raises on loops of links
    if os.path.commonpath([home, real]) == home:
        return None
    return "is outside the job file's folder", "move the file there, or pass --allow-outside"
