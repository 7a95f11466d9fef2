"""A metadata job as the engine sees it: one write for each subject, and what an answer, or none, means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clerk_jobs.call import Call, Item, Lane, Outcome, ReadRefused, Reply, Safety, State, Talk
from clerk_jobs.jobfile.metadata_job import MetadataJob
from clerk_jobs.metadata.drafts import wanted_of
from clerk_jobs.metadata.screen import Fields, MetadataScreening, refusal_of, touched
from clerk_jobs.metadata.targets import TARGETS, Current, Mode, Target, read_current, write_call
from clerk_jobs.metadata.trees import digest_of, has_anew, holds, patch_between, same, spelled
from clerk_jobs.reading import READ_BATCH

__all__ = ["MetadataWork", "Writing", "reached"]


class Writing:
    """What every write of metadata shares: the lane, and reading one subject again.

    Args:
        in_flight: most writes at once.
    """

    asks_about = READ_BATCH

    def __init__(self, target: Target, mode: Mode, in_flight: int) -> None:
        """Name the one lane."""
        self.target = target
        self.mode: Mode = mode
        example = write_call(target, mode, "a/b" if target.replace is None else "a", {}, items=0)
        self.lanes = (
            Lane("write", example.operation, target.template, 1, example.method, Safety.IDEMPOTENT, in_flight),
        )

    def current(self, items: Sequence[Item]) -> Talk[Current | list[Outcome]]:
        """The items' subject as it is now, or what becomes of them where there is none."""
        ((_, found),) = yield from self.all_current(items)
        return found

    def all_current(self, items: Sequence[Item]) -> Talk[list[tuple[list[Item], Current | list[Outcome]]]]:
        """The same for items of several subjects, a hundred in a request: each subject's items, and what is there."""
        units: dict[str, list[Item]] = {}
        groups: dict[str, list[str]] = {}
        for item in items:
            units.setdefault(self.subject([item]), []).append(item)
        for subject in units:
            group, _, member = subject.rpartition("/")
            groups.setdefault(group, []).append(member)
        known: dict[str, list[Current] | Reply] = {}
        for group, members in groups.items():
            found = yield from read_current(self.target, group, "id", members)
            known.update({f"{group}/{one}" if group else one: found[one] for one in members})
        return [(unit, self._one_of(unit, known[subject])) for subject, unit in units.items()]

    def _one_of(self, unit: Sequence[Item], found: list[Current] | Reply) -> Current | list[Outcome]:
        if isinstance(found, Reply):
            return [refusal_of(item.seq, found) for item in unit]
        if not found:
            said = f"Clerk no longer has this {self.target.noun}"
            return [Outcome(item.seq, State.FAILED, "not_found", said) for item in unit]
        return found[0]

    def subject(self, items: Sequence[Item]) -> str:
        """The id of what the items are about."""
        target = items[0].target
        assert target is not None, "screening finds the subject of everything that is sent"
        assert {item.target for item in items} == {target}, "rows of two subjects were about to be written to one"
        return target


class MetadataWork(Writing):
    """Everything that a loaded job decides about its writes."""

    def __init__(self, job: MetadataJob, in_flight: int) -> None:
        """Choose the operation and what is compared."""
        super().__init__(TARGETS[job.target], job.mode, in_flight)
        self.screening = MetadataScreening(self.target, job.mode, job.by, skip_unchanged=job.skip_unchanged)

    def prepare(self, lane: Lane, items: Sequence[Item]) -> Talk[Call | list[Outcome]]:  # noqa: ARG002  there is one
        """The request that carries the rows of one subject.

        Memberships have no PUT: what replaces is a merge that removes the rest, made of what is there now. So is what
        overwrites a value and then writes an object in its place, row after row.
        """
        body: dict[str, Any] = self._wanted(items)
        replaces = self.mode == "replace" and self.target.replace is None
        # One row alone overwrites nothing of its own.
        if replaces or (self.mode == "merge" and len(items) > 1 and has_anew(body)):
            try:
                current = yield from self.current(items)
            except ReadRefused as refused:
                return [refusal_of(item.seq, refused.reply) for item in items]
            if isinstance(current, list):
                return current
            words = patch_between if replaces else spelled
            body = {name: words(current.fields[name], field) for name, field in body.items()}
        return write_call(self.target, self.mode, self.subject(items), body, items=1)

    def settle(self, lane: Lane, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:  # noqa: ARG002  as above
        """What a whole answer means: it also shows what Clerk has now, so that it can be compared."""
        if not reply.ok:
            return [refusal_of(item.seq, reply) for item in items]
        stored = reply.value if isinstance(reply.value, dict) else {}
        if not reached(self.mode, stored, self._wanted(items)):
            said = "Clerk accepted the write but stored something else: look at it, and correct it if it is wrong"
            return [
                Outcome(item.seq, State.FAILED, "stored_differently", said, trace_id=reply.trace_id) for item in items
            ]
        # Whose rows they are was noted when they were screened.
        return [Outcome(item.seq, State.DONE) for item in items]

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:  # noqa: ARG002  values tell
        """Settle rows whose write got no answer: by what is there now, so that a newer write is not overwritten."""
        units = yield from self.all_current(items)
        return [outcome for unit, current in units for outcome in self._doubtful(unit, current)]

    def _doubtful(self, items: Sequence[Item], current: Current | list[Outcome]) -> list[Outcome]:
        """What reading says of the rows of one subject."""
        if isinstance(current, list):
            return current
        wanted = self._wanted(items)
        if reached(self.mode, current.fields, wanted):
            return [Outcome(item.seq, State.DONE, resource_id=current.subject) for item in items]
        if digest_of(touched(self.mode, current.fields, wanted)) == items[0].before:
            return [Outcome(item.seq, State.PENDING) for item in items]
        said = "it may have been written, and somebody else has changed it since: look at it before you send it again"
        return [Outcome(item.seq, State.UNRESOLVED, "changed_meanwhile", said) for item in items]

    def after_refusal(self, items: Sequence[Item], since_ms: int, reply: Reply) -> Talk[list[Outcome]]:  # noqa: ARG002
        """Reading tells whatever an answer did not."""
        return self.reconcile(items, since_ms)

    def _wanted(self, items: Sequence[Item]) -> dict[str, dict[str, Any]]:
        return wanted_of(items, merges=self.mode == "merge")


def reached(mode: Mode, fields: Mapping[str, Any], wanted: Fields) -> bool:
    """Whether metadata is what a write would make of it, as far as its kinds are there to be seen."""
    fits = same if mode == "replace" else holds
    return all(fits(fields[name], field) for name, field in wanted.items() if isinstance(fields.get(name), dict))
