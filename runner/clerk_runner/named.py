"""What became of the rows that later steps refer to, read from the journal beside its writer."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clerk_jobs.call import State
from clerk_jobs.references import Found
from clerk_runner.schema import open_reader
from clerk_runner.short_ids import unpacked

__all__ = ["NamedRows"]

REMEMBERED = 20_000
"""Rows that are not looked up again: many rows refer to the same few."""
OPEN = frozenset({State.PENDING, State.INTENT, State.DOUBT})
QUERY = "SELECT state, resource FROM item WHERE name = ?"


class NamedRows:
    """Looks rows up by their names.

    Args:
        journals: that of the run first; what it has no row of is looked up in the runs that it does again in part.
    """

    def __init__(self, journals: Sequence[Path]) -> None:
        """Open nothing yet."""
        self._journals = journals
        self._readers: list[sqlite3.Connection] = []
        self._known: dict[bytes, Found] = {}
        self._lock = threading.Lock()

    def look(self, name: bytes) -> Found:
        """What became of the row of this name; from any thread.

        Raises:
            StoppedError: a journal is damaged.
        """
        with self._lock:
            if (known := self._known.get(name)) is not None:
                return known
            found = self._read(name)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[name] = found
            return found

    def forget(self) -> None:
        """Look everything up again: a step has ended since, or begun."""
        with self._lock:
            self._known.clear()

    def close(self) -> None:
        """Close the journals."""
        with self._lock:
            while self._readers:
                self._readers.pop().close()

    def _read(self, name: bytes) -> Found:
        if not self._readers:
            self._readers = [open_reader(path, shared=True) for path in self._journals]
        for reader in self._readers:
            if rows := reader.execute(QUERY, (name,)).fetchall():
                return found_in([(state, unpacked(resource)) for state, resource in rows])
        return Found(why="is not there, or cannot be sent")


def found_in(rows: Sequence[tuple[Any, ...]]) -> Found:
    """What the rows of one name brought together: one id, or the reason why there is none.

    Example:
        >>> found_in([(State.DONE, "org_1"), (State.SKIPPED, None)]).id
        'org_1'
        >>> found_in([(State.FAILED, None)]).why
        'failed'
    """
    ids = {resource for state, resource in rows if state in (State.DONE, State.SKIPPED) and resource}
    states = {State(state) for state, _ in rows}
    if states & OPEN:
        return Found()
    if len(ids) == 1:
        return Found(id=ids.pop())
    if ids:
        return Found(why="is there more than once, with different ids")
    if State.UNRESOLVED in states:
        return Found(why="is unresolved: nobody knows whether it happened")
    if State.FAILED in states:
        return Found(why="failed")
    return Found(why="was skipped" if states == {State.SKIPPED} else "is done, but Clerk returned no id")
