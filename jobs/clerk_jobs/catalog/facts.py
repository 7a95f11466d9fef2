"""The compiled facts and the file that holds them.

The file is zlib-compressed JSON of five lists: what the versions share is stored once and referred to by
its place in its list. A schema's children stand before it. ::

    {"format": 1,
     "versions":   {"2026-05-12": [places of operations, in the document's order]},
     "operations": [{"method", "path", "id", "tags", "deprecated"?, "parameters": [places], "body"?,
                     "responses": [places], "phrase", "sdk"}],
     "parameters": [{"name", "in", "required", "schema": place, "deprecated"?, "explode"?}],
     "responses":  [{"status", "component"?, "schema"?}],
     "schemas":    [{OpenAPI's own keywords, children as places, "component"?, "closed"?}]}

JSON and zlib, because both come with Python and are read in a few milliseconds; YAML takes a second.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from clerk_jobs.errors import ClerkBatchError

__all__ = ["FACTS_FILE", "FORMAT", "Facts", "FactsError", "Interner", "pack_facts", "package_facts", "unpack_facts"]

FORMAT: Final = 1
"""Rises when the file's meaning changes; a file of another format is refused."""

FACTS_FILE: Final = Path(__file__).with_name("facts.bin")
"""The facts that belong to this package."""

_LISTS: Final = ("operations", "parameters", "responses", "schemas")


class FactsError(ClerkBatchError):
    """A file of facts that cannot be used."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the module's docstring shows, as parsed."""

    versions: dict[str, list[int]]
    operations: list[dict[str, Any]]
    parameters: list[dict[str, Any]]
    responses: list[dict[str, Any]]
    schemas: list[dict[str, Any]]

    @staticmethod
    def empty() -> Facts:
        """Facts of nothing, to be filled."""
        return Facts({}, [], [], [], [])


class Interner:
    """Fills a list so that equal records share one place."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self._records = records
        self._places = {_canonical(record): place for place, record in enumerate(records)}

    def add(self, record: dict[str, Any]) -> int:
        """The record's place, which is the list's end if it is new."""
        place = self._places.setdefault(_canonical(record), len(self._records))
        if place == len(self._records):
            self._records.append(record)
        return place


def _canonical(record: dict[str, Any]) -> str:
    # The keys' order counts: an object's fields are shown as the document orders them.
    return json.dumps(record, separators=(",", ":"))


def pack_facts(facts: Facts) -> bytes:
    """The bytes of a file of facts."""
    content: dict[str, Any] = {"format": FORMAT, "versions": facts.versions}
    content |= {name: getattr(facts, name) for name in _LISTS}
    return zlib.compress(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode(), 9)


def unpack_facts(packed: bytes, where: str) -> Facts:
    """The facts in the bytes of a file.

    Args:
        where: names the file in messages.

    Raises:
        FactsError: the bytes are damaged, or of another format.
    """
    try:
        content = json.loads(zlib.decompress(packed))
        if content["format"] != FORMAT:
            raise FactsError(f"{where} has format {content['format']}, this version reads {FORMAT}: build it again")
        return Facts(content["versions"], *(content[name] for name in _LISTS))
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise FactsError(f"{where} is damaged: install clerk-batch again") from error


@cache
def package_facts() -> Facts:
    """The facts that belong to this package, read once in a process.

    Raises:
        FactsError: the installed file is missing or damaged.
    """
    try:
        return unpack_facts(FACTS_FILE.read_bytes(), str(FACTS_FILE))
    except OSError as error:
        raise FactsError(f"{FACTS_FILE} cannot be read: {error.strerror}") from error
