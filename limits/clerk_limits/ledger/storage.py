"""A ledger's file: how it is made, opened, recognised and made anew when it is lost.

Both files of a ledger look alike and differ in what they have to survive. *Windows* count what is over in
seconds: never synced, and thrown away when the machine was booted since, because a boot takes longer than their
period. *Quotas* count hours: every commit is on the disk before a request is sent.

A file that vanished, is corrupt or of an older version is made anew, and then what it knew is assumed to have been
spent: windows stay closed for one period, quotas are taken from the runs' own journals. A rollback journal
(TRUNCATE), not WAL: several processes write here, and SQLite before 3.51.3 has a WAL defect for them.
"""

import fcntl
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clerk_limits.ledger.errors import LedgerDamagedError, LedgerError, LedgerLockedError, LedgerVersionError
from clerk_limits.ledger.holding import holder_words

__all__ = ["Storage"]

VERSION = 1
LOCKED_S = 30.0
"""Seconds after which a lock is taken for stuck."""

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE holder (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL, label TEXT NOT NULL, since_wall REAL NOT NULL
);
CREATE TABLE lease (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL, subject TEXT NOT NULL, holder INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    open INTEGER NOT NULL, -- 1 while its process may use it, 2 once that is dead, 0 when it was settled
    boot TEXT NOT NULL, until_steady REAL NOT NULL, until_wall REAL NOT NULL, hold_s REAL NOT NULL
);
CREATE INDEX lease_of_holder ON lease (scope, subject, holder, until_steady, amount, open);
CREATE TABLE ticket (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL, subject TEXT NOT NULL, holder INTEGER NOT NULL,
    amount INTEGER NOT NULL, alive_until REAL NOT NULL,
    UNIQUE (scope, subject, holder)
);
CREATE TABLE cap (
    scope TEXT NOT NULL, holder INTEGER NOT NULL, allowed INTEGER NOT NULL, alive_until REAL NOT NULL,
    PRIMARY KEY (scope, holder)
) WITHOUT ROWID;
CREATE TABLE block (
    operation TEXT PRIMARY KEY, boot TEXT NOT NULL,
    until_steady REAL NOT NULL, until_wall REAL NOT NULL, hold_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE share (scope TEXT PRIMARY KEY, factor REAL NOT NULL, at_steady REAL NOT NULL) WITHOUT ROWID;
"""


class Storage:
    """One file of a ledger; its connection belongs to the thread that uses it.

    Args:
        path: The file; its folder exists and is private.
        boot: Names the machine's present run.
        durable: Whether a commit has to be on the disk (quotas), or may be lost with the machine (windows).
        begin: Writes what is to be assumed into a new file, in the transaction that makes it; told whether
            there had been one.
    """

    def __init__(
        self, path: Path, boot: str, *, durable: bool, begin: Callable[[sqlite3.Connection, bool], None]
    ) -> None:
        self.path = path
        self.boot = boot
        self.durable = durable
        self._begin = begin
        self._lost = False
        self._known: os.stat_result | None = None
        self._connection: sqlite3.Connection | None = None
        self._patient = True
        self._seen = -1
        self.news = 0
        """Counts the times at which a transaction may see what somebody else has written since the one before."""

    def connection(self) -> sqlite3.Connection:
        """The open file; opened, or made anew, where it has to be.

        Raises:
            LedgerError: It can neither be used nor made anew.
        """
        if self._connection is not None:
            if self._is_there():
                return self._connection
            if not self._patient:
                raise LedgerError(f"{self.path} was deleted or moved", self.path)
            self._lost = True
        self.close()
        with self._opening():
            self._connection = self._opened()
        self._patient, self._seen = True, -1
        self._lost = False
        return self._connection

    def is_at_hand(self) -> bool:
        """Whether an impatient transaction takes as long as its work alone: the file is open, and is never synced."""
        return not self.durable and self._connection is not None

    def be_patient(self, patient: bool) -> None:
        """Whether a transaction waits for whoever holds the file, and makes a lost one anew; else it fails at once."""
        if self._connection is not None and patient != self._patient:
            self._connection.execute(f"PRAGMA busy_timeout = {LOCKED_S * 1000 if patient else 0:.0f}")
            self._patient = patient

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees what every other process has committed, and that is whole or not at all.

        A file that turns out to be damaged is put aside, and the work is refused: it can be tried again at once.

        Raises:
            LedgerLockedError: Somebody else has held the file for half a minute.
            LedgerDamagedError: The file cannot be believed; it was put aside.
            LedgerVersionError: A newer version of the program has taken it over.
            LedgerError: It cannot be written.
        """
        connection = self.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            if version != self._seen:
                # Somebody may have begun to use a newer version of the program since the file was opened.
                self._refuse_newer(connection)
                self._seen = version
                self.news += 1
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.DatabaseError):
                raise self._understood(error) from error
            raise

    def _understood(self, error: sqlite3.DatabaseError) -> LedgerError:
        if _is_busy(error) and not self._patient:
            return LedgerLockedError(f"somebody holds {self.path}", self.path)
        if _is_busy(error):
            return LedgerLockedError(f"{holder_words(self.path)} has held {self.path} for {LOCKED_S:.0f} s", self.path)
        if error.sqlite_errorname == "SQLITE_READONLY_DBMOVED":
            # It was there a moment ago, when this transaction began.
            self.close()
            self._lost = True
            return LedgerDamagedError(f"{self.path} was deleted or moved while it was in use", self.path)
        if isinstance(error, sqlite3.OperationalError):
            return LedgerError(f"{self.path} cannot be written: {error}", self.path)
        self.close()
        with self._opening():
            self._put_aside()
        self._lost = True
        return LedgerDamagedError(f"{self.path} was damaged: {error}", self.path)

    def _is_there(self) -> bool:
        """Whether the open file still is the one of that name."""
        assert self._known is not None
        try:
            return os.path.samestat(os.stat(self.path, follow_symlinks=False), self._known)  # noqa: PTH116  1 µs
        except OSError:
            return False

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """Hold the lock under which a file is made, so that two processes make one."""
        try:
            handle = os.open(
                self.path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise LedgerError(f"{self.path.parent} cannot be used: {error.strerror}", self.path) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _opened(self) -> sqlite3.Connection:
        self._make_empty()
        try:
            return self._prepared()
        except sqlite3.OperationalError as error:
            raise self._understood(error) from error
        except sqlite3.DatabaseError:
            # No ledger, or one that was cut off: what it knew is lost.
            self._put_aside()
        self._lost = True
        self._make_empty()
        return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = TRUNCATE")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self.durable else 'OFF'}")
            connection.execute("PRAGMA fullfsync = 1")
            connection.execute("BEGIN IMMEDIATE")
            self._bring_up_to_date(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        self._known = self.path.stat()
        return connection

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        if self._refuse_newer(connection) == 0:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise sqlite3.DatabaseError("not a ledger")
            # Not executescript: it would commit first, and another process could see half a schema.
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("INSERT INTO meta VALUES ('boot', ?), ('file', ?)", (self.boot, secrets.token_hex(8)))
            # No lease of a file that was lost has the number of one in this file.
            connection.execute("INSERT INTO sqlite_sequence VALUES ('lease', ?)", (secrets.randbelow(2**40),))
            self._begin(connection, self._lost)
        known = connection.execute("SELECT value FROM meta WHERE name = 'boot'").fetchone()
        if known is None or known[0] != self.boot:
            self._begin_boot(connection)

    def _refuse_newer(self, connection: sqlite3.Connection) -> int:
        """The file's version, which is not above ours."""
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise LedgerVersionError(f"{self.path} was written by a newer version (format {version})", self.path)
        return version

    def _begin_boot(self, connection: sqlite3.Connection) -> None:
        """Times on the steady clock of another run of the machine mean nothing now."""
        gone = ["ticket", "cap", "holder", "share"]
        if not self.durable:
            gone += ["lease", "block"]
        for table in gone:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608  our own names
        connection.execute("DELETE FROM meta WHERE name = 'closed_until'")
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('boot', ?)", (self.boot,))

    def _make_empty(self) -> None:
        """Make the file where there is none, for this user alone, before SQLite would make it for everybody."""
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(self.path, flags, 0o600))
        except FileExistsError:
            if not stat.S_ISREG(self.path.lstat().st_mode):
                raise LedgerError(f"{self.path} is not a regular file", self.path) from None
        except OSError as error:
            raise LedgerError(f"{self.path} cannot be made: {error.strerror}", self.path) from error

    def _put_aside(self) -> None:
        for suffix in ("", "-journal"):
            path = self.path.with_name(self.path.name + suffix)
            if path.exists():
                path.replace(path.with_name(path.name + ".corrupt"))


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
