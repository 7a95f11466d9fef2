"""What a run shows while it works; the command line draws it, tests collect it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from clerk_runner.planner import Forecast
from clerk_runner.report import Items

__all__ = ["INVITING", "STEPPING", "Gauge", "Preview", "Progress", "Tally", "View", "Words"]


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much of one limit's window is in use now, by all processes of this machine together.

    Attributes:
        name: of the limit.
        used: permits that are out or still count.
        allowed: permits of our share, less what 429s have taken of it.
        period_s: seconds of the window, after ``speed``.
        closed_s: seconds for which Clerk closed an operation of it, 0.0 while all are open.
    """

    name: str
    used: int
    allowed: int
    period_s: float
    closed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """What has become of the items until now."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    unresolved: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot for a bar or a line.

    Attributes:
        detail: what else is worth knowing now: a wait, a doubt, trouble with Clerk.
        parts: what has become of the items, in the words of the kind of job: ``1,530 invited``.
        tally: the same in numbers; None where nothing is settled by this piece of work.
        requests: all that this process sent.
        gauges: the windows in use.
        ends_at: unix time at which all will be done; None where nobody knows.
    """

    label: str
    done: int
    total: int
    detail: str = ""
    parts: tuple[str, ...] = ()
    tally: Tally | None = None
    requests: int = 0
    gauges: tuple[Gauge, ...] = ()
    ends_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a kind of job calls what it does.

    Attributes:
        question: put before the first write.
        doing: the label of the progress line.
        done: what has become of items that are done.
        pending: what will become of those that are pending.
        checking: the reads before the first write.
        offline: what is not known where nothing was read.
        doubtful: one item in doubt.
    """

    question: str
    doing: str
    done: str
    pending: str
    checking: str
    offline: str
    doubtful: str


INVITING = Words(
    question="Send these invitations?",
    doing="inviting",
    done="invited",
    pending="to invite",
    checking="looking up who is already invited",
    offline="Clerk was not asked who is already invited: fewer may be sent",
    doubtful="doubtful invitation",
)
STEPPING = Words(
    question="Run these steps?",
    doing="running",
    done="done",
    pending="to do",
    checking="reading what Clerk has",
    offline="Clerk was not asked what it has: less may be sent",
    doubtful="doubtful call",
)


@dataclass(frozen=True, slots=True)
class Preview:
    """What will happen, shown before the question.

    Attributes:
        action: new, continue or change; ``plan`` where nothing will be sent.
        source: the input's name, for messages.
        screened: whether Clerk was asked who is invited already.
        problems: the first failed rows as (line, code, message).
        problem_count: how many there are.
        reasons: why rows will not be sent, as (state, code, one message, how many), most rows first; of a job with
            steps each of these has its own.
        doubtful: items that are looked up before anything is sent again.
        organizations: how many organizations are invited to, 0 for the instance itself.
        mails: whether Clerk sends e-mail for it.
        starts_at: wall time from which the forecast counts.
        words: what the kind of job calls all this.
        notes: what else there is to know, a line each.
        consequence: what the pending items will do; None for invitations, of which ``mails`` tells.
        step: the name of the step; empty for a whole job.
        unlisted: why nobody knows its rows yet; empty where they are known.
        steps: those of the job, where it has some; everything else is then their sum.
    """

    job: str
    action: str
    operation: str
    host: str
    key: str
    api_version: str
    scopes: str
    source: str
    run: str
    items: Items
    screened: bool
    problems: list[tuple[int, str, str]]
    problem_count: int
    doubtful: int
    organizations: int
    mails: bool
    forecast: Forecast
    starts_at: float
    reasons: Sequence[tuple[str, str, str, int]] = ()
    words: Words = INVITING
    notes: tuple[str, ...] = ()
    consequence: str | None = None
    kind: str = "steps"
    step: str = ""
    unlisted: str = ""
    steps: tuple[Preview, ...] = ()


class View(Protocol):
    """Where a run shows itself."""

    def stage(self, text: str) -> None:
        """Something longer begins."""

    def preview(self, preview: Preview) -> None:
        """What will happen, before the question."""

    async def follow(self, read: Callable[[], Progress]) -> None:
        """Show progress until cancelled."""
