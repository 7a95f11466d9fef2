"""Exports in the test's own process, where starting one for each of many lists would take minutes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clerk_jobs.jobfile import ExportJob, load_job
from clerk_runner.credentials import discover
from clerk_runner.exporting.run import ExportRequest, ExportSummary, run_export
from clerk_runner.folders import StateFolder
from clerk_runner.view import Preview, Progress
from clerk_testing.simulated import SimulatedClerk

__all__ = ["export", "rows_of"]


class SilentView:
    """Shows nothing."""

    def stage(self, text: str) -> None:
        """See `View`."""

    def preview(self, preview: Preview) -> None:
        """See `View`."""

    async def follow(self, read: Callable[[], Progress]) -> None:
        """See `View`."""
        read()


def export(folder: Path, clerk: SimulatedClerk, name: str, **keys: str) -> ExportSummary:
    """Export a list to a new file of this folder; ``keys`` are those of the job file, as YAML."""
    keys = {"output": "'{run}.jsonl'", "limits": "{share: 1.0}", **keys}
    lines = "".join(f"{key}: {value}\n" for key, value in keys.items())
    path = folder / "job.yaml"
    path.write_text(f"name: {name.replace('/', ' ')}\nkind: export\nlist: {name}\n{lines}")
    job = load_job(path)
    assert isinstance(job, ExportJob)
    state = StateFolder(folder / "state")
    request = ExportRequest(job=job, job_path=path, credentials=discover(clerk.environment, folder), state=state)
    summary = asyncio.run(run_export(request, SilentView()))
    assert summary.error is None, summary.error
    return summary


def rows_of(summary: ExportSummary) -> list[dict[str, Any]]:
    """The rows of an output of JSON Lines."""
    return [json.loads(line) for line in Path(summary.outputs[0]).read_bytes().splitlines()]
