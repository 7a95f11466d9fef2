"""The dry run: every row is checked and, unless offline, screened; then the run is played through in virtual time.

It uses the run's own parts on a journal in a temporary folder, so that what it says is what will happen.
"""

from __future__ import annotations

import datetime
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clerk_limits.clock import LoopClock
from clerk_runner.account import AccountOptions, open_account, out_now
from clerk_runner.backing_up import require_absent
from clerk_runner.choosing import finished_runs
from clerk_runner.client import Client
from clerk_runner.errors import Exit
from clerk_runner.exchange import Exchange
from clerk_runner.exporting.output import output_path
from clerk_runner.folders import RunFolder
from clerk_runner.history import Past
from clerk_runner.interrupts import Interrupts
from clerk_runner.journal import Journal
from clerk_runner.kind import Screens, Surroundings
from clerk_runner.listing import Listing, listed_rows
from clerk_runner.logs import silent_log
from clerk_runner.named import NamedRows
from clerk_runner.parts import Part, parts_of, plots_of
from clerk_runner.planner import DEFAULT_LATENCY_S
from clerk_runner.preview import Known, Standing, Whole, previewed
from clerk_runner.request import RunRequest, check_instance, disk_error, opened_sources, past_of
from clerk_runner.view import Preview, View

__all__ = ["Plan", "plan_job"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    Attributes:
        requests: reads that the plan itself sent.
    """

    kind: str
    preview: Preview
    requests: int
    elapsed_s: float

    @property
    def exit(self) -> Exit:
        """1 where some rows cannot be sent, so that a pipeline can stop there."""
        return Exit.SOME_FAILED if self.preview.items.failed else Exit.DONE

    def as_json(self) -> dict[str, Any]:
        """The plan for scripts; the keys of a run's summary, and the forecast."""
        preview, forecast = self.preview, self.preview.forecast
        return {
            "run": None,
            "job": preview.job,
            "kind": self.kind,
            "state": "planned",
            "items": msgspec.to_builtins(preview.items),
            "requests": self.requests,
            "throttled": 0,
            "elapsed_s": round(self.elapsed_s, 3),
            "outputs": [],
            "run_dir": None,
            "calls": forecast.calls,
            "ends_s": round(forecast.ends_s, 3),
            "starts_at": _iso(preview.starts_at),
            "ends_at": _iso(preview.starts_at + forecast.ends_s),
            "quota_used": None if forecast.quota_used is None else round(forecast.quota_used, 4),
            "waits": msgspec.to_builtins(forecast.waits),
            "limits": forecast.limits,
            "problems": _problems(preview),
            "reasons": _reasons(preview),
            **({"steps": [_step(step) for step in preview.steps]} if preview.steps else {}),
        }


def _problems(preview: Preview) -> list[dict[str, Any]]:
    """The first rows that cannot be sent; of a job with steps each names its step."""
    if preview.steps:
        return [{"step": step.step, **problem} for step in preview.steps for problem in _problems(step)]
    return [{"line": line, "code": code, "message": message} for line, code, message in preview.problems]


def _reasons(preview: Preview) -> list[dict[str, Any]]:
    """Why rows will not be sent, most rows first; of a job with steps each names its step."""
    if preview.steps:
        return [{"step": step.step, **reason} for step in preview.steps for reason in _reasons(step)]
    words = ("status", "code", "message", "rows")
    return [dict(zip(words, reason, strict=True)) for reason in preview.reasons]


def _step(preview: Preview) -> dict[str, Any]:
    """One step for scripts; times count from the start of the run."""
    forecast = preview.forecast
    return {
        "name": preview.step,
        "kind": preview.kind,
        "items": msgspec.to_builtins(preview.items),
        "calls": forecast.calls,
        "starts_at": _iso(preview.starts_at),
        "ends_at": _iso(preview.starts_at + forecast.ends_s),
    }


def _iso(wall_s: float) -> str:
    return datetime.datetime.fromtimestamp(wall_s).astimezone().isoformat("T", "seconds")


async def plan_job(request: RunRequest, view: View, *, offline: bool) -> Plan:
    """Plan a job; writes nothing, neither to Clerk nor to the state folder's runs.

    Raises:
        RunnerError: the key, the surroundings or the disk do not allow it.
        ClerkBatchError: the input is wrong.
    """
    check_instance(request.job, request.credentials)
    began = time.monotonic()
    try:
        plots = plots_of(request)
        with _temporary_folder() as folder, opened_sources(request, folder / "input") as sources:
            journal = Journal(folder / "plan.db", durable=False)
            try:
                planning = _Planning(request, view, RunFolder(folder), journal, parts_of(plots, sources))
                preview, requests = await planning.run(offline=offline)
            finally:
                journal.close()
    except (sqlite3.Error, OSError) as error:
        raise disk_error(error) from error
    return Plan(request.job.kind, preview, requests, time.monotonic() - began)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A private folder that leaves nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="clerk-batch-plan-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Planning:
    """One plan, on a journal that is thrown away."""

    def __init__(
        self, request: RunRequest, view: View, folder: RunFolder, journal: Journal, parts: Sequence[Part]
    ) -> None:
        self._request = request
        self._view = view
        self._folder = folder
        self._journal = journal
        self._parts = parts
        self._instance = request.credentials.key.kind
        self._screener: Screens | None = None
        self._clock = LoopClock()

    async def run(self, *, offline: bool) -> tuple[Preview, int]:
        """Check every row, and ask Clerk what it has unless ``offline``; also returns the requests."""
        request = self._request
        # What later steps would read depends on what the first one does.
        first = self._parts[0]
        for part in self._parts:
            part.kind.require_outputs(request, None)
        standing = Standing(Past([], frozenset(), request.gate_options))
        requests, latency_s = 0, DEFAULT_LATENCY_S
        for part in self._parts:
            if part.kind.saves is not None:
                now_ms = int(time.time() * 1000)
                require_absent(output_path(request.job.folder, part.kind.saves[0], run="RUN", created_ms=now_ms))
        if first.given is not None or offline:
            await self._take_in()
        if not offline:
            options = AccountOptions(
                gate=request.gate_options,
                label=f"plan of {request.job.name}",
                invites=tuple(dict.fromkeys(path for part in self._parts for path in part.kind.invites)),
                note=self._view.stage,
            )
            async with (
                Client(request.credentials, request.job.api_version) as client,
                open_account(client, request.state, self._clock, options) as account,
            ):
                exchange = account.exchange
                await self._ask(exchange, finished_runs(request.state, request.job.name, account.instance))
                requests, latency_s = exchange.requests, exchange.latency_s or DEFAULT_LATENCY_S
                past = past_of(request, account.instance, self._clock.wall())
                standing = Standing(past, out_now(account.folder))
        known = Known(
            action="plan",
            source=request.source_name,
            run="",
            scopes="a plan needs none",
            screened=not offline,
            latency_s=latency_s,
        )
        whole = Whole(request.job, request.credentials, 0, self._screener)
        return await previewed(whole, self._parts, self._journal, standing, known), requests

    async def _take_in(self) -> None:
        """Take the rows of every part in, as a run does."""
        self._view.stage(f"reading {self._request.source_name}")
        if not self._parts[0].name:
            if self._parts[0].given is not None:
                await self._parts[0].take_in(self._journal)
            return
        await self._journal.add_names()
        named = NamedRows([self._journal.path])
        try:
            for part in self._parts:
                part.drafted_by(named.look)
                # What a later step lists is listed when it begins.
                if part.given is not None:
                    await part.take_in(self._journal)
                named.forget()
        finally:
            named.close()

    async def _ask(self, exchange: Exchange, finished: Sequence[RunFolder]) -> None:
        """Bring the list where the rows come from one, skip what ``finished`` runs did, and read what Clerk has."""
        first = self._parts[0]
        if first.listing is not None:
            shared = (self._folder, self._journal, exchange, self._view, Interrupts(listens=False), silent_log())
            listing = Listing(first.listing, self._request, *shared, first.span)
            await listing.bring()
            with listed_rows(self._folder, first.span) as first.given:
                await self._take_in()
                await self._skip_done(finished)
                await self._screen(first, exchange, listed=await listing.is_fresh())
        elif first.given is not None:
            await self._skip_done(finished)
            await self._screen(first, exchange, listed=False)

    async def _skip_done(self, finished: Sequence[RunFolder]) -> None:
        for part in self._parts:
            if part.given is not None:
                await part.skip_done(self._journal, finished)

    async def _screen(self, part: Part, exchange: Exchange, *, listed: bool) -> None:
        journal = part.journal_of(self._journal)
        payloads = part.kind.payloads(part.source, journal)
        around = Surroundings(journal, exchange, payloads, silent_log(), self._instance, listed)
        self._screener = part.kind.screener(around)
        self._view.stage(part.kind.words.checking)
        await self._screener.run()
