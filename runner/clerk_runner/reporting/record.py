"""What a run notes of itself while it works, for its report: in memory at once, in its journal every few seconds.

The tables (made when they are first needed, so that an older journal is no obstacle)::

    pace(begin_s, value)        buckets of the time series, see `series`
    pause(begin_ms, end_ms, operation)      the longest waits for a permit
    start(id, begun_ms, ended_ms, facts)    each process that worked on the run, with the versions that it ran

What was not saved when a process is killed is missing from the report and from nothing else. Nothing here may end a
run: what cannot be written is left out.
"""

from __future__ import annotations

import asyncio
import platform
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from clerk_runner.journal import Journal
from clerk_runner.reporting.series import Bucket, Series, latency_class
from clerk_runner.view import Progress, Tally

__all__ = ["TABLES", "Pause", "Record", "open_record"]

SAVE_S: Final = 5.0
LOOK_S: Final = 1.0
LONGEST_LOOK_S: Final = 30.0
NOTICED_S: Final = 2.0
"""A shorter wait for a permit is the ordinary pace of a window."""
NEAR_S: Final = 1.5
"""A wait that goes on so soon after the last one is the same wait: the engine asks anew when its call changes."""
MOST_PAUSES: Final = 50
MOST_STARTS: Final = 100
PACKAGES: Final = ("clerk-batch", "aiohttp", "aiolimiter", "orjson")

TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS pace(begin_s INTEGER PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS pause(begin_ms INTEGER, end_ms INTEGER, operation TEXT)",
    "CREATE TABLE IF NOT EXISTS start(id INTEGER PRIMARY KEY, begun_ms INTEGER, ended_ms INTEGER, facts BLOB)",
)


class Pause(NamedTuple):
    """A time in which calls of one operation waited, and none of them got a permit.

    Attributes:
        begin_s, end_s: unix time.
    """

    begin_s: float
    end_s: float
    operation: str


class Record:
    """One process's notes on one run.

    Args:
        series, pauses: what earlier processes noted.
        start: the number of this start in the journal.
    """

    def __init__(self, journal: Journal, series: Series, pauses: list[Pause], start: int) -> None:
        """Go on with what is there."""
        self._journal = journal
        self._series = series
        self._pauses = pauses
        self._start = start
        self._waiting: dict[str, Pause] = {}
        """Of each operation the wait that was called off and may go on."""
        self._ended_s: dict[str, float] = {}
        self._tally: Tally | None = None
        self._limits: dict[str, list[float]] = {}
        self._saved_s = time.monotonic()

    def attempted(self, status: int | str, elapsed_s: float) -> None:
        """A request ended: with a status, or with the reason why there is none."""
        bucket = self._series.at(time.time())
        bucket.requests += 1
        if status == 429:
            bucket.throttled += 1
        if isinstance(status, str) or status >= 500:
            bucket.lost += 1
        else:
            number = latency_class(elapsed_s)
            bucket.latency[number] = bucket.latency.get(number, 0) + 1

    def waited(self, operation: str, waited_s: float, *, granted: bool) -> None:
        """A call of this operation has waited for its permit until now.

        Args:
            granted: whether it came; else it was not wanted any more, and whoever asks anew at once waits on.
        """
        now_s = time.time()
        began_s = max(now_s - waited_s, self._ended_s.get(operation, 0.0))
        self._ended_s[operation] = now_s
        waiting = self._waiting.pop(operation, None)
        if waiting is not None and began_s - waiting.end_s <= NEAR_S:
            began_s = waiting.begin_s
        elif waiting is not None:
            self._keep(waiting)
        pause = Pause(began_s, now_s, operation)
        if granted:
            self._keep(pause)
        else:
            self._waiting[operation] = pause

    def passed(self, operation: str) -> None:
        """A call of this operation had its permit at once."""
        if self._waiting:
            self.waited(operation, 0.0, granted=True)
        else:
            self._ended_s[operation] = time.time()

    def _keep(self, pause: Pause) -> None:
        """Keep the longest."""
        if pause.end_s - pause.begin_s >= NOTICED_S:
            self._pauses.append(pause)
            self._pauses.sort(key=lambda one: one.begin_s - one.end_s)
            del self._pauses[MOST_PAUSES:]

    async def follow(self, read: Callable[[], Progress]) -> None:
        """Note what progress tells until cancelled; while nothing happens, ever more rarely."""
        last, pause_s = None, LOOK_S
        try:
            while True:
                now = read()
                self._note(now)
                same = last is not None and (now.done, now.requests) == (last.done, last.requests)
                pause_s = min(pause_s * 2, LONGEST_LOOK_S) if same else LOOK_S
                last = now
                if time.monotonic() - self._saved_s >= SAVE_S:
                    await self.save()
                await asyncio.sleep(pause_s)
        finally:
            self._note(read())
            self._tally = None

    def _note(self, now: Progress) -> None:
        used = {gauge.name: gauge.used for gauge in now.gauges if gauge.used}
        before, self._tally = self._tally, now.tally
        moved = now.tally is not None and before is not None and now.tally != before
        if not used and not moved:
            return
        told = Bucket(most_used=used)
        if now.tally is not None and before is not None:
            told.done, told.skipped, told.failed = (
                max(0, getattr(now.tally, name) - getattr(before, name)) for name in ("done", "skipped", "failed")
            )
        self._series.at(time.time()).add(told)
        self._limits.update({gauge.name: [gauge.allowed, gauge.period_s] for gauge in now.gauges})

    async def save(self, *, over: bool = False) -> None:
        """Bring it into the journal; what cannot be written now is written with the next.

        Args:
            over: this process has done its work.
        """
        series, self._saved_s = self._series, time.monotonic()
        if over:
            for pause in self._waiting.values():
                self._keep(pause)
            self._waiting.clear()
        rebuilt, touched = series.rebuilt, sorted(series.changed)
        rows = [(begin, msgspec.json.encode(series.buckets[begin])) for begin in touched if begin in series.buckets]
        pauses = [(int(one.begin_s * 1000), int(one.end_s * 1000), one.operation) for one in self._pauses]
        width, limits, start = series.width_s, dict(self._limits), self._start
        ended_ms = int(time.time() * 1000) if over else None

        def work(db: sqlite3.Connection) -> None:
            if rebuilt:
                db.execute("DELETE FROM pace")
            db.executemany("INSERT OR REPLACE INTO pace VALUES (?, ?)", rows)
            db.execute("DELETE FROM pause")
            db.executemany("INSERT INTO pause VALUES (?, ?, ?)", pauses)
            db.execute("UPDATE start SET ended_ms = coalesce(?, ended_ms) WHERE id = ?", (ended_ms, start))
            facts = (("pace_width_s", orjson.dumps(width)), ("pace_limits", orjson.dumps(limits)))
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts)

        with suppress(sqlite3.Error):
            await self._journal.read(work)
            series.changed.difference_update(touched)
            series.rebuilt = series.rebuilt and not rebuilt


async def open_record(journal: Journal) -> Record:
    """Go on with the notes in a journal, and note this start; where it cannot be written, the notes are for nobody."""
    row = (int(time.time() * 1000), orjson.dumps(_versions()))

    def work(db: sqlite3.Connection) -> tuple[Series, list[Pause], dict[str, Any], int]:
        for table in TABLES:
            db.execute(table)
        start = db.execute("INSERT INTO start(begun_ms, facts) VALUES (?, ?)", row).lastrowid or 0
        db.execute("DELETE FROM start WHERE id > 1 AND id <= ?", (start - MOST_STARTS,))
        return (*read_notes(db), start)

    try:
        series, pauses, limits, start = await journal.read(work)
    except (sqlite3.Error, msgspec.MsgspecError):
        return Record(journal, Series(), [], 0)
    record = Record(journal, series, pauses, start)
    record._limits = limits  # noqa: SLF001  its own module
    return record


def read_notes(db: sqlite3.Connection) -> tuple[Series, list[Pause], dict[str, list[float]]]:
    """The time series, the waits, and (permits, seconds) of each limit's window; empty where there are none."""
    facts = {
        name: orjson.loads(value)
        for name, value in db.execute("SELECT name, value FROM meta WHERE name LIKE 'pace_%'").fetchall()
    }
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if "pace" not in tables:
        return Series(), [], {}
    buckets = {
        begin: msgspec.json.decode(value, type=Bucket) for begin, value in db.execute("SELECT begin_s, value FROM pace")
    }
    pauses = [
        Pause(begin / 1000, end / 1000, operation)
        for begin, end, operation in db.execute("SELECT begin_ms, end_ms, operation FROM pause")
    ]
    return Series(facts.get("pace_width_s", 1), buckets), pauses, facts.get("pace_limits", {})


def _versions() -> dict[str, str]:
    """What this process runs."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
