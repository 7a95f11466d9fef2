"""What a shell may complete: job files, runs, operations and tags.

The lists are made while somebody waits for them: they read names of files and the catalogue that comes with the
package, and nothing of Clerk.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

__all__ = ["complete_jobs", "complete_operations", "complete_runs", "complete_tags"]

MOST_RUNS = 50
MOST_FACTS_BYTES = 65_536
JOB_SUFFIXES = (".yaml", ".yml")


def complete_jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Job files below what was typed; the shell adds folders itself."""
    del ctx, param
    folder, _, start = incomplete.rpartition("/")
    place = Path(folder or ("/" if incomplete.startswith("/") else ".")).expanduser()
    before = f"{folder}/" if "/" in incomplete else ""
    files = [
        CompletionItem(f"{before}{name}")
        for name in _names(place)
        if name.startswith(start) and name.endswith(JOB_SUFFIXES) and (start or not name.startswith("."))
    ]
    # Last, and with what was typed: zsh loses an empty value and takes what follows for it, fish looks below it.
    return [*files, CompletionItem(incomplete, type="dir")]


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest runs, with the names of their jobs."""
    del ctx, param
    from clerk_runner.home import state_home  # noqa: PLC0415  only here

    folder = state_home(os.environ) / "runs"
    names = _names(folder)
    ids = [name for name in reversed(names) if name.startswith(incomplete)][:MOST_RUNS]
    last = [CompletionItem("last", help="the newest run")] if names and "last".startswith(incomplete) else []
    return last + [CompletionItem(name, help=_job_of(folder / name)) for name in ids]


def complete_operations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Operations by name; behind a method the paths that have it."""
    typed = ctx.params.get(param.name or "") or ()
    from clerk_jobs.catalog import load  # noqa: PLC0415  heavy

    operations = load().operations()
    if typed and str(typed[-1]).isupper():
        paths = sorted({one.path for one in operations if one.method == typed[-1]})
        return [CompletionItem(path) for path in paths if path.startswith(incomplete)]
    return [
        CompletionItem(one.operation_id, help=f"{one.method} {one.path}")
        for one in operations
        if one.operation_id.lower().startswith(incomplete.lower())
    ]


def complete_tags(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tags of operations."""
    del ctx, param
    from clerk_jobs.catalog import load  # noqa: PLC0415  heavy

    return [CompletionItem(tag) for tag in load().tags() if tag.lower().startswith(incomplete.lower())]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  names are all that is needed
    except OSError:
        return []


def _job_of(run: Path) -> str:
    """The name of a run's job; empty where it cannot be read."""
    try:
        with (run / "run.json").open("rb") as file:
            return str(json.loads(file.read(MOST_FACTS_BYTES))["job"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
