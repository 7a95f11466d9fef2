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

__all__ = ["AT_ONCE", "ROUND_MS", "Ending", "begin", "finish", "last_attempt", "settle", "withdraw"]

AT_ONCE = 500
"""Keys or places in one statement; SQLite takes at least 999 variables."""
ROUND_MS = 100
"""Answers that came within so many milliseconds share a line, and count as if they had come at its end."""
PAIRS_AT_ONCE = 100
"""Places with a value each in one statement: the values are looked through for each place."""
BEGIN = (
    "UPDATE item SET state = 1, attempt = (SELECT column2 FROM (VALUES {0}) WHERE column1 = item.seq) "
    "WHERE seq IN ({1}) AND state = 0"
)
NAMED = (
    "UPDATE item SET resource = (SELECT column2 FROM (VALUES {0}) WHERE column1 = item.seq), "
    "state = ?, verdict = ?, trace = NULL{2} WHERE seq IN ({1})"
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended.

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
        return self.answered and all(outcome.state is not State.DOUBT for outcome in self.outcomes)


def last_attempt(db: sqlite3.Connection) -> int:
    """The number of the newest attempt, also when it has no line any more; 0 where there was none."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'attempt'").fetchone()
    return 0 if row is None else int(row[0])


def begin(db: sqlite3.Connection, intents: Sequence[Intent]) -> list[int]:
    """Write intents down before their calls are sent; returns the number of each attempt.

    Raises:
        AssertionError: an item is not pending; nothing of it all is to be committed then.
    """
    first, names = last_attempt(db) + 1, Names(db)
    numbers = list(range(first, first + len(intents)))
    rows = [
        (number, names.operation(one.method, one.template), len(one.seqs), one.intent_ms, one.server_ms)
        for number, one in zip(numbers, intents, strict=True)
    ]
    marks = ", ".join(["(?, ?, ?, ?, ?)"] * len(rows))
    insert = f"INSERT INTO attempt(id, operation, items, intent_ms, server_ms) VALUES {marks}"  # noqa: S608  only marks
    db.execute(insert, [value for row in rows for value in row])
    pairs = [(seq, number) for number, one in zip(numbers, intents, strict=True) for seq in one.seqs]
    begun = 0
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[start : start + PAIRS_AT_ONCE]
        update, values = _with_pairs(BEGIN, part, (), "")
        begun += db.execute(update, values).rowcount
    # The last line of defence: whoever is not pending here must not be sent to, whatever memory says.
    if begun != len(pairs):
        raise AssertionError("an item that is not pending was about to be sent")
    return numbers


def withdraw(db: sqlite3.Connection, attempt: int, seqs: Sequence[int]) -> None:
    """Take back an intent that is known not to have been sent; it counts against no quota."""
    db.execute("DELETE FROM attempt WHERE id = ?", (attempt,))
    db.executemany("UPDATE item SET state = 0, attempt = NULL WHERE seq = ?", [(seq,) for seq in seqs])


def finish(db: sqlite3.Connection, endings: Sequence[Ending]) -> list[None]:
    """Write down how attempts ended, and what became of their items."""
    open_ends = [(one.ended_ms, one.answered, one.attempt) for one in endings if not one.is_over]
    if open_ends:
        db.executemany("UPDATE attempt SET ended_ms = ?, answered = ? WHERE id = ?", open_ends)
    over = [one for one in endings if one.is_over]
    _count(db, over)
    settle(db, [outcome for one in over for outcome in one.outcomes], sent=True)
    settle(db, [outcome for one in endings if not one.is_over for outcome in one.outcomes])
    return [None] * len(endings)


def _count(db: sqlite3.Connection, over: Sequence[Ending]) -> None:
    """Replace the lines of attempts that are over by one for all that ended together."""
    if not over:
        return
    ended_ms = {one.attempt: one.ended_ms for one in over}
    marks = ", ".join("?" * len(ended_ms))
    query = f"SELECT id, operation, items FROM attempt WHERE id IN ({marks})"  # noqa: S608  only marks
    sums: dict[tuple[int, int], list[int]] = {}
    for number, operation, items in db.execute(query, [*ended_ms]).fetchall():
        known = sums.setdefault((operation, -(-ended_ms[number] // ROUND_MS)), [0, 0])
        known[0] += 1
        known[1] += items
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
            update = f"UPDATE item SET state = ?, verdict = ?, trace = NULL{forget} WHERE seq IN ({marks})"  # noqa: S608  marks
            db.execute(update, (*told, *part))
    for told, pairs in named.items():
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            some = pairs[start : start + PAIRS_AT_ONCE]
            db.execute(*_with_pairs(NAMED, some, told, forget))
    if others:
        db.executemany(
            "UPDATE item SET state = ?, verdict = ?, resource = coalesce(?, resource), trace = ?, "  # noqa: S608  a constant
            "alone = max(alone, ?), revoke = coalesce(?, revoke), doubts = doubts + ?, since_ms = CASE WHEN ? THEN "
            "  coalesce(since_ms, (SELECT server_ms FROM attempt WHERE attempt.id = item.attempt)) ELSE since_ms END"
            f"{forget} WHERE seq = ?",
            others,
        )


def _with_pairs(
    update: str, pairs: Sequence[tuple[int, object]], told: Sequence[object], more: str
) -> tuple[str, list[object]]:
    """An update of some places, each with a value of its own, and its values; ``told`` is the same for all."""
    marks = ", ".join(["(?, ?)"] * len(pairs)), ", ".join("?" * len(pairs))
    values = [*(value for pair in pairs for value in pair), *told, *(seq for seq, _ in pairs)]
    return update.format(*marks, more), values


def _columns_of(outcome: Outcome, verdict: int | None) -> tuple[object, ...]:
    doubt = outcome.state is State.DOUBT
    told = (packed(outcome.resource_id), outcome.trace_id, outcome.alone, outcome.revoke)
    return (outcome.state, verdict, *told, doubt, doubt, outcome.seq)
