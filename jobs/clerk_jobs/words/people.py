"""Whom a sentence means where it gives no id: a user by address, number or name, looked up first."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clerk_jobs.catalog import Catalog
from clerk_jobs.words.frame import Frame
from clerk_jobs.words.lexicon import FILLERS, NOUNS, POLITE, PREPOSITIONS, STATUSES, VERBS, singular
from clerk_jobs.words.sentence import VALUE
from clerk_jobs.words.understanding import Planned

__all__ = ["is_name", "lookup", "named_person", "people"]

_PERSON = r"(?:user ?name|user|account|customer|person|member)"
_MORE = frozenset(
    {
        "banned", "unbanned", "locked", "unlocked", "created", "updated", "sorted", "ordered", "named",
        "called", "whose", "accounts", "list", "page", "pages", "count", "metadata", "data", "info",
        "information", "details", "profile", "id", "ids", "first", "last", "new", "old", "newest", "latest",
        "oldest", "verified", "tomorrow", "yesterday", "today",
    }
)  # fmt: skip


def is_name(word: str) -> bool:
    """Whether a word may be somebody's or something's name, because it means nothing else."""
    lower = word.lower()
    plain = FILLERS | PREPOSITIONS | POLITE | STATUSES | _MORE
    return not (lower in plain or lower in VERBS or singular(lower) in NOUNS or lower.isdecimal())


def named_person(frame: Frame) -> tuple[str, str] | None:
    """The user filter and its value that a name in the sentence makes: ``username``, ``name_query`` or ``query``."""
    text = frame.sentence
    named = r"called|named|whose name is|by the name of|with (?:the )?name"
    given = text.search(rf"(?:{named}) ({VALUE}|[\w.'-]+(?: [A-Z][\w'-]+)?)")
    if given is not None and not re.search("<(?!quoted)", given[1]):
        return "name_query", text.meant(given[1])
    found = text.search(rf"{_PERSON} (?:with (?:the )?user ?name |handle |@)?({VALUE}|@?[^\W\d][\w.'-]*)")
    if found is None:
        return None
    value = text.meant(found[1])
    if found[1].startswith("<"):
        fits = text.token(found[1]).kind in ("quoted", "domain")
        return (("query" if " " in value else "username"), value) if fits else None
    return _by_word(value, text.text[found.end() :].split()) if is_name(value) else None


def _by_word(word: str, following: Sequence[str]) -> tuple[str, str]:
    """A word is a user name; two in capitals are somebody's name."""
    second = following[0] if following else ""
    if second[:1].isupper() and word[:1].isupper() and is_name(second):
        return "query", f"{word} {second}"
    return "username", word.lstrip("@")


def people(frame: Frame) -> list[tuple[str, str]]:
    """The user filters, each with a value, of everybody who is named without an id."""
    found = [("email_address", token.text) for token in frame.sentence.values("email")]
    found += [("phone_number", token.text) for token in frame.sentence.values("phone")]
    person = named_person(frame) if not found else None
    return found + ([person] if person is not None else [])


def lookup(catalog: Catalog, filters: Sequence[tuple[str, str]]) -> Planned:
    """The call that finds users; where a user name finds nobody, the same words are searched for everywhere."""
    names = [value for name, value in filters if name == "username"]
    fallback = (("query", names[0]),) if names else ()
    return Planned(catalog.operation("GetUserList"), query=tuple(filters), fallback=fallback)
