"""What a run will do, in numbers: from the journal, and from the same gate in virtual time."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from clerk_jobs.call import State
from clerk_jobs.jobfile import InviteJob, Job
from clerk_limits.gate import Gate
from clerk_limits.ledger import InUse, charge_planned
from clerk_runner.credentials import Credentials
from clerk_runner.folding import count_units
from clerk_runner.history import Past
from clerk_runner.journal import Journal
from clerk_runner.kinds import Kind
from clerk_runner.planner import DEFAULT_LATENCY_S, Course, forecast
from clerk_runner.report import count_items, row_problems
from clerk_runner.steady import is_steady, steady_forecast
from clerk_runner.view import Preview

__all__ = ["SHOWN_PROBLEMS", "Known", "Standing", "build_preview"]

SHOWN_PROBLEMS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a preview says that the journal does not know; see ``view.Preview``."""

    action: str
    source: str
    run: str
    scopes: str
    screened: bool
    latency_s: float = DEFAULT_LATENCY_S
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is spent already when a run begins.

    Attributes:
        past: what counts against the job's own limits.
        out: what is out in the ledger.
    """

    past: Past
    out: Sequence[InUse] = ()

    def charge(self, gate: Gate) -> None:
        """Take it from a planned gate."""
        self.past.charge(gate)
        charge_planned(gate, self.out, time.time())


async def build_preview(
    job: Job, credentials: Credentials, kind: Kind, journal: Journal, standing: Standing, known: Known
) -> Preview:
    """Count what the journal holds, and play the rest of the run through."""
    groups, alone = await journal.read(_units if kind.folds else _groups)
    counts = await journal.counts()
    starts_at = time.time()
    course = Course(
        lanes=kind.work.lanes,
        groups=groups,
        alone=alone,
        instance=credentials.key.kind,
        options=standing.past.options,
        latency_s=known.latency_s,
    )
    play = steady_forecast if is_steady(course) else forecast
    played = await asyncio.to_thread(play, course, starts_at, standing.charge)
    problems, problem_count = row_problems(journal.path, SHOWN_PROBLEMS)
    return Preview(
        job=job.name,
        action=known.action,
        operation=" and ".join(f"{lane.method} {lane.template}" for lane in kind.work.lanes),
        host=credentials.host,
        key=f"{credentials.key.kind} key from {credentials.found_in}",
        api_version=job.api_version,
        scopes=known.scopes,
        source=known.source,
        run=known.run,
        items=count_items(journal.path),
        screened=known.screened,
        problems=problems,
        problem_count=problem_count,
        doubtful=counts[State.DOUBT],
        organizations=len(groups) if isinstance(job, InviteJob) and job.organization is not None else 0,
        mails=isinstance(job, InviteJob) and job.notify.source is True,
        forecast=played,
        starts_at=starts_at,
        words=kind.words,
        notes=known.notes,
        consequence=kind.consequence(counts[State.PENDING]),
    )


def _groups(db: sqlite3.Connection) -> tuple[dict[str, int], int]:
    """Pending items by group, and how many of them travel alone."""
    rows = db.execute(
        "SELECT grp.name, sum(item.alone = 0), sum(item.alone) FROM item JOIN grp ON grp.id = item.grp "
        "WHERE item.state = ? GROUP BY item.grp",
        (State.PENDING,),
    ).fetchall()
    return {name: together for name, together, _ in rows}, sum(alone for _, _, alone in rows)


def _units(db: sqlite3.Connection) -> tuple[dict[str, int], int]:
    """The calls that rows folded by subject need; none of them travels apart."""
    return {"": count_units(db)}, 0
