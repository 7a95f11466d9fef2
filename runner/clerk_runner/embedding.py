"""Jobs from other programs: what ``clerk-batch run`` and ``plan`` do, as two coroutines.

They share everything with the command line: the state folder, and so the budget and the runs, the key from the
environment or ``.env``, the checks before a write. They ask nobody, print nothing and leave the process's signals
alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clerk_jobs.jobfile import load_job
from clerk_runner.batch import run_job as run_batch
from clerk_runner.exporting.planning import ExportPlan, plan_export
from clerk_runner.exporting.run import ExportRequest, run_export
from clerk_runner.interrupts import Interrupts
from clerk_runner.planning import Plan
from clerk_runner.planning import plan_job as plan_batch
from clerk_runner.report import Summary
from clerk_runner.request import RunRequest
from clerk_runner.requesting import Asked, request_of
from clerk_runner.safety import Consent
from clerk_runner.view import Preview, Progress, View

__all__ = ["JobOptions", "Silence", "plan_job", "run_job"]


class Silence:
    """A view that shows nothing."""

    def stage(self, text: str) -> None:
        """Nobody looks."""

    def preview(self, preview: Preview) -> None:
        """Nobody is asked."""

    async def follow(self, read: Callable[[], Progress]) -> None:  # noqa: ARG002  nobody reads it
        """Wait until cancelled."""
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """The options of ``run`` and ``plan``, named as on the command line.

    Attributes:
        overrides: values of the job file that are changed, such as ``{"limits.share": "0.5"}``.
        allow_outside: let the job file name paths outside of its folder.
        yes: go ahead; without it a job that writes raises ``AccessError`` before its first write.
        admin: write even where CLERK_BAPI_SCOPES does not allow it.
        confirm_count: how many rows the whole run deletes.
        fresh: abandon an unfinished run, repeat a finished one.
        accept_changes: continue although the job file or the input changed.
        force: replace an output that no run of this job wrote.
        on_unresolved: what to do with rows that may or may not have been sent.
        max_wait_s: leave when the next permit is further away.
        max_time_s: leave after so many seconds.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)
    allow_outside: bool = False
    yes: bool = False
    admin: bool = False
    confirm_count: int | None = None
    fresh: bool = False
    accept_changes: bool = False
    force: bool = False
    on_unresolved: Literal["retry", "skip"] | None = None
    max_wait_s: float | None = None
    max_time_s: float | None = None


async def run_job(
    job: Path | str,
    options: JobOptions | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    view: View | None = None,
    stop: asyncio.Event | None = None,
) -> Summary:
    """Run a job file, or continue its unfinished run, as ``clerk-batch run`` does.

    Args:
        job: the job file.
        options: those of the command line; without ``yes`` nothing is written.
        environment: CLERK_SECRET_KEY and the other variables; the process's own unless given.
        view: is shown stages, the preview and progress; nothing is printed without one.
        stop: set, it ends the run as SIGTERM would: calls under way are awaited, no new one begins, and the
            summary's state is ``interrupted``. Cancelling the task ends it at once, as a second signal would.

    Returns:
        The summary that ``--json`` prints, of an export with its proof. ``exit`` is 0 where all is done.

    Raises:
        ClerkBatchError: the job file or the input is wrong.
        RunnerError: nothing was sent, or the run could not be opened; its ``exit`` is the command line's.

    Example:
        >>> import asyncio, tempfile, pathlib
        >>> from clerk_runner import AccessError, run_job
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     job = pathlib.Path(folder, "users.yaml")
        ...     _ = job.write_text("name: users\\nkind: export\\nlist: users\\noutput: users.jsonl\\n")
        ...     try:
        ...         asyncio.run(run_job(job, environment={"CLERK_SECRET_KEY": "pk_test_x"}))
        ...     except AccessError as error:
        ...         print(int(error.exit), error.code)
        3 key_malformed
    """
    options, shown = options or JobOptions(), view or Silence()
    async with _stoppable(stop) as signals:
        request = await asyncio.to_thread(_request, Path(job), options, environment, offline=False)
        if isinstance(request, ExportRequest):
            return await run_export(request, shown, signals)
        consent = Consent(yes=options.yes, admin=options.admin, count=options.confirm_count)
        return await run_batch(request, consent, shown, signals)


async def plan_job(
    job: Path | str,
    options: JobOptions | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    offline: bool = False,
) -> Plan | ExportPlan:
    """Plan a job file as ``clerk-batch plan`` does; writes nothing.

    Args:
        job: the job file.
        options: those that concern reading it: ``overrides`` and ``allow_outside``.
        environment: CLERK_SECRET_KEY and the other variables; the process's own unless given.
        offline: ask Clerk nothing; needs no key.

    Returns:
        The plan; ``as_json()`` is what ``--json`` prints.

    Raises:
        ClerkBatchError: the job file or the input is wrong.
        RunnerError: the key, the surroundings or the disk do not allow it.
    """
    request = await asyncio.to_thread(_request, Path(job), options or JobOptions(), environment, offline=offline)
    if isinstance(request, ExportRequest):
        return await plan_export(request, offline=offline)
    return await plan_batch(request, Silence(), offline=offline)


def _request(
    path: Path, options: JobOptions, environment: Mapping[str, str] | None, *, offline: bool
) -> RunRequest | ExportRequest:
    """Read the job file, and put together what is asked for."""
    pairs = tuple(options.overrides.items())
    loaded = load_job(path, pairs, allow_outside=options.allow_outside)
    asked = Asked(
        overrides=pairs,
        allow_outside=options.allow_outside,
        fresh=options.fresh,
        accept_changes=options.accept_changes,
        force=options.force,
        unresolved=options.on_unresolved,
        max_wait_s=options.max_wait_s,
        max_time_s=options.max_time_s,
        offline=offline,
    )
    return request_of(loaded, path, asked, os.environ if environment is None else environment)


@asynccontextmanager
async def _stoppable(stop: asyncio.Event | None) -> AsyncIterator[Interrupts]:
    """What interrupts a run when ``stop`` is set."""
    signals = Interrupts(listens=False)
    if stop is None:
        yield signals
        return

    async def watch() -> None:
        await stop.wait()
        signals.tell(signal.SIGTERM)

    watcher = asyncio.create_task(watch(), name="stop")
    try:
        yield signals
    finally:
        watcher.cancel()
