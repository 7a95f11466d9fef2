"""The parts of a run: the steps of its job, or the job itself where it has none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from clerk_jobs.jobfile import Step, StepsJob
from clerk_jobs.listed import row_view
from clerk_jobs.references import Look, Referring
from clerk_jobs.rows import RowSource
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.journal import Journal
from clerk_runner.kind import Kind
from clerk_runner.kinds import kind_of
from clerk_runner.listing import listing_of
from clerk_runner.named import NamedRows
from clerk_runner.request import RunRequest, SourceJob, steps_of
from clerk_runner.spans import Span

__all__ = ["Part", "Plot", "fingerprints_of", "named_rows", "parts_of", "plots_of"]


@dataclass(frozen=True, slots=True)
class Plot:
    """A part before its input is open.

    Attributes:
        step: None for a job without steps.
    """

    step: Step | None
    job: SourceJob
    kind: Kind
    span: Span


class Part:
    """A part of a run.

    Attributes:
        step: None for a job without steps.
        given: its rows; None where they come from a list, until that was brought and taken in.
        listing: the walk through that list; None for a part with rows of its own.
    """

    def __init__(self, plot: Plot, given: RowSource | None) -> None:
        """Take over what was known before."""
        self.step, self.job, self.kind, self.span = plot.step, plot.job, plot.kind, plot.span
        self.given = given
        self.listing = listing_of(plot.job)

    @property
    def source(self) -> RowSource:
        """The rows, once they are there."""
        assert self.given is not None, "a list is brought before its rows are asked for"
        return self.given

    @property
    def name(self) -> str:
        """The step's; empty for a job without steps."""
        return "" if self.step is None else self.step.name

    @property
    def refers(self) -> bool:
        """Whether its rows need ids of earlier steps."""
        return self.step is not None and bool(self.step.references)

    def journal_of(self, whole: Journal) -> Journal:
        """A run's journal as this part sees it."""
        return whole.of_step(self.span.number) if self.span.of_many else whole

    async def take_in(self, whole: Journal, *, change: bool = False) -> None:
        """Take its rows into a run's journal, for the first time or beside what is known of a changed input."""
        own = self.journal_of(whole)
        if change:
            await self.kind.take_changes_in(self.source, own)
        else:
            await self.kind.take_in(self.source, own)
        if self.step is not None and not self.kind.folds:
            await own.judge_names()

    async def skip_done(self, whole: Journal, finished: Sequence[RunFolder]) -> None:
        """Skip what these earlier runs of the job did, oldest first, where its effects happen once."""
        for run in finished if self.kind.once else ():
            if not run.journal_path.exists():
                continue
            there = run.meta().get("steps") or [""]
            if self.name in there:
                span = Span(there.index(self.name), of_many=self.span.of_many)
                await self.journal_of(whole).skip_done_in(run.journal_path, span)

    def drafted_by(self, look: Look) -> None:
        """Let its kind draft rows that refer to others."""
        if self.step is not None:
            self.kind.drafting = Referring(
                self.kind.drafting,
                self.step.name,
                self.step.key,
                self.step.references,
                look,
                row_view(getattr(self.job, "listing", None), self.job.api_version),
            )


def plots_of(request: RunRequest) -> list[Plot]:
    """What a job consists of, in its order."""
    instance, options = request.credentials.key.kind, request.gate_options
    many = isinstance(request.job, StepsJob)
    return [
        Plot(step, job, kind_of(job, instance, options), Span(number, of_many=many))
        for number, (step, job) in enumerate(steps_of(request.job))
    ]


def parts_of(plots: Sequence[Plot], sources: Sequence[RowSource | None]) -> list[Part]:
    """The same with their inputs."""
    return [Part(plot, source) for plot, source in zip(plots, sources, strict=True)]


def fingerprints_of(parts: Sequence[Part]) -> tuple[str, dict[str, str] | None]:
    """The SHA-256 of a run's whole input, and of each step's where it has some; reads the files once."""
    if not parts[0].name:
        given = parts[0].given
        return "" if given is None else given.fingerprint, None
    each = {part.name: "" if part.given is None else part.given.fingerprint for part in parts}
    whole = "".join(f"{name}\0{digest}\n" for name, digest in each.items())
    return hashlib.sha256(whole.encode()).hexdigest(), each


def named_rows(state: StateFolder, folder: RunFolder) -> NamedRows:
    """What a run's rows refer to: its own, and those of the runs that it does again in part."""
    journals = [folder.journal_path]
    facts = folder.facts()
    seen = {facts.id}
    while facts.parent is not None and facts.parent not in seen:
        seen.add(facts.parent)
        run = RunFolder(state.runs / facts.parent)
        if not (run.path / "run.json").is_file():
            break
        instance, facts = facts.instance, run.facts()
        if facts.kind != "steps" or facts.instance != instance:
            break
        journals.append(run.journal_path)
    return NamedRows(journals)
