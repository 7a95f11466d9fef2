"""What the phases of one run share."""

from __future__ import annotations

from dataclasses import dataclass

from clerk_runner.exchange import Exchange
from clerk_runner.folders import RunFolder
from clerk_runner.journal import Journal
from clerk_runner.logs import Log
from clerk_runner.named import NamedRows

__all__ = ["Around"]


@dataclass(frozen=True, slots=True)
class Around:
    """An open run.

    Attributes:
        named: what became of the rows that later steps refer to.
    """

    folder: RunFolder
    journal: Journal
    exchange: Exchange
    log: Log
    named: NamedRows
