"""Every format, read back by a reader that is not ours, from the hardest rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from clerk_jobs.export.columns import Column, default_columns
from clerk_jobs.export.form import Form, Format
from clerk_jobs.export.lists import find_list
from clerk_runner.errors import UsageError
from clerk_runner.exporting.sinks import Packed, choosing, open_sink
from clerk_runner.exporting.sinks.columnar import GROUP

COLUMNS = (
    Column("id", "id", "text"),
    Column("email", "primary_email", "text"),
    Column("phone", "phone", "text"),
    Column("plan", "public_metadata.plan", "any"),
    Column("seats", "seats", "integer"),
    Column("rate", "rate", "number"),
    Column("banned", "banned", "boolean"),
    Column("since", "created_at", "time"),
    Column("public_metadata", "public_metadata", "json"),
)
ROWS = [
    (
        b'{"id":"user_1","email_addresses":[{"id":"e1","email_address":"a@x.io"},{"id":"e2","email_address":"b@x.io"}],'
        b'"primary_email_address_id":"e2","phone":"+15551234567","public_metadata":{"plan":"=1+1","n":1.0e2},'
        b'"seats":5,"rate":1e3,"banned":true,"created_at":1700000000123}'
    ),
    b'{"id":"user_2","phone":"-x","public_metadata":{},"seats":"many","rate":2,"banned":null,"created_at":5,"new":[1]}',
    b'{"id":"user_3","public_metadata":{"plan":{"a":[1]}},"seats":99999999999999999999,"rate":-0.5,"banned":false}',
    '{"id":"user_4","phone":"Zoë\\n\\"quoted\\", comma","public_metadata":{"plan":7}}'.encode(),
]


def written(path: Path, form: Form, rows: list[bytes], piece: int) -> bytes:
    """Write rows in pieces of so many bytes."""
    handle = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    data = b"".join(row + b"\n" for row in rows)
    try:
        sink = open_sink(form, Packed(handle, form.packing), path)
        for start in range(0, len(data), piece):
            sink.take(data[start : start + piece])
        sink.finish()
    finally:
        os.close(handle)
    return path.read_bytes()


def in_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_csv_is_what_the_rows_say_and_no_formula(tmp_path: Path) -> None:
    first, second, third, fourth = in_csv(written(tmp_path / "a", Form("csv", columns=COLUMNS), ROWS, 50))
    assert first == {
        "id": "user_1",
        "email": "b@x.io",
        "phone": "+15551234567",
        "plan": "'=1+1",
        "seats": "5",
        "rate": "1e3",
        "banned": "true",
        "since": "2023-11-14T22:13:20.123Z",
        "public_metadata": '{"plan":"=1+1","n":1.0e2}',
    }
    assert (second["phone"], second["seats"], second["banned"], second["email"]) == ("'-x", "many", "", "")
    assert (third["plan"], third["seats"], third["rate"]) == ('{"a":[1]}', "99999999999999999999", "-0.5")
    assert (fourth["phone"], fourth["plan"], fourth["since"]) == ('Zoë\n"quoted", comma', "7", "")


def test_formulas_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    form = Form("csv", columns=COLUMNS, formulas="keep")
    assert in_csv(written(tmp_path / "a", form, ROWS[:1], 1000))[0]["plan"] == "=1+1"


def test_sqlite_is_typed_and_indexed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    written(path, Form("sqlite", columns=COLUMNS, table='us"ers'), ROWS, 64)
    db = sqlite3.connect(path)
    try:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute('SELECT * FROM "us""ers" ORDER BY rowid')]
        indexed = [row["name"] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'index'")]
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    finally:
        db.close()
    assert [row["seats"] for row in rows] == [5, "many", 1e20, None]
    assert [row["rate"] for row in rows] == [1000.0, 2.0, -0.5, None]
    assert [row["banned"] for row in rows] == [1, None, 0, None]
    assert [row["plan"] for row in rows] == ["=1+1", None, '{"a":[1]}', 7]
    assert (rows[0]["since"], rows[0]["email"]) == ("2023-11-14T22:13:20.123Z", "b@x.io")
    assert len(indexed) == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_parquet_is_typed_and_says_what_did_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    sink = open_sink(Form("parquet", columns=COLUMNS), Packed(handle, None), path)
    sink.take(b"".join(row + b"\n" for row in ROWS))
    sink.finish()
    os.close(handle)
    table = parquet.read_table(path)
    rows = table.to_pylist()
    assert [row["seats"] for row in rows] == [5, None, None, None]
    assert sink.unfit == 2
    assert [row["rate"] for row in rows] == [1000.0, 2.0, -0.5, None]
    assert [row["plan"] for row in rows] == ["=1+1", None, '{"a":[1]}', "7"]
    assert rows[0]["since"].isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert [str(table.schema.field(name).type) for name in ("id", "seats", "rate", "banned")] == [
        "string",
        "int64",
        "double",
        "bool",
    ]


def test_parquet_of_more_than_a_group_has_every_row(tmp_path: Path) -> None:
    rows = [b'{"id":"u%d"}' % number for number in range(GROUP + 5)]
    written(tmp_path / "a", Form("parquet", columns=COLUMNS[:1]), rows, 10_000)
    assert parquet.read_table(tmp_path / "a").num_rows == GROUP + 5


def test_nothing_makes_an_empty_table(tmp_path: Path) -> None:
    assert written(tmp_path / "a", Form("csv", columns=COLUMNS[:2]), [], 10) == b"id,email\n"
    written(tmp_path / "b", Form("parquet", columns=COLUMNS), [], 10)
    assert parquet.read_table(tmp_path / "b").num_rows == 0


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_packed_rows_come_out_as_they_went_in(tmp_path: Path, packing: Any) -> None:
    data = written(tmp_path / "a", Form("jsonl", packing), ROWS, 30)
    unpacked = (
        gzip.decompress(data) if packing == "gz" else zstandard.ZstdDecompressor().decompressobj().decompress(data)
    )
    assert unpacked.splitlines() == ROWS


@pytest.mark.parametrize("form", ["csv", "sqlite", "parquet"])
def test_the_size_of_the_pieces_does_not_show(tmp_path: Path, form: Format) -> None:
    once = written(tmp_path / "a", Form(form, columns=COLUMNS), ROWS, 10_000)
    for piece in (1, 7, 100):
        assert written(tmp_path / "a", Form(form, columns=COLUMNS), ROWS, piece) == once


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from([each.path for each in COLUMNS]), values), max_size=5))
@example(rows=[{"id": "\r"}, {"id": "a\rb"}, {"id": "a\r\nb", "email": "\n"}])
def test_any_json_finds_a_place_in_every_format(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("sinks")
    lines = [json.dumps(row, ensure_ascii=True).encode() for row in rows]
    for form in ("csv", "sqlite", "parquet"):
        written(folder / form, Form(form, columns=COLUMNS, formulas="keep"), lines, 4096)
    read = in_csv((folder / "csv").read_bytes())
    assert len(read) == len(rows)
    for row, cells in zip(rows, read, strict=True):
        if isinstance(row.get("id"), str):
            assert cells["id"] == row["id"]
        if "public_metadata" in row and row["public_metadata"] is not None:
            assert json.loads(cells["public_metadata"]) == row["public_metadata"]
    db = sqlite3.connect(folder / "sqlite")
    try:
        assert db.execute("SELECT count(*) FROM rows").fetchone()[0] == len(rows)
    finally:
        db.close()
    assert parquet.read_table(folder / "parquet").num_rows == len(rows)


def test_a_missing_package_is_told_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        choosing.require_extra(Form("jsonl", "zst"))
    assert caught.value.hint.startswith("install clerk-batch[zst]")
    choosing.require_extra(Form("jsonl", "gz"))


@pytest.mark.parametrize("name", ["users", "invitations", "billing/plans", "m2m_tokens"])
def test_every_list_has_columns_of_its_own(name: str) -> None:
    columns = default_columns(find_list(name, "2026-05-12"))
    assert "id" in {column.name for column in columns}
    assert len({column.name for column in columns}) == len(columns) > 3
