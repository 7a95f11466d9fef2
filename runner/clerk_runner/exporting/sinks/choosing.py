"""The sink for a form, and the packages that it needs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from clerk_jobs.export.form import Form
from clerk_runner.errors import UsageError
from clerk_runner.exporting.sinks.comma import CommaSeparated
from clerk_runner.exporting.sinks.database import Database
from clerk_runner.exporting.sinks.json_lines import JsonLines
from clerk_runner.exporting.sinks.packing import Packed
from clerk_runner.exporting.sinks.sink import Sink

__all__ = ["open_sink", "require_extra"]


def require_extra(form: Form) -> None:
    """Check that the packages are installed that a form needs, before anything is asked.

    Raises:
        UsageError: one is not.
    """
    needed = {"parquet": ("parquet", "pyarrow"), "zst": ("zst", "zstandard")}
    for key in (form.format, form.packing):
        extra, package = needed.get(key or "", ("", ""))
        if package and find_spec(package) is None:
            raise UsageError(
                f"{key} needs the package {package}, which is not installed",
                code="extra_missing",
                hint=f"install clerk-batch[{extra}], or choose another format",
            )


def open_sink(form: Form, out: Packed, path: Path) -> Sink:
    """The sink that writes a form.

    Args:
        out: takes the bytes of the forms that stream.
        path: the same file for those that do not.
    """
    if form.format == "jsonl":
        return JsonLines(out)
    if form.format == "csv":
        return CommaSeparated(out, form)
    if form.format == "sqlite":
        return Database(path, form)
    from clerk_runner.exporting.sinks.columnar import Columnar  # noqa: PLC0415  an extra, and heavy

    return Columnar(path, form)
