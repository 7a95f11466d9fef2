"""Casts: what becomes a typed value, and what never does."""

from __future__ import annotations

import json
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.casts import CASTS, Misfit
from clerk_jobs.values import Json


@pytest.mark.parametrize(
    ("cast", "value", "expected"),
    [
        ("int", "12", 12),
        ("int", " +007 ", 7),
        ("int", 12, 12),
        ("int", 12.0, 12),
        ("int", "18446744073709551615", 2**64 - 1),
        ("int", "-9223372036854775808", -(2**63)),
        ("float", "1", 1.0),
        ("float", " 1.5e3 ", 1500.0),
        ("float", ".5", 0.5),
        ("float", 3, 3.0),
        ("bool", "TRUE", True),
        ("bool", " no ", False),
        ("bool", "1", True),
        ("bool", False, False),
        ("str", "", ""),
        ("str", " x ", " x "),
        ("str", 12, "12"),
        ("str", True, "true"),
        ("str", {"a": [1, "ü"]}, '{"a":[1,"ü"]}'),
        ("json", '{"a": [1, 2.5, null, "x"]}', {"a": [1, 2.5, None, "x"]}),
        ("json", "null", None),
        ("json", '"x"', "x"),
        ("json", [1], [1]),
        ("json", None, None),
        ("list", " a@x, b@x;;c@x|d@x\n", ["a@x", "b@x", "c@x", "d@x"]),
        ("list", '["a", 1]', ["a", 1]),
        ("list", [True], [True]),
        ("list", "", []),
        ("first", " Ada Mary  Lovelace ", "Ada"),
        ("first", "", ""),
        ("rest", " Ada Mary  Lovelace ", "Mary  Lovelace"),
        ("rest", "Ada", ""),
    ],
)
def test_a_cast_brings_its_type(cast: str, value: Json, expected: Json) -> None:
    result = CASTS[cast](value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("cast", "value", "reason"),
    [
        ("int", "1.0", "is not a whole number"),
        ("int", "1_000", "is not a whole number"),
        ("int", "1,000", "is not a whole number"),
        ("int", "٣", "is not a whole number"),
        ("int", "9" * 5000, "is not a whole number"),
        ("int", True, "is not a whole number"),
        ("int", 1.5, "is not a whole number"),
        ("int", 1e300, "is not a whole number"),
        ("int", None, "is not a whole number"),
        ("int", "18446744073709551616", "is too large for a 64-bit number; use str"),
        ("int", 10**30, "is too large for a 64-bit number; use str"),
        ("float", "1,5", "is not a number"),
        ("float", "nan", "is not a number"),
        ("float", "inf", "is not a number"),
        ("float", "1" * 500, "is not a number"),
        ("float", False, "is not a number"),
        ("float", [], "is not a number"),
        ("float", "1e999", "is a number too large for a float"),
        ("float", 10**400, "is a number too large for a float"),
        ("bool", "maybe", "is not true or false (also yes, no, on, off, 1, 0)"),
        ("bool", 1, "is not true or false (also yes, no, on, off, 1, 0)"),
        ("str", None, "is null"),
        ("str", 2**64, "is too large for a 64-bit number; write it as text"),
        ("json", "{", "is not JSON"),
        ("json", "NaN", "is not JSON"),
        ("json", "1 2", "is not JSON"),
        ("json", '"\\ud800"', "is not JSON"),
        ("json", "[" * 100_000, "is not JSON"),
        ("json", "[" * 40 + "]" * 40, "is nested more than 32 levels deep"),
        ("json", "[18446744073709551616]", "is too large for a 64-bit number; write it as text"),
    ],
)
def test_a_cast_refuses_what_is_not_plainly_of_its_type(cast: str, value: Json, reason: str) -> None:
    with pytest.raises(Misfit) as caught:
        CASTS[cast](value)
    assert str(caught.value) == reason


@given(number=st.integers(-(2**63), 2**64 - 1))
def test_whole_numbers_survive_text(number: int) -> None:
    assert CASTS["int"](str(number)) == number


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_text(number: float) -> None:
    result = CASTS["float"](repr(number))
    assert isinstance(result, float)
    assert math.copysign(1, result) == math.copysign(1, number)
    assert result == number


@given(text=st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_what_json_brings_can_be_sent(text: str) -> None:
    try:
        value = CASTS["json"](text)
    except Misfit:
        return
    assert orjson.loads(orjson.dumps(value)) == value
