"""Templates: what they render, what they need, and what is refused when they are compiled."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.casts import CASTS
from clerk_jobs.errors import RowProblem, TemplateError
from clerk_jobs.template import DROPPED, Constant, Placeholder, Template, compile_text, compile_value
from clerk_jobs.values import MAX_TEXT, Json


def render(text: str, values: Mapping[str, Json]) -> object:
    return compile_text(text).render(values)


@pytest.mark.parametrize(
    ("text", "values", "rendered"),
    [
        ("plain", {}, "plain"),
        ("", {}, ""),
        ("{a}", {"a": "x"}, "x"),
        ("{ a }", {"a": "x"}, "x"),
        ("{First Name}", {"First Name": "Ada"}, "Ada"),
        ("{a}", {"a": ""}, ""),
        ("{a}", {"a": None}, None),
        ("{a}", {"a": {"b": [1]}}, {"b": [1]}),
        ("{a:int}", {"a": " 12 "}, 12),
        ("{a : int}", {"a": "-3"}, -3),
        ("{a:b:str}", {"a:b": "x"}, "x"),
        ("{a:int} seats", {"a": "012"}, "12 seats"),
        ("{a}/{b}", {"a": "x", "b": "y"}, "x/y"),
        ("{a?}/{b?}", {"a": "", "b": None}, "/"),
        ("{a} and {b}", {"a": True, "b": 1.5}, "true and 1.5"),
        ("{a} ", {"a": {"ü": [1, None]}}, '{"ü":[1,null]} '),
        ("{{a}}", {}, "{a}"),
        ("{{{a}}}", {"a": "x"}, "{x}"),
        ("{a}}}", {"a": "x"}, "x}"),
        ("a{{", {}, "a{"),
    ],
)
def test_a_template_renders(text: str, values: Mapping[str, Json], rendered: object) -> None:
    result = render(text, values)
    assert result == rendered
    assert type(result) is type(rendered)


@pytest.mark.parametrize("text", ["{a?}", "{a:int?}", "{a:json?}", "{ a ? }"])
@pytest.mark.parametrize("values", [{"a": ""}, {"a": "  "}, {"a": None}, {}])
def test_an_optional_template_drops_an_empty_value(text: str, values: Mapping[str, Json]) -> None:
    assert render(text, values) is DROPPED


def test_dropping_leaves_out_the_key_and_the_list_item_and_nothing_around_them() -> None:
    template = compile_value({"a": "{x?}", "b": {"c": "{x?}"}, "d": ["{x?}", "{y}", 3, None]})
    assert template.render({"x": "", "y": "z"}) == {"b": {}, "d": ["z", 3, None]}


def test_each_rendering_is_a_new_value() -> None:
    template = compile_value({"a": {"b": [1]}})
    first, second = template.render({}), template.render({})
    assert first == second
    assert isinstance(first, dict)
    first["a"] = "changed"
    assert template.render({}) == second


@pytest.mark.parametrize(
    ("text", "values", "code", "message"),
    [
        ("{a}", {"b": "x"}, "missing_column", "column 'a' is not in this row"),
        ("{a} b", {"a": None}, "missing_value", "column 'a' is null"),
        (
            "{a:int}",
            {"a": " "},
            "missing_value",
            "column 'a' is empty; write {a:int?} to leave empty values out",
        ),
        ("{a:int}", {"a": "twelve"}, "cast_failed", "column 'a' is not a whole number"),
        ("{a}", {"a": 2**64}, "value_too_large", "column 'a' is too large for a 64-bit number; write it as text"),
        ("{a} b", {"a": [2**64]}, "value_too_large", "column 'a' is too large for a 64-bit number; write it as text"),
    ],
)
def test_a_row_that_does_not_fit_is_named_without_its_content(
    text: str, values: Mapping[str, Json], code: str, message: str
) -> None:
    with pytest.raises(RowProblem) as caught:
        render(text, values)
    assert (caught.value.code, caught.value.message, caught.value.column) == (code, message, "a")


def test_rendered_texts_are_bounded() -> None:
    half = "x" * (MAX_TEXT // 2 + 1)
    with pytest.raises(RowProblem, match="longer than 131,072") as caught:
        render("{a}{a}", {"a": half})
    assert caught.value.code == "value_too_large"


def test_values_of_a_row_are_bounded_in_depth() -> None:
    deep: Json = "x"
    for _ in range(40):
        deep = [deep]
    with pytest.raises(RowProblem, match="nested more than 32 levels"):
        render("{a}", {"a": deep})


def test_columns_are_known_before_any_row() -> None:
    template = compile_value({"a": "{x}", "b": ["{y:int?}", "{x} {z}"], "c": "none", "d": 3})
    assert template.columns == ("x", "y", "z")


@pytest.mark.parametrize(
    ("text", "produces"),
    [("a", str), ("{a}", None), ("{a:bool}", bool), ("{a:json}", None), ("{a:int} b", str), ("{{", str)],
)
def test_the_type_is_known_where_it_does_not_depend_on_the_row(text: str, produces: type | None) -> None:
    assert compile_text(text).produces is produces


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("ab {c", 3, "a brace that is never closed; write {{ for a plain brace"),
        ("c} d", 1, "a brace that is never opened; write }} for a plain brace"),
        ("x {}", 3, "a placeholder without a column; name a column of the source, {email}"),
        ("{:int}", 1, "a placeholder without a column; name a column of the source, {email}"),
        ("{?}", 1, "a placeholder without a column; name a column of the source, {email}"),
        ("a {seats:integer}", 9, "'integer' is not a cast; did you mean int?"),
        (
            "{a:xyz}",
            3,
            f"'xyz' is not a cast; casts are {', '.join(CASTS)}; a column with a colon in its name needs one",
        ),
        ("{seats?:int}", 6, "the question mark comes last; write {seats:int?}"),
        ("{a{b}}", 0, "a brace that is never closed; write {{ for a plain brace"),
        ("x" * 20_000, 0, "the text is longer than 16,384 characters"),
        ("{a}" * 201, 0, "more than 200 placeholders in one text"),
    ],
)
def test_a_text_that_is_no_template_is_refused_with_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_text(text)
    assert (caught.value.offset, str(caught.value)) == (offset, message)


def test_keys_are_fixed() -> None:
    with pytest.raises(TemplateError, match="a key cannot be a template; use templates in values only"):
        compile_value({"{a}": 1})


def test_nesting_in_a_job_file_is_bounded() -> None:
    deep: Json = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(TemplateError, match="nested more than 32 levels"):
        compile_value(deep)


def test_templates_are_equal_by_what_was_written() -> None:
    assert compile_text("{ a : int }") == compile_text("{a:int}") == Placeholder("a", "int")
    assert hash(compile_text("{a}")) == hash(Placeholder("a"))
    assert len({Constant(1), Constant(1.0), Constant(True), Constant("1"), compile_text("{a?}")}) == 5
    assert compile_text("a") != "a"


def test_the_source_of_a_template_compiles_to_the_same_template() -> None:
    for text in ("{{x}}", "{a}{b?} c", "{a:int?}", "plain"):
        template = compile_text(text)
        assert isinstance(template.source, str)
        assert compile_text(template.source) == template


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def attempt(text: str, value: Json) -> object:
    """Compile and render; a refusal is a result too."""
    try:
        template: Template = compile_text(text)
        return template, template.render(dict.fromkeys(template.columns, value))
    except (TemplateError, RowProblem) as refusal:
        return refusal


@given(text=st.text(alphabet="{}a?:int ", max_size=20), value=json_values)
def test_any_text_compiles_or_is_refused_and_any_value_renders_or_is_refused(text: str, value: Json) -> None:
    result = attempt(text, value)
    if isinstance(result, TemplateError):
        assert 0 <= result.offset <= len(text)
    elif isinstance(result, RowProblem):
        assert result.column is not None
        assert result.column in text
    else:
        assert isinstance(result, tuple)
        template, rendered = result
        assert template.produces in {None, type(rendered)} or rendered is DROPPED


@given(text=st.text())
def test_doubled_braces_are_always_plain_text(text: str) -> None:
    assert compile_text(text.replace("{", "{{").replace("}", "}}")).render({}) == text


@given(value=json_values)
def test_a_placeholder_alone_keeps_the_type(value: Json) -> None:
    rendered = render("{a}", {"a": value})
    assert rendered == value
    assert type(rendered) is type(value)


def test_every_cast_has_a_name() -> None:
    assert set(CASTS) == {"str", "int", "float", "bool", "json", "list", "first", "rest"}
