"""The tables of a run's journal, and opening them.

The journal holds digests, positions and ids, never a payload, an address or a secret: what a row says is read back
from the source by its byte offset, and compared with the digest before it is used.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from clerk_runner.errors import StoppedError, UsageError
from clerk_runner.writer import SqliteWriter

__all__ = [
    "JOURNAL_VERSION",
    "KEYS",
    "MARK",
    "UNIQUE_KEYS",
    "add_names",
    "damaged",
    "is_blank",
    "open_reader",
    "open_writer",
]

JOURNAL_VERSION = 6
"""5 is a journal whose items have no names, 6 one whose items may have: those of a job with steps."""
WITHOUT_NAMES = 5
APPLICATION_ID = 0x636C6B62  # "clkb"

MARK = ".mark"
"""Suffix of the file that stands beside a journal once a call may have been sent for it."""

UNIQUE_KEYS = "CREATE UNIQUE INDEX item_key ON item(key) WHERE key IS NOT NULL"
"""Made once the rows are in: sorting a million keys costs a second, keeping them sorted meanwhile costs thirty."""
KEYS = "CREATE INDEX IF NOT EXISTS item_key ON item(key) WHERE key IS NOT NULL"
"""The same where several steps share the journal, of which some may have the same key more than once."""

TABLES = (
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # A million rows often share a handful of reasons: they are stored once.
    "CREATE TABLE verdict(id INTEGER PRIMARY KEY, code TEXT NOT NULL, message TEXT NOT NULL, UNIQUE(code, message))",
    "CREATE TABLE grp(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # ``resource`` is an id of Clerk's, see ``clerk_runner.short_ids``.
    """
    CREATE TABLE item(
        seq INTEGER PRIMARY KEY,
        line INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        state INTEGER NOT NULL CHECK(state BETWEEN 0 AND 6),
        grp INTEGER,
        key BLOB,
        digest BLOB,
        alone INTEGER NOT NULL DEFAULT 0,
        doubts INTEGER NOT NULL DEFAULT 0,
        attempt INTEGER,
        since_ms INTEGER,
        verdict INTEGER,
        resource,
        revoke TEXT,
        trace TEXT
    )
    """,
    # Its WHERE is looked at with every change of a state, and a list in it would cost more than the change.
    "CREATE INDEX item_open ON item(state) WHERE state < 3",
    """
    CREATE TABLE operation(
        id INTEGER PRIMARY KEY,
        method TEXT NOT NULL,
        template TEXT NOT NULL,
        UNIQUE(method, template)
    )
    """,
    # What is under way, or ended without an answer; the numbers are never given twice.
    """
    CREATE TABLE attempt(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        operation INTEGER NOT NULL,
        items INTEGER NOT NULL,
        intent_ms INTEGER NOT NULL,
        server_ms INTEGER NOT NULL,
        ended_ms INTEGER,
        answered INTEGER NOT NULL DEFAULT 0
    )
    """,
    # How many calls were answered, by tenths of a second, see ``clerk_runner.attempts``.
    """
    CREATE TABLE answered(
        operation INTEGER,
        ended INTEGER,
        calls INTEGER NOT NULL,
        items INTEGER NOT NULL,
        PRIMARY KEY(operation, ended)
    ) WITHOUT ROWID
    """,
)


def open_writer(path: Path, *, durable: bool) -> SqliteWriter:
    """Open a journal for its one writing process, creating the tables in a new one.

    Args:
        path: ``run.db``.
        durable: whether a commit must outlive a power cut: True where effects or hourly quotas are at stake.

    Raises:
        StoppedError: the file is damaged.
        UsageError: a newer or an older version of this program wrote it.
    """
    fresh = is_blank(path)
    if not fresh:
        _check_whole(path)
    try:
        writer = SqliteWriter(path, journal_mode="WAL", synchronous="FULL" if durable else "NORMAL", gives_back=True)
    except sqlite3.Error as error:
        raise damaged(path) from error
    if fresh:
        try:
            _create(path)
        except BaseException:
            writer.close()
            raise
    return writer


def is_blank(path: Path) -> bool:
    """Whether a journal was never made whole: no file, an empty one, or one whose first commit a full disk prevented.

    Nothing can have been sent for it: everything is in the main file before the first send. Where a call may have been
    sent, a mark stands beside it, and a journal that is gone or empty was lost.
    """
    if path.with_suffix(MARK).exists():
        return False
    if not path.exists() or path.stat().st_size == 0:
        return True
    try:
        _roll_back(path)
        connection = sqlite3.connect(_read_only(path), uri=True, timeout=30)
    except sqlite3.Error:
        return False
    try:
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        return bool(owner == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0)
    except sqlite3.Error:
        return False
    finally:
        connection.close()


def _roll_back(path: Path) -> None:
    """Undo a transaction that a process which was killed left half written before the file kept a log (WAL).

    Whoever only reads may not do it, and could not read the file at all. Harmless beside a living writer: SQLite
    sees its lock.
    """
    if path.with_name(f"{path.name}-journal").exists():
        connection = sqlite3.connect(path, timeout=30)
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        finally:
            connection.close()


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def add_names(db: sqlite3.Connection) -> None:
    """Let items have names, by which later steps refer to them; doing it again does nothing.

    Only the journals of jobs with steps have the column: a million rows without one are as small as before.
    """
    if not any(row[1] == "name" for row in db.execute("PRAGMA table_info(item)")):
        db.execute("ALTER TABLE item ADD COLUMN name BLOB")
        db.execute("CREATE INDEX item_name ON item(name) WHERE name IS NOT NULL")
        db.execute(f"PRAGMA user_version={JOURNAL_VERSION}")


def open_reader(path: Path, *, shared: bool = False) -> sqlite3.Connection:
    """Open a journal for reading beside its writer. It is no newer version's, and no symbolic link.

    Args:
        shared: let several threads use the connection, one at a time.

    Raises:
        StoppedError: the file is damaged.
        UsageError: a newer version of this program wrote it.
    """
    if path.is_symlink():
        raise damaged(path)
    try:
        _roll_back(path)
        connection = sqlite3.connect(_read_only(path), uri=True, timeout=30, check_same_thread=not shared)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
        except (sqlite3.Error, UnicodeDecodeError):
            connection.close()
            raise
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise damaged(path) from error
    if application == APPLICATION_ID and WITHOUT_NAMES <= version <= JOURNAL_VERSION:
        return connection
    connection.close()
    if application == APPLICATION_ID and version > 0:
        raise _other_version(path, version)
    raise damaged(path)


def _other_version(path: Path, version: int) -> UsageError:
    """The error of a journal that is whole, and of a form that this version does not read."""
    if version > JOURNAL_VERSION:
        return UsageError(
            f"the journal {path} was written by a newer clerk-batch ({version}, this one reads {JOURNAL_VERSION})",
            code="journal_newer",
            hint="use the newer clerk-batch for this run",
        )
    return UsageError(
        f"the journal {path} was written by an older clerk-batch ({version}, this one reads {WITHOUT_NAMES} and up)",
        code="journal_older",
        hint="end this run with the older clerk-batch; with its folder moved away, what it sent is forgotten",
    )


def _check_whole(path: Path) -> None:
    """Read the file as a whole before it decides who is sent to; costs a second or two for a million rows.

    Not ``quick_check``, which leaves the indexes out: that they agree with the rows is what shows that a row which
    says "pending" has always said so. That a state is one that there is, the table's own CHECK says: of all bits of
    the pages that hold items, flipped one by one, it missed none.
    """
    connection = open_reader(path)
    try:
        sound = connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # SQLite names what is wrong with the bytes that it found, which need be no text any more.
        raise damaged(path) from error
    finally:
        connection.close()
    if not sound:
        raise damaged(path)


def _create(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={WITHOUT_NAMES}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.close()


def damaged(path: Path) -> StoppedError:
    """The error of a journal that cannot be believed, or not even read."""
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return StoppedError(
                f"the journal {path} cannot be written: its file system is mounted read-only",
                code="journal_forbidden",
                hint="mount it writable (after an error of the disk the system makes it read-only: see dmesg); "
                "then run the same command again",
            )
        return StoppedError(
            f"the journal {path} may not be read and written by this user",
            code="journal_forbidden",
            hint=f"chmod 600 {path}, or become the user whose run it is; then run the same command again",
        )
    return StoppedError(
        f"the journal {path} is damaged, so it cannot tell what was sent already",
        code="journal_damaged",
        hint="restore the run folder from a backup, or look at Clerk's own lists before you start the job with --fresh",
    )
