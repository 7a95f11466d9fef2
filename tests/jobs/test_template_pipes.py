"""The functions of templates: what they make of values, and what is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.errors import RowProblem, TemplateError
from clerk_jobs.listed import ListedRow
from clerk_jobs.template import DROPPED, compile_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PIECES = st.sampled_from(
    ["default", "lower", "upper", "date", ":", "|", "?", '"', "'", "x", "int", '"free"', "12", "true", "%Y", " ", "\\"]
)


@pytest.mark.parametrize(
    ("text", "values", "wanted"),
    [
        ('{plan|default:"free"}', {"plan": "pro"}, "pro"),
        ('{plan|default:"free"}', {}, "free"),
        ("{plan|default:'free'|upper}", {"plan": " "}, "FREE"),
        ('{plan|upper|default:"free"}', {"plan": None}, "free"),
        ('{plan|default:"a|b: ?"}', {}, "a|b: ?"),
        ("{seats:int|default:1}", {"seats": ""}, 1),
        ("{seats:int|default:1}", {"seats": "7"}, 7),
        ("{old|default:null}", {}, None),
        ("{ok:bool|default:false}", {}, False),
        ("{name|lower?}", {"name": "ADA"}, "ada"),
        ("{name|lower?}", {"name": ""}, DROPPED),
        ("{at|date}", {"at": 1706659200123}, "2024-01-31"),
        ("{at|date}", {"at": "1706659200123"}, "2024-01-31"),
        ("{at|date}", {"at": "2024-01-31T23:30:00-02:00"}, "2024-02-01"),
        ('{at|date:"iso"}', {"at": 1706659200123}, "2024-01-31T00:00:00.123Z"),
        ('{at|date:"ms"}', {"at": "2024-01-31"}, 1706659200000),
        ('{at|date:"s"}', {"at": "2024-01-31T00:00:01Z"}, 1706659201),
        ('{at|date:"%Y/%m"}', {"at": "2024-01-31"}, "2024/01"),
        ("since {at|date}, {plan|default:'free'}", {"at": 1706659200123}, "since 2024-01-31, free"),
    ],
)
def test_functions(text: str, values: dict[str, Any], wanted: object) -> None:
    found = compile_text(text).render(values)
    assert (type(found), found) == (type(wanted), wanted)


def test_a_listed_object_is_led_into() -> None:
    row = ListedRow("user", {"id": "user_1", "public_metadata": {"plan": None, "seats": 3}})
    assert compile_text('{user.public_metadata.plan|default:"free"}').render(row) == "free"
    assert compile_text("{user.public_metadata.seats:int}").render(row) == 3
    assert compile_text("{user.public_metadata.plan.name?}").render(row) is DROPPED


@pytest.mark.parametrize(
    ("text", "said", "place"),
    [
        ("{a|uper}", "'uper' is not a function; did you mean upper?", 3),
        ("{a|lower|}", "a bar without a function after it", 9),
        ("{a|int}", "a cast follows the column and a colon, {column:int}", 3),
        ("{a|default}", "default needs a value", 3),
        ("{a|default:free}", "an argument that is not a value; texts are written in quotes", 11),
        ('{a|default:"free}', "argument that cannot be read", 3),
        ("{a|default:[1]}", "an argument that is not a value", 11),
        ("{a|default:1|default:2}", "default is given twice", 3),
        ("{a|lower:1}", "lower takes no argument", 3),
        ('{a|date:"%c"}', "date does not know this format", 3),
        ("{a|default:1?}", "a default and a question mark", 12),
        ("{a?|upper}", "the question mark comes last; write {a|upper?}", 2),
        ("{|upper}", "a placeholder without a column", 1),
    ],
)
def test_faults_are_found_before_any_row(text: str, said: str, place: int) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_text(text)
    assert said in str(caught.value)
    assert caught.value.offset == place


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a|lower}", 1),
        ("{a|upper}", ["x"]),
        ("{a|date}", "yesterday"),
        ("{a|date}", True),
        ("{a|date}", 1706659200),
        ("{a|date}", "20240131"),
        ("{a|date}", 10**18),
        ("{a|date}", float("inf")),
    ],
)
def test_values_that_a_function_does_not_take(text: str, value: Any) -> None:
    with pytest.raises(RowProblem) as caught:
        compile_text(text).render({"a": value})
    assert (caught.value.code, caught.value.column) == ("function_failed", "a")
    assert str(value) not in str(caught.value)


@given(st.lists(PIECES, max_size=9).map("".join), JSON)
def test_whatever_is_written_is_a_template_or_a_fault(inner: str, value: Any) -> None:
    """No other error leaves it, and what is compiled is compiled again from what it says of itself."""
    try:
        template = compile_text(f"{{a|{inner}}}")
    except TemplateError:
        return
    assert compile_text(str(template.source)) == template
    try:
        found = template.render({"a": value})
    except RowProblem:
        return
    assert template.produces is None or found is DROPPED or type(found) is template.produces
