"""Metadata in a sentence: whose, which kind, merged or replaced, and the keys with their values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from clerk_jobs.catalog import Json, Operation
from clerk_jobs.catalog.metadata import KINDS, recommend
from clerk_jobs.words.context import Context, organization_meant, users_meant
from clerk_jobs.words.filling import fill
from clerk_jobs.words.frame import Frame
from clerk_jobs.words.people import is_name, people
from clerk_jobs.words.understanding import Planned, Question, Understanding, Understood

__all__ = ["metadata"]

_DOING: Final = {"update", "merge", "replace", "create", "assign", "set", "delete"}
_BESIDE_METADATA: Final = {"user", "organization", "membership", "plan", "role", "permission", "subscription"}
_LINKS: Final = frozenset(
    {
        "to", "is", "as", "be", "=", ":", "the", "a", "an", "with", "of", "value", "equals", "equal",
    }
)  # fmt: skip
_EDGES: Final = frozenset(
    {
        "on", "of", "for", "in", "into", "from", "to", "onto", "at", "by", "at's", "their", "his", "her", "its",
    }
)  # fmt: skip


def metadata(frame: Frame, context: Context) -> Understanding | None:
    """ "set plan pro on user_1": which kind of metadata, merged or replaced, of whom."""
    sentence = frame.sentence
    named = [kind for kind in KINDS if sentence.has(kind.removesuffix("_metadata"))]
    said = "metadata" in frame.nouns or bool(named)
    if not _DOING & set(frame.actions) or (not said and frame.verb in ("make", "give", "put", "new", "create")):
        return None
    if not said and (_names_fields(frame, context) or set(frame.nouns) - _BESIDE_METADATA):
        return None
    lookups, users = users_meant(frame, context)
    organization = organization_meant(frame, context)
    if not users and not organization:
        return None
    values = _pairs(frame, removing="delete" in frame.actions[:1])
    if lookups and not said:
        named_so = {value for _, value in people(frame)}
        values = {key: value for key, value in values.items() if key not in named_so}
    if not values or (not said and not _plausible(values)):
        return None
    operation, path = _owner(frame, context, users, organization)
    kinds = _kinds(values, named)
    if kinds is None:
        choices = tuple(
            Understood((*lookups, Planned(operation, path, body={kind: values})), (f"{kind}: {KINDS[kind].access}",))
            for kind in KINDS
        )
        return Question(f"Which kind of metadata is {', '.join(values)}?", choices)
    why = tuple(f"{kind}: {KINDS[kind].use}" for kind in kinds)
    return Understood((*lookups, Planned(operation, path, body=kinds)), why)


def _names_fields(frame: Frame, context: Context) -> bool:
    """Whether what is set is a field of the user or the organization itself."""
    return any(fill(context.operation(name), frame).body for name in ("UpdateUser", "UpdateOrganization"))


def _plausible(values: Mapping[str, Json]) -> bool:
    """Whether the keys look like keys of metadata, where the sentence does not call them so."""
    return all(recommend(key) is not None or (re.fullmatch(r"[A-Za-z_]\w*", key) and is_name(key)) for key in values)


def _owner(frame: Frame, context: Context, users: list[str], organization: str) -> tuple[Operation, dict[str, str]]:
    replacing = "replace" in frame.actions
    if users and organization:
        return context.operation("UpdateOrganizationMembershipMetadata"), {
            "organization_id": organization,
            "user_id": users[0],
        }
    if users:
        return context.operation("ReplaceUserMetadata" if replacing else "UpdateUserMetadata"), {"user_id": users[0]}
    name = "ReplaceOrganizationMetadata" if replacing else "MergeOrganizationMetadata"
    return context.operation(name), {"organization_id": organization}


def _kinds(values: Mapping[str, Json], named: Sequence[str]) -> dict[str, Json] | None:
    """The values below their kinds; None where a key does not tell its kind and the sentence neither."""
    if named:
        return {named[0]: values}
    sorted_in: dict[str, dict[str, Json]] = {}
    for key, value in values.items():
        found = recommend(key)
        if found is None:
            return None
        sorted_in.setdefault(found[0].field, {})[key] = value
    return dict(sorted_in)


def _pairs(frame: Frame, *, removing: bool) -> dict[str, Json]:
    """Keys and values, in the order of the sentence."""
    sentence = frame.sentence
    for token in sentence.values("json"):
        loaded: Json = json.loads(token.text)
        if isinstance(loaded, Mapping):
            return dict(loaded)
    found: dict[str, Json] = {token.what: _value(token.text) for token in sentence.values("pair")}
    text = re.sub(r"<(?:id|email|phone|pair):\d+>", " ; ", sentence.text)
    text = re.sub(
        r"\b(?:public|private|unsafe|metadata|meta data|keys?|fields?|flags?|values?|user|organization|org|account)\b",
        " ",
        text,
        flags=re.IGNORECASE,
    )
    for chunk in re.split(r"[,;.?!]| and ", text):
        words = [word for word in chunk.split() if word.lower() not in _LINKS]
        words = [word for place, word in enumerate(words) if place or word.lower() not in _EDGES]
        while words and words[-1].lower() in _EDGES:
            words.pop()
        if removing:
            found |= {sentence.meant(word): None for word in words if word.lower() not in _EDGES}
        elif len(words) == 1 and frame.verb in ("mark", "flag") and not words[0].startswith("<"):
            found[words[0]] = True
        elif len(words) >= 2:
            found[sentence.meant(words[0])] = _meant(frame, words[1:])
    return found


def _meant(frame: Frame, words: Sequence[str]) -> Json:
    if len(words) == 1 and words[0].startswith("<quoted"):
        return frame.sentence.meant(words[0])
    return _value(frame.sentence.meant(" ".join(words)))


def _value(text: str) -> Json:
    try:
        parsed: Json = json.loads(text)
    except ValueError:
        return text
    return parsed
