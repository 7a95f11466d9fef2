"""What a run will do, in numbers: from the journal, and from the same gate in virtual time."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clerk_jobs.call import State
from clerk_jobs.jobfile import InviteJob, Job
from clerk_limits.gate import Gate
from clerk_limits.ledger import InUse, charge_planned
from clerk_runner.credentials import Credentials
from clerk_runner.folding import count_units
from clerk_runner.history import Past
from clerk_runner.journal import Journal
from clerk_runner.kind import Kind, Screens
from clerk_runner.parts import Part
from clerk_runner.planner import DEFAULT_LATENCY_S, Course, Forecast, forecast
from clerk_runner.report import added, count_items, outcomes_by_code, row_problems
from clerk_runner.request import rows_of
from clerk_runner.spans import Span
from clerk_runner.steady import is_steady, steady_forecast
from clerk_runner.view import STEPPING, Preview

__all__ = ["SHOWN_PROBLEMS", "Known", "Standing", "Whole", "build_preview", "previewed"]

SHOWN_PROBLEMS = 10
LATER = "what Clerk has for this step is read when its turn comes: less may be sent"
UNLISTED = "Clerk was not asked for the list: how many rows there are is not known yet"
UNLISTED_YET = "the list is read when this step begins: how many rows it has is not known yet"
WITHOUT = "time and calls leave out steps whose rows are not known yet: {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a preview says that the journal does not know; see ``view.Preview``.

    Attributes:
        later_s: how long the steps before this one take.
    """

    action: str
    source: str
    run: str
    scopes: str
    screened: bool
    latency_s: float = DEFAULT_LATENCY_S
    notes: tuple[str, ...] = ()
    step: str = ""
    later_s: float = 0.0
    unlisted: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """The job, and how far its parts were prepared.

    Attributes:
        first: the part that is worked on first; what later ones have to read of Clerk is not read yet.
        screener: what the first part has read; None where nothing was.
    """

    job: Job
    credentials: Credentials
    first: int = 0
    screener: Screens | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is spent already when a run, or one of its steps, begins.

    Attributes:
        past: what counts against the job's own limits.
        out: what is out in the ledger.
        planned: what the steps before will spend: unix times of answers, by the name of each slow limit.
    """

    past: Past
    out: Sequence[InUse] = ()
    planned: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def charge(self, gate: Gate) -> None:
        """Take it from a planned gate."""
        self.past.charge(gate)
        charge_planned(gate, self.out, time.time())
        for name, moments in self.planned.items():
            gate.charge(name, moments)

    def after(self, done: Forecast, starts_at: float) -> Standing:
        """The same once a forecast that starts then has come true."""
        known = {name: [starts_at + moment for moment in moments] for name, moments in done.spent.items()}
        names = {*self.planned, *known}
        return replace(self, planned={name: [*self.planned.get(name, ()), *known.get(name, ())] for name in names})


async def build_preview(
    job: Job, credentials: Credentials, kind: Kind, journal: Journal, standing: Standing, known: Known
) -> Preview:
    """Count what the journal holds, and play the rest of the run through."""
    span = journal.span
    counts = await journal.counts()
    groups: dict[str, int] = {}
    alone = 0
    if counts[State.PENDING]:
        groups, alone = await journal.read(lambda db: (_units if kind.folds else _groups)(db, span))
    starts_at = time.time() + known.later_s
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
    problems, problem_count = row_problems(journal.path, span, SHOWN_PROBLEMS)
    settled = counts[State.SKIPPED] + counts[State.FAILED] + counts[State.UNRESOLVED]
    return Preview(
        job=job.name,
        action=known.action,
        operation=" and ".join(f"{lane.method} {lane.template}" for lane in kind.work.lanes),
        host=credentials.host,
        key=credentials.told,
        api_version=job.api_version,
        scopes=known.scopes,
        source=known.source,
        run=known.run,
        items=count_items(journal.path, span),
        screened=known.screened,
        problems=problems,
        problem_count=problem_count,
        reasons=outcomes_by_code(journal.path, span=span) if settled else [],
        doubtful=counts[State.DOUBT],
        organizations=len(groups) if isinstance(job, InviteJob) and job.organization is not None else 0,
        mails=isinstance(job, InviteJob) and job.notify.source is True,
        forecast=played,
        starts_at=starts_at,
        words=kind.words,
        notes=known.notes,
        consequence=kind.consequence(counts[State.PENDING]),
        kind=job.kind,
        step=known.step,
        unlisted=known.unlisted,
    )


def _groups(db: sqlite3.Connection, span: Span) -> tuple[dict[str, int], int]:
    """Pending items by group, and how many of them travel alone."""
    rows = db.execute(
        "SELECT grp.name, sum(item.alone = 0), sum(item.alone) FROM item JOIN grp ON grp.id = item.grp "
        "WHERE item.state = ? AND item.seq BETWEEN ? AND ? GROUP BY item.grp",
        (State.PENDING, span.first, span.last),
    ).fetchall()
    return {name: together for name, together, _ in rows}, sum(alone for _, _, alone in rows)


def _units(db: sqlite3.Connection, span: Span) -> tuple[dict[str, int], int]:
    """The calls that rows folded by subject need; none of them travels apart."""
    return {"": count_units(db, span)}, 0


async def previewed(whole: Whole, parts: Sequence[Part], journal: Journal, standing: Standing, known: Known) -> Preview:
    """What a job will do, by step where it has some."""
    previews: list[Preview] = []
    for number, part in enumerate(parts):
        later = number > whole.first and known.screened and part.kind.reads
        said = part.kind.notes(whole.screener if number == whole.first else None)
        unlisted = "" if part.given is not None else UNLISTED_YET if part.name else UNLISTED
        own = replace(known, unlisted=unlisted, notes=(*said, *((LATER,) if later and part.given is not None else ())))
        if part.name:
            later_s = sum(one.forecast.ends_s for one in previews)
            own = replace(own, step=part.name, source=rows_of(part.job), later_s=later_s)
        view = part.journal_of(journal)
        previews.append(await build_preview(part.job, whole.credentials, part.kind, view, standing, own))
        # What a step will have spent of an hour's quota, the next one has not.
        standing = standing.after(previews[-1].forecast, previews[-1].starts_at)
    if not parts[0].name:
        return previews[0]
    later_lists = ", ".join(part.name for part in parts if part.given is None)
    notes = (WITHOUT.format(later_lists),) if later_lists else ()
    return joined_preview(whole.job, whole.credentials, previews, replace(known, notes=notes))


def joined_preview(job: Job, credentials: Credentials, previews: Sequence[Preview], known: Known) -> Preview:
    """The steps of a job as one: sums, and a forecast from the first call of the first to the last of the last."""
    total = Forecast(quota_used=None)
    for one in previews:
        for name, calls in one.forecast.calls.items():
            total.calls[name] = total.calls.get(name, 0) + calls
        total.lanes[one.step] = sum(one.forecast.lanes.values())
        total.waits += [replace(wait, at_s=wait.at_s + total.ends_s) for wait in one.forecast.waits]
        total.ends_s += one.forecast.ends_s
        total.limits += [line for line in one.forecast.limits if line not in total.limits]
    problems = [problem for one in previews for problem in one.problems]
    return Preview(
        job=job.name,
        action=known.action,
        operation=", then ".join(one.operation for one in previews),
        host=credentials.host,
        key=previews[0].key,
        api_version=job.api_version,
        scopes=known.scopes,
        source=known.source,
        run=known.run,
        items=added(one.items for one in previews),
        screened=known.screened,
        problems=problems,
        problem_count=sum(one.problem_count for one in previews),
        doubtful=sum(one.doubtful for one in previews),
        organizations=0,
        mails=any(one.mails for one in previews),
        forecast=total,
        starts_at=previews[0].starts_at,
        words=STEPPING,
        notes=known.notes,
        steps=tuple(previews),
    )
