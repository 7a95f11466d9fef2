"""The plan of an export: what will be asked, how often, and how long that takes by the same gate in virtual time."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from clerk_jobs.catalog import Operation
from clerk_jobs.export.lists import call_of, find_list, is_sliced, with_total
from clerk_jobs.export.page import Page, parse_page
from clerk_jobs.export.part import OVERLAP
from clerk_limits.clock import LoopClock, VirtualClock, run_virtual
from clerk_limits.gate import Gate
from clerk_runner.account import AccountOptions, open_account
from clerk_runner.client import Client
from clerk_runner.errors import StoppedError
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.output import STDOUT, output_path, require_free
from clerk_runner.exporting.request import ExportRequest
from clerk_runner.exporting.sinks import require_extra
from clerk_runner.exporting.walkers import walkers_wanted
from clerk_runner.exporting.walking import count_users
from clerk_runner.planner import DEFAULT_LATENCY_S
from clerk_runner.request import check_kind

__all__ = ["ExportPlan", "plan_export"]

PLAYED: Final = 5_000
"""Requests that are played through at most; what is beyond goes on at the same pace."""
SLICED_COST: Final = 1.03
"""Requests of a sliced walk beside its full pages: short pages, dead cursors, parts that hold nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What a run would do.

    Attributes:
        rows: how many it will find; None where nobody was asked, where the list does not say, or with ``for_each``.
        at_most: whether filters make it fewer, or only changes are asked for.
        parents: how many lists there are with ``for_each``; None without it, or where nobody was asked.
        pages: requests for pages, with ``for_each`` at least; None where neither rows nor parents are known.
        ends_s: seconds from the start to the last answer; None where the rows are not known.
        requests: reads that the plan itself sent.
    """

    request: ExportRequest
    target: Path
    rows: int | None
    at_most: bool
    parents: int | None
    pages: int | None
    ends_s: float | None
    limits: list[str]
    requests: int
    elapsed_s: float

    def as_json(self) -> dict[str, Any]:
        """The plan for scripts; the keys of a run's summary, and the forecast."""
        job, total = self.request.job, self.rows or 0
        items = {"total": total, "done": 0, "skipped": 0, "failed": 0, "unresolved": 0, "pending": total}
        return {
            "run": None,
            "job": job.name,
            "kind": job.kind,
            "state": "planned",
            "items": items,
            "requests": self.requests,
            "throttled": 0,
            "elapsed_s": round(self.elapsed_s, 3),
            "outputs": [str(self.target)],
            "run_dir": None,
            "calls": {} if self.pages is None else {str(self.request.operation): self.pages},
            "ends_s": None if self.ends_s is None else round(self.ends_s, 3),
            "waits": [],
            "limits": self.limits,
            "problems": [],
            "reasons": [],
        }


async def plan_export(request: ExportRequest, *, offline: bool) -> ExportPlan:
    """Plan an export; writes nothing.

    Raises:
        RunnerError: the key or the surroundings do not allow it, the output's name is taken, or Clerk refuses the list.
    """
    check_kind(request.job, request.credentials)
    require_extra(request.job.form)
    began = time.monotonic()
    job = request.job
    target = output_path(job.folder, job.output, run="RUN", created_ms=int(time.time() * 1000))
    if target != STDOUT:
        require_free(target, request.state, job.name, force=request.force)
    clock = LoopClock()
    gate = Gate(request.credentials.key.kind, request.gate_options, clock)
    found, requests, latency_s = None, 0, DEFAULT_LATENCY_S
    # With for_each only the parents can be counted: what is below them, their own lists say one by one.
    counted = request.operation if job.for_each is None else find_list(job.for_each, job.api_version)
    if not offline:
        options = AccountOptions(gate=request.gate_options, label=f"plan of {job.name}")
        async with (
            Client(request.credentials, job.api_version) as client,
            open_account(client, request.state, clock, options) as account,
        ):
            exchange = account.exchange
            found = await _count(counted, job.where if job.for_each is None else (), exchange)
            requests, latency_s = exchange.requests, exchange.latency_s or DEFAULT_LATENCY_S
    walkers = walkers_wanted(gate.usage()[0].rate_per_s, latency_s)
    pages = None if found is None else _pages(request, counted, found, walkers)
    ends_s = None if pages is None else await asyncio.to_thread(_ends_s, request, pages, latency_s, walkers)
    return ExportPlan(
        request=request,
        target=target,
        rows=found if job.for_each is None else None,
        at_most=(is_sliced(request.operation) and bool(job.where)) or job.incremental is not None,
        parents=None if job.for_each is None else found,
        pages=pages,
        ends_s=ends_s,
        limits=gate.describe({"instance"}),
        requests=requests,
        elapsed_s=time.monotonic() - began,
    )


async def _count(operation: Operation, where: tuple[tuple[str, str], ...], exchange: Exchange) -> int | None:
    """How many rows there are: the total of users, or what the list itself says beside its first row."""
    if is_sliced(operation):
        return await count_users(exchange)
    assert operation.list_shape is not None
    shape, limit = operation.list_shape, (("limit", "1"),) if operation.page_maximum is not None else ()
    call = call_of(operation, (*where, *with_total(operation)))
    reply = await exchange.ask(replace(call, query=(*call.query, *limit)), lambda body: parse_page(body, shape))
    if reply is not None and not reply.ok:
        raise StoppedError(
            f"Clerk refused the list {operation.path}: {reply.status} {reply.code}",
            code=reply.code,
            hint="check list: and where: in the job file",
        )
    page = reply.value if reply is not None else None
    if not isinstance(page, Page):
        return None
    return page.total_count if limit else len(page)


def _pages(request: ExportRequest, operation: Operation, rows: int, walkers: int) -> int:
    """How many pages so many rows are, and with ``for_each`` one more below each of them."""
    below = 0 if request.job.for_each is None else rows
    return below + _pages_of(request, operation, rows, walkers)


def _pages_of(request: ExportRequest, operation: Operation, rows: int, walkers: int) -> int:
    size = (request.job.page_size if request.job.for_each is None else None) or operation.page_maximum
    if size is None:
        return 1
    if is_sliced(operation):
        parts = 1 if request.job.where else min(walkers, rows // size + 1)
        return parts + math.ceil(rows / size * SLICED_COST)
    return 1 + max(0, math.ceil((rows - size + 1) / (size - min(OVERLAP, size // 2))))


def _ends_s(request: ExportRequest, pages: int, latency_s: float, walkers: int) -> float:
    """Play the pages through: many at once where users are sliced or lists are many, else one after the other."""
    played = min(pages, PLAYED)

    async def play() -> float:
        clock = VirtualClock(time.time())
        gate = Gate(request.credentials.key.kind, request.gate_options, clock)
        workers = walkers if is_sliced(request.operation) or request.job.for_each is not None else 1
        left = iter(range(played))

        async def work() -> None:
            for _ in left:
                permit = await gate.acquire("GET", request.operation.path)
                await clock.sleep(latency_s)
                permit.settle()

        async with asyncio.TaskGroup() as group:
            for number in range(min(workers, played)):
                group.create_task(work(), name=f"walker {number}")
        return clock.now()

    return run_virtual(play()) * pages / max(1, played)
