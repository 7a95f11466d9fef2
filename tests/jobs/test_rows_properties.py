"""Rows under any content: what was written is read, from the start and from any offset, and nothing else is raised."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from clerk_jobs.errors import InputError
from clerk_jobs.rows import OWN_COLUMNS, CsvSource, JsonlSource, Record, Row, RowFault, Source, lines, open_rows

unhurried = settings(deadline=None)

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.text(
    alphabet=" ,;\t|\"'\r\n\\é", max_size=6
)
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
csv_text = st.text(alphabet='ab,"\r\n é', max_size=40)


@contextmanager
def written(name: str, data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        yield Path(folder)


def read(source: Source, data: bytes) -> list[Record]:
    """Read every record, then each of them again by its offset, in another order and in the same."""
    with written(source.path, data) as folder, open_rows(source, folder) as rows:
        records = list(rows)
        for order in (records[::-1], records, records[::2]):
            assert [rows.read_at(each.offset, each.line, each.number) for each in order] == order
    assert [each.number for each in records] == list(range(1, len(records) + 1))
    return records


def encode(text: str, encoding: str) -> bytes:
    return text.encode(encoding)


@unhurried
@given(
    rows=st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=6)),
    delimiter=st.sampled_from(",;\t|€"),
    quotechar=st.sampled_from("\"'"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=encodings,
)
def test_csv_survives_every_dialect_and_encoding(
    rows: list[list[str]], delimiter: str, quotechar: str, quoting: int, end: str, encoding: str
) -> None:
    # The module csv leaves a lone CR or LF unquoted where lines end otherwise.
    quoting = csv.QUOTE_ALL if end != "\r\n" else quoting
    names = [f"column{place}" for place in range(len(rows[0]) if rows else 2)]
    text, starts = io.StringIO(), []
    writer = csv.writer(text, delimiter=delimiter, quotechar=quotechar, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    writer.writerow(names)
    for row in rows:
        starts.append(text.getvalue())
        writer.writerow(row)
    data = encode(text.getvalue(), encoding)
    declared = None if encoding in {"utf-8", "utf-8-sig"} else encoding
    source = CsvSource("people.csv", delimiter=delimiter, quotechar=quotechar, encoding=declared)
    assert read(source, data) == [
        Row(
            number,
            len(start.replace("\r\n", "\n").replace("\r", "\n").split("\n")),
            len(encode(start, encoding)),
            dict(zip(names, row, strict=True)),
        )
        for number, (row, start) in enumerate(zip(rows, starts, strict=True), 1)
    ]


@unhurried
@given(text=csv_text, encoding=encodings)
def test_it_reads_what_the_module_csv_reads(text: str, encoding: str) -> None:
    text = f"x,y{text}"
    try:
        expected = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
        records = read(CsvSource("people.csv", encoding=encoding), encode(text, encoding))
    except (csv.Error, InputError):
        assume(False)
    assert [list(each.values.values()) if isinstance(each, Row) else list(each.fields) for each in records] == expected[
        1:
    ]


def attempt(source: Source, data: bytes) -> list[Record] | InputError:
    try:
        return read(source, data)
    except InputError as error:
        return error


@unhurried
@given(
    data=st.binary(max_size=80) | csv_text.map(str.encode) | csv_text.map(lambda text: text.encode("utf-16")),
    head=st.sampled_from([b"", b"a,b\n", b"\xff\xfe", b"\xef\xbb\xbf"]),
    source=st.sampled_from(
        [
            CsvSource("people.csv"),
            CsvSource("people.csv", encoding="latin-1"),
            CsvSource("people.csv", encoding="utf-16-be"),
            JsonlSource("people.csv"),
        ]
    ),
)
@example(data=b'a\n"' + b"x" * 200_000, head=b"", source=CsvSource("people.csv"))
@example(data=b"\n" * 1000, head=b"a,b\n", source=CsvSource("people.csv"))
def test_any_bytes_are_rows_or_faults(data: bytes, head: bytes, source: Source) -> None:
    result = attempt(source, head + data)
    if isinstance(result, InputError):
        assert result.file == "people.csv"
        return
    offsets = [each.offset for each in result]
    assert offsets == sorted(set(offsets))
    assert all(each.code and each.message for each in result if isinstance(each, RowFault))


@unhurried
@given(text=csv_text, wide=st.booleans(), block=st.sampled_from([2, 6, 10]), bound=st.integers(8, 30))
@example(text='\n"' + "\r\n" * 30 + '",b\n1,2', wide=False, block=2, bound=8)
@example(text='\n"' + "\r\n" * 30 + '",b\n1,2', wide=True, block=2, bound=8)
def test_rows_beyond_the_bound_are_faults_and_all_others_are_not(text: str, wide: bool, block: int, bound: int) -> None:
    data = f"a,b{text}".encode("utf-16" if wide else "utf-8")
    plain = attempt(CsvSource("people.csv"), data)
    with patch.object(lines, "_BLOCK", block), patch.object(lines, "MAX_ROW", bound):
        bounded = attempt(CsvSource("people.csv"), data)
    if isinstance(plain, InputError) or isinstance(bounded, InputError):
        # The header alone may be beyond the bound; a file that cannot be read stays so.
        assert isinstance(bounded, InputError)
        return
    ends = [*(each.offset for each in plain), len(data)][1:]
    assert [(each.line, each.offset) for each in bounded] == [(each.line, each.offset) for each in plain]
    for ours, theirs, end in zip(bounded, plain, ends, strict=True):
        if ours != theirs:
            assert isinstance(ours, RowFault)
            assert ours.code == "row_too_large"
            assert end - ours.offset > bound


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


keys = st.text(max_size=5).filter(lambda key: key not in OWN_COLUMNS)


@unhurried
@given(
    objects=st.lists(st.dictionaries(keys, json_values, max_size=4), max_size=5),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    escape=st.booleans(),
    encoding=encodings,
)
def test_json_lines_survive(objects: list[dict[str, object]], end: str, escape: bool, encoding: str) -> None:
    text = "".join(json.dumps(each, ensure_ascii=escape) + end for each in objects)
    records = read(JsonlSource("people.csv", encoding=encoding), encode(text, encoding))
    assert [each.values if isinstance(each, Row) else None for each in records] == objects
