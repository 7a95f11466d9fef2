"""Every API version at hand: those of the package, and those that ``api update`` has fetched since.

``api`` shows and sends the newest of them all. A job never looks here: it uses the package's facts, so that
an update cannot change what a job does. A cache that cannot be read is as good as none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clerk_jobs.catalog import Catalog, UnknownVersionError, load
from clerk_jobs.catalog.facts import Facts, FactsError, package_facts, unpack_facts
from clerk_runner.explore import prose

__all__ = ["CACHE_FOLDER", "Library", "VersionEntry"]

CACHE_FOLDER = "catalog"
"""Name of the cache within the state folder."""


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """One API version at hand.

    Attributes:
        source: ``package``, ``cache``, or ``package, cache`` where the cache has a later copy of the same
            version.
    """

    version: str
    source: str
    operations: int
    newest: bool


class Library:
    """The versions of the package and of one cache folder.

    Args:
        state: the state folder; nothing is written to it.
    """

    def __init__(self, state: Path) -> None:
        """Nothing is read yet."""
        self.cache = state / CACHE_FOLDER
        self.warning = ""
        """Why the cache was left aside; empty where it was not."""

    def versions(self) -> tuple[VersionEntry, ...]:
        """Every version, oldest first."""
        package, cached = package_facts().versions, self._cached.versions
        known = sorted({*package, *cached})
        return tuple(
            VersionEntry(
                version,
                ", ".join(name for name, held in (("package", package), ("cache", cached)) if version in held),
                len(cached.get(version) or package.get(version) or ()),
                version == known[-1],
            )
            for version in known
        )

    def catalog(self, version: str | None = None) -> Catalog:
        """The catalogue of a version, the newest where none is named; the cache's copy where there is one.

        Raises:
            UnknownVersionError: neither the package nor the cache holds it.
        """
        known = [entry.version for entry in self.versions()]
        chosen = known[-1] if version is None else version
        if chosen in self._cached.versions:
            return load(chosen, self._cached)
        if chosen not in known:
            raise UnknownVersionError(chosen, known)
        return load(chosen)

    @property
    def cached(self) -> frozenset[str]:
        """The versions that the cache holds and that can be read."""
        return frozenset(self._cached.versions)

    def prose(self, version: str) -> Mapping[str, prose.Prose]:
        """Descriptions by operationId; empty where that version was never fetched."""
        return prose.load(self.prose_file(version))

    def document_file(self, version: str) -> Path:
        """Where a version's document is kept as it came."""
        return self.cache / f"{version}.yml"

    def prose_file(self, version: str) -> Path:
        """Where a version's descriptions are kept."""
        return self.cache / f"prose-{version}.bin"

    @property
    def facts_file(self) -> Path:
        """Where the fetched facts are kept."""
        return self.cache / "facts.bin"

    @property
    def index_file(self) -> Path:
        """Where it is kept what was fetched from where, and when."""
        return self.cache / "index.json"

    def index(self) -> Mapping[str, Any]:
        """The last update: ``source``, ``fetched_at`` and, by version, ``documents``; empty before the
        first."""
        try:
            loaded = json.loads(self.index_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return loaded if isinstance(loaded, dict) else {}

    @cached_property
    def _cached(self) -> Facts:
        if not self.facts_file.exists():
            return Facts.empty()
        try:
            return unpack_facts(self.facts_file.read_bytes(), str(self.facts_file))
        except (FactsError, OSError) as error:
            self.warning = f"{error}; run clerk-batch api update"
            return Facts.empty()
