"""A sentence as tokens: words, and the values that stand among them.

Values are told by their form alone: an e-mail address, an id by its prefix, a role by ``org:``, a telephone number, an
address, a date, JSON, and whatever stands in quotes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from clerk_jobs.words.lexicon import ID_KINDS

__all__ = ["Token", "tokenise"]


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: ``word``, ``number``, ``quoted``, ``email``, ``id``, ``role``, ``phone``, ``url``, ``domain``, ``date``,
            ``json``, ``pair`` (``key=value``) or ``stop`` (a comma, a semicolon, a full stop).
        text: the value; of a word the word as it was written.
        what: of an id the kind of thing (``user``), of a pair the key.
    """

    kind: str
    text: str
    what: str = ""

    @property
    def lower(self) -> str:
        """The text in lower case, for comparing."""
        return self.text.lower()


_FORMS: Final = (
    ("quoted", r"\"[^\"]*\"|\u201c[^\u201d]*\u201d|\u2018[^\u2019]*\u2019|(?<!\w)'[^']*'(?!\w)|`[^`]*`"),
    ("email", r"[^\s@\"'<>(),;:]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    ("url", r"[a-z][a-z0-9+.-]*://[^\s,;]+"),
    ("role", r"\borg:[a-z0-9_]+(?::[a-z0-9_]+)*"),
    ("date", r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?)?\b"),
    ("phone", r"\+\d[\d() -]{5,}\d"),
    ("pair", r"[A-Za-z_][\w.]*(?: ?= ?|:(?!//))(?:\"[^\"]*\"|'[^']*'|[^\s,;]+)"),
    ("domain", r"\b(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+(?:[A-Za-z]{2,})\b"),
    ("number", r"\b\d+(?:[.,]\d+)*(?:k\b)?(?!\w)"),
    ("word", r"[^\W_][\w'\u2019-]*(?:\.[\w-]+)*|[@$#_][\w-]+"),
    ("stop", r"[,;.!?]"),
)
_TOKEN: Final = re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in _FORMS))
_POSSESSIVE: Final = re.compile(r"['\u2019]s?$")


def tokenise(sentence: str) -> list[Token]:
    """The tokens of a sentence, in order; what has no form is left out.

    Example:
        >>> [f"{token.kind}:{token.text}" for token in tokenise("invite a@b.co to org_1's team")]
        ['word:invite', 'email:a@b.co', 'word:to', 'id:org_1', 'word:team']
    """
    found: list[Token] = []
    place = 0
    while place < len(sentence):
        if sentence[place] in "{[" and (end := _end_of_json(sentence, place)) is not None:
            found.append(Token("json", sentence[place:end]))
            place = end
        elif match := _TOKEN.match(sentence, place):
            found.append(_token(match.lastgroup or "word", match[0]))
            place = match.end()
        else:
            place += 1
    return found


def _token(kind: str, text: str) -> Token:
    match kind:
        case "email":
            token = Token(kind, _POSSESSIVE.sub("", text).rstrip("."))
        case "phone":
            token = Token(kind, "+" + re.sub(r"\D", "", text))
        case "number":
            plain = text.replace(",", "")
            token = Token(kind, str(int(float(plain[:-1]) * 1000)) if plain.endswith("k") else plain)
        case "pair":
            key, _, value = re.sub(r" ?(=|:) ?", "=", text, count=1).partition("=")
            token = Token(kind, value.strip("\"'"), key)
        case "word":
            word = _POSSESSIVE.sub("", text)
            what = _id_kind(word)
            token = Token("id", word, what) if what else Token("word", word)
        case "quoted":
            token = Token(kind, text[1:-1].strip())
        case _:
            token = Token(kind, text)
    return token


def _end_of_json(sentence: str, place: int) -> int | None:
    """Where the JSON value that begins at a place ends; None where none begins there."""
    try:
        _, end = json.JSONDecoder().raw_decode(sentence, place)
    except (ValueError, RecursionError):
        return None
    return end


def _id_kind(word: str) -> str:
    """The kind of thing that an id names by its prefix; empty for what is no id."""
    prefix, _, rest = word.rpartition("_")
    while prefix and rest:
        if prefix in ID_KINDS:
            return ID_KINDS[prefix]
        prefix = prefix.rpartition("_")[0]
    return ""
