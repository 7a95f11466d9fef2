"""A run's end as a file for the textfile collector of node_exporter.

One file holds one job. It appears whole or not at all, and everybody may read it: it tells numbers and the job's name.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from clerk_runner.errors import UsageError
from clerk_runner.report import Summary

__all__ = ["require_place", "write_metrics"]

_SUCCESS: Final = "clerk_batch_success_timestamp_seconds"


def require_place(path: Path) -> None:
    """Check, before anything is sent, that the file can be written and that the collector will look at it.

    Raises:
        UsageError: its name does not end with .prom, or its folder cannot be written to.
    """
    if path.suffix != ".prom":
        raise UsageError(
            f"--metrics-file {path} does not end with .prom, so the collector would not read it", code="metrics_file"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(
            f"--metrics-file {path} cannot be written", code="metrics_file", hint="its folder must be yours to write to"
        )


def write_metrics(path: Path, summary: Summary) -> None:
    """Write the end of a run; the time of the last success stays where this one was none.

    Raises:
        OSError: the file cannot be written.
    """
    text = "".join(_lines(summary, _last_success(path, summary)))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            # Whatever the umask: the collector is another user.
            os.fchmod(file.fileno(), 0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _lines(summary: Summary, success_s: float | None) -> Iterator[str]:
    labels = f'{{job="{summary.job}",kind="{summary.kind}"}}'
    items = summary.items
    gauges: dict[str, tuple[str, float | None]] = {
        "clerk_batch_end_timestamp_seconds": ("When the last run ended.", round(time.time(), 3)),
        _SUCCESS: ("When a run last did all that it had to do.", success_s),
        "clerk_batch_exit_code": ("The exit code of the last run.", summary.exit),
        "clerk_batch_duration_seconds": ("How long the last run took.", summary.elapsed_s),
        "clerk_batch_items": ("Rows of the last run.", items.total),
        "clerk_batch_items_failed": ("Rows that failed or are unresolved.", items.failed + items.unresolved),
        "clerk_batch_requests": ("Requests of the last run.", summary.requests),
        "clerk_batch_throttled": ("Requests that Clerk answered with 429.", summary.throttled),
    }
    for name, (told, value) in gauges.items():
        if value is not None:
            yield f"# HELP {name} {told}\n# TYPE {name} gauge\n{name}{labels} {value}\n"


def _last_success(path: Path, summary: Summary) -> float | None:
    if summary.exit == 0:
        return round(time.time(), 3)
    with suppress(OSError, ValueError):
        found = re.search(rf"^{_SUCCESS}\{{.*\}} (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        return float(found[1]) if found is not None else None
    return None
