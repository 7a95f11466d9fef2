"""Numbers keep their spelling on the way from Clerk into a journal and back."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.metadata.numbers import Exact, loads_exact, marking, spelling, unmarked
from clerk_jobs.metadata.screen import decode_changes, encode_changes
from clerk_jobs.metadata.trees import digest_of, merged, same
from clerk_jobs.metadata.undo import judge

SPELLED = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
ODD = ["1.0", "1e3", "1E+3", "-0", "-0.0", "12345678901234567890123", "0.12345678901234567890", "1e999", "1.50", "7"]


def read(*numbers: str) -> Any:
    return loads_exact(f'{{"a":{{"n":[{",".join(numbers)}]}},"k":{numbers[0]}}}'.encode())


@given(st.lists(SPELLED, min_size=1, max_size=4))
def test_what_is_read_is_written_as_it_was(numbers: list[str]) -> None:
    text = f'{{"a":{{"n":[{",".join(numbers)}]}},"k":{numbers[0]}}}'.encode()
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        with pytest.raises(orjson.JSONDecodeError):
            loads_exact(text)
        return
    value = loads_exact(text)
    assert spelling(value) == text
    # Through a journal, and whatever reads its JSON.
    assert spelling(unmarked(json.loads(marking(value)))) == text


@pytest.mark.parametrize("number", ODD)
def test_an_undo_puts_back_what_was_there_digit_for_digit(number: str) -> None:
    try:
        before = read(number)
    except orjson.JSONDecodeError:
        assert number == "1e999"
        return
    after = merged(before, {"k": 5, "a": {"n": None}})
    changes = decode_changes(encode_changes({"public_metadata": before}, {"public_metadata": after}))
    judged = judge({"public_metadata": after}, changes, force=False)
    assert (judged.left, judged.inexact) == ([], [])
    assert spelling(judged.patch["public_metadata"]) in (
        f'{{"a":{{"n":[{number}]}},"k":{number}}}'.encode(),
        f'{{"k":{number},"a":{{"n":[{number}]}}}}'.encode(),
    )


def test_two_spellings_of_a_number_that_a_float_holds_are_the_same_number() -> None:
    assert same(Exact("1e3"), 1000.0)
    assert digest_of([Exact("1E+3")]) == digest_of([1000.0])
    assert not same(Exact("1e3"), 1000)
    assert not same(Exact("12345678901234567890123"), float("12345678901234567890123"))
    assert not same(Exact("0.12345678901234567890"), 0.12345678901234567890)
