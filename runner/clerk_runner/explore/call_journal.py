"""What single calls did that must not be done twice, and proof of what they spent of hourly quotas.

One SQLite file in the state folder. An intent is durable before its call is sent; bodies, addresses and ids are not in
it. Several processes may write: each opens it for the moment of its own transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from clerk_jobs.call import Call
from clerk_runner.errors import StoppedError
from clerk_runner.exchange import Sent
from clerk_runner.folders import StateFolder
from clerk_runner.history import CALLS
from clerk_runner.writer import create_private

__all__ = ["FILE", "CallJournal"]

FILE: Final = CALLS
KEEP_S: Final = 7 * 86_400

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
        instance: the instance that calls go to.
    """

    def __init__(self, state: Path, instance: str) -> None:
        """Nothing is opened yet: a command that only reads leaves no journal behind."""
        self._state = state
        self.path = state / FILE
        self.instance = instance

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
                hint="free some disk space, or set CLERK_BATCH_HOME to another folder",
            ) from error
