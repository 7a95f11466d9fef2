"""Rows 39 to 43 of the fault matrix: journals and spools that are damaged, lost, old, newer, or of another input."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerk_jobs.call import Draft, Outcome, State
from clerk_runner.errors import RunnerError
from clerk_runner.folders import RunFolder
from clerk_runner.journal import Journal, SourceRow
from clerk_runner.records import Intent
from clerk_runner.schema import JOURNAL_VERSION
from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.struck import check_results, run_struck

SPEED = "60"
PEOPLE = 12
PAGE_BYTES = 4096
INVITE = 'name: x\nkind: invite\nsource: people.csv\nemail: "{email}"\nlanes: single\n'
EXPORT = "name: everybody\nkind: export\nlist: users\noutput: users.jsonl\npage_size: 50\nlimits: {share: 1.0}\n"
RUN = ("run", "job.yaml", "--yes", "--json")

Open: TypeAlias = tuple[tuple[int, int], ...]
"""Places and states of the items that can still be sent to."""


# ------------------------------------------------------------------ a journal, byte by byte


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has sent some of its rows: done, failed, skipped, in doubt, and pending ones."""
    folder = tmp_path_factory.mktemp("run")
    journal = folder / "run.db"

    async def fill() -> None:
        made = Journal(journal, durable=False)
        rows = [
            SourceRow(seq, seq + 1, seq * 30, Draft(key=os.urandom(16), digest=os.urandom(16))) for seq in range(1, 301)
        ]
        await made.ingest(rows)
        await made.seal()
        await made.put(state="running", starts=1)
        await made.settle([Outcome(seq, State.SKIPPED, "exists", "is a user") for seq in range(1, 50)])
        for seq in range(50, 150):
            attempt = await made.begin(Intent("POST", "/invitations", (seq,), 1_000_000 + seq, 1_000_000 + seq))
            if seq < 147:
                await made.finish(
                    attempt, 2_000_000, [Outcome(seq, State.DONE, resource_id=f"inv_{seq}")], answered=True
                )
        made.close()

    asyncio.run(fill())
    return folder


def read(journal: Path) -> Open:
    """What a resumed run would take for not yet sent."""

    async def scenario() -> Open:
        opened = Journal(journal, durable=True)
        try:
            await opened.get("state")
            await opened.counts()
            doubts = await opened.doubts()
            pending = await opened.pending(0, 1000)
            found = [(item.seq, 0) for item in pending]
            return tuple(found + [(item.seq, 1) for doubt in doubts for item in doubt.items])
        finally:
            opened.close()

    RunFolder(journal.parent).state()
    return asyncio.run(scenario())


def damaged_copy(run_folder: Path, folder: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray((run_folder / "run.db").read_bytes())
    change(data)
    copy = folder / "run.db"
    for old in folder.glob("run.db*"):
        old.unlink()
    copy.write_bytes(bytes(data))
    return copy


def believed(run_folder: Path, copy: Path) -> bool:
    """Whether a copy opens; then it says of every item that can be sent to what the whole one says."""
    try:
        found = read(copy)
    except RunnerError:
        return False
    except sqlite3.DatabaseError:
        # Told as a fault of the disk, exit 4.
        return False
    assert found == read(run_folder / "run.db")
    return True


REPEATED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@REPEATED
@given(place=st.integers(0, 1_000_000), bit=st.integers(0, 7))
def test_row_39_a_bit_that_flips_is_named_or_changes_nothing_that_is_sent(
    run_folder: Path, tmp_path: Path, place: int, bit: int
) -> None:
    def flip(data: bytearray) -> None:
        data[place % len(data)] ^= 1 << bit

    believed(run_folder, damaged_copy(run_folder, tmp_path, flip))


@REPEATED
@given(missing=st.integers(1, 1_000_000))
def test_row_39_a_journal_that_was_cut_off_is_never_believed(run_folder: Path, tmp_path: Path, missing: int) -> None:
    """Less than its last page is made up by SQLite with zeros: that opens only where it says the same."""
    (tmp_path / "run.mark").write_text('{"starts":1,"attempts":1}')
    lost = 1 + (missing - 1) % (run_folder / "run.db").stat().st_size

    def cut(data: bytearray) -> None:
        del data[len(data) - lost :]

    assert not believed(run_folder, damaged_copy(run_folder, tmp_path, cut)) or lost < PAGE_BYTES


def test_row_39_a_row_that_says_pending_and_was_done_is_found_out(run_folder: Path, tmp_path: Path) -> None:
    """The flip that would send an e-mail twice, wherever the byte is."""

    def forget(data: bytearray) -> None:
        del data[:]

    copy = damaged_copy(run_folder, tmp_path, forget)
    shutil.copy(run_folder / "run.db", copy)
    with closing(sqlite3.connect(copy)) as db:
        sql = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'item_open'").fetchone()[0]
        db.executescript("DROP INDEX item_open; UPDATE item SET state = 0 WHERE seq = 60")
        # The index as it was: without the row.
        db.executescript(sql.replace("state < 3", "state < 3 AND seq != 60"))
        db.executescript("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'item_open'", (sql,))
        db.commit()
    assert not believed(run_folder, copy)


# ------------------------------------------------------------------ whole commands


@pytest.fixture
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk("--key=sk_live_x", f"--speed={SPEED}", "--users=400", "--duplicate-lag=600s") as started:
        yield started


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED}
    workplace = Workplace(tmp_path / "place", given)
    workplace.write("job.yaml", INVITE)
    write_people(workplace.folder / "people.csv", (f"person{number}@example.com" for number in range(PEOPLE)))
    return workplace


def invited(clerk: SimulatedClerk) -> dict[str, int]:
    return {address: len(times) for address, times in clerk.effects("CreateInvitation").items()}


def refused(workplace: Workplace, clerk: SimulatedClerk, exit_code: int, code: str) -> Ended:
    """The command is refused, and nothing is sent."""
    before = clerk.report()["requests"].get("POST /invitations")
    ended = workplace.run(*RUN)
    assert (ended.code, ended.json["error"]["code"]) == (exit_code, code), (ended.out, ended.err)
    assert ended.json["error"]["hint"]
    assert "Traceback" not in ended.err
    assert clerk.report()["requests"].get("POST /invitations") == before
    return ended


def interrupted(workplace: Workplace) -> Path:
    """A run that was interrupted when it had sent some of its calls; its journal."""
    assert run_struck(workplace, "after-finish", *RUN, signals="TERM", hit=3).code == 143
    return workplace.only_run() / "run.db"


def test_row_39_damaged_journals_are_refused_and_fresh_looks_everybody_up(
    place: Workplace, clerk: SimulatedClerk
) -> None:
    journal = interrupted(place)
    whole = journal.read_bytes()
    for damage in (b"", whole[:5000], b"\0" * 100 + whole[100:], b"name: x\n" * 2000):
        journal.write_bytes(damage)
        refused(place, clerk, 4, "journal_damaged")
    journal.unlink()
    refused(place, clerk, 4, "journal_damaged")
    facts = journal.with_name("run.json")
    told = facts.read_bytes()
    facts.write_bytes(told[: len(told) // 2])
    refused(place, clerk, 2, "run_unreadable")
    facts.write_bytes(told)
    assert place.run(*RUN, "--fresh").code == 0
    assert invited(clerk) == {f"person{number}@example.com": 1 for number in range(PEOPLE)}


def test_row_40_an_older_copy_of_a_journal_is_refused(place: Workplace, clerk: SimulatedClerk) -> None:
    journal = interrupted(place)
    # As a backup makes it while nothing runs: one file, and nothing beside it.
    backup = place.folder / "backup.db"
    with closing(sqlite3.connect(journal)) as db, closing(sqlite3.connect(backup)) as to:
        db.backup(to)
    run_struck(place, "after-finish", *RUN, signals="TERM", hit=3)
    newest = journal.read_bytes()
    for suffix in ("-wal", "-shm"):
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)
    shutil.copy(backup, journal)
    older = refused(place, clerk, 4, "journal_older")
    assert "older copy" in older.json["error"]["message"]
    journal.write_bytes(newest)
    assert place.run(*RUN).code == 0
    assert invited(clerk) == {f"person{number}@example.com": 1 for number in range(PEOPLE)}


def test_row_41_a_newer_journal_is_refused_and_left_alone(place: Workplace, clerk: SimulatedClerk) -> None:
    journal = interrupted(place)
    with closing(sqlite3.connect(journal)) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {JOURNAL_VERSION + 1}")
    newer = journal.read_bytes()
    refused(place, clerk, 2, "journal_newer")
    listed = place.run("runs", "show", "last", "--json")
    assert listed.code == 2
    assert journal.read_bytes() == newer
    with closing(sqlite3.connect(journal)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    assert place.run(*RUN).code == 0


def test_row_42_rows_in_another_order_are_matched_by_their_key(place: Workplace, clerk: SimulatedClerk) -> None:
    interrupted(place)
    write_people(place.folder / "people.csv", (f"person{number}@example.com" for number in reversed(range(PEOPLE))))
    refused(place, clerk, 2, "run_differs")
    # Other values too: the cohort goes by the place in the file.
    ended = place.run(*RUN, "--accept-changes")
    assert ended.code == 0, ended.err
    assert check_results(ended, PEOPLE)["done"] == PEOPLE
    assert invited(clerk) == {f"person{number}@example.com": 1 for number in range(PEOPLE)}


def test_row_43_a_spool_that_lost_bytes_is_refused_and_one_with_more_is_cut(
    place: Workplace, clerk: SimulatedClerk
) -> None:
    place.write("job.yaml", EXPORT)
    run_struck(place, "before-output", *RUN)
    spool = place.only_run() / "spool"
    whole = spool.read_bytes()
    spool.write_bytes(whole[:-100])
    short = place.run(*RUN)
    assert (short.code, short.json["error"]["code"]) == (4, "spool_short"), short.out
    assert not (place.folder / "users.jsonl").exists()
    spool.write_bytes(whole + b'{"id":"user_of_nobody"}\n' * 50)
    ended = place.run(*RUN)
    assert ended.code == 0, ended.out
    ids = [json.loads(line)["id"] for line in (place.folder / "users.jsonl").read_bytes().splitlines()]
    assert len(ids) == len(set(ids)) == ended.json["proof"]["rows"] == 400
    assert "user_of_nobody" not in ids


def test_row_43_a_spool_that_ends_with_somebody_elses_page_is_refused(place: Workplace, clerk: SimulatedClerk) -> None:
    place.write("job.yaml", EXPORT)
    run_struck(place, "before-output", *RUN)
    spool = place.only_run() / "spool"
    whole = spool.read_bytes()
    last = json.loads(whole.splitlines()[-1])["id"].encode()
    spool.write_bytes(whole.replace(last, last[:-4] + b"xxxx"))
    refused = place.run(*RUN)
    assert (refused.code, refused.json["error"]["code"]) == (4, "spool_foreign"), refused.out
    assert not (place.folder / "users.jsonl").exists()
    spool.write_bytes(whole)
    assert place.run(*RUN).code == 0


def test_row_43_a_tail_that_is_damaged_costs_the_pages_that_it_told_of(place: Workplace, clerk: SimulatedClerk) -> None:
    place.write("job.yaml", EXPORT)
    run_struck(place, "before-positions", *RUN)
    tail = place.only_run() / "spool.tail"
    lines = tail.read_bytes().splitlines(keepends=True)
    killed = place.folder / "killed"
    shutil.copytree(place.state, killed)
    damages = {b"".join([*lines[:2], b"[1, 2\n", *lines[2:]]), b"".join(lines[1:]), b"\xff" * 3000}
    for damage in (b"".join(lines), *sorted(damages)):
        shutil.rmtree(place.state)
        shutil.copytree(killed, place.state)
        tail.write_bytes(damage)
        (place.folder / "users.jsonl").unlink(missing_ok=True)
        ended = place.run(*RUN)
        assert ended.code == 0, ended.out
        ids = [json.loads(line)["id"] for line in (place.folder / "users.jsonl").read_bytes().splitlines()]
        assert len(ids) == len(set(ids)) == ended.json["proof"]["rows"] == 400
