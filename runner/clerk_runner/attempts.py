"""Attempts in a journal: what was begun, and how it ended, of many calls in a few statements.

An attempt has a line of its own for as long as anybody may ask how it ended: while it is under way, and where its
answer was lost. Of the others, nearly all, one line tells how many calls of an operation were answered within a tenth
of a second: that is what limits count, and a million lines would be a third of the journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from clerk_jobs.call import Outcome, State
from clerk_runner.intake import Names
from clerk_runner.records import Intent
from clerk_runner.short_ids import packed

__all__ = ["AT_ONCE", "ROUND_MS", "Attempts", "Ending", "last_attempt", "settle"]

AT_ONCE = 500
"""Keys or places in one statement; SQLite takes at least 999 variables."""
ROUND_MS = 100
"""Answers that came within so many milliseconds share a line, and count as if they had come at its end."""
PAIRS_AT_ONCE = 100
"""Places with a value each in one statement."""

# OR FAIL: a failure takes back the whole transaction, see ``clerk_runner.writer``. To be able to take back a statement
# alone, SQLite would copy every page that it touches into a file first, which costs more than the change.
BEGIN = "UPDATE OR FAIL item SET state = 1, attempt = column2 FROM (VALUES {0}) WHERE seq = column1 AND state = 0"
NAMED = (
    "UPDATE OR FAIL item SET resource = column2, state = ?, verdict = ?, trace = NULL{1} "
    "FROM (VALUES {0}) WHERE seq = column1"
)
STILL_PENDING = (
    "UPDATE OR FAIL item SET resource = column2, verdict = ?, trace = NULL FROM (VALUES {0}) "
    "WHERE seq = column1 AND state = 0"
)
"""What reading says of nearly all rows of a backfill: whose they are. The index of open items stays as it is."""


@dataclass(slots=True)
class Ending:
    """How an attempt ended; not frozen, see ``clerk_runner.records``.

    Attributes:
        ended_ms: when, by our wall clock.
        answered: whether there was an answer.
    """

    attempt: int
    ended_ms: int
    outcomes: Sequence[Outcome]
    answered: bool

    @property
    def is_over(self) -> bool:
        """Whether nobody will ask any more what became of it."""
        return self.answered and State.DOUBT not in [outcome.state for outcome in self.outcomes]


def last_attempt(db: sqlite3.Connection) -> int:
    """The number of the newest attempt, also when it has no line any more; 0 where there was none."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'attempt'").fetchone()
    return 0 if row is None else int(row[0])


class Attempts:
    """The attempts of one journal, whose only writer this process is.

    It remembers what it would else ask for with every commit. Only what was committed is believed: a transaction may
    be rolled back and done again. Numbers that one took stay unused then.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._last: int | None = None
        self._operations: dict[tuple[str, str], int] = {}
        self._under_way: dict[int, tuple[int, int]] = {}
        """Operation and number of items of each attempt that was begun here."""

    def begin(self, db: sqlite3.Connection, intents: Sequence[Intent]) -> list[int]:
        """Write intents down before their calls are sent; returns the number of each attempt.

        Raises:
            AssertionError: an item is not pending; nothing of it all is to be committed then.
        """
        first = (last_attempt(db) if self._last is None else self._last) + 1
        numbers = list(range(first, first + len(intents)))
        self._last = numbers[-1]
        operations = {(one.method, one.template) for one in intents}
        known = {names: self._operation(db, *names) for names in operations}
        values: list[int] = []
        pairs = []
        for number, one in zip(numbers, intents, strict=True):
            operation, items = known[one.method, one.template], len(one.seqs)
            self._under_way[number] = operation, items
            values += (number, operation, items, one.intent_ms, one.server_ms)
            pairs += [(seq, number) for seq in one.seqs]
        marks = ", ".join(["(?, ?, ?, ?, ?)"] * len(numbers))
        db.execute(f"INSERT INTO attempt(id, operation, items, intent_ms, server_ms) VALUES {marks}", values)  # noqa: S608
        begun = 0
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            part = pairs[start : start + PAIRS_AT_ONCE]
            begun += db.execute(BEGIN.format(_marks(part)), _flat(part)).rowcount
        # The last line of defence: whoever is not pending here must not be sent to, whatever memory says.
        if begun != len(pairs):
            raise AssertionError("an item that is not pending was about to be sent")
        return numbers

    def withdraw(self, db: sqlite3.Connection, attempt: int, seqs: Sequence[int]) -> None:
        """Take back an intent that is known not to have been sent; it counts against no quota."""
        self._under_way.pop(attempt, None)
        db.execute("DELETE FROM attempt WHERE id = ?", (attempt,))
        db.executemany("UPDATE item SET state = 0, attempt = NULL WHERE seq = ?", [(seq,) for seq in seqs])

    def finish(self, db: sqlite3.Connection, endings: Sequence[Ending]) -> list[None]:
        """Write down how attempts ended, and what became of their items."""
        over: list[Ending] = []
        open_ends: list[Ending] = []
        for one in endings:
            (over if one.is_over else open_ends).append(one)
        if over:
            self._count(db, over)
            settle(db, [outcome for one in over for outcome in one.outcomes], sent=True)
        if open_ends:
            ends = [(one.ended_ms, one.answered, one.attempt) for one in open_ends]
            db.executemany("UPDATE attempt SET ended_ms = ?, answered = ? WHERE id = ?", ends)
            settle(db, [outcome for one in open_ends for outcome in one.outcomes])
        return [None] * len(endings)

    def _operation(self, db: sqlite3.Connection, method: str, template: str) -> int:
        """The number of an operation; asked for once in a transaction."""
        known = self._operations.get((method, template))
        if known is not None:
            return known
        query = "SELECT id FROM operation WHERE method = ? AND template = ?"
        found = db.execute(query, (method, template)).fetchone()
        if found is None:
            # Remembered when it is found by a later transaction: only then is it sure to be there.
            insert = "INSERT INTO operation(method, template) VALUES (?, ?)"
            return db.execute(insert, (method, template)).lastrowid or 0
        return self._operations.setdefault((method, template), int(found[0]))

    def _count(self, db: sqlite3.Connection, over: Sequence[Ending]) -> None:
        """Replace the lines of attempts that are over by one for all that ended together."""
        ended_ms = {one.attempt: one.ended_ms for one in over}
        marks = ", ".join("?" * len(ended_ms))
        known = {number: self._under_way.pop(number, None) for number in ended_ms}
        if None in known.values():
            query = f"SELECT id, operation, items FROM attempt WHERE id IN ({marks})"  # noqa: S608  only marks
            known = {number: (operation, items) for number, operation, items in db.execute(query, [*ended_ms])}
        sums: dict[tuple[int, int], list[int]] = {}
        for number, told in known.items():
            assert told is not None, "an attempt was found that nobody asked for"
            total = sums.setdefault((told[0], -(-ended_ms[number] // ROUND_MS)), [0, 0])
            total[0] += 1
            total[1] += told[1]
        db.execute(f"DELETE FROM attempt WHERE id IN ({marks})", [*ended_ms])  # noqa: S608  only marks
        db.executemany(
            "INSERT INTO answered(operation, ended, calls, items) VALUES (?, ?, ?, ?) ON CONFLICT(operation, ended) "
            "DO UPDATE SET calls = calls + excluded.calls, items = items + excluded.items",
            [(*key, *counts) for key, counts in sums.items()],
        )


def settle(db: sqlite3.Connection, outcomes: Sequence[Outcome], *, sent: bool = False) -> None:
    """Write down what became of items.

    Args:
        sent: they were sent, and their attempts have no line any more.
    """
    names = Names(db)
    plain: dict[tuple[State, int | None], list[int]] = {}
    named: dict[tuple[State, int | None], list[tuple[int, bytes | str | None]]] = {}
    others = []
    for outcome in outcomes:
        verdict = names.verdict(outcome.code, outcome.message)
        if outcome.trace_id or outcome.alone or outcome.revoke or outcome.state is State.DOUBT:
            others.append(_columns_of(outcome, verdict))
        elif outcome.resource_id is not None:
            named.setdefault((outcome.state, verdict), []).append((outcome.seq, packed(outcome.resource_id)))
        else:
            plain.setdefault((outcome.state, verdict), []).append(outcome.seq)
    # That it was sent is all that the item has to know then.
    forget = ", attempt = 0" if sent else ""
    for told, seqs in plain.items():
        for start in range(0, len(seqs), AT_ONCE):
            part = seqs[start : start + AT_ONCE]
            marks = ", ".join("?" * len(part))
            update = f"UPDATE OR FAIL item SET state = ?, verdict = ?, trace = NULL{forget} WHERE seq IN ({marks})"  # noqa: S608  marks
            db.execute(update, (*told, *part))
    for told, pairs in named.items():
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            _settle_named(db, told, pairs[start : start + PAIRS_AT_ONCE], forget)
    if others:
        db.executemany(
            "UPDATE item SET state = ?, verdict = ?, resource = coalesce(?, resource), trace = ?, "  # noqa: S608  a constant
            "alone = max(alone, ?), revoke = coalesce(?, revoke), doubts = doubts + ?, since_ms = CASE WHEN ? THEN "
            "  coalesce(since_ms, (SELECT server_ms FROM attempt WHERE attempt.id = item.attempt)) ELSE since_ms END"
            f"{forget} WHERE seq = ?",
            others,
        )


def _settle_named(
    db: sqlite3.Connection, told: tuple[State, int | None], pairs: Sequence[tuple[int, object]], forget: str
) -> None:
    """Settle items with an id each that were told the same otherwise."""
    marks, values = _marks(pairs), _flat(pairs)
    if told[0] is State.PENDING:
        changed = db.execute(STILL_PENDING.format(marks), [told[1], *values]).rowcount
        if changed == len(pairs):
            return
    db.execute(NAMED.format(marks, forget), [*told, *values])


def _marks(pairs: Sequence[tuple[int, object]]) -> str:
    return ", ".join(["(?, ?)"] * len(pairs))


def _flat(pairs: Sequence[tuple[int, object]]) -> list[object]:
    return [value for pair in pairs for value in pair]


def _columns_of(outcome: Outcome, verdict: int | None) -> tuple[object, ...]:
    doubt = outcome.state is State.DOUBT
    told = (packed(outcome.resource_id), outcome.trace_id, outcome.alone, outcome.revoke)
    return (outcome.state, verdict, *told, doubt, doubt, outcome.seq)
