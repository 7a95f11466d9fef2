"""What was there before: kept once where many share it, given back exactly, and small."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import orjson
import pytest

from clerk_jobs.call import Draft, Outcome, State
from clerk_jobs.metadata.screen import Image
from clerk_jobs.metadata.trees import digest_of
from clerk_runner.folding import fold_subjects
from clerk_runner.images import MOST_SHARED, before_of, changes_of, keep_images, mark_written, prepare_images
from clerk_runner.journal import Journal
from clerk_runner.records import Intent, SourceRow
from clerk_runner.spans import Span

ROWS = 5_000
ROW_BYTES = 115
"""Bar of a written row whose old values few others lack. With text ids and an image of each it was 141."""
LEAST_BYTES = 50
"""What no change of the format can get under: the digests, the id and the row's place."""
STEP = 100

Written = Callable[[Journal], Awaitable[None]]


def user(number: int) -> str:
    """An id as Clerk makes them; one in 50 is of another kind."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return f"imported-{number}" if number % 50 == 49 else f"user_{digest[:27]}"


def image(number: int, plan: str) -> Image:
    changes = [["public_metadata", ["plan"], [plan], ["pro"]], ["public_metadata", ["seats"], [], [3]]]
    return Image(user(number), digest_of({"public_metadata": {"plan": plan}}), orjson.dumps(changes))


async def backfill(journal: Journal, images: Sequence[Image], *, undo: bool = True) -> None:
    """What a run of kind metadata does to its journal: rows, images, and a write for each."""
    span, seqs = journal.span, range(1, len(images) + 1)
    drafts = [Draft(hashlib.blake2b(one.subject.encode(), digest_size=16).digest(), one.digest) for one in images]
    await journal.ingest([SourceRow(seq, seq + 1, 14 + 39 * seq, drafts[seq - 1]) for seq in seqs])
    await journal.read(lambda db: fold_subjects(db, span))
    await journal.read(lambda db: prepare_images(db, span))
    for start in range(1, len(images) + 1, STEP):
        own = {seq: images[seq - 1] for seq in seqs[start - 1 : start - 1 + STEP]}
        await journal.settle([Outcome(seq, State.PENDING, resource_id=one.subject) for seq, one in own.items()])
        await journal.read(lambda db, own=own: keep_images(db, span, own, undo=undo))  # type: ignore[misc]
    await asyncio.gather(*(write(journal, seq) for seq in seqs))
    await journal.shrink()


async def write(journal: Journal, seq: int) -> None:
    """One write, from its intent to its answer."""
    now_ms = 1_795_573_969_000 + seq
    attempt = await journal.begin(Intent("PATCH", "/users/{user_id}/metadata", (seq,), now_ms, now_ms))
    await journal.finish(attempt, now_ms + 50, [Outcome(seq, State.DONE)], answered=True)


def on(path: Path, *scenarios: Written) -> None:
    async def whole() -> None:
        for scenario in scenarios:
            journal = Journal(path, durable=False)
            try:
                await scenario(journal)
            finally:
                journal.close()

    asyncio.run(whole())


def kept(path: Path) -> dict[str, bytes | None]:
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
        found = [*changes_of(db, Span())]
    db.close()
    assert len(found) == len({subject for subject, _ in found})
    return dict(found)


def bytes_of_a_row(folder: Path, rows: int) -> float:
    return sum(one.stat().st_size for one in folder.iterdir()) / rows


def test_a_written_row_is_small(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    images = [image(number, ("free", "team", "pro trial")[number % 3]) for number in range(ROWS)]
    on(path, lambda journal: backfill(journal, images))
    assert LEAST_BYTES < bytes_of_a_row(tmp_path, ROWS) < ROW_BYTES
    assert kept(path) == {one.subject: one.changes for one in images}


def test_old_values_of_which_each_is_another_come_back_and_cost_little_more(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    images = [image(number, f"plan {number}") for number in range(MOST_SHARED + 500)]
    on(path, lambda journal: backfill(journal, images))
    with sqlite3.connect(path) as db:
        shared = db.execute("SELECT count(*) FROM same").fetchone()[0]
        own = db.execute("SELECT count(*) FROM image WHERE typeof(was) = 'blob'").fetchone()[0]
        subjects = {number: user(number - 1) for number in range(1, len(images) + 1)}
        assert before_of(db, Span(), subjects) == {one.subject: one.digest for one in images}
    db.close()
    assert (shared, own) == (MOST_SHARED, 500)
    assert kept(path) == {one.subject: one.changes for one in images}


def test_without_undo_the_digests_alone_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    images = [image(number, "free") for number in range(60)]
    on(path, lambda journal: backfill(journal, images, undo=False))
    assert kept(path) == dict.fromkeys((one.subject for one in images), None)
    with sqlite3.connect(path) as db:
        assert before_of(db, Span(), {1: user(0)}) == {user(0): images[0].digest}
    db.close()


def test_what_was_written_before_the_input_was_taken_in_anew_is_joined_with_what_came_after(tmp_path: Path) -> None:
    """Of ids of both kinds: the two lists have one order, or a subject would come twice."""
    path = tmp_path / "run.db"
    first = [image(number, "free") for number in range(120)]
    then = [
        Image(user(number), b"eight by", orjson.dumps([["public_metadata", ["plan"], ["pro"], ["max"]]]))
        for number in range(60, 180)
    ]

    async def anew(journal: Journal) -> None:
        await journal.read(lambda db: mark_written(db, journal.span))
        await journal.clear_items()
        await backfill(journal, then)
        found = await journal.read(lambda db: before_of(db, journal.span, {1000: user(0), 1001: user(49)}))
        assert found == {user(0): first[0].digest, user(49): first[49].digest}

    on(path, lambda journal: backfill(journal, first), anew)
    both = orjson.dumps([["public_metadata", ["plan"], ["free"], ["max"]], ["public_metadata", ["seats"], [], [3]]])
    wanted = {one.subject: one.changes for one in then} | {one.subject: one.changes for one in first}
    assert kept(path) == wanted | {user(number): both for number in range(60, 120)}


def test_a_journal_that_cannot_be_made_smaller_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.db"

    async def refused(journal: Journal) -> None:
        def full(_: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(journal._writer, "give_back", lambda: journal._writer.outside(full))
        await backfill(journal, [image(number, "free") for number in range(300)])

    on(path, refused)
    assert len(kept(path)) == 300
