"""Taking an input into a journal: for the first time, again after it changed, and beside what earlier runs did.

Plain functions on an open connection, each inside the caller's transaction. A ``Span`` says whose items they touch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from clerk_jobs.call import State
from clerk_runner.records import SourceRow
from clerk_runner.schema import KEYS, UNIQUE_KEYS, open_reader
from clerk_runner.spans import Span

__all__ = [
    "Names",
    "finish_changes",
    "judge_names",
    "match_changed",
    "prepare_changes",
    "seal",
    "set_names",
    "skip_done_in",
    "take_in",
    "unseal",
]

REMOVED = "row_removed"
REMOVED_IN_DOUBT = "row_removed_in_doubt"
CONFLICT = "conflicting_rows"
SAME_NAME = "key_repeated"
UNRESOLVED_BEFORE = "unresolved_in_earlier_run"
LEFT_BEFORE = "left_in_earlier_run"
NOBODY_KNOWS = ("unresolved", REMOVED_IN_DOUBT, UNRESOLVED_BEFORE, LEFT_BEFORE)
"""Why a row was unresolved, or what was said of one that was left at that (``--on-unresolved skip``)."""

INSERT = "INSERT INTO item(seq, line, offset, state, grp, key, digest) VALUES (?, ?, ?, 0, ?, ?, ?)"
AT_ONCE = 100
INSERT_MANY = INSERT + ", (?, ?, ?, 0, ?, ?, ?)" * (AT_ONCE - 1)
"""Each step of a statement passes the interpreter's lock to and fro between the writer's thread and the others."""

INSERT_SETTLED = "INSERT INTO item(seq, line, offset, state, verdict) VALUES (?, ?, ?, ?, ?)"


class Names:
    """Ids of verdicts and groups within one transaction: thousands of rows share a few."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Know nothing yet."""
        self._db = db
        self._verdicts: dict[tuple[str, str], int] = {}
        self._groups: dict[str, int] = {}

    def verdict(self, code: str, message: str) -> int | None:
        """The id of a reason; None for no reason."""
        if not code and not message:
            return None
        known = self._verdicts.get((code, message))
        if known is None:
            self._db.execute("INSERT OR IGNORE INTO verdict(code, message) VALUES (?, ?)", (code, message))
            query = "SELECT id FROM verdict WHERE code = ? AND message = ?"
            known = self._verdicts[code, message] = int(self._db.execute(query, (code, message)).fetchone()[0])
        return known

    def group(self, name: str) -> int:
        """The id of a group."""
        known = self._groups.get(name)
        if known is None:
            self._db.execute("INSERT OR IGNORE INTO grp(name) VALUES (?)", (name,))
            known = int(self._db.execute("SELECT id FROM grp WHERE name = ?", (name,)).fetchone()[0])
            self._groups[name] = known
        return known


def take_in(db: sqlite3.Connection, rows: Sequence[SourceRow]) -> None:
    """Insert rows in their order; a faulty one is failed. Keys may repeat until ``seal``."""
    names = Names(db)
    faulty = [
        (row.seq, row.line, row.offset, State.FAILED, names.verdict(row.code, row.message))
        for row in rows
        if row.draft is None
    ]
    db.executemany(INSERT_SETTLED, faulty)
    drafted = [
        (row.seq, row.line, row.offset, names.group(row.draft.group), row.draft.key, row.draft.digest)
        for row in rows
        if row.draft is not None
    ]
    whole = len(drafted) - len(drafted) % AT_ONCE
    for start in range(0, whole, AT_ONCE):
        db.execute(INSERT_MANY, [value for row in drafted[start : start + AT_ONCE] for value in row])
    db.executemany(INSERT, drafted[whole:])
    set_names(db, rows)


def set_names(db: sqlite3.Connection, rows: Sequence[SourceRow]) -> None:
    """Give the items of these rows the names by which later steps refer to them; most jobs have none."""
    named = [(row.draft.name, row.seq) for row in rows if row.draft is not None and row.draft.name is not None]
    if named:
        db.executemany("UPDATE item SET name = ? WHERE seq = ?", named)


def seal(db: sqlite3.Connection, span: Span) -> None:
    """Judge rows with the same key, and let no key repeat from now on; doing it again does nothing.

    Among several steps only the judging can be had: a key may well be another step's too.
    """
    if span.of_many:
        db.execute(KEYS)
        _judge_repeats(db, span)
        return
    if _sealed(db):
        return
    try:
        db.execute(UNIQUE_KEYS)
    except sqlite3.IntegrityError:
        _judge_repeats(db, span)
        db.execute(UNIQUE_KEYS)


def unseal(db: sqlite3.Connection, span: Span) -> None:
    """Forget every item, to take an input in anew."""
    if not span.of_many:
        db.execute("DROP INDEX IF EXISTS item_key")
    db.execute("DELETE FROM item WHERE seq BETWEEN ? AND ?", (span.first, span.last))


def _sealed(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'item_key'").fetchone() is not None


def _judge_repeats(db: sqlite3.Connection, span: Span) -> None:
    names, own = Names(db), (span.first, span.last)
    inside = "seq BETWEEN ? AND ?"
    repeated = f"SELECT key FROM item WHERE key IS NOT NULL AND {inside} GROUP BY key HAVING count(*) > 1"  # noqa: S608
    query = f"SELECT seq, line, key, digest FROM item WHERE {inside} AND key IN ({repeated}) ORDER BY key, seq"  # noqa: S608
    rows = db.execute(query, (*own, *own)).fetchall()
    first: tuple[int, int, bytes, bytes] | None = None
    for row in rows:
        if first is None or row[2] != first[2]:
            first = row
            continue
        state, verdict = _repeat(db, names, first, line=row[1], same=row[3] == first[3])
        db.execute(
            "UPDATE item SET state = ?, verdict = ?, key = NULL, digest = NULL, grp = NULL WHERE seq = ?",
            (state, verdict, row[0]),
        )


def _repeat(
    db: sqlite3.Connection, names: Names, first: tuple[int, int, bytes, bytes], *, line: int, same: bool
) -> tuple[State, int | None]:
    """The same person again on ``line``: one effect where both rows say the same, none where they contradict.

    Which of two contradicting rows is meant only the user knows, and an invitation cannot be taken back from a mailbox.
    """
    if same:
        return State.SKIPPED, names.verdict("duplicate_row", f"the same as line {first[1]}")
    said = "line {} has the same key with other values: keep one of the two"
    db.execute(
        "UPDATE item SET state = ?, verdict = ? WHERE seq = ? AND state = 0",
        (State.FAILED, names.verdict(CONFLICT, said.format(line)), first[0]),
    )
    return State.FAILED, names.verdict(CONFLICT, said.format(first[1]))


def judge_names(db: sqlite3.Connection, span: Span) -> None:
    """Fail pending rows that share the key by which later steps refer to them, and are not the same row."""
    own, verdicts = (span.first, span.last), Names(db)
    pending = "state = 0 AND seq BETWEEN ? AND ?"
    shared = f"SELECT name FROM item WHERE name IS NOT NULL AND {pending} GROUP BY name HAVING count(*) > 1"  # noqa: S608
    query = f"SELECT seq, line, name FROM item WHERE {pending} AND name IN ({shared}) ORDER BY name, seq"  # noqa: S608
    rows = db.execute(query, (*own, *own)).fetchall()
    for place, (seq, _, name) in enumerate(rows):
        # The nearest other row of the name: the one before, for the first the one after.
        other = rows[place - 1] if place and rows[place - 1][2] == name else rows[place + 1]
        said = f"line {other[1]} has the same key: later steps could not tell which one is meant"
        verdict = verdicts.verdict(SAME_NAME, said)
        db.execute("UPDATE item SET state = ?, verdict = ? WHERE seq = ?", (State.FAILED, verdict, seq))


def prepare_changes(db: sqlite3.Connection, span: Span) -> None:
    """Move every known item out of the way of a changed input, to numbers below zero; may be repeated after a crash.

    Faults, duplicates and contradictions are forgotten and judged anew; what was attempted stays on record.
    """
    seal(db, span)
    own, aside = (span.first, span.last), (-span.last, -span.first)
    inside = "(seq BETWEEN ? AND ? OR seq BETWEEN ? AND ?)"
    db.execute(f"DELETE FROM item WHERE key IS NULL AND {inside}", (*own, *aside))  # noqa: S608  a constant
    db.execute(
        f"UPDATE item SET state = 0, verdict = NULL WHERE {inside} AND state = ? AND attempt IS NULL "  # noqa: S608
        "AND verdict IN (SELECT id FROM verdict WHERE code IN (?, ?))",
        (*own, *aside, State.FAILED, CONFLICT, SAME_NAME),
    )
    # Beyond what an earlier start moved: a number that another item still has would be refused.
    low = db.execute("SELECT min(seq) FROM item WHERE seq BETWEEN ? AND ?", aside).fetchone()[0]
    db.execute("UPDATE item SET seq = ? - seq WHERE seq BETWEEN ? AND ?", (0 if low is None else low + span.base, *own))


def match_changed(db: sqlite3.Connection, rows: Sequence[SourceRow], span: Span) -> None:
    """Take rows of a changed input in, each in the place of the item with its key where there is one."""
    names = Names(db)
    query = (
        "SELECT item.seq, item.line, item.key, item.digest, item.state, verdict.code FROM item "
        "LEFT JOIN verdict ON verdict.id = item.verdict WHERE item.key = ? AND abs(item.seq) BETWEEN ? AND ?"
    )
    for row in rows:
        keyed = () if row.draft is None else (row.draft.key, span.first, span.last)
        known = None if row.draft is None else db.execute(query, keyed).fetchone()
        if row.draft is None or known is None:
            take_in(db, [row])
            continue
        seq, _, _, digest, was, code = known
        if seq > 0:
            verdict = _repeat(db, names, known[:4], line=row.line, same=digest == row.draft.digest)
            db.execute(INSERT_SETTLED, (row.seq, row.line, row.offset, *verdict))
            continue
        state = _rematched(State(was), code, changed=digest != row.draft.digest)
        # What a done row says now was not sent: a later run compares with what was.
        said = digest if state is State.DONE else row.draft.digest
        db.execute(
            "UPDATE item SET seq = ?, line = ?, offset = ?, digest = ?, grp = ?, state = ?, "
            "verdict = CASE WHEN ? THEN verdict END WHERE seq = ?",
            (row.seq, row.line, row.offset, said, names.group(row.draft.group), state, state == was, seq),
        )
        set_names(db, [row])


def _rematched(state: State, code: str | None, *, changed: bool) -> State:
    """The state of a known item whose row is in the changed input."""
    if state is State.FAILED and changed:
        # A failed row that was mended goes again: that is why the file was changed.
        return State.PENDING
    if state is State.SKIPPED and code == REMOVED:
        return State.PENDING
    if state is State.UNRESOLVED and code == REMOVED_IN_DOUBT:
        return State.DOUBT
    return state


def finish_changes(db: sqlite3.Connection, span: Span) -> None:
    """Settle what the changed input no longer has: never sent is skipped, in doubt is unresolved, the rest stays."""
    names = Names(db)
    gone = names.verdict(REMOVED, "the changed input no longer has this row")
    lost = names.verdict(REMOVED_IN_DOUBT, "in doubt, and the changed input no longer says who it was")
    aside = (-span.last, -span.first)
    settle = "UPDATE item SET state = ?, verdict = ? WHERE seq BETWEEN ? AND ? AND state"
    db.execute(f"{settle} = 0", (State.SKIPPED, gone, *aside))
    db.execute(f"{settle} IN (1, 2)", (State.UNRESOLVED, lost, *aside))
    own = (span.base, span.first, span.last)
    top = db.execute("SELECT coalesce(max(seq), ?) FROM item WHERE seq BETWEEN ? AND ?", own).fetchone()[0]
    left = db.execute("SELECT seq FROM item WHERE seq BETWEEN ? AND ? ORDER BY seq DESC", aside).fetchall()
    places = [(top + place, seq) for place, (seq,) in enumerate(left, 1)]
    db.executemany("UPDATE item SET seq = ?, offset = -1 WHERE seq = ?", places)


def skip_done_in(db: sqlite3.Connection, earlier: Path, span: Span, there: Span) -> int:
    """Skip what an earlier run did with the same key and payload; returns how many.

    What was made then is noted as this run's: later steps may refer to it.

    What that run left unresolved is unresolved here too, and what was skipped there because nobody knows is skipped:
    nobody is sent to again because a file was changed. Take the earlier runs oldest first: a later one may have done
    what an older one left open.
    """
    names = Names(db)
    done = names.verdict("done_in_earlier_run", "an earlier run of this job already did this row")
    said = "an earlier run of this job does not know whether this was sent: look at Clerk's own list"
    unknown = names.verdict(UNRESOLVED_BEFORE, said)
    changed = 0
    old = open_reader(earlier)
    try:
        query = "SELECT resource, key, digest FROM item WHERE state = ? AND key IS NOT NULL AND seq BETWEEN ? AND ?"
        own = f"seq BETWEEN {span.first} AND {span.last}"
        rows = old.execute(query, (State.DONE, there.first, there.last))
        while batch := rows.fetchmany(1000):
            keys = [(key,) for _, key, _ in batch]
            db.executemany(
                f"UPDATE item SET state = 0, verdict = NULL WHERE key = ? AND verdict = {unknown} AND {own}",  # noqa: S608  numbers
                keys,
            )
            changed += db.executemany(
                f"UPDATE item SET state = {State.SKIPPED:d}, verdict = {done}, resource = coalesce(?, resource) "  # noqa: S608  numbers
                f"WHERE key = ? AND digest = ? AND state = 0 AND {own}",
                batch,
            ).rowcount
        rows = old.execute(query, (State.UNRESOLVED, there.first, there.last))
        while batch := rows.fetchmany(1000):
            db.executemany(
                f"UPDATE item SET state = {State.UNRESOLVED:d}, verdict = {unknown} "  # noqa: S608  numbers
                f"WHERE key = ? AND state = 0 AND {own}",
                [(key,) for _, key, _ in batch],
            )
        changed += _leave_alone(db, old, span, there)
    finally:
        old.close()
    return changed


def _leave_alone(db: sqlite3.Connection, old: sqlite3.Connection, span: Span, there: Span) -> int:
    """Skip what an earlier run may have sent, and whose user decided to leave it at that; returns how many."""
    said = "an earlier run of this job did not know whether this was sent, and it was left at that"
    left = Names(db).verdict(LEFT_BEFORE, said)
    rows = old.execute(
        "SELECT item.key FROM item JOIN verdict ON verdict.id = item.verdict WHERE item.state = ? "
        "AND item.key IS NOT NULL AND verdict.code IN (?, ?, ?, ?) AND item.seq BETWEEN ? AND ?",
        (State.SKIPPED, *NOBODY_KNOWS, there.first, there.last),
    ).fetchall()
    if not rows:
        return 0
    settled = (State.UNRESOLVED, span.first, span.last, UNRESOLVED_BEFORE)
    return db.executemany(
        "UPDATE item SET state = ?, verdict = ? WHERE key = ? AND state IN (0, ?) AND seq BETWEEN ? AND ? "
        "AND (state = 0 OR verdict IN (SELECT id FROM verdict WHERE code = ?))",
        [(State.SKIPPED, left, key, *settled) for (key,) in rows],
    ).rowcount
