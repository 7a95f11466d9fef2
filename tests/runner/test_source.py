"""The input on its way into the journal and back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from clerk_jobs.invite import Drafting
from clerk_jobs.jobfile import InviteJob, load_job
from clerk_jobs.rows import RowSource, open_rows
from clerk_runner.errors import Exit, StoppedError
from clerk_runner.journal import OpenItem, SourceRow
from clerk_runner.source import CHUNK, SourcePayloads, ingest


def opened(folder: Path, text: str) -> tuple[RowSource, Drafting]:
    (folder / "job.yaml").write_text('name: s\nkind: invite\nsource: p.csv\nemail: "{email}"\n')
    (folder / "p.csv").write_text(text)
    job = load_job(folder / "job.yaml")
    assert isinstance(job, InviteJob)
    return open_rows(job.source, folder), Drafting(job)


def taken(source: RowSource, drafting: Drafting) -> list[SourceRow]:
    found: list[SourceRow] = []

    async def take(rows: Sequence[SourceRow]) -> None:
        assert len(rows) <= CHUNK
        # While this one is slow, the next must not overtake it.
        await asyncio.sleep(0)
        found.extend(rows)

    assert asyncio.run(ingest(source, drafting, take)) == len(found)
    return found


def open_item(row: SourceRow) -> OpenItem:
    assert row.draft is not None
    return OpenItem(row.seq, row.line, row.offset, row.draft.digest, row.draft.group, False, 0, None, None)


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_every_row_comes_once_and_in_order(tmp_path: Path, count: int) -> None:
    source, drafting = opened(tmp_path, "email\n" + "".join(f"p{number}@example.com\n" for number in range(count)))
    rows = taken(source, drafting)
    assert [row.seq for row in rows] == list(range(1, count + 1))
    assert all(row.draft is not None for row in rows)


def test_a_faulty_row_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    source, drafting = opened(tmp_path, "email,x\na@example.com,1\nnobody,2\nragged\nb@example.com,3\n")
    assert [row.code for row in taken(source, drafting)] == ["", "invalid_email", "ragged_row", ""]


def test_a_row_that_cannot_be_taken_ends_it_with_its_own_error(tmp_path: Path) -> None:
    source, drafting = opened(tmp_path, "email\n" + "a@example.com\n" * (3 * CHUNK))

    async def take(_: Sequence[SourceRow]) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        asyncio.run(ingest(source, drafting, take))


def test_payloads_are_read_back_in_any_order(tmp_path: Path) -> None:
    source, drafting = opened(tmp_path, "email\n" + "".join(f"p{number}@example.com\n" for number in range(50)))
    rows = taken(source, drafting)
    with source:
        items = SourcePayloads(source, drafting).items([open_item(row) for row in reversed(rows)])
    assert [item.payload["email_address"] for item in items] == [
        f"p{number}@example.com" for number in range(49, -1, -1)
    ]


@pytest.mark.parametrize("change", ["email\nc@example.com\nb@example.com\n", "email\n", "email\nno,no\n"])
def test_whoever_was_announced_is_who_is_sent_to(tmp_path: Path, change: str) -> None:
    source, drafting = opened(tmp_path, "email\na@example.com\nb@example.com\n")
    first = taken(source, drafting)[0]
    changed, drafting = opened(tmp_path, change)
    for one in (source, changed):
        with one, pytest.raises(StoppedError, match="line 2") as error:
            SourcePayloads(one, drafting).items([open_item(first)])
        assert error.value.exit is Exit.STOPPED
        assert error.value.code == "input_changed"
        assert "@" not in error.value.message
