"""What earlier processes sent, read from the journals of this state folder.

It is what a ledger begins with that knows nothing, and what a job's own limits (``per_hour``, ``per_day``) count.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from clerk_limits.gate import Gate, GateOptions
from clerk_runner.attempts import ROUND_MS
from clerk_runner.errors import RunnerError
from clerk_runner.folders import RunFolder, StateFolder
from clerk_runner.schema import open_reader

__all__ = ["CALLS", "Past", "Spent", "last_request_s", "recorded", "spent"]

LOOK_BACK_S = 86_400.0 + 3_600.0
"""A day, for ``per_day``, and an hour for clocks that are set."""

NO_RESPONSE_S = 30.0
"""How long a request without an answer may still be on its way (see ``clerk_limits.window``)."""

CALLS = "calls.db"
"""The journal of single calls, in the state folder."""

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


def recorded(state: StateFolder, instance: str, now_s: float, *, speed: float) -> list[Spent]:
    """The same, and what single calls spent."""
    return spent(state, instance, now_s, speed=speed) + _by_single_calls(state.root / CALLS, instance, now_s, speed)


def last_request_s(state: StateFolder, instance: str) -> float | None:
    """Unix time of the last sign that a run sent something to an instance; None where none ever did."""
    touched = sorted(((_touched_s(run), run) for run in state.list()), key=lambda one: one[0], reverse=True)
    return next((at_s for at_s, run in touched if run.facts().instance == instance), None)


@dataclass(frozen=True, slots=True)
class Past:
    """What a job's own runs sent, which counts against its own limits.

    Attributes:
        calls: by every run on record.
        runs: ids of the job's own runs.
    """

    calls: list[Spent]
    runs: frozenset[str]
    options: GateOptions

    def charge(self, gate: Gate) -> None:
        """Take from ``per_hour`` and ``per_day`` of a gate what was spent."""
        own = [name for name in ("per_hour", "per_day") if getattr(self.options, name) is not None]
        released = [call.released_s for call in self.calls if call.run in self.runs for _ in range(call.items)]
        for name in own:
            gate.charge(name, released)


def _by_single_calls(path: Path, instance: str, now_s: float, speed: float) -> list[Spent]:
    """ONCE calls of ``clerk-batch api``; see ``explore.call_journal``."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
    except sqlite3.Error:
        return []
    try:
        rows = connection.execute(
            "SELECT method, template, intent_s, ended_s, ending FROM call WHERE instance = ? AND intent_s > ?",
            (instance, now_s - LOOK_BACK_S / speed),
        ).fetchall()
    except sqlite3.Error:
        return []
    finally:
        connection.close()
    found = []
    for method, template, intent_s, ended_s, ending in rows:
        if ending != "not_sent":
            released_s = min(now_s, intent_s + UNKNOWN_END_S) if ended_s is None else ended_s
            silent_s = 0.0 if ending == "answered" else NO_RESPONSE_S / speed
            found.append(Spent(method, template, 1, released_s + silent_s, ""))
    return found


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
            "JOIN operation ON operation.id = attempt.operation WHERE coalesce(ended_ms, intent_ms) >= ?",
            (since_s * 1000,),
        ).fetchall()
        answered = connection.execute(
            "SELECT method, template, calls, items, ended FROM answered "
            "JOIN operation ON operation.id = answered.operation WHERE ended >= ?",
            (since_s * 1000 // ROUND_MS,),
        ).fetchall()
    except sqlite3.Error:
        return []
    finally:
        connection.close()
    found = []
    for method, template, items, intent_ms, ended_ms, was_answered in rows:
        unknown_s = min(now_s, intent_ms / 1000 + UNKNOWN_END_S)
        released_s = unknown_s if ended_ms is None else ended_ms / 1000
        if not was_answered:
            released_s += NO_RESPONSE_S / speed
        found.append(Spent(method, template, items, released_s, run.id))
    for method, template, calls, items, ended in answered:
        # What counts is how many calls there were, and how many items all of them had.
        each, more = divmod(items, calls)
        found += (
            Spent(method, template, each + (place < more), ended * ROUND_MS / 1000, run.id) for place in range(calls)
        )
    return found
