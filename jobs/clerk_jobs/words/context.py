"""What a rule knows beside its own clause: the catalogue, and what the clauses before have brought."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from clerk_jobs.catalog import Catalog, Operation
from clerk_jobs.words.frame import Frame
from clerk_jobs.words.people import lookup, people
from clerk_jobs.words.understanding import Planned, Understanding

__all__ = ["Context", "Rule", "organization_meant", "users_meant"]


@dataclass(frozen=True)
class Context:
    """What the clauses before this one have brought.

    Attributes:
        calls: how many calls there are already; ``{n.id}`` counts from the first.
        organization: id of the organization that was meant or made, if one was.
        user: the same of a user.
        made: whether the organization was made just now.
    """

    catalog: Catalog
    calls: int = 0
    organization: str = ""
    user: str = ""
    made: bool = False

    def operation(self, name: str) -> Operation:
        """An operation of this catalogue."""
        return self.catalog.operation(name)

    def carried(self, earlier: int = 0) -> str:
        """The id in the answer of the next call but ``earlier``."""
        return f"{{{self.calls + 1 + earlier}.id}}"


def users_meant(frame: Frame, context: Context) -> tuple[list[Planned], list[str]]:
    """Calls that find the users who are meant, and their ids, carried where they have to be found first."""
    ids = frame.sentence.ids("user")
    if ids:
        return [], ids
    if context.user and frame.sentence.has("them|him|her|it|this user|that user|the user"):
        return [], [context.user]
    found = people(frame)
    calls = [lookup(context.catalog, [person]) for person in found]
    return calls, [context.carried(n) for n in range(len(found))]


def organization_meant(frame: Frame, context: Context) -> str:
    """The id of the organization that is meant: named, or brought by an earlier clause; empty for none."""
    ids = frame.sentence.ids("organization")
    if ids:
        return ids[0]
    pronoun = frame.sentence.has("it|there|this organization|that organization|the organization|the org|the team")
    return context.organization if context.organization and (pronoun or context.made) else ""


Rule: TypeAlias = Callable[[Frame, Context], Understanding | None]
"""Looks at a clause and gives what it understands, or None: then the next one looks."""
