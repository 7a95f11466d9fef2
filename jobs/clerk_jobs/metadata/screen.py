"""Read before write: which rows change anything, what they touch, and what stood there before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from clerk_jobs.call import Item, Outcome, Reply, State, Talk
from clerk_jobs.metadata.drafts import wanted_of
from clerk_jobs.metadata.numbers import marking, spelling, unmarked
from clerk_jobs.metadata.targets import Current, Found, Matching, Mode, Target, match_key, read_current
from clerk_jobs.metadata.trees import (
    ABSENT,
    FIELD_BYTES,
    Change,
    changes_between,
    digest_of,
    merged,
    project,
    size_of,
)
from clerk_jobs.record import Record

__all__ = [
    "Image",
    "MetadataScreening",
    "Verdict",
    "after_write",
    "decode_changes",
    "encode_changes",
    "refusal_of",
    "touched",
]

Fields = Mapping[str, Mapping[str, Any]]

Effect: TypeAlias = tuple[bytes, bytes]
"""The digest of what a write touches, as it is, and what it changes there, both as an `Image` has them."""
MOST_KNOWN: Final = 1_000
"""Different effects that are kept: a backfill finds few old values and writes few new ones, and many times each."""
LONGEST_KNOWN: Final = 2_000
"""Bytes of what is touched and what is written, for an effect that is kept."""
NO_CHANGES: Final = b"[]"


class Image(Record, frozen=True):
    """What a write changes.

    Attributes:
        subject: whose metadata.
        digest: of all that the write touches, as it is before.
        changes: every place that changes, with both values, as JSON; see `encode_changes`.
    """

    subject: str
    digest: bytes
    changes: bytes


class Verdict(Record, frozen=True):
    """What reading said about the rows of one subject.

    Attributes:
        outcomes: one for each row; PENDING is sent.
        image: for what is sent.
        large: the subject will hold more than 8 KB in all its kinds together, which Clerk may refuse.
    """

    outcomes: tuple[Outcome, ...]
    image: Image | None = None
    large: bool = False


class MetadataScreening:
    """Compares what rows say with what Clerk has."""

    def __init__(self, target: Target, mode: Mode, by: Matching, *, skip_unchanged: bool) -> None:
        """Choose what is compared, and how."""
        self._target = target
        self._mode: Mode = mode
        self._by: Matching = by
        self._skip = skip_unchanged
        self._known: dict[bytes, Effect] = {}

    def read(self, units: Sequence[Sequence[Item]]) -> Talk[list[Verdict]]:
        """Judge up to 100 subjects of one organization (or none), each with its rows in order."""
        values = [unit[0].payload["value"] for unit in units]
        found = yield from read_current(self._target, units[0][0].group, self._by, list(dict.fromkeys(values)))
        return [self._verdict(unit, found) for unit in units]

    def joined(self, units: Sequence[Sequence[Item]]) -> Talk[list[Verdict]]:
        """The same for subjects that rows named in different ways; their ids are known by now."""
        values = [unit[0].target or "" for unit in units]
        found = yield from read_current(self._target, units[0][0].group, "id", values)
        return [self._judged(unit, found.get(value, [])) for unit, value in zip(units, values, strict=True)]

    def unchanged(self, units: Sequence[Sequence[Item]]) -> list[Outcome]:
        """Settle the rows that change nothing by what the list showed a moment ago, without another read."""
        outcomes: list[Outcome] = []
        for unit in units:
            listed, group = unit[0].payload.get("listed"), unit[0].group
            if listed is not None:
                value = unit[0].payload["value"]
                verdict = self._judged(unit, [Current(f"{group}/{value}" if group else value, listed)])
                outcomes += (one for one in verdict.outcomes if one.state is State.SKIPPED)
        return outcomes

    def _verdict(self, unit: Sequence[Item], found: Found) -> Verdict:
        return self._judged(unit, found[match_key(self._by, unit[0].payload["value"])])

    def _judged(self, unit: Sequence[Item], found: list[Current] | Reply) -> Verdict:
        noun = self._target.noun
        if isinstance(found, Reply):
            return Verdict(tuple(refusal_of(item.seq, found) for item in unit))
        if not found:
            return _all(unit, State.FAILED, "not_found", f"Clerk has no such {noun}")
        if len(found) > 1 and len({one.subject for one in found}) > 1:
            return _all(unit, State.FAILED, "ambiguous", f"more than one {noun} has this {self._by}")
        wanted = wanted_of(unit, merges=self._mode == "merge")
        return self._compared(unit, found[0], wanted)

    def _compared(self, unit: Sequence[Item], current: Current, wanted: Fields) -> Verdict:
        fields, large = current.fields, False
        # A write leaves no more than what is there and what is written, which is seldom too much.
        if len(spelling((fields, wanted))) > FIELD_BYTES:
            sizes = {name: size_of(field) for name, field in after_write(self._mode, fields, wanted).items()}
            for name in wanted:
                if sizes[name] > FIELD_BYTES:
                    said = f"{name} would take {sizes[name]:,} bytes; Clerk takes {FIELD_BYTES:,}"
                    return _all(unit, State.FAILED, "metadata_too_large", said)
            large = sum(sizes.values()) > FIELD_BYTES
        # Folded rows may say what no JSON does, see `clerk_jobs.metadata.trees.Anew`.
        find = self._known_effect if len(unit) == 1 else self._effect
        digest, changes = find(touched(self._mode, fields, wanted), wanted)
        if self._skip and changes == NO_CHANGES:
            return _all(unit, State.SKIPPED, "unchanged", "", current.subject)
        image = Image(current.subject, digest, changes)
        return Verdict(_ending(unit, State.PENDING, "", "", current.subject), image, large)

    def _known_effect(self, part: Fields, wanted: Fields) -> Effect:
        """The effect of one row: that of an earlier one which wrote the same to the same."""
        said = spelling((part, wanted))
        effect = self._known.get(said)
        if effect is None:
            effect = self._effect(part, wanted)
            if len(self._known) < MOST_KNOWN and len(said) <= LONGEST_KNOWN:
                self._known[said] = effect
        return effect

    def _effect(self, part: Fields, wanted: Fields) -> Effect:
        return digest_of(part), encode_changes(part, after_write(self._mode, part, wanted))


def after_write(mode: Mode, fields: Fields, wanted: Fields) -> dict[str, Mapping[str, Any]]:
    """All kinds of metadata as a write leaves them."""
    after = {**fields, **wanted}
    if mode == "merge":
        for name, patch in wanted.items():
            after[name] = merged(fields.get(name, {}), patch)
    return after


def touched(mode: Mode, fields: Fields, wanted: Fields) -> dict[str, Any]:
    """The part of the metadata that a write can change."""
    if mode == "replace":
        return {name: fields[name] for name in wanted}
    return {name: project(fields[name], patch) for name, patch in wanted.items()}


def refusal_of(seq: int, reply: Reply) -> Outcome:
    """A failed item out of a definite refusal."""
    message = reply.problems[0].message if reply.problems else f"Clerk answered {reply.status}"
    return Outcome(seq, State.FAILED, reply.code, message, trace_id=reply.trace_id)


_NOTHING: Final[list[Any]] = []
"""How JSON says that a value is absent; one that is there is a list of one."""


def _given(value: Any) -> list[Any]:
    return _NOTHING if value is ABSENT else [value]


def encode_changes(before: Fields, after: Fields) -> bytes:
    """Every place at which kinds of metadata change, as JSON: kind, path, value before, value after."""
    changes = [
        (name, change.path, _given(change.before), _given(change.after))
        for name in after
        for change in changes_between(before[name], after[name])
    ]
    return marking(changes)


def decode_changes(encoded: bytes | list[Any]) -> list[tuple[str, Change]]:
    """The changes of an image by kind of metadata, in their order."""
    rows: list[Any] = unmarked(orjson.loads(encoded) if isinstance(encoded, bytes) else encoded)
    return [
        (name, Change(tuple(path), before[0] if before else ABSENT, after[0] if after else ABSENT))
        for name, path, before, after in rows
    ]


def _all(unit: Sequence[Item], state: State, code: str, message: str, subject: str | None = None) -> Verdict:
    return Verdict(_ending(unit, state, code, message, subject))


def _ending(unit: Sequence[Item], state: State, code: str, message: str, subject: str | None) -> tuple[Outcome, ...]:
    return tuple([Outcome(item.seq, state, code, message, subject) for item in unit])
