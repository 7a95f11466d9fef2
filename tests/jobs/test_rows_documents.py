"""JSON documents with rows in them, and CSV without a header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.errors import InputError
from clerk_jobs.reach import reach
from clerk_jobs.rows import CsvSource, JsonSource, Row, RowFault, open_rows
from clerk_jobs.template import DROPPED

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
documents = st.lists(
    st.dictionaries(texts.filter(lambda name: not name.startswith("_")), values, max_size=4), max_size=6
)


@given(rows=documents, indent=st.sampled_from([None, 1]), ascii_only=st.booleans(), before=values)
def test_every_row_is_read_and_reached_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], indent: int | None, ascii_only: bool, before: Any
) -> None:
    path = tmp_path_factory.mktemp("document") / "users.json"
    whole = {"before": before, "a": {"users": rows}, "after": 1}
    path.write_text(json.dumps(whole, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    with open_rows(JsonSource(json="users.json", items="a.users"), path.parent) as source:
        read = list(source)
        assert [row.values for row in read if isinstance(row, Row)] == rows
        assert [row.number for row in read] == list(range(1, len(rows) + 1))
        for row in reversed(read):
            assert source.read_at(row.offset, row.line, row.number) == row


def test_a_document_larger_than_a_block_keeps_its_lines(tmp_path: Path) -> None:
    rows = [{"n": number, "text": "ü" * 500} for number in range(400)]
    (tmp_path / "u.json").write_text("\ufeff" + json.dumps(rows, indent=0, ensure_ascii=False), encoding="utf-8")
    with open_rows(JsonSource(json="u.json"), tmp_path) as source:
        assert source.columns == ("n", "text")
        read = list(source)
        assert [row.line for row in read] == [2 + 4 * number for number in range(400)]
        assert source.read_at(read[300].offset, read[300].line, 301) == read[300]


def test_what_is_no_object_is_a_faulty_row(tmp_path: Path) -> None:
    (tmp_path / "u.json").write_text('[{"a": 1}, 5, {"_status": "x", "a": 2}]')
    with open_rows(JsonSource(json="u.json"), tmp_path) as source:
        first, second, third = source
    assert (isinstance(first, Row), isinstance(second, RowFault)) == (True, True)
    assert isinstance(third, Row)
    assert third.values == {"a": 2}


@pytest.mark.parametrize(
    ("text", "items", "said"),
    [
        ('{"users": []}', None, "the document is not an array of rows; name the array in it"),
        ('{"people": 1, "more": {}}', "users", "has no 'users'; there are 'people', 'more'"),
        ('{"users": {}}', "users", "'users' is not an array of rows"),
        ("[]", "users", "the object around the rows is missing"),
        ('[{"a": 1}', None, "a comma, or the end of the array, is missing"),
        ('[{"a": 1},]', None, "a row is missing after the comma"),
        ('[{"a": 1} {"a": 2}]', None, "a comma, or the end of the array, is missing"),
        ('[{"a": NaN}]', None, "this value is not JSON"),
        ('[{"a": "' + "x" * 1_200_000 + '"}]', None, "larger than 1,048,576 characters"),
        ("[" * 200_000, None, "this value is not JSON"),
        ("", None, "is not an array"),
        (b'[{"a": "\xff"}]', None, "not UTF-8"),
        (b"\xff\xfe[\x00]\x00", None, "JSON is UTF-8"),
    ],
)
def test_a_broken_document_is_refused_as_a_whole(tmp_path: Path, text: Any, items: str | None, said: str) -> None:
    (tmp_path / "u.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with (
        pytest.raises(InputError, match=r"u\.json") as caught,
        open_rows(JsonSource(json="u.json", items=items), tmp_path) as source,
    ):
        list(source)
    assert said in str(caught.value)


def test_a_csv_without_a_header_has_the_columns_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("a@example.com,1\nb@example.com,2\n")
    with open_rows(CsvSource(csv="u.csv", columns=["email", "n"]), tmp_path) as source:
        first, second = source
        assert (first.line, isinstance(second, Row) and second.values) == (1, {"email": "b@example.com", "n": "2"})
        assert source.read_at(second.offset, second.line, 2) == second
        with pytest.raises(InputError, match="column 'x'"):
            source.require({"x": "email"})
        source.require({"n.inside": "email"})
    with pytest.raises(InputError, match="appears twice"):
        open_rows(CsvSource(csv="u.csv", columns=["a", "a"]), tmp_path)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("a", 1),
        ("b.c", None),
        ("b.d.1", "y"),
        ("b.d.2", DROPPED),
        ("b.d.x", DROPPED),
        ("e.f", 2),
        ("e.g", DROPPED),
        ("t.email", "a@example.com"),
        ("t.phone", DROPPED),
        ("a.b", DROPPED),
        ("x", DROPPED),
        ("h.i", DROPPED),
        ("", DROPPED),
    ],
)
def test_a_dotted_path_leads_inside(column: str, expected: Any) -> None:
    attributes = [{"Name": "email", "Value": "a@example.com"}, {"Name": "sub", "Value": "1"}]
    row: Any = {"a": 1, "b": {"c": None, "d": ["x", "y"]}, "e": '{"f": 2}', "h": "{broken", "t": attributes}
    assert reach(row, column) == expected
