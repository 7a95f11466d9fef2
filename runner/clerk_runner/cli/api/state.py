"""What the subcommands of ``api`` share: the API version that was named, and where versions come from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from clerk_jobs.catalog import Catalog

if TYPE_CHECKING:
    from clerk_runner.explore.library import Library

__all__ = ["ApiState"]


def _home() -> Path:
    from clerk_runner.home import state_home  # noqa: PLC0415 (a help text needs no folder)

    return state_home(os.environ)


@dataclass
class ApiState:
    """Lives for one command.

    Attributes:
        version: the API version that was named; None for the newest known.
        home: the state folder.
    """

    version: str | None = None
    home: Path = field(default_factory=_home)

    @staticmethod
    def of(given: object) -> ApiState:
        """The state that somebody handed in, or a new one."""
        return given if isinstance(given, ApiState) else ApiState()

    @cached_property
    def library(self) -> Library:
        """The versions at hand."""
        from clerk_runner.explore.library import Library  # noqa: PLC0415 (a help text needs none)

        return Library(self.home)

    @property
    def catalog(self) -> Catalog:
        """The catalogue of the chosen version.

        Raises:
            UnknownVersionError: there is no such version.
        """
        if self.version not in self._catalogs:
            self._catalogs[self.version] = self.library.catalog(self.version)
        return self._catalogs[self.version]

    @cached_property
    def _catalogs(self) -> dict[str | None, Catalog]:
        return {}
