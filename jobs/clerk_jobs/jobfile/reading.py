"""What the readers of a job file share: faults with places, and the words in which rules complain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeAlias

from clerk_jobs.errors import Fault
from clerk_jobs.jobfile.nodes import Node, Place

__all__ = ["UNREAD", "Check", "Complaint", "Reader", "Reading", "Rule", "Unread"]


class Unread(Enum):
    """The type of `UNREAD`."""

    UNREAD = "unread"


UNREAD: Final = Unread.UNREAD
"""The value of what could not be read; its fault is noted."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a rule finds wrong.

    Attributes:
        key: the field that is wrong.
        at: the field to point at, where ``key`` itself is not in the file.
    """

    key: str
    message: str
    hint: str = ""
    at: str | None = None


Rule: TypeAlias = Callable[..., Iterator[Complaint]]


@dataclass(slots=True)
class Reading:
    """What readers share: the job file's folder, and the faults so far."""

    folder: Path
    allow_outside: bool = False
    faults: list[Fault] = field(default_factory=list)

    def fault(self, place: Place, path: str, message: str, hint: str = "") -> Unread:
        """Note a fault."""
        self.faults.append(place.fault(path, message, hint))
        return UNREAD


Check: TypeAlias = Callable[[Any], tuple[str, str] | None]
"""Says (message, hint) when a value that was read cannot be used."""

Reader: TypeAlias = Callable[[Node, str, Reading], object]
"""Reads a node as a field of a type of ours: gives the value, or `UNREAD` with the fault noted."""
