"""Choosing the operation that a sentence means, by how well each one fits.

Every operation whose action the verb allows, and whose thing is named, is filled with what the sentence gives, and
scored: what it explains counts for it, what it leaves unexplained or lacks counts against it. Two that are equally
good are a question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clerk_jobs.catalog import Catalog, Operation
from clerk_jobs.words.filling import Filled, fill
from clerk_jobs.words.frame import Frame
from clerk_jobs.words.lexicon import NOUNS, singular
from clerk_jobs.words.people import people
from clerk_jobs.words.profile import Profile, kind_of_parameter, profile_of
from clerk_jobs.words.sentence import VALUE

__all__ = ["Candidate", "candidates"]

WITHOUT_VERB = ("list", "get", "create")
MARGIN = 1.5
"""Candidates closer than this to the best are equally good."""


@dataclass(frozen=True)
class Candidate:
    """An operation, filled, and how well it fits."""

    score: float
    filled: Filled


def candidates(catalog: Catalog, frame: Frame) -> list[Candidate]:
    """The operations that fit, the best first; none where nothing about Clerk is named."""
    if not frame.names_thing:
        return []
    found = [
        candidate
        for operation in catalog.operations()
        if (candidate := _candidate(profile_of(operation), frame)) is not None
    ]
    return sorted(found, key=lambda one: -one.score)


def _candidate(profile: Profile, frame: Frame) -> Candidate | None:
    actions = frame.actions or WITHOUT_VERB
    rank = min((place for place, action in enumerate(actions) if action in profile.actions), default=None)
    if rank is None:
        return None
    implied = _implied(profile.operation, frame)
    named = profile.core & set(frame.nouns)
    if not named and not implied:
        return None
    filled = fill(profile.operation, frame)
    if profile.operation.method != "GET" and _unexplained(profile, frame, filled):
        return None
    score = 10.0 if named else 8.0
    score += 2.0 if frame.nouns and frame.nouns[0] in profile.core else 0.0
    score -= rank * (1.0 if frame.actions else 2.0)
    score += _score_nouns(profile, frame, filled)
    score += _score_values(frame, filled)
    score += _score_words(profile, frame)
    score -= 3.0 if profile.operation.deprecated else 0.0
    changes = profile.operation.method in ("PATCH", "PUT") and profile.operation.body is not None
    score -= 4.0 if changes and not filled.body else 0.0
    score -= 1.0 if "/beta_features/" in profile.operation.path else 0.0
    score += _score_number(profile, filled)
    return Candidate(score, filled)


def _implied(operation: Operation, frame: Frame) -> bool:
    """Whether the last id in the path is of a kind that the sentence gives an id of, and nothing stands behind it."""
    parameters = operation.path_parameters
    if not parameters:
        return profile_of(operation).bulk and len(frame.sentence.ids("user")) > 1
    last = parameters[-1].name
    kind = kind_of_parameter(operation.path, last)
    kinds = {token.what for token in frame.sentence.values("id")}
    if operation.method != "GET" and not frame.sentence.ids("user") and people(frame):
        kinds.add("user")
    if kind in ("invitation", "organization_invitation") and kinds & {"invitation", "organization_invitation"}:
        kind = next(iter(kinds & {"invitation", "organization_invitation"}))
    things = [step for step in operation.path.split("{" + last + "}")[-1].split("/") if step]
    return kind in kinds and all(step in ("ban", "unban", "lock", "unlock", "revoke", "verify") for step in things)


def _unexplained(profile: Profile, frame: Frame, filled: Filled) -> bool:
    """Whether the sentence names a thing or an id that the operation has no use for.

    For a write that settles it: whoever says "revoke all sessions of user_1" must not delete user_1.
    """
    marks = re.findall(VALUE, frame.sentence.text)
    ids = any(frame.sentence.token(mark).kind == "id" and mark not in filled.used for mark in marks)
    return ids or bool(_foreign_nouns(profile, frame, filled))


def _foreign_nouns(profile: Profile, frame: Frame, filled: Filled) -> list[str]:
    names = (*filled.body, *(name for name, _ in filled.query), *filled.path)
    fields = {singular(part) for name in names for part in (name, *name.split("_"))}
    known = {*profile.core, *profile.context, *fields, "instance"}
    return [noun for noun in frame.nouns if noun not in known and not fields >= set(noun.split("_"))]


def _score_nouns(profile: Profile, frame: Frame, filled: Filled) -> float:
    score = sum(2.0 for noun in profile.context if noun in frame.nouns)
    score -= 4.0 * len(_foreign_nouns(profile, frame, filled))
    ids = {token.what for token in frame.sentence.values("id")}
    return score - sum(2.0 for noun in profile.context if noun not in frame.nouns and noun not in ids)


def _score_values(frame: Frame, filled: Filled) -> float:
    marks = re.findall(VALUE, frame.sentence.text)
    missing = filled.missing_path()
    if "user_id" in missing and people(frame):
        missing.remove("user_id")
        marks = [mark for mark in marks if frame.sentence.token(mark).kind not in ("email", "phone")]
    score = 3.0 * len(filled.path) - 5.0 * len(missing)
    score -= 2.0 * len(filled.missing_fields()) + 3.0 * len(filled.missing_query())
    score += 2.0 * len([mark for mark in marks if mark in filled.used])
    unused = [frame.sentence.token(mark) for mark in marks if mark not in filled.used]
    score -= sum(6.0 if token.kind == "id" else 3.0 for token in unused)
    given = {name for name, _ in filled.query}
    score -= 3.0 if frame.span is not None and not any(name.startswith(frame.when) for name in given) else 0.0
    score -= 2.0 if frame.role and "role" not in given and "role" not in filled.body else 0.0
    score -= (
        2.0 if frame.length_s is not None and not set(filled.body) & {"expires_in_seconds", "expires_in_days"} else 0.0
    )
    return score + 0.5 * len(filled.taken)


def _score_words(profile: Profile, frame: Frame) -> float:
    """Words of the operation's own name that the sentence has, and those that it has not."""
    said = {singular(word) for word in frame.sentence.words()} | {frame.verb}
    own = {word for word in profile.words if word not in NOUNS}
    score = sum(2.0 if word in said else -0.5 for word in own)
    if profile.operation.operation_id.endswith("Compromised"):
        undoes = profile.operation.operation_id.startswith("Unset")
        denied = frame.sentence.has("not|no longer|never|un|unset|clean|safe")
        score += (3.0 if undoes == denied else -3.0) if "compromised" in said else -6.0
    return score


def _score_number(profile: Profile, filled: Filled) -> float:
    """Many at once where many are named, one by one where one is."""
    several = any(
        isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 1 for value in filled.body.values()
    )
    if profile.bulk:
        return 6.0 if several else -6.0
    return -8.0 if filled.repeated is not None and profile.operation.operation_id in ("BanUser", "UnbanUser") else 0.0
