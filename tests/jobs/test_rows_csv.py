"""CSV as people have it: what becomes a row, what a fault of a row, and what a fault of the file."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from clerk_jobs.errors import InputError
from clerk_jobs.rows import CsvSource, Record, Row, RowFault, open_rows
from clerk_jobs.rows.lines import MAX_ROW
from clerk_jobs.values import MAX_TEXT

DATA_FIRST = "has no header: the first line holds an e-mail address; add a first line that names the columns"


def read(folder: Path, data: bytes | str, **dialect: Any) -> list[Record]:
    """Every record, read by iterating and once more by offset, backwards."""
    (folder / "people.csv").write_bytes(data.encode() if isinstance(data, str) else data)
    with open_rows(CsvSource("people.csv", **dialect), folder) as source:
        records = list(source)
        again = [source.read_at(each.offset, each.line, each.number) for each in reversed(records)]
    assert again[::-1] == records
    return records


def values(records: list[Record]) -> list[object]:
    return [dict(each.values) if isinstance(each, Row) else each.code for each in records]


def refused(folder: Path, data: bytes | str, **dialect: str) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, data, **dialect)
    return str(caught.value)


def test_rows_know_their_number_line_and_offset(tmp_path: Path) -> None:
    assert read(tmp_path, 'a,b\n1,2\n\n"x\ny",3\r\n4,5') == [
        Row(1, 2, 4, {"a": "1", "b": "2"}),
        Row(2, 4, 9, {"a": "x\ny", "b": "3"}),
        Row(3, 6, 18, {"a": "4", "b": "5"}),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_end_of_line(tmp_path: Path, end: str, last: bool) -> None:
    data = end.join(["a,b", "1,2", "", '"x', 'y",3', "4,5"]) + (end if last else "")
    assert values(read(tmp_path, data)) == [
        {"a": "1", "b": "2"},
        {"a": f"x{end}y", "b": "3"},
        {"a": "4", "b": "5"},
    ]


def test_ends_of_lines_may_be_mixed(tmp_path: Path) -> None:
    records = read(tmp_path, "a,b\r1,2\r\n3,4\n5,6\r\r\n7,8")
    assert values(records) == [{"a": str(n), "b": str(n + 1)} for n in (1, 3, 5, 7)]
    assert [each.line for each in records] == [2, 3, 4, 6]


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("a,b", ","),
        ("a;b", ";"),
        ("a\tb", "\t"),
        ("a|b", "|"),
        ('"a,1";b', ";"),
        ('"a;""x"" ,1"|b', "|"),
    ],
)
def test_the_delimiter_that_stands_alone_in_the_header_is_taken(tmp_path: Path, header: str, delimiter: str) -> None:
    [row] = read(tmp_path, f"{header}\n1{delimiter}2\n")
    assert isinstance(row, Row)
    assert list(row.values.values()) == ["1", "2"]


@pytest.mark.parametrize("header", ["a;b,c", "a", "a|b;c"])
def test_otherwise_it_is_the_comma(tmp_path: Path, header: str) -> None:
    (tmp_path / "people.csv").write_text(f"{header}\n")
    assert open_rows("people.csv", tmp_path).columns == tuple(header.split(","))


def test_the_delimiter_and_the_quote_may_be_given(tmp_path: Path) -> None:
    assert values(read(tmp_path, "a,x;b\n'1;2';3\n", delimiter=";", quotechar="'")) == [{"a,x": "1;2", "b": "3"}]


@pytest.mark.parametrize(
    ("dialect", "message"),
    [
        ({"delimiter": "'", "quotechar": "'"}, "people.csv: delimiter and quotechar are the same character"),
        ({"delimiter": "\n"}, "people.csv: delimiter '\\n' is not one usable character"),
        ({"delimiter": ";;"}, "people.csv: delimiter ';;' is not one usable character"),
        ({"quotechar": ""}, "people.csv: quotechar '' is not one usable character"),
    ],
)
def test_a_dialect_that_cannot_be(tmp_path: Path, dialect: dict[str, str], message: str) -> None:
    assert refused(tmp_path, "a\n", **dialect) == message


def test_names_of_columns_lose_the_blanks_around_them_and_cells_do_not(tmp_path: Path) -> None:
    assert values(read(tmp_path, ' a , "b"\n x ,y\n'.replace(' "b"', "b "))) == [{"a": " x ", "b": "y"}]


def test_a_header_without_rows_is_no_fault(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n") == []
    assert read(tmp_path, "a,b") == []
    assert read(tmp_path, "\n\na,b\n\n\n") == []


def test_our_own_columns_are_dropped(tmp_path: Path) -> None:
    data = "_status,email,_code,name,_message,_trace_id\nfailed,e,c,n,m,t\n"
    assert values(read(tmp_path, data)) == [{"email": "e", "name": "n"}]
    assert open_rows("people.csv", tmp_path).columns == ("email", "name")


def test_a_row_of_another_width_is_a_fault_of_its_line(tmp_path: Path) -> None:
    assert read(tmp_path, 'a,b\n1\n"x\ny",2,3\n4,5\n') == [
        RowFault(1, 2, 4, "ragged_row", "line 2 has 1 cells, the header has 2", ("1",)),
        RowFault(2, 3, 6, "ragged_row", "line 3 has 3 cells, the header has 2", ("x\ny", "2", "3")),
        Row(3, 5, 16, {"a": "4", "b": "5"}),
    ]


def test_text_after_a_closing_quote_is_a_fault_of_its_row(tmp_path: Path) -> None:
    records = read(tmp_path, 'a,b\n"x"y,"1\n2"\n3,4\n')
    assert values(records) == ["bad_quotes", {"a": "3", "b": "4"}]
    assert records[0] == RowFault(
        1, 2, 4, "bad_quotes", "line 2 has text after a closing quote; double the quotes inside a text"
    )
    assert records[1].line == 4


def test_quotes_within_a_plain_cell_are_text(tmp_path: Path) -> None:
    assert values(read(tmp_path, 'a,b\n5" pipe,x\n')) == [{"a": '5" pipe', "b": "x"}]


def test_a_nul_is_a_fault_of_its_row(tmp_path: Path) -> None:
    assert values(read(tmp_path, "a,b\n1,2\n3,\x004\n5,6\n")) == [
        {"a": "1", "b": "2"},
        "nul_byte",
        {"a": "5", "b": "6"},
    ]


def test_a_cell_may_be_as_long_as_the_bound(tmp_path: Path) -> None:
    assert values(read(tmp_path, f"a,b\n{'x' * MAX_TEXT},2\n")) == [{"a": "x" * MAX_TEXT, "b": "2"}]


def test_a_cell_that_is_longer_is_a_fault_of_its_row(tmp_path: Path) -> None:
    records = read(tmp_path, f"a,b\n{'x' * (MAX_TEXT + 1)},2\n3,4\n")
    assert values(records) == ["field_too_large", {"a": "3", "b": "4"}]
    assert isinstance(records[0], RowFault)
    assert records[0].message == "a cell from line 2 on is longer than 131,072 characters"


def test_lines_of_a_quoted_cell_that_is_too_long_never_pass_for_rows(tmp_path: Path) -> None:
    inner = "mallory@example.com,1\n" * 20_000
    assert values(read(tmp_path, f'a,b\n1,2\n"{inner}""\n""",5\n3,4\n')) == [
        {"a": "1", "b": "2"},
        "field_too_large",
        {"a": "3", "b": "4"},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_row_that_is_too_large_is_a_fault_and_the_next_is_read(tmp_path: Path, end: str) -> None:
    wide = ",".join(["x" * 100_000] * 12)
    records = read(tmp_path, end.join(["a,b", "1,2", wide, "3,4", '"' + wide, '",x', "5,6"]))
    assert values(records) == [
        {"a": "1", "b": "2"},
        "row_too_large",
        {"a": "3", "b": "4"},
        "row_too_large" if len(wide) > MAX_ROW else "field_too_large",
        {"a": "5", "b": "6"},
    ]
    assert [each.line for each in records] == [2, 3, 4, 5, 7]


def test_a_row_of_many_lines_is_bounded_too(tmp_path: Path) -> None:
    cells = ",".join(['"' + ("x" * 99 + "\n") * 1000 + '"'] * 12)
    assert values(read(tmp_path, f"a,b\n{cells}\n3,4\n")) == ["row_too_large", {"a": "3", "b": "4"}]


def test_a_gigantic_line_costs_no_memory(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(b"a,b\n")
    with (tmp_path / "people.csv").open("ab") as opened:
        opened.truncate(64 * MAX_ROW)
    with (tmp_path / "people.csv").open("ab") as opened:
        opened.write(b"\n1,2\n")
    tracemalloc.start()
    assert values(list(open_rows("people.csv", tmp_path))) == ["row_too_large", {"a": "1", "b": "2"}]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MAX_ROW


def test_a_quote_that_is_never_closed_stops_the_file(tmp_path: Path) -> None:
    message = "people.csv:3: a quote in this row is never closed; close it, or double it if it belongs to the text"
    assert refused(tmp_path, 'a,b\n1,2\n"x,3\n4,5\n') == message
    assert refused(tmp_path, 'a,b\n1,2\n"x,3\n' + "4,5\n" * 50_000) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "people.csv: is empty: it has no header; its first line must name the columns"),
        ("\n\r\n\n", "people.csv: is empty: it has no header; its first line must name the columns"),
        ("a,b,a\n", "people.csv:1: column 'a' appears twice; rename one of them"),
        ("a, a\n", "people.csv:1: column 'a' appears twice; rename one of them"),
        ("a,,b\n", "people.csv:1: column 2 of 3 has no name; name it, or remove the column"),
        ("\na,\n", "people.csv:2: column 2 of 2 has no name; name it, or remove the column"),
        ("ada@example.com,Ada\n", f"people.csv:1: {DATA_FIRST}"),
        ("_status,_code\n", "people.csv:1: has only columns that clerk-batch itself writes"),
        ('"a\n', "people.csv:1: the header cannot be read as CSV; check its quotes"),
        ('"a"b\n', "people.csv:1: the header cannot be read as CSV; check its quotes"),
        ("x" * (MAX_ROW + 1), "people.csv:1: the header cannot be read as CSV; check its quotes"),
        (
            "a\x00,b\n",
            (
                "people.csv:1: the header contains a NUL byte; "
                "if it is UTF-16, name it: source: {csv: ..., encoding: utf-16-le}"
            ),
        ),
    ],
)
def test_a_header_that_cannot_be(tmp_path: Path, data: str, message: str) -> None:
    assert refused(tmp_path, data) == message


def test_missing_columns_are_found_before_the_first_row(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("email,Cohort,a\x1bb\n")
    source = open_rows("people.csv", tmp_path)
    source.require({"email": "email", "Cohort": "public_metadata"})
    with pytest.raises(InputError) as caught:
        source.require({"email": "email", "cohort": "public_metadata"})
    assert str(caught.value) == (
        "people.csv:1: column 'cohort' (for public_metadata) is not in people.csv; did you mean 'Cohort'?"
    )
    with pytest.raises(InputError) as caught:
        source.require({"xyz": "role", "uvw": "role"})
    assert str(caught.value) == (
        "people.csv:1: columns 'xyz' (for role), 'uvw' (for role) are not in people.csv; "
        "there are 'email', 'Cohort', 'a\\x1bb'"
    )


def test_very_many_columns_are_not_all_listed(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(",".join(f"column{number}" for number in range(100)))
    with pytest.raises(InputError, match=r"'column11', \.\.\.$"):
        open_rows("people.csv", tmp_path).require({"xyz": "email"})


def test_it_agrees_with_the_module_csv_on_a_file_of_every_kind(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    rows = [["a", "b"], ["", ""], ['"', ","], [" x ", "\t"], ["\r\n", "\n"], ["ü", "😀"], ["'", "\r"]]
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened, quoting=csv.QUOTE_ALL).writerows(rows)
    records = list(open_rows("people.csv", tmp_path))
    assert [list(each.values.values()) for each in records if isinstance(each, Row)] == rows[1:]
