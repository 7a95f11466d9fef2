"""Clerk's ids in fewer bytes: whatever a text looks like, it comes back."""

from __future__ import annotations

import sqlite3
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_runner.short_ids import LETTERS, packed, unpacked

ID = st.builds(
    "{}_{}".format, st.sampled_from([*LETTERS, "sess", ""]), st.text(ascii_letters + digits, min_size=26, max_size=28)
)
ODD = st.builds(
    lambda one, place, letter: one[:place] + letter + one[place + 1 :], ID, st.integers(0, 32), st.text("é٣²+/_ =\n")
)
ANY = st.text() | ID | ODD | st.lists(ID | ODD, max_size=3).map("/".join)


@given(text=ANY)
def test_every_text_comes_back(text: str) -> None:
    assert unpacked(packed(text)) == text


@given(words=st.lists(st.sampled_from([*LETTERS]), min_size=1, max_size=2), data=st.data())
def test_ids_of_clerks_take_21_bytes_each(words: list[str], data: st.DataObject) -> None:
    tails = [data.draw(st.text(ascii_letters + digits, min_size=27, max_size=27)) for _ in words]
    kept = packed("/".join(f"{word}_{tail}" for word, tail in zip(words, tails, strict=True)))
    assert isinstance(kept, bytes)
    assert len(kept) == 21 * len(words)


def test_a_database_gives_back_what_it_was_given() -> None:
    """Neither becomes the other on the way: a text stays one, and so do bytes."""
    ids = ["user_2abcdefghijklmnopqrstuvwxyz", "user_1", "", "2"]
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE item(resource)")
        db.executemany("INSERT INTO item VALUES (?)", [(packed(one),) for one in ids])
        assert [unpacked(kept) for (kept,) in db.execute("SELECT resource FROM item ORDER BY rowid")] == ids
    db.close()


@pytest.mark.parametrize("kept", [bytes(21), bytes(20), b"\xb8" * 22])
def test_bytes_that_are_no_id_are_damage(kept: bytes) -> None:
    with pytest.raises(sqlite3.DatabaseError):
        unpacked(kept)
