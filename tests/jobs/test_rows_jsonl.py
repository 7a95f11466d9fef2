"""JSON Lines: one object a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from clerk_jobs.errors import InputError
from clerk_jobs.rows import JsonlSource, Record, Row, RowFault, open_rows
from clerk_jobs.rows.lines import MAX_ROW


def read(folder: Path, data: bytes | str) -> list[Record]:
    (folder / "people.jsonl").write_bytes(data.encode() if isinstance(data, str) else data)
    with open_rows("people.jsonl", folder) as source:
        records = list(source)
        again = [source.read_at(each.offset, each.line, each.number) for each in reversed(records)]
    assert again[::-1] == records
    return records


def test_objects_are_rows_with_their_types(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a": 1, "b": [null, 1.5]}\r\n\n  \n {"a": "x", "_status": "failed"} \n{}') == [
        Row(1, 1, 0, {"a": 1, "b": [None, 1.5]}),
        Row(2, 4, 32, {"a": "x"}),
        Row(3, 5, 66, {}),
    ]


def test_big_numbers_keep_their_digits(tmp_path: Path) -> None:
    [row] = read(tmp_path, '{"id": 123456789012345678901234567890}\n')
    assert isinstance(row, Row)
    assert row.values["id"] == 123456789012345678901234567890


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("{", "invalid_json", "line 2 is not one JSON value"),
        ('{"a": 1} {"b": 2}', "invalid_json", "line 2 is not one JSON value"),
        ('{"a": NaN}', "invalid_json", "line 2 is not one JSON value"),
        ('{"a": "\\ud800"}', "invalid_json", "line 2 is not one JSON value"),
        ("[" * 100_000, "invalid_json", "line 2 is not one JSON value"),
        ("[1]", "not_an_object", "line 2 is JSON but not an object"),
        ("5", "not_an_object", "line 2 is JSON but not an object"),
        ('{"a": "' + "x" * MAX_ROW + '"}', "row_too_large", "line 2 is larger than 1,048,576 bytes"),
        # Wherever it is cut, there is half a letter.
        ('{"a": "' + "é" * MAX_ROW + '"}', "row_too_large", "line 2 is larger than 1,048,576 bytes"),
        ('{"a":  "' + "é" * MAX_ROW + '"}', "row_too_large", "line 2 is larger than 1,048,576 bytes"),
    ],
)
def test_a_line_that_is_no_object_is_a_fault_of_its_row(tmp_path: Path, line: str, code: str, message: str) -> None:
    records = read(tmp_path, f'{{"a": 1}}\n{line}\n{{"a": 2}}\n')
    assert records[1] == RowFault(2, 2, 9, code, message)
    assert [each.number for each in records] == [1, 2, 3]
    assert isinstance(records[2], Row)
    assert records[2].values == {"a": 2}


def test_a_line_that_is_too_large_may_be_the_last(tmp_path: Path) -> None:
    records = read(tmp_path, '{"a": "' + "x" * MAX_ROW * 2)
    assert [each.code for each in records if isinstance(each, RowFault)] == ["row_too_large"]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path, "") == []
    assert read(tmp_path, "\n \n") == []


def test_the_keys_of_the_first_row_are_the_columns(tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text('\n{"a": 1, "_code": "x", "b": 2}\n{"c": 3}\n')
    source = open_rows(JsonlSource("people.txt"), tmp_path)
    assert source.columns == ("a", "b")
    source.require({"c": "email"})


def test_a_faulty_first_row_tells_no_columns(tmp_path: Path) -> None:
    (tmp_path / "people.jsonl").write_text("{\n")
    assert open_rows("people.jsonl", tmp_path).columns == ()


def test_an_array_is_told_how_to_become_lines(tmp_path: Path) -> None:
    (tmp_path / "people.json").write_text('\n[\n{"a": 1}]\n')
    with pytest.raises(InputError) as caught:
        open_rows("people.json", tmp_path)
    assert str(caught.value) == (
        "people.json: is a JSON array, not JSON Lines; write source: {json: FILE}, or one object a line: jq -c '.[]'"
    )
