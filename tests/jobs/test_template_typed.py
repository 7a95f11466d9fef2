"""Templates of typed fields: what is refused at load, and what only a row can tell."""

from __future__ import annotations

import pytest

from clerk_jobs.errors import RowProblem
from clerk_jobs.template import DROPPED, compile_value
from clerk_jobs.typed_template import Expectation, TypedTemplate, boolean, integer, one_of, text
from clerk_jobs.values import Json


@pytest.mark.parametrize(
    ("expectation", "written"),
    [
        (boolean(), True),
        (boolean(), "{x:bool}"),
        (boolean(), "{x}"),
        (boolean(), "{x:bool?}"),
        (boolean(), "{x:json}"),
        (integer(1, 365), 365),
        (integer(1, 365), "{x:int}"),
        (text(), "a"),
        (text(), "{x} {y}"),
        (text(required=True), "{x}"),
        (one_of("a", "b"), "a"),
        (one_of("a", "b"), "{x}"),
    ],
)
def test_what_may_fit_is_accepted(expectation: Expectation, written: Json) -> None:
    assert expectation.refusal(compile_value(written)) is None


@pytest.mark.parametrize(
    ("expectation", "written", "refusal"),
    [
        (boolean(), "true", ("must be true or false", "")),
        (boolean(), 1, ("must be true or false", "")),
        (boolean(), None, ("must be true or false", "")),
        (
            boolean(),
            "{x:int}",
            (
                "must be true or false, but this is always of another type",
                "write one template with a cast, {column:bool}",
            ),
        ),
        (
            integer(1, 5),
            "{x} days",
            (
                "must be a whole number from 1 to 5, but this is always of another type",
                "write one template with a cast, {column:int}",
            ),
        ),
        (integer(1, 365), 0, ("must be a whole number from 1 to 365", "")),
        (integer(1, 365), True, ("must be a whole number from 1 to 365", "")),
        (text(), 5, ("must be a text", "write it in quotes")),
        (text(), "", ("must be a text", "")),
        (text(), {"a": 1}, ("must be a text, but this is always of another type", "")),
        (text(required=True), "{x?}", ("cannot be left out", "drop the question mark")),
        (one_of("skip", "fail"), "skipp", ("must be one of skip, fail", "did you mean skip?")),
    ],
)
def test_what_can_never_fit_is_refused_before_any_row(
    expectation: Expectation, written: Json, refusal: tuple[str, str]
) -> None:
    assert expectation.refusal(compile_value(written)) == refusal


def typed(written: Json, expectation: Expectation) -> TypedTemplate:
    return TypedTemplate(compile_value(written), expectation, "notify")


def test_a_value_that_fits_is_rendered() -> None:
    assert typed("{x:bool}", boolean()).render({"x": "yes"}) is True
    assert typed("{x?}", boolean()).render({"x": ""}) is DROPPED
    assert TypedTemplate.constant(True, boolean(), "notify").render({}) is True


@pytest.mark.parametrize(
    ("written", "expectation", "value", "code", "message"),
    [
        ("{x}", boolean(), "true", "value_invalid", "notify must be true or false; write {x:bool}"),
        ("{x}", boolean(), 1, "value_invalid", "notify must be true or false"),
        ("{x:int}", integer(1, 5), "6", "value_invalid", "notify must be a whole number from 1 to 5"),
        ("{x}", text(), " ", "missing_value", "notify is empty in this row"),
        ("{x}", text(), None, "value_invalid", "notify must be a text"),
        ("{x}", one_of("a", "b"), "c", "value_invalid", "notify must be one of a, b"),
    ],
)
def test_a_row_whose_value_does_not_fit_is_refused(
    written: str, expectation: Expectation, value: Json, code: str, message: str
) -> None:
    with pytest.raises(RowProblem) as caught:
        typed(written, expectation).render({"x": value})
    assert (caught.value.code, caught.value.message, caught.value.column) == (code, message, "x")


def test_a_problem_of_several_columns_names_none_of_them() -> None:
    with pytest.raises(RowProblem) as caught:
        typed("{x}{y}", text()).render({"x": "", "y": ""})
    assert caught.value.column is None
