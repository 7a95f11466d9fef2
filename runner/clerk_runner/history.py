"""What earlier processes spent of the hourly quotas, read from the journals of this state folder's runs."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from clerk_limits.documented import InstanceKind, LimitKind, limits_for
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.errors import RunnerError
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.schema import open_reader

__all__ = ["Past", "Spent", "spent"]

LOOK_BACK_S = 86_400.0 + 3_600.0
"""A day, for ``per_day``, and an hour for clocks that are set."""

NO_RESPONSE_S = 30.0
"""How long a request without an answer may still be on its way (see ``clerk_limits.window``)."""

UNKNOWN_END_S = 65.0
"""An attempt whose end a crash hid ended at the latest with its deadline, counted from its intent."""


@dataclass(frozen=True, slots=True)
class Spent:
    """One call that counted, and the unix time from which its period runs."""

    method: str
    template: str
    items: int
    released_s: float
    run: str


def spent(state: StateFolder, instance: str, now_s: float, *, speed: float) -> list[Spent]:
    """Calls of the last day to one instance, by every run on record."""
    since_s = now_s - LOOK_BACK_S / speed
    found: list[Spent] = []
    for run in state.list():
        if _touched_s(run) >= since_s and run.facts().instance == instance:
            found.extend(_read(run, since_s, now_s, speed))
    return found


@dataclass(frozen=True, slots=True)
class Past:
    """Calls that earlier processes made, ready to be charged to a gate, a real or a planned one.

    Attributes:
        runs: ids of the job's own runs: only their items count against ``per_hour`` and ``per_day``.
    """

    calls: list[Spent]
    runs: frozenset[str]
    instance: InstanceKind
    options: GateOptions

    def charge(self, gate: Gate) -> None:
        """Take from a gate what was spent."""
        times: dict[str, list[float]] = {}
        own = [name for name in ("per_hour", "per_day") if getattr(self.options, name) is not None]
        for call in self.calls:
            for limit in limits_for(call.method, call.template, self.instance):
                if limit.kind is LimitKind.QUOTA:
                    times.setdefault(limit.name, []).append(call.released_s)
            if call.run in self.runs:
                for name in own:
                    times.setdefault(name, []).extend([call.released_s] * call.items)
        for name, released in times.items():
            gate.charge(name, released)


def _touched_s(run: RunFolder) -> float:
    """When a journal was last written to, which is a file or two."""
    touched = 0.0
    for name in ("run.db", "run.db-wal"):
        try:
            touched = max(touched, (run.path / name).stat().st_mtime)
        except OSError:
            continue
    return touched


def _read(run: RunFolder, since_s: float, now_s: float, speed: float) -> list[Spent]:
    try:
        connection = open_reader(run.journal_path)
    except RunnerError:
        # A run without a readable journal cannot be resumed either; whoever tries is told so.
        return []
    try:
        rows = connection.execute(
            "SELECT method, template, items, intent_ms, ended_ms, answered FROM attempt "
            "WHERE coalesce(ended_ms, intent_ms) >= ?",
            (since_s * 1000,),
        ).fetchall()
    except sqlite3.Error:
        return []
    finally:
        connection.close()
    found = []
    for method, template, items, intent_ms, ended_ms, answered in rows:
        unknown_s = min(now_s, intent_ms / 1000 + UNKNOWN_END_S)
        released_s = unknown_s if ended_ms is None else ended_ms / 1000
        if not answered:
            released_s += NO_RESPONSE_S / speed
        found.append(Spent(method, template, items, released_s, run.id))
    return found
