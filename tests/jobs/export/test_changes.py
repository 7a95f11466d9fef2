"""Merging changes into a snapshot: as if everything had been exported anew, but for the deleted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.export.changes import changed_since, merged, updated_ms
from clerk_jobs.export.page import Page

Users = dict[int, int]
"""Creation by number."""


def lines(users: Users, version: int) -> list[bytes]:
    keys = sorted((created, f"u{number}") for number, created in users.items())
    return [json.dumps({"id": name, "created_at": created, "version": version}).encode() for created, name in keys]


users = st.dictionaries(st.integers(0, 30), st.integers(0, 8), max_size=20)


@given(former=users, new=users, data=st.data())
def test_a_merged_snapshot_is_the_one_of_a_full_export(former: Users, new: Users, data: st.DataObject) -> None:
    changed = (
        {number: former[number] for number in data.draw(st.sets(st.sampled_from(sorted(former))))} if former else {}
    )
    changed |= {number: created for number, created in new.items() if number not in former}
    found = [json.loads(line) for line in merged(lines(former, 1), lines(changed, 2))]
    keys = [(row["created_at"], row["id"]) for row in found]
    assert keys == sorted((created, f"u{number}") for number, created in (former | changed).items())
    assert {row["id"] for row in found if row["version"] == 2} == {f"u{number}" for number in changed}


def test_a_file_that_is_no_snapshot_is_refused() -> None:
    with pytest.raises(ValueError, match="sorted"):
        list(merged([b'{"id":"b","created_at":2}', b'{"id":"a","created_at":1}'], []))


def test_what_does_not_say_when_it_changed_counts_as_changed() -> None:
    page = Page(["a", "b"], [5, 6], b'{"updated_at":9}\n{}\n')
    assert list(updated_ms(page)) == [9, 6]
    assert [changed_since(line, 10) for line in page.split()] == [False, True]
