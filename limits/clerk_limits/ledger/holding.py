"""Which process holds the lock of a file, for people who have to end it or let it go on. Known on Linux alone."""

import os
from pathlib import Path

__all__ = ["holder_words"]

_LOCKS = Path("/proc/locks")
_SHARED_BYTES = 1073741826
"""SQLite's readers lock from this byte on; whoever writes holds a byte before it."""


def holder_words(path: Path) -> str:
    """Who holds a SQLite file for writing, and how it can be made to let go.

    Example:
        >>> holder_words(Path("/nowhere"))
        'another process'
    """
    pid = _writer_of(path)
    if pid is None:
        return "another process"
    if _is_stopped(pid):
        return f"process {pid}, which is stopped (kill -CONT {pid} lets it go on),"
    return f"process {pid}"


def _writer_of(path: Path) -> int | None:
    """The process that holds a byte before those of the readers."""
    try:
        found = path.stat()
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in lines:
        # "1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 1073741825 1073741825"; who waits for it has an arrow.
        words = line.split()
        if len(words) == 8 and words[3] == "WRITE" and words[5] == place and int(words[6]) < _SHARED_BYTES:
            # Another container's process has no number here.
            return int(words[4]) if int(words[4]) > 0 else None
    return None


def _is_stopped(pid: int) -> bool:
    try:
        # The state comes behind the name, which may hold anything but ends with the last bracket.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in ("T", "t")
    except (OSError, ValueError, IndexError):
        return False
