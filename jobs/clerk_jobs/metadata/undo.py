"""Taking a metadata run back: the values that it changed, put back where they are still its own.

A row is what a run changed of one subject, ``{"id": …, "changes": […]}``; see `clerk_jobs.metadata.screen.Image`.
Reading and writing are two requests, so what somebody writes in between is overwritten; everything is read again right
before its write, to keep that moment short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clerk_jobs.call import Call, Item, Lane, Outcome, ReadRefused, Reply, State, Talk
from clerk_jobs.jobfile.metadata_job import UndoJob
from clerk_jobs.metadata.screen import Fields, Image, Verdict, decode_changes, encode_changes, refusal_of, touched
from clerk_jobs.metadata.targets import TARGETS, Current, read_current, write_call
from clerk_jobs.metadata.trees import ABSENT, Change, digest_of, is_exact, merged, put, same, value_at
from clerk_jobs.metadata.work import Writing
from clerk_jobs.undone import UndoneRows

__all__ = ["UndoDrafting", "UndoWork"]

SHOWN = 3


class UndoDrafting(UndoneRows):
    """Reads rows that `clerk_runner.undoing` wrote; the group is the organization of a membership ("" for all else)."""

    subject = "value"

    def _read(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        subject, changes = values.get("id"), values.get("changes")
        if not isinstance(subject, str) or not isinstance(changes, list):
            return None
        return subject.rpartition("/")[0], {"value": subject, "changes": changes}


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be done about the changes of one subject.

    Attributes:
        patch: puts back what is still ours, by kind of metadata.
        left: places that stay as they are, because somebody changed them since.
        inexact: places whose old value no merge can put back.
    """

    patch: dict[str, dict[str, Any]]
    left: list[str]
    inexact: list[str]

    def outcome(self, seq: int, settled: State, subject: str) -> Outcome:
        """How the subject ends once the patch is written."""
        if self.left:
            said = f"somebody else changed it since, so it stays as it is: {_shown(self.left)}; --force overwrites it"
            return Outcome(seq, State.FAILED, "conflict", said, resource_id=subject)
        if self.inexact:
            said = f"the old value cannot be put back exactly, set it by hand: {_shown(self.inexact)}"
            return Outcome(seq, State.FAILED, "not_restorable", said, resource_id=subject)
        return Outcome(seq, settled, "as_before" if settled is State.SKIPPED else "", resource_id=subject)


def judge(fields: Fields, changes: Iterable[tuple[str, Change]], *, force: bool) -> Judged:
    """Compare what a run left with what is there now."""
    found = Judged({}, [], [])
    for name, change in changes:
        now = value_at(fields[name], change.path)
        place = ".".join((name, *change.path))
        if _equal(now, change.before):
            continue
        if not force and not _equal(now, change.after):
            found.left.append(place)
        elif not is_exact(change.before):
            found.inexact.append(place)
        else:
            put(found.patch.setdefault(name, {}), change.path, change.before)
    return found


class UndoWork(Writing):
    """An undo as the engine sees it, and the reads before it."""

    def __init__(self, job: UndoJob, in_flight: int) -> None:
        """Write by merging: it touches nothing but the places that the run changed."""
        super().__init__(TARGETS[job.target], "merge", in_flight)
        self._force = job.force

    def read(self, units: Sequence[Sequence[Item]]) -> Talk[list[Verdict]]:
        """Judge up to 100 subjects of one organization (or none)."""
        ids = [unit[0].payload["value"].rpartition("/")[2] for unit in units]
        found = yield from read_current(self.target, units[0][0].group, "id", ids)
        return [self._verdict(unit[0], found[one]) for unit, one in zip(units, ids, strict=True)]

    joined = read

    def unchanged(self, units: Sequence[Sequence[Item]]) -> list[Outcome]:  # noqa: ARG002  nothing was listed
        """Nothing is known before it is read."""
        return []

    def prepare(self, lane: Lane, items: Sequence[Item]) -> Talk[Call | list[Outcome]]:  # noqa: ARG002  there is one
        """Read the subject again, and put back what is still ours."""
        (item,) = items
        try:
            current = yield from self.current(items)
        except ReadRefused as refused:
            return [refusal_of(item.seq, refused.reply)]
        if isinstance(current, list):
            return current
        judged = self._judge(item, current)
        if not judged.patch:
            return [judged.outcome(item.seq, State.DONE, current.subject)]
        return write_call(self.target, self.mode, current.subject, judged.patch, items=1)

    def settle(self, lane: Lane, items: Sequence[Item], reply: Reply) -> list[Outcome] | None:  # noqa: ARG002  as above
        """What a whole answer means: it shows what is there now."""
        (item,) = items
        if not reply.ok:
            return [refusal_of(item.seq, reply)]
        stored = reply.value if isinstance(reply.value, dict) else {}
        if not all(isinstance(stored.get(name), dict) for name in self.target.fields):
            return None
        judged = self._judge(item, Current(self.subject(items), stored))
        return [self._ended(item, judged)]

    def reconcile(self, items: Sequence[Item], since_ms: int) -> Talk[list[Outcome]]:  # noqa: ARG002  values tell
        """Settle subjects whose write got no answer; what is not back is still to be put back."""
        outcomes = []
        for (item,), current in (yield from self.all_current(items)):
            outcomes += current if isinstance(current, list) else [self._ended(item, self._judge(item, current))]
        return outcomes

    def after_refusal(self, items: Sequence[Item], since_ms: int, reply: Reply) -> Talk[list[Outcome]]:  # noqa: ARG002
        """Reading tells whatever an answer did not."""
        return self.reconcile(items, since_ms)

    def _ended(self, item: Item, judged: Judged) -> Outcome:
        if judged.patch:
            return Outcome(item.seq, State.PENDING)
        return judged.outcome(item.seq, State.DONE, item.payload["value"])

    def _judge(self, item: Item, current: Current) -> Judged:
        return judge(current.fields, decode_changes(item.payload["changes"]), force=self._force)

    def _verdict(self, item: Item, found: list[Current] | Reply) -> Verdict:
        if isinstance(found, Reply):
            return Verdict((refusal_of(item.seq, found),))
        if not found:
            said = f"Clerk no longer has this {self.target.noun}"
            return Verdict((Outcome(item.seq, State.FAILED, "not_found", said),))
        current = found[0]
        judged = self._judge(item, current)
        if not judged.patch:
            return Verdict((judged.outcome(item.seq, State.SKIPPED, current.subject),))
        after = {name: merged(current.fields[name], patch) for name, patch in judged.patch.items()}
        digest = digest_of(touched(self.mode, current.fields, judged.patch))
        image = Image(current.subject, digest, encode_changes(current.fields, after))
        return Verdict((Outcome(item.seq, State.PENDING, resource_id=current.subject),), image)


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; that a place is empty is a value too."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return same(one, other)


def _shown(places: Sequence[str]) -> str:
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(places[:SHOWN]) + more
