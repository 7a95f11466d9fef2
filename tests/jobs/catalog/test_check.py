"""Values against schemas: what is found, where, and that what was given is never shown."""

from __future__ import annotations

import pytest

from clerk_jobs.catalog import Json, Schema, load
from clerk_jobs.catalog.check import check_value, nearest, parse_text, type_name

TEXT = Schema(type="string")
NAMED = Schema(type="object", properties={"name": TEXT, "age": Schema(type="integer")}, required=("name",))


def found(schema: Schema, value: Json) -> list[str]:
    return [str(finding) for finding in check_value(schema, value)]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (TEXT, 1, "must be text, is a number"),
        (TEXT, None, "must be text, is null"),
        (Schema(type="integer"), "1", "must be a whole number, is text"),
        (Schema(type="integer"), True, "must be a whole number, is true or false"),
        (Schema(type="integer"), 1.5, "must be a whole number, is a number"),
        (Schema(type="boolean"), 1, "must be true or false, is a number"),
        (Schema(type="array", items=TEXT), {}, "must be an array, is an object"),
        (Schema(type="object"), [], "must be an object, is an array"),
        (Schema(type="string", enum=("a", "b", None)), "c", "must be one of a, b"),
        (Schema(enum=("a", "b")), None, "must be one of a, b, is null"),
        (Schema(type="integer", minimum=1), 0, "must be at least 1, is 0"),
        (Schema(type="number", minimum=0, exclusive_minimum=True), 0, "must be greater than 0, is 0"),
        (Schema(type="integer", maximum=500), 501, "must be at most 500, is 501"),
        (Schema(type="string", min_length=1), "", "must not be empty"),
        (Schema(type="string", min_length=3), "ab", "needs at least 3 characters"),
        (Schema(type="string", max_length=3), "abcd", "may have at most 3 characters, has 4"),
        (Schema(type="string", pattern="^user_"), "x", "does not have the documented form ^user_"),
        (Schema(type="array", items=TEXT, min_items=1), [], "needs at least 1 items, has 0"),
        (Schema(type="array", items=TEXT, max_items=1), ["a", "b"], "takes at most 1 items, has 2"),
        (Schema(type="array", items=TEXT, unique_items=True), ["a", "a"], "contains an item twice"),
    ],
)
def test_what_is_wrong_with_a_value(schema: Schema, value: Json, message: str) -> None:
    assert found(schema, value) == [f"body: {message}"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (TEXT, "a"),
        (Schema(type="string", nullable=True), None),
        (Schema(type="number"), 3),
        (Schema(type="integer"), 3.0),
        (Schema(), None),
        (Schema(), [1, "a", {}]),
        (Schema(type="object"), {"anything": 1}),
        (Schema(type="object", properties={"a": TEXT}, additional=True), {"b": 1}),
        (Schema(type="object", additional=Schema(type="integer")), {"b": 1}),
        (Schema(type="string", pattern="(?<wrong>"), "what Python cannot read is left to Clerk"),
        (Schema(type="array"), [1]),
    ],
)
def test_what_is_right(schema: Schema, value: Json) -> None:
    assert found(schema, value) == []


def test_every_fault_of_an_object_is_found_at_its_place() -> None:
    schema = Schema(type="array", items=NAMED)
    value: Json = [{"name": "Ada"}, {"age": "old", "Name": 1, "nam": 2, "xyzzy": 3}]
    assert found(schema, value) == [
        "body [1].name: is required",
        "body [1].age: must be a whole number, is text",
        "body [1].Name: is not a field here; the REST API uses snake_case: name (SDKs use camelCase)",
        "body [1].nam: is not a field here; did you mean name?",
        "body [1].xyzzy: is not a field here",
    ]
    inside = Schema(type="object", additional=NAMED)
    assert found(inside, {"a": {}}) == ["body a.name: is required"]


def test_alternatives_that_only_demand_know_the_fields_around_them() -> None:
    body = load().operation("CreateSAMLConnection").body
    assert body is not None
    base: dict[str, Json] = {"name": "x", "provider": "saml_custom"}
    assert found(body.schema, base | {"domain": "example.com"}) == []
    assert found(body.schema, base | {"domains": ["example.com"]}) == []
    assert found(body.schema, base) == ["body domain: is required"]


def test_the_nearest_of_several_alternatives_is_explained() -> None:
    schema = Schema(one_of=(Schema(type="integer"), NAMED))
    assert found(schema, 5) == []
    assert found(schema, {"name": "a"}) == []
    assert found(schema, {"name": 1}) in (
        ["body: must be a whole number, is an object"],
        ["body name: must be text, is a number"],
    )


def test_no_text_that_was_given_is_shown() -> None:
    secret = "ada@example.com"
    for schema in (
        Schema(type="integer"),
        Schema(enum=("a",)),
        Schema(type="string", pattern="^x", max_length=2),
    ):
        for finding in check_value(schema, secret):
            assert secret not in repr(finding)


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (TEXT, "5", "5"),
        (TEXT, "null", "null"),
        (Schema(type="string", nullable=True), "null", None),
        (Schema(type="integer"), "-5", -5),
        (Schema(type="integer"), "5.0", "5.0"),
        (Schema(type="integer"), "9" * 19, "9" * 19),
        (Schema(type="number"), "5", 5),
        (Schema(type="number"), "5.25", 5.25),
        (Schema(type="boolean"), "false", False),
        (Schema(type="boolean"), "no", "no"),
    ],
)
def test_texts_mean_what_the_schema_says(schema: Schema, text: str, value: Json) -> None:
    assert parse_text(schema, text) == value


def test_small_words() -> None:
    values: tuple[Json, ...] = (None, True, "a", 1, [], {})
    assert [type_name(value) for value in values] == [
        "null", "true or false", "text", "a number", "an array", "an object",
    ]  # fmt: skip
    assert nearest("notfy", ["notify", "role"]) == "did you mean notify?"
    assert nearest("xyzzy", ["notify", "role"]) == ""
