"""What came of a sentence: calls, a question, a topic, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from clerk_jobs.catalog import Json, Operation

__all__ = ["Planned", "Question", "Topic", "Unclear", "Understanding", "Understood"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One call, as it was understood.

    A value ``{1.id}`` is the id in the answer of the first call; where that answer is a list, the id of its only row.

    Attributes:
        path: values of the path parameters; one that the sentence does not give is missing.
        fallback: what to look for instead where nothing is found.
        every: whether every page is meant.
    """

    operation: Operation
    path: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    body: Json = None
    fallback: tuple[tuple[str, str], ...] = ()
    every: bool = False

    def __str__(self) -> str:
        names = {p.name: self.path.get(p.name, f"{{{p.name}}}") for p in self.operation.path_parameters}
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.operation.method} {self.operation.path.format_map(names)}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Understood:
    """Calls, in the order in which they are to be made, and why these."""

    calls: tuple[Planned, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Several things fit: which one is meant?"""

    text: str
    choices: tuple[Understood, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """Not an operation, but a command of ours that answers it.

    Attributes:
        command: after ``clerk-batch``.
    """

    command: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nothing fits."""

    text: str


Understanding: TypeAlias = Understood | Question | Topic | Unclear
