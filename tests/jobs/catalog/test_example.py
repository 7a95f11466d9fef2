"""Examples fit the schemas that they are made from, for every operation of every version."""

from __future__ import annotations

import pytest

from clerk_jobs.catalog import Schema, load
from clerk_jobs.catalog.check import check_value
from clerk_jobs.catalog.example import example_id, example_value


@pytest.mark.parametrize("version", load().versions)
def test_every_body_has_an_example_that_can_be_sent(version: str) -> None:
    for operation in load(version).operations():
        if operation.body is not None:
            for required_only in (True, False):
                value = example_value(operation.body.schema, required_only=required_only)
                findings = [str(finding) for finding in check_value(operation.body.schema, value)]
                assert findings == [], (operation.operation_id, value)


@pytest.mark.parametrize("version", load().versions)
def test_every_parameter_has_an_example_that_can_be_sent(version: str) -> None:
    for operation in load(version).operations():
        for parameter in operation.parameters:
            value = example_value(parameter.schema, parameter.name)
            assert list(check_value(parameter.schema, value)) == [], (operation.operation_id, parameter.name)


@pytest.mark.parametrize("version", load().versions)
def test_every_answer_has_an_example_of_its_shape(version: str) -> None:
    for operation in load(version).operations():
        for response in operation.responses:
            if response.schema is not None:
                value = example_value(response.schema)
                if operation.list_shape is not None and response.status < 300:
                    assert operation.list_shape.rows(value)


@pytest.mark.parametrize(
    ("schema", "name", "value"),
    [
        (Schema(type="string"), "first_name", "Ada"),
        (Schema(type="string"), "user_id", "user_2abcdefghijklmnopqrstuvwxyz"),
        (Schema(type="string"), "redirect_url", "https://example.com"),
        (Schema(type="string", format="date-time"), "", "2026-01-01T00:00:00Z"),
        (Schema(type="string", format="date"), "", "2026-01-01"),
        (Schema(type="string"), "from_email_name", "ada@example.com"),
        (Schema(type="string", max_length=3), "name", "Exa"),
        (Schema(type="string", pattern="^[A-Z]{2}$"), "", "US"),
        (Schema(type="integer"), "created_at", 1_767_225_600_000),
        (Schema(type="number", minimum=0, exclusive_minimum=True), "", 1),
        (Schema(type="number", minimum=0.5), "", 0.5),
        (Schema(type="array"), "", []),
        (Schema(type="object"), "private_metadata", {"stripe_id": "cus_example"}),
        (Schema(one_of=(Schema(type="boolean"), Schema(type="string"))), "", True),
        (Schema(), "anything", None),
        (Schema(enum=(None, "b")), "", "b"),
    ],
)
def test_values(schema: Schema, name: str, value: object) -> None:
    assert example_value(schema, name) == value


def test_ids() -> None:
    assert example_id("apiKeyID", hexadecimal=True) == "apikey_0123456789abcdef0123456789abcdef"
    assert example_id("id") == "id_2abcdefghijklmnopqrstuvwxyz"
    assert example_id("other_machine_id") == "mch_2abcdefghijklmnopqrstuvwxyz"
