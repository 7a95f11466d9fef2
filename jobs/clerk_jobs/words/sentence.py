"""A sentence that is read by taking phrases out of it.

Values stand in the text as ``<email:0>`` with their token's number, so that patterns over words need not know what an
address looks like. What was taken is gone for those who read later, and a reason is kept for whoever asks why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clerk_jobs.words.tokens import Token, tokenise

__all__ = ["VALUE", "Sentence"]

VALUE = r"<[a-z]+:\d+>"
"""The pattern of a value in a sentence's text."""

_PLAIN = ("word", "number", "stop")


class Sentence:
    """Words and values in order.

    Attributes:
        text: what has not been taken yet; words as they were written, parted by single blanks.
        reasons: what was understood, in words.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        """Nothing is taken yet."""
        self._tokens = tuple(tokens)
        self.text = " ".join(
            token.text if token.kind in _PLAIN else f"<{token.kind}:{number}>" for number, token in enumerate(tokens)
        )
        self.reasons: list[str] = []

    @staticmethod
    def of(text: str) -> Sentence:
        """A sentence from its text."""
        return Sentence(tokenise(text))

    def adopt(self, whole: Sentence) -> None:
        """Be a part of another sentence: the marks in the text are that one's."""
        self._tokens = whole._tokens

    def search(self, pattern: str) -> re.Match[str] | None:
        """Where a pattern of whole words stands, if it does; capitals do not matter."""
        return re.search(rf"(?<![\w<:])(?:{pattern})(?![\w>])", self.text, re.IGNORECASE)

    def has(self, pattern: str) -> bool:
        """Whether a pattern of whole words stands somewhere."""
        return self.search(pattern) is not None

    def take(self, pattern: str) -> re.Match[str] | None:
        """As ``search``, and what was found is taken out."""
        found = self.search(pattern)
        if found is not None:
            self.text = " ".join(f"{self.text[: found.start()]} {self.text[found.end() :]}".split())
        return found

    def values(self, kind: str) -> list[Token]:
        """The values of a kind that have not been taken, in order."""
        return [token for token in self.tokens() if token.kind == kind]

    def tokens(self) -> Iterator[Token]:
        """The values that have not been taken, in order."""
        for mark in re.findall(VALUE, self.text):
            yield self.token(mark)

    def token(self, mark: str) -> Token:
        """The token that a mark in the text stands for."""
        return self._tokens[int(mark[mark.index(":") + 1 : -1])]

    def ids(self, kind: str) -> list[str]:
        """The ids of a kind of thing that have not been taken, in order, each once."""
        return list(dict.fromkeys(token.text for token in self.values("id") if token.what == kind))

    def meant(self, piece: str) -> str:
        """A piece of the text with its marks replaced by what they stand for."""
        return re.sub(VALUE, lambda mark: self.token(mark[0]).text, piece)

    def words(self) -> list[str]:
        """The plain words that have not been taken, in lower case."""
        return re.findall(r"(?<![\w<:])[^\W\d_][\w'\u2019.-]*(?![\w>:])", self.text.lower())
