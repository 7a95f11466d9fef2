"""``--metrics-file``: the end of a run for node_exporter, which never changes how the run ends."""

from __future__ import annotations

from pathlib import Path

from clerk_runner.cli.text import say
from clerk_runner.metrics import write_metrics
from clerk_runner.report import Summary

__all__ = ["keep_metrics"]


def keep_metrics(path: Path | None, summary: Summary) -> None:
    """Write the file, where there is to be one."""
    if path is None:
        return
    try:
        write_metrics(path, summary)
    except OSError as error:
        say(f"--metrics-file {path} could not be written: {error.strerror}", err=True)
