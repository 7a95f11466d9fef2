"""Walks by offset against a model of a list: every row that stays is found exactly once, whatever moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerk_jobs.export.distinct import digests
from clerk_jobs.export.page import Page
from clerk_jobs.export.part import Part

LIMIT = 10


def page_of(rows: Sequence[str], query: Sequence[tuple[str, str]], *, total: bool = True) -> Page:
    asked = dict(query)
    start = int(asked.get("offset", 0))
    shown = list(rows[start : start + int(asked.get("limit", len(rows)))])
    return Page(shown, [0] * len(shown), b"{}\n" * len(shown), len(rows) if total else None)


def walk(part: Part, rows: Sequence[str], *, total: bool = True) -> Counter[str]:
    """Walk to the end of a list that does not change any more."""
    found: Counter[str] = Counter()
    for _ in range(200):
        if part.state == "closed":
            return found
        page = page_of(rows, part.query(LIMIT), total=total)
        found.update(page.ids[place] for place in part.take(page))
    raise AssertionError("the walk does not end")


@settings(max_examples=300, deadline=None)
@given(
    data=st.data(),
    many=st.integers(0, 80),
    oldest_first=st.booleans(),
    total=st.booleans(),
    moves=st.integers(0, 12),
)
def test_every_row_that_stays_is_found_once(
    data: st.DataObject, many: int, oldest_first: bool, total: bool, moves: int
) -> None:
    rows = [f"row_{number}" for number in range(many)]
    stay = set(rows)
    part = Part(0)
    found: Counter[str] = Counter()
    for move in range(moves):
        if part.state == "closed":
            break
        page = page_of(rows, part.query(LIMIT), total=total)
        found.update(page.ids[place] for place in part.take(page))
        for _ in range(data.draw(st.integers(0, 8))):
            deletes = data.draw(st.booleans())
            if rows and deletes:
                stay.discard(rows.pop(data.draw(st.integers(0, len(rows) - 1))))
        for new in range(data.draw(st.integers(0, 3))):
            rows.insert(len(rows) if oldest_first else 0, f"late_{move}_{new}")
    found.update(walk(part, rows, total=total))
    assert not {row: times for row, times in found.items() if times != 1}
    assert stay <= set(found)


def test_pages_overlap_and_begin_with_what_is_known() -> None:
    rows = [f"row_{number}" for number in range(25)]
    part = Part(0)
    assert dict(part.query(LIMIT)) == {"limit": "10", "offset": "0"}
    part.take(page_of(rows, part.query(LIMIT)))
    assert dict(part.query(LIMIT))["offset"] == "5"


def test_an_empty_page_behind_deleted_rows_is_no_end() -> None:
    rows = [f"row_{number}" for number in range(30)]
    part = Part(0)
    for _ in range(3):
        part.take(page_of(rows, part.query(LIMIT)))
    assert set(walk(part, rows[12:15] + rows[21:])) == set(rows[21:])


def test_a_list_that_is_short_by_its_total_is_read_once_more() -> None:
    part = Part(0)
    page = Page(["a"], [0], b"{}\n", 2)
    part.query(LIMIT)
    assert list(part.take(page)) == [0]
    assert (part.state, part.readings, dict(part.query(LIMIT))["offset"]) == ("open", 2, "0")
    assert list(part.take(page)) == []
    assert (str(part.state), part.missing) == ("closed", 1)


def test_what_comes_at_once_is_one_page() -> None:
    part = Part(0, paged=False)
    assert part.query(LIMIT) == ()
    assert len(part.take(Page(["a", "a", "b"], [0] * 3, b"{}\n" * 3))) == 2
    assert part.state == "closed"


def test_after_a_restart_the_digests_of_the_kept_rows_are_the_anchor() -> None:
    rows = [f"row_{number}" for number in range(25)]
    part = Part(0, offset=5, kept=10)
    blob = digests(rows[:10])
    part.remember(blob[at : at + 8] for at in range(0, len(blob), 8))
    assert set(walk(part, rows)) == set(rows[10:])


@pytest.mark.parametrize("limit", [2, 3, 7])
def test_small_pages_move_on(limit: int) -> None:
    rows = [f"row_{number}" for number in range(9)]
    part = Part(0)
    found: Counter[str] = Counter()
    for _ in range(50):
        if part.state == "closed":
            break
        page = page_of(rows, part.query(limit))
        found.update(page.ids[place] for place in part.take(page))
    assert found == dict.fromkeys(rows, 1)
