"""What a step's template says about rows of an earlier step: ``{steps.organizations[org_slug].id}``.

It stands for the id of what became of the row of step ``organizations`` whose ``key:`` is the value of column
``org_slug`` in the row at hand. To the template language it is the name of a column like any other; whoever drafts the
rows gives that column its value (`Referring`).

Until the earlier row has ended nobody knows the id. Its place is held by a word made of the reference, so that a row
can be checked, and be compared with others, before the first request; that word is never sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Protocol, TypeAlias

from clerk_jobs.call import Draft
from clerk_jobs.casts import Misfit, as_text, is_empty
from clerk_jobs.errors import RowProblem
from clerk_jobs.template import Template
from clerk_jobs.wording import shown

__all__ = ["MISSING", "STEP_NAME", "Drafting", "Found", "Look", "Reference", "Referring", "looks_like_one", "name_of"]

MISSING: Final = "reference_missing"
"""The code of a row that refers to one which brought no id."""
STEP_NAME: Final = "[A-Za-z][A-Za-z0-9_-]{0,63}"
_PREFIX: Final = "steps."
_REFERENCE: Final = re.compile(rf"steps\.(?P<step>{STEP_NAME})\[(?P<column>[^\[\]]+)\]\.id")
_NAME_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference of a template.

    Attributes:
        written: as the template has it, without braces: the name of its column.
        step: the earlier step.
        column: whose value is the key of the row that is meant.
    """

    written: str
    step: str
    column: str

    @classmethod
    def read(cls, name: str) -> Reference | None:
        """The reference that a column's name is; None where it is none.

        Example:
            >>> Reference.read("steps.organizations[org_slug].id").column
            'org_slug'
        """
        found = _REFERENCE.fullmatch(name)
        return None if found is None else cls(name, found["step"], found["column"].strip())


def looks_like_one(name: str) -> bool:
    """Whether whoever wrote this name of a column meant a reference."""
    return name.startswith(_PREFIX)


def name_of(step: str, key: str) -> bytes:
    """The digest by which a row of a step is referred to."""
    return blake2b(f"{step}\0{key}".encode(), digest_size=_NAME_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the row that a reference means.

    Attributes:
        id: of what became of it; None where there is none, or none yet.
        why: why there never will be one; empty while the row may still bring it.
    """

    id: str | None = None
    why: str = ""


Look: TypeAlias = Callable[[bytes], Found]
"""Tells what became of a row, by its name."""
View: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A row as templates see it."""


class Drafting(Protocol):
    """What a kind of job makes of a row."""

    def draft(self, values: Mapping[str, Any]) -> Draft:
        """Check a row and name it."""
        ...

    def payload(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The group and the payload of a row."""
        ...

    def digest(self, group: str, payload: Mapping[str, Any]) -> bytes:
        """The digest of everything that is sent for a row."""
        ...


class Referring:
    """Drafts the rows of a step: its kind does, with the columns that refer to earlier steps filled in.

    Args:
        inner: the drafting of the step's kind.
        step: the step's own name.
        key: names its rows for later steps; None where nothing can refer to them.
        references: that its templates hold.
        look: what became of the rows that they mean.
        view: how templates see a row, where it is an object of a list; see `clerk_jobs.listed`.
    """

    def __init__(
        self,
        inner: Drafting,
        step: str,
        key: Template | None,
        references: Iterable[Reference],
        look: Look,
        view: View = lambda values: values,
    ) -> None:
        """Draft through ``inner``."""
        self._inner = inner
        self._step = step
        self._key = key
        self._references = tuple(references)
        self._look = look
        self._view = view

    def draft(self, values: Mapping[str, Any]) -> Draft:
        """Check a row and name it; an id that is not known yet is stood in for.

        Raises:
            RowProblem: the row cannot be sent, or refers to one that brought no id.
        """
        draft = self._inner.draft(self._filled(values, early=True))
        if self._key is None:
            return draft
        key = self._key.render(self._view(values))
        assert isinstance(key, str), "the key of a step is a required text"
        return draft._replace(name=name_of(self._step, key.strip()))

    def payload(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The group and the payload of a row, with every id.

        Raises:
            RowProblem: a template does not fit the row's values, or an id is not known.
        """
        return self._inner.payload(self._filled(values, early=False))

    def digest(self, group: str, payload: Mapping[str, Any]) -> bytes:
        """The digest of everything that is sent for a row."""
        return self._inner.digest(group, payload)

    def _filled(self, values: Mapping[str, Any], *, early: bool) -> Mapping[str, Any]:
        """The row's values and those of its references; an empty one is left out, as an empty cell would be."""
        filled, seen = dict(values), self._view(values)
        for reference in self._references:
            if is_empty(value := seen.get(reference.column)):
                continue
            name = name_of(reference.step, _key_text(value, reference.column))
            found = self._look(name)
            if found.id is None and (found.why or not early):
                why = found.why or "has not ended yet"
                said = f"the row of step {reference.step} whose key is in column {shown(reference.column)} {why}"
                raise RowProblem(MISSING, said, reference.column)
            filled[reference.written] = f"ref_{name.hex()}" if found.id is None else found.id
        return filled


def _key_text(value: Any, column: str) -> str:
    try:
        return as_text(value).strip()
    except Misfit as misfit:
        raise RowProblem("missing_value", f"column {shown(column)} {misfit}", column) from None
