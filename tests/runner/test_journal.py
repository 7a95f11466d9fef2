"""The journal: states, recovery, changed inputs, earlier runs, damaged files."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerk_jobs.call import Draft, Outcome, State
from clerk_runner.attempts import last_attempt
from clerk_runner.errors import Exit, RunnerError, StoppedError
from clerk_runner.journal import Intent, Journal, SourceRow
from clerk_runner.report import outcomes_by_code
from clerk_runner.schema import JOURNAL_VERSION, is_blank, open_reader, open_writer
from clerk_runner.short_ids import unpacked

T = TypeVar("T")


def row(seq: int, key: str | None = None, digest: str = "d", group: str = "", code: str = "") -> SourceRow:
    if code:
        return SourceRow(seq, seq + 1, seq * 10, None, code, "a fault")
    return SourceRow(seq, seq + 1, seq * 10, Draft((key or f"k{seq}").encode(), digest.encode(), group))


def on(path: Path, scenario: Callable[[Journal], Awaitable[T]]) -> T:
    async def whole() -> T:
        journal = Journal(path, durable=False)
        try:
            return await scenario(journal)
        finally:
            journal.close()

    return asyncio.run(whole())


def items(path: Path) -> dict[int, tuple[State, str]]:
    """State and code of each item, by its place."""
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT seq, state, code FROM item LEFT JOIN verdict ON verdict.id = item.verdict ORDER BY seq"
        return {seq: (State(state), code or "") for seq, state, code in db.execute(query)}


def begin(seqs: Sequence[int], at_ms: int = 1000) -> Intent:
    return Intent("POST", "/invitations/bulk", tuple(seqs), at_ms, at_ms + 5)


# ------------------------------------------------------------------ taking in


def test_rows_are_taken_in_in_any_number_of_steps(tmp_path: Path) -> None:
    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(1), row(2, "k1"), row(3, code="invalid_email")])
        await journal.ingest([row(4, "k1"), row(5), row(6, "k5", "other")])
        await journal.seal()

    on(tmp_path / "run.db", scenario)
    assert items(tmp_path / "run.db") == {
        1: (State.PENDING, ""),
        2: (State.SKIPPED, "duplicate_row"),
        3: (State.FAILED, "invalid_email"),
        4: (State.SKIPPED, "duplicate_row"),
        5: (State.FAILED, "conflicting_rows"),
        6: (State.FAILED, "conflicting_rows"),
    }


def test_a_message_that_is_not_that_of_every_row_is_an_example(tmp_path: Path) -> None:
    async def scenario(journal: Journal) -> None:
        faults = [("ragged_row", "line 2 has too few"), ("ragged_row", "line 3 has too few"), ("email", "no address")]
        await journal.ingest([SourceRow(seq, seq, seq, None, *fault) for seq, fault in enumerate(faults, start=1)])

    on(tmp_path / "run.db", scenario)
    assert outcomes_by_code(tmp_path / "run.db") == [
        ("failed", "ragged_row", "for example, line 2 has too few", 2),
        ("failed", "email", "no address", 1),
    ]


ROWS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("xxxy"), st.booleans()), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, cut=st.integers(1, 10))
def test_every_row_has_one_state_and_every_person_at_most_one_effect(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, bool]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "run.db"
    made = [row(seq, key, digest, code="ragged" if bad else "") for seq, (key, digest, bad) in enumerate(rows, 1)]

    async def scenario(journal: Journal) -> None:
        for start in range(0, len(made), cut):
            await journal.ingest(made[start : start + cut])
        await journal.seal()

    on(path, scenario)
    found = items(path)
    assert list(found) == list(range(1, len(rows) + 1))
    for key in "abcde":
        seqs = [seq for seq, (name, _, bad) in enumerate(rows, 1) if name == key and not bad]
        said = {digest for name, digest, bad in rows if name == key and not bad}
        pending = [seq for seq in seqs if found[seq][0] is State.PENDING]
        assert pending == (seqs[:1] if len(said) == 1 else [])


# ------------------------------------------------------------------ states


def test_an_attempt_from_intent_to_its_end(tmp_path: Path) -> None:
    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(seq) for seq in range(1, 6)])
        attempt = await journal.begin(begin([1, 2, 3]))
        outcomes = [
            Outcome(1, State.DONE, resource_id="inv_1"),
            Outcome(2, State.PENDING, alone=True),
            Outcome(3, State.DOUBT),
        ]
        await journal.finish(attempt, 2000, outcomes, answered=True)
        doubts = await journal.doubts()
        assert [(one.ended_ms, [item.seq for item in one.items]) for one in doubts] == [(2000, [3])]
        assert doubts[0].items[0].since_ms == 1005
        opened = await journal.pending(0, 10)
        assert [(item.seq, item.alone) for item in opened] == [(2, True), (4, False), (5, False)]

    on(tmp_path / "run.db", scenario)


def test_answered_attempts_share_a_line_and_numbers_are_never_given_twice(tmp_path: Path) -> None:
    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(seq) for seq in range(1, 9)])
        numbers = [await journal.begin(begin(seqs)) for seqs in ([1, 2, 3], [4], [5], [6])]
        for number, seqs, ended_ms in zip(numbers, ([1, 2, 3], [4], [5]), (2001, 2100, 2101), strict=False):
            await journal.finish(number, ended_ms, [Outcome(seq, State.DONE) for seq in seqs], answered=True)
        await journal.finish(numbers[3], 2000, [Outcome(6, State.DOUBT)], answered=False)

        def lines(db: sqlite3.Connection) -> list[list[tuple[Any, ...]]]:
            open_ones = db.execute("SELECT id, ended_ms, answered FROM attempt").fetchall()
            sent = db.execute("SELECT seq FROM item WHERE attempt IS NOT NULL ORDER BY seq").fetchall()
            return [db.execute("SELECT ended, calls, items FROM answered").fetchall(), open_ones, sent]

        assert await journal.read(lines) == [
            [(21, 2, 4), (22, 1, 1)],
            [(numbers[3], 2000, 0)],
            [(seq,) for seq in range(1, 7)],
        ]
        await journal.withdraw(await journal.begin(begin([7])), [7])
        assert await journal.begin(begin([7])) == numbers[0] + 5
        assert await journal.read(last_attempt) == numbers[0] + 5

    on(tmp_path / "run.db", scenario)


def calls_of(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """What limits count: answered calls by operation, and those that are under way."""
    answered = (
        "SELECT method, sum(calls), sum(answered.items) FROM answered JOIN operation ON id = operation GROUP BY id"
    )
    open_ones = "SELECT method, attempt.id FROM attempt JOIN operation ON operation.id = operation ORDER BY attempt.id"
    return db.execute(answered).fetchall() + db.execute(open_ones).fetchall()


def test_what_is_remembered_of_attempts_holds_when_a_transaction_is_rolled_back(tmp_path: Path) -> None:
    """The first intent of a journal brings its operation, and is rolled back together with one that is refused."""

    def fail(_: sqlite3.Connection) -> None:
        raise AssertionError("refused")

    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(seq) for seq in range(1, 6)])
        orders = [journal.begin(begin(seqs)) for seqs in ([1, 2], [9], [3])]
        first, refused, second = await asyncio.gather(*orders, return_exceptions=True)
        assert isinstance(refused, AssertionError)
        assert isinstance(first, int)
        assert isinstance(second, int)
        assert await journal.read(calls_of) == [("POST", first), ("POST", second)]
        done = [Outcome(1, State.DONE), Outcome(2, State.DONE)]
        ended, failed = await asyncio.gather(
            journal.finish(first, 2000, done, answered=True), journal.read(fail), return_exceptions=True
        )
        assert (ended, type(failed)) == (None, AssertionError)
        assert await journal.read(calls_of) == [("POST", 1, 2), ("POST", second)]

    on(tmp_path / "run.db", scenario)


def test_an_attempt_that_another_process_began_is_counted_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    began: list[int] = []

    async def first(journal: Journal) -> None:
        await journal.ingest([row(seq) for seq in range(1, 6)])
        began.append(await journal.begin(begin([1, 2, 3])))

    async def second(journal: Journal) -> None:
        began.append(await journal.begin(begin([4])))
        await asyncio.gather(
            journal.finish(began[0], 2000, [Outcome(seq, State.DONE) for seq in (1, 2, 3)], answered=True),
            journal.finish(began[1], 2000, [Outcome(4, State.DONE)], answered=True),
        )
        assert await journal.read(calls_of) == [("POST", 2, 4)]

    on(path, first)
    on(path, second)
    assert began[1] == began[0] + 1


def test_an_id_that_reading_told_is_kept_whatever_becomes_of_the_item(tmp_path: Path) -> None:
    """Also of one that is in doubt when it is found not to have been written."""
    names = [f"user_{letter * 27}" for letter in "abc"]

    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(seq) for seq in range(1, 4)])
        attempt = await journal.begin(begin([1]))
        await journal.finish(attempt, 2000, [Outcome(1, State.DOUBT)], answered=False)
        await journal.settle([Outcome(seq, State.PENDING, resource_id=name) for seq, name in enumerate(names, 1)])
        assert [item.target for item in await journal.pending(0, 10)] == names
        attempt = await journal.begin(begin([2]))
        await journal.finish(attempt, 3000, [Outcome(2, State.DONE)], answered=True)
        attempt = await journal.begin(begin([3]))
        await journal.finish(attempt, 3000, [Outcome(3, State.DONE, resource_id="inv_x")], answered=True)
        found = await journal.read(lambda db: db.execute("SELECT resource FROM item ORDER BY seq").fetchall())
        assert [unpacked(kept) for (kept,) in found] == [*names[:2], "inv_x"]

    on(tmp_path / "run.db", scenario)


def test_whoever_is_not_pending_cannot_be_begun(tmp_path: Path) -> None:
    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(1), row(2)])
        await journal.begin(begin([1]))
        with pytest.raises(AssertionError, match="not pending"):
            await journal.begin(begin([1, 2]))
        assert [item.seq for item in await journal.pending(0, 10)] == [2]

    on(tmp_path / "run.db", scenario)


def test_what_was_not_sent_is_withdrawn_without_a_trace(tmp_path: Path) -> None:
    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(1)])
        await journal.withdraw(await journal.begin(begin([1])), [1])
        assert [item.seq for item in await journal.pending(0, 10)] == [1]
        assert await journal.read(lambda db: db.execute("SELECT count(*) FROM attempt").fetchone()[0]) == 0

    on(tmp_path / "run.db", scenario)


def test_after_a_crash_every_open_intent_is_a_doubt_of_its_first_send(tmp_path: Path) -> None:
    path = tmp_path / "run.db"

    async def first(journal: Journal) -> None:
        await journal.ingest([row(1), row(2), row(3)])
        await journal.begin(begin([1, 2], 1000))

    async def second(journal: Journal) -> None:
        assert await journal.recover() == 2
        assert await journal.recover() == 0
        (doubt,) = await journal.doubts()
        assert doubt.ended_ms is None
        assert [(item.seq, item.doubts, item.since_ms) for item in doubt.items] == [(1, 0, 1005), (2, 0, 1005)]
        await journal.settle([Outcome(1, State.PENDING, alone=True), Outcome(2, State.DONE, "reconciled")])
        await journal.begin(begin([1], 9000))

    async def third(journal: Journal) -> None:
        await journal.recover()
        (doubt,) = await journal.doubts()
        assert [(item.seq, item.doubts, item.since_ms) for item in doubt.items] == [(1, 0, 1005)]

    on(path, first)
    on(path, second)
    on(path, third)


def test_unresolved_items_by_the_users_word(tmp_path: Path) -> None:
    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(1), row(2)])
        await journal.settle([Outcome(1, State.UNRESOLVED, "unresolved", "?")])
        assert await journal.answer_unresolved(State.PENDING) == 1
        assert [(item.seq, item.alone) for item in await journal.pending(0, 5)] == [(1, True), (2, False)]

    on(tmp_path / "run.db", scenario)


def test_keys_are_found_in_any_number(tmp_path: Path) -> None:
    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(seq) for seq in range(1, 1301)])
        await journal.settle([Outcome(5, State.SKIPPED, "x", "y")])
        found = await journal.seqs_of([f"k{seq}".encode() for seq in range(1400)])
        assert set(found.values()) == set(range(1, 1301)) - {5}

    on(tmp_path / "run.db", scenario)


# ------------------------------------------------------------------ a changed input


async def changed(journal: Journal, rows: Sequence[SourceRow], *, stop_after: int | None = None) -> None:
    """Match a changed input, or break off after so many steps."""
    steps: list[Callable[[], Awaitable[Any]]] = [
        journal.prepare_changes,
        *(lambda one=one: journal.match_changed([one]) for one in rows),
        journal.finish_changes,
    ]
    for step in steps[:stop_after]:
        await step()


BEFORE = {
    "done": State.DONE,
    "failed": State.FAILED,
    "mended": State.FAILED,
    "doubt": State.DOUBT,
    "gone_doubt": State.DOUBT,
    "gone": State.PENDING,
    "gone_done": State.DONE,
    "open": State.PENDING,
}


async def seeded(journal: Journal) -> None:
    """A run in its middle: an item of each state, a fault and two rows that contradict each other."""
    await journal.ingest([row(seq, key) for seq, key in enumerate(BEFORE, 1)])
    await journal.ingest([row(20, code="invalid_email"), row(21, "c", "x"), row(22, "c", "y")])
    await journal.seal()
    for seq, state in enumerate(BEFORE.values(), 1):
        if state is not State.PENDING:
            attempt = await journal.begin(begin([seq]))
            await journal.finish(attempt, 2000, [Outcome(seq, state, "code", "said")], answered=True)


CHANGED = [row(1, "new"), row(2, "doubt"), row(3, "mended", "other"), row(4, "open", "other"), row(5, "done", "other")]
CHANGED += [row(6, "failed"), row(7, "c", "y"), row(8, "new"), row(9, code="ragged_row")]
AFTER = {
    1: (State.PENDING, ""),
    2: (State.DOUBT, "code"),
    3: (State.PENDING, ""),
    4: (State.PENDING, ""),
    5: (State.DONE, "code"),
    6: (State.FAILED, "code"),
    7: (State.PENDING, ""),
    8: (State.SKIPPED, "duplicate_row"),
    9: (State.FAILED, "ragged_row"),
}


@pytest.mark.parametrize("stop_after", range(len(CHANGED) + 3))
def test_a_changed_input_is_matched_by_key_also_after_a_crash_in_the_middle(tmp_path: Path, stop_after: int) -> None:
    path = tmp_path / "run.db"
    on(path, seeded)
    on(path, lambda journal: changed(journal, CHANGED, stop_after=stop_after))
    on(path, lambda journal: changed(journal, CHANGED))
    found = items(path)
    assert {seq: found.pop(seq) for seq in AFTER} == AFTER
    assert sorted(found.values()) == [
        (State.DONE, "code"),
        (State.SKIPPED, "row_removed"),
        (State.UNRESOLVED, "row_removed_in_doubt"),
    ]
    assert min(found) > max(AFTER)


def test_rows_that_come_back_are_taken_up_again(tmp_path: Path) -> None:
    """A change that was declined, or undone: nobody is left out for it."""
    path = tmp_path / "run.db"
    on(path, seeded)
    first = [row(seq, key) for seq, key in enumerate(BEFORE, 1)]
    on(path, lambda journal: changed(journal, CHANGED))
    on(path, lambda journal: changed(journal, first))
    found = items(path)
    kept = {key: found[seq][0] for seq, key in enumerate(BEFORE, 1)}
    assert kept == {**BEFORE, "mended": State.PENDING}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    inputs=st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8), min_size=1, max_size=4),
    done=st.sets(st.sampled_from("abcdefgh")),
)
def test_however_the_input_changes_nobody_is_lost_and_nobody_done_is_pending(
    tmp_path_factory: pytest.TempPathFactory, inputs: list[list[str]], done: set[str]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "run.db"

    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(seq, key) for seq, key in enumerate(inputs[0], 1)])
        for seq, key in enumerate(inputs[0], 1):
            if key in done:
                await journal.settle([Outcome(seq, State.DONE)])
        for keys in inputs[1:]:
            await changed(journal, [row(seq, key) for seq, key in enumerate(keys, 1)])

    on(path, scenario)
    found = items(path)
    for seq, key in enumerate(inputs[-1], 1):
        assert found[seq][0] is (State.DONE if key in done and key in inputs[0] else State.PENDING)
    pending = [state for state, _ in found.values() if state is State.PENDING]
    assert len(pending) == len(set(inputs[-1]) - (done & set(inputs[0])))


# ------------------------------------------------------------------ earlier runs


def test_what_an_earlier_run_did_is_skipped_and_what_it_left_open_stays_open(tmp_path: Path) -> None:
    first, between, second, third = (tmp_path / name for name in ("1.db", "between.db", "2.db", "3.db"))

    async def one(journal: Journal) -> None:
        await journal.ingest([row(1, "a"), row(2, "b"), row(3, "c"), row(4, "d"), row(5, "e")])
        await journal.settle([Outcome(1, State.DONE), Outcome(2, State.DONE), Outcome(3, State.FAILED)])
        await journal.settle([Outcome(4, State.UNRESOLVED), Outcome(5, State.UNRESOLVED)])

    async def left(journal: Journal) -> None:
        """One that nobody knows of, which the user left at that; another that was skipped for what it is."""
        await journal.ingest([row(1, "f"), row(2, "g")])
        await journal.settle(
            [Outcome(1, State.SKIPPED, "unresolved", "why"), Outcome(2, State.SKIPPED, "protected", "")]
        )

    async def two(journal: Journal) -> None:
        await journal.ingest([row(1, "d")])
        await journal.settle([Outcome(1, State.DONE)])

    async def three(journal: Journal) -> None:
        await journal.ingest([row(seq, key, "new" if key == "b" else "d") for seq, key in enumerate("abcdefg", 1)])
        await journal.seal()
        assert await journal.skip_done_in(first) == 1
        assert await journal.skip_done_in(between) == 1
        assert await journal.skip_done_in(second) == 1

    on(first, one)
    on(between, left)
    on(second, two)
    on(third, three)
    assert items(third) == {
        1: (State.SKIPPED, "done_in_earlier_run"),
        2: (State.PENDING, ""),
        3: (State.PENDING, ""),
        4: (State.SKIPPED, "done_in_earlier_run"),
        5: (State.UNRESOLVED, "unresolved_in_earlier_run"),
        6: (State.SKIPPED, "left_in_earlier_run"),
        7: (State.PENDING, ""),
    }


# ------------------------------------------------------------------ damage


def filled(path: Path, rows: int = 3000) -> None:
    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(seq) for seq in range(1, rows + 1)])

    on(path, scenario)


def refused(path: Path) -> RunnerError:
    with pytest.raises(RunnerError) as error:
        on(path, lambda journal: journal.counts())
    assert str(path) in str(error.value)
    return error.value


def test_an_intact_journal_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "a #100%? b.db"
    filled(path)
    assert on(path, lambda journal: journal.counts())[State.PENDING] == 3000


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_journal_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "run.db"
    filled(path)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    error = refused(path)
    assert error.exit is Exit.STOPPED
    assert error.code == "journal_damaged"


@pytest.mark.parametrize("place", [0, 20, 100, 4096 + 7])
def test_a_journal_with_foreign_bytes_is_named(tmp_path: Path, place: int) -> None:
    path = tmp_path / "run.db"
    filled(path)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 200)
    assert refused(path).code == "journal_damaged"


def test_no_journal_at_all_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    path.write_text("name: beta\n" * 500)
    assert refused(path).code == "journal_damaged"


def test_another_programs_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs(x)")
    before = path.read_bytes()
    assert refused(path).code == "journal_damaged"
    assert path.read_bytes() == before


def test_a_journal_that_lost_its_side_file_still_knows_what_was_to_be_sent(tmp_path: Path) -> None:
    """Else it would pass for a new one, and everybody would be sent to again."""
    path, copy = tmp_path / "run.db", tmp_path / "copy.db"

    async def scenario(journal: Journal) -> None:
        await journal.ingest([row(1)])
        await journal.put(state="running")
        await journal.checkpoint()
        await journal.begin(begin([1]))
        shutil.copy(path, copy)

    on(path, scenario)
    assert on(copy, lambda journal: journal.get("state")) == "running"
    assert on(copy, lambda journal: journal.counts()).total() == 1


@pytest.mark.parametrize(
    ("version", "code"), [(JOURNAL_VERSION + 1, "journal_newer"), (4, "journal_older"), (1, "journal_older")]
)
def test_a_newer_version_is_refused(tmp_path: Path, version: int, code: str) -> None:
    path = tmp_path / "run.db"
    filled(path, 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={version}")
    error = refused(path)
    assert error.exit is Exit.USAGE
    assert error.code == code


def test_a_planted_link_is_not_read(tmp_path: Path) -> None:
    filled(tmp_path / "real.db", 1)
    (tmp_path / "run.db").symlink_to(tmp_path / "real.db")
    assert refused(tmp_path / "run.db").code == "journal_damaged"
    with pytest.raises(StoppedError):
        open_reader(tmp_path / "run.db")


def test_a_crash_while_the_tables_are_made_leaves_a_new_journal_or_a_named_one(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    path.touch()
    assert on(path, lambda journal: journal.counts()).total() == 0


def test_a_journal_that_was_being_made_when_its_process_was_killed_is_blank(tmp_path: Path) -> None:
    """The page that turns the file into one with a log was half written: a rollback journal lies beside it."""
    made = tmp_path / "made.db"
    writing = sqlite3.connect(made, isolation_level=None)
    writing.execute("PRAGMA synchronous = FULL")
    writing.execute("BEGIN EXCLUSIVE")
    writing.execute("CREATE TABLE half (x)")
    writing.execute("PRAGMA cache_size = 1")
    writing.execute("INSERT INTO half VALUES (zeroblob(100000))")
    for suffix in ("", "-journal"):
        shutil.copy(f"{made}{suffix}", f"{tmp_path / 'run.db'}{suffix}")
    writing.execute("ROLLBACK")
    writing.close()
    path = tmp_path / "run.db"
    assert path.stat().st_size > 0
    assert is_blank(path)
    open_writer(path, durable=False).close()
    assert not is_blank(path)
    open_reader(path).close()
