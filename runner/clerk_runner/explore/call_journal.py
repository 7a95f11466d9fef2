"""What single calls did that must not be done twice, and what they spent of hourly quotas.

One SQLite file in the state folder. An intent is durable before its call is sent; bodies, addresses and ids are not in
it. Several processes may write: each opens it for the moment of its own transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from clerk_jobs.call import Call
from clerk_limits.documented import InstanceKind, LimitKind, limits_for
from clerk_runner.errors import StoppedError
from clerk_runner.exchange import Sent
from clerk_runner.folders import StateFolder
from clerk_runner.history import Spent
from clerk_runner.history import spent as spent_by_runs
from clerk_runner.writer import create_private

__all__ = ["FILE", "CallJournal"]

FILE: Final = "calls.db"
KEEP_S: Final = 7 * 86_400
NO_RESPONSE_S: Final = 30.0
"""How long a request without an answer may still be on its way."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS call(
    id INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    operation TEXT NOT NULL,
    method TEXT NOT NULL,
    template TEXT NOT NULL,
    intent_s REAL NOT NULL,
    ended_s REAL,
    ending TEXT,
    code TEXT,
    trace TEXT
)
"""


class CallJournal:
    """The journal of one command's calls.

    Attributes:
        instance: the instance that calls go to; empty until it is known, which only hourly quotas ask for.
    """

    def __init__(self, state: Path) -> None:
        """Nothing is opened yet: a command that only reads leaves no file behind."""
        self._state = state
        self.path = state / FILE
        self.instance = ""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; every transaction has been closed already."""

    def begin(self, call: Call, now_s: float) -> int:
        """Write the intent to send a call; it is on the disk when this returns.

        Raises:
            StoppedError: it cannot be written, so the call must not be sent.
        """
        StateFolder(self._state)
        create_private(self.path)
        with self._transaction() as db:
            db.execute("DELETE FROM call WHERE intent_s < ?", (now_s - KEEP_S,))
            row = (self.instance, call.operation, call.method, call.template, now_s)
            cursor = db.execute(
                "INSERT INTO call(instance, operation, method, template, intent_s) VALUES (?, ?, ?, ?, ?)", row
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def finish(self, intent: int, sent: Sent, now_s: float) -> None:
        """Write how the call ended."""
        code = sent.reply.code if sent.reply is not None and not sent.reply.ok else None
        trace = sent.reply.trace_id if sent.reply is not None else None
        with self._transaction() as db:
            db.execute(
                "UPDATE call SET ended_s = ?, ending = ?, code = ?, trace = ? WHERE id = ?",
                (now_s, sent.end, code, trace, intent),
            )

    def spent(self, instance: str, now_s: float, kind: InstanceKind, *, speed: float) -> dict[str, list[float]]:
        """By hourly quota, the unix times from which the periods of earlier calls run: this journal's and all runs'."""
        found: dict[str, list[float]] = {}
        times = [(c.method, c.template, c.released_s) for c in self._by_runs(instance, now_s, speed)]
        times += self._own(instance, now_s, speed)
        for method, template, released_s in times:
            for limit in limits_for(method, template, kind):
                if limit.kind is LimitKind.QUOTA:
                    found.setdefault(limit.name, []).append(released_s)
        return found

    def _by_runs(self, instance: str, now_s: float, speed: float) -> list[Spent]:
        return spent_by_runs(StateFolder(self._state), instance, now_s, speed=speed)

    def _own(self, instance: str, now_s: float, speed: float) -> list[tuple[str, str, float]]:
        if not self.path.exists():
            return []
        with self._transaction() as db:
            rows = db.execute(
                "SELECT method, template, intent_s, ended_s, ending FROM call WHERE instance = ? AND intent_s > ?",
                (instance, now_s - KEEP_S),
            ).fetchall()
        return [
            (method, template, (ended_s or now_s) + (0.0 if ending == "answered" else NO_RESPONSE_S / speed))
            for method, template, intent_s, ended_s, ending in rows
            if ending != "not_sent"
        ]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as db:
                # TRUNCATE, not WAL: several processes write, each for a moment.
                db.execute("PRAGMA journal_mode=TRUNCATE")
                db.execute("PRAGMA synchronous=FULL")
                db.execute("BEGIN IMMEDIATE")
                db.execute(_TABLE)
                yield db
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoppedError(
                f"{self.path} cannot be used: {error}",
                code="disk",
                hint="make room on the disk, or set CLERK_BATCH_HOME to another folder",
            ) from error
