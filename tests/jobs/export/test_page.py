"""Splitting answers into rows: nothing is lost, nothing is changed, nothing half is believed."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.catalog.operation import ListShape
from clerk_jobs.export.page import NotAList, Page, as_line, parse_page

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(rows=st.lists(values, max_size=4), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_rows_come_out_as_they_went_in(rows: list[object], indent: int | None, ascii_only: bool) -> None:
    objects = [{"created_at": place, "id": f"x_{place}", "rest": row} for place, row in enumerate(rows)]
    body = json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode()
    page = parse_page(body, ListShape.ARRAY)
    assert isinstance(page, Page)
    lines = page.split()
    assert all(b"\n" not in line for line in lines)
    assert [json.loads(line) for line in lines] == objects
    if indent is None:
        assert b", ".join(lines) == body[1:-1]


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (ListShape.DATA, b'{"data":[{"id":"a"}],"total_count":7}'),
        (ListShape.WHOLE, b' {"new":{},"data":[{"id":"a"}],"total_count":7}'),
        (ListShape.ARRAY, b'{"data":[{"id":"a"}],"total_count":7}'),
        (ListShape.M2M_TOKENS, b'{"m2m_tokens":[{"id":"a","created_at":null}],"total_count":7}'),
    ],
)
def test_every_shape_has_its_rows(shape: ListShape, body: bytes) -> None:
    page = parse_page(body, shape)
    assert isinstance(page, Page)
    assert (list(page.ids), list(page.created_ms), page.total_count) == (["a"], [0], 7)


@pytest.mark.parametrize("body", [b"", b"[", b'[{"id":"a"', b'[{"id":"a","created_at":1}] x', b"<html>", b'{"data":[}'])
def test_what_is_not_whole_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_page(body, ListShape.ARRAY)


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (ListShape.ARRAY, b'{"errors":[]}'),
        (ListShape.ARRAY, b"5"),
        (ListShape.DATA, b"[]"),
        (ListShape.ARRAY, b"[5]"),
        (ListShape.ARRAY, b'[{"created_at":5}]'),
        (ListShape.ARRAY, b'[{"id":"","created_at":"x"}]'),
        (ListShape.DATA, b'{"data":{}}'),
    ],
)
def test_what_is_no_list_of_rows_with_ids_is_told(shape: ListShape, body: bytes) -> None:
    assert isinstance(parse_page(body, shape), NotAList)


def test_a_row_without_newlines_is_not_copied() -> None:
    raw = msgspec.Raw(b'{"a": 1}')
    assert as_line(raw) is raw
