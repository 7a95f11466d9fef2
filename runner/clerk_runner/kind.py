"""What a run needs to know of a kind of job that writes: what it reads first, sends, and calls it.

A kind is made for one loaded job; see `clerk_runner.kinds`. The phases of a run, the engine and the reports are the
same for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

from clerk_jobs.call import State
from clerk_jobs.operation.reading import ObjectReader
from clerk_jobs.rows import RowSource
from clerk_limits.documented import LIMITS, InstanceKind, LimitKind
from clerk_runner.comparing import Comparer, ImagePayloads, Screening
from clerk_runner.errors import RunnerError
from clerk_runner.exchange import Exchange
from clerk_runner.feed import Feed, Feeding
from clerk_runner.folders import RunFolder
from clerk_runner.folding import UnitFeed, fold_subjects
from clerk_runner.images import mark_written
from clerk_runner.journal import Journal
from clerk_runner.logs import Log
from clerk_runner.request import RunRequest
from clerk_runner.safety import Scope
from clerk_runner.source import SourcePayloads, ingest
from clerk_runner.view import INVITING, Words
from clerk_runner.work import Drafts, Payloads, Work

__all__ = ["SCREENERS", "Beside", "ComparingKind", "Kind", "Screens", "Surroundings"]

INVITATIONS = frozenset(
    operation.removeprefix("POST ")
    for limit in LIMITS
    if limit.kind is LimitKind.QUOTA
    for operation in limit.operations
)
SCREENERS = {"production": 16, "development": 4}
"""Reads in flight before the first write: enough to use the share of each kind of instance at 0.2 s an answer."""


class Screens(Protocol):
    """Reads that come before the first write."""

    screened: int

    async def run(self) -> None:
        """Judge everything that is pending."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """With what a kind reads and writes.

    Attributes:
        instance: decides how many reads are in flight.
        listed: whether the rows were listed by this run less than a minute ago.
    """

    journal: Journal
    exchange: Exchange
    payloads: Payloads
    log: Log
    instance: InstanceKind
    listed: bool = False


class Beside(Protocol):
    """What is done beside sending."""

    async def begin(self) -> None:
        """Get ready, before the first write."""
        ...

    async def follow(self) -> None:
        """Work until cancelled."""
        ...

    async def end(self) -> RunnerError | None:
        """Finish; what is wrong, if anything is."""
        ...


class Kind(ABC):
    """One job's kind.

    Attributes:
        once: its effects happen once, so that a run that is done is not repeated.
        folds: rows of one subject travel together.
        deletes: it destroys, so that the number of rows has to be confirmed.
        reads: Clerk is asked something before the first write.
        scopes: of CLERK_BAPI_SCOPES that it needs.
        saves: where the objects that rows name are saved before the first write, and what reads them.
    """

    once = True
    folds = False
    deletes = False
    reads = True
    scopes: tuple[Scope, ...] = ("write",)
    saves: tuple[str, ObjectReader] | None = None
    words: Words = INVITING
    drafting: Drafts
    work: Work

    @property
    def invites(self) -> tuple[str, ...]:
        """Paths of the invitation endpoints that it sends to: what others spent of their quotas is asked first."""
        return tuple(lane.template for lane in self.work.lanes if lane.template in INVITATIONS)

    @abstractmethod
    def screener(self, around: Surroundings) -> Screens:
        """The reads before the first write."""

    @property
    def rereads(self) -> bool:
        """Whether these reads are done again when a run goes on."""
        return not self.once

    def payloads(self, source: RowSource, journal: Journal) -> Payloads:  # noqa: ARG002  some need it
        """What reads rows back."""
        return SourcePayloads(source, self.drafting)

    def feed(self, journal: Journal, pending: int) -> Feeding:
        """What gives the engine its next items."""
        return Feed(journal, pending)

    async def take_in(self, source: RowSource, journal: Journal) -> None:
        """Bring a new run's input into its journal."""
        await journal.clear_items()
        await ingest(source, self.drafting, journal.ingest)
        await self.judge(journal)

    async def judge(self, journal: Journal) -> None:
        """Settle what rows of the same subject mean together, once all are in; doing it again does nothing more."""
        await journal.seal()

    async def take_changes_in(self, source: RowSource, journal: Journal) -> None:
        """Bring a changed input in beside what is known."""
        await journal.prepare_changes()
        await ingest(source, self.drafting, journal.match_changed)
        await journal.finish_changes()

    def require_outputs(self, request: RunRequest, instance: str | None) -> None:  # noqa: ARG002  some need it
        """Check that what the run writes outside of its folder may be written.

        Args:
            instance: None where it is not known yet.

        Raises:
            UsageError: it may not.
        """
        return

    def beside(self, request: RunRequest, folder: RunFolder, journal: Journal) -> Beside | None:  # noqa: ARG002  as above
        """What is done beside sending, if anything is."""
        return None

    async def deleted(self, journal: Journal) -> int:
        """How many rows the whole run deletes, where it ``deletes``."""
        counts = await journal.counts()
        return sum(counts[state] for state in (State.PENDING, State.INTENT, State.DOUBT, State.DONE))

    def notes(self, screens: Screens | None) -> tuple[str, ...]:  # noqa: ARG002  some need it
        """What else a preview says, a line each; ``screens`` has ended, or is None where nothing was read."""
        return ()

    def consequence(self, pending: int) -> str | None:  # noqa: ARG002  some need it
        """What so many pending items will do; None where the words of invitations say it."""
        return None


class ComparingKind(Kind):
    """A kind that reads before it writes: what changes nothing costs no write, so a run can simply be done again."""

    once = False
    folds = True
    joins = False
    keeps = True
    screening: Screening

    def screener(self, around: Surroundings) -> Screens:
        """What changes anything, and what was there before."""
        return Comparer(
            journal=around.journal,
            exchange=around.exchange,
            screening=self.screening,
            payloads=around.payloads,
            undo=self.keeps,
            joins=self.joins,
            listed=around.listed,
            workers=SCREENERS[around.instance.value],
        )

    def payloads(self, source: RowSource, journal: Journal) -> Payloads:
        """Rows, and what was there before where that is asked."""
        return ImagePayloads(super().payloads(source, journal), journal)

    def feed(self, journal: Journal, pending: int) -> Feeding:
        """Rows of one subject together."""
        return UnitFeed(journal, pending)

    async def judge(self, journal: Journal) -> None:
        """Rows of one subject are not repeats: they are folded."""
        await journal.read(lambda db: fold_subjects(db, journal.span))

    async def take_changes_in(self, source: RowSource, journal: Journal) -> None:
        """The changed input from its start: reading tells what of it is there already."""
        await journal.read(lambda db: mark_written(db, journal.span))
        await self.take_in(source, journal)
