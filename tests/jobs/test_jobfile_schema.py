"""The JSON Schema for editors: it takes what loads, and refuses what it can know to be wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from clerk_jobs.jobfile import KINDS, job_schema

LEAST: dict[str, Any] = {"name": "beta", "kind": "invite", "source": "people.csv", "email": "{email}"}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = job_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize(
    "added",
    [
        {},
        {"source": {"csv": "a.csv", "delimiter": ";", "encoding": "utf-16"}},
        {"source": {"jsonl": "-"}},
        {"notify": False},
        {"notify": "{notify:bool}"},
        {"expires_in_days": 365},
        {"expires_in_days": "{days:int?}"},
        {"template_slug": "waitlist_invitation"},
        {"template_slug": "{slug}"},
        {"public_metadata": {"any": [{"thing": None}]}},
        {"limits": {"share": 1, "early_release": "250ms"}, "errors": {"stop_after": "5%"}},
        {"errors": {"stop_after": 50}, "reconcile": {"quarantine": "2m"}},
        {"organization": None, "instance": "production", "api_version": "2025-11-10"},
    ],
)
def test_a_good_job_file_is_valid(validator: Draft202012Validator, added: dict[str, Any]) -> None:
    assert list(validator.iter_errors(LEAST | added)) == []


@pytest.mark.parametrize(
    "added",
    [
        {"limts": {}},
        {"folder": "/"},
        {"limits": {"shar": 1}},
        {"kind": "invites"},
        {"name": "-a"},
        {"name": 5},
        {"notify": "yes"},
        {"notify": 1},
        {"expires_in_days": 366},
        {"expires_in_days": "30"},
        {"template_slug": "other"},
        {"public_metadata": "{m:json}"},
        {"limits": {"share": 0}},
        {"errors": {"stop_after": 0}},
        {"errors": {"stop_after": "many"}},
        {"reconcile": {"quarantine": 120}},
        {"source": {"csv": "a", "jsonl": "b"}},
        {"source": {}},
        {"on_existing": "skipp"},
        {"email": ""},
    ],
)
def test_a_bad_job_file_is_not(validator: Draft202012Validator, added: dict[str, Any]) -> None:
    assert list(validator.iter_errors(LEAST | added)) != []


@pytest.mark.parametrize("missing", ["name", "kind", "source", "email"])
def test_what_is_required_is_required(validator: Draft202012Validator, missing: str) -> None:
    assert list(validator.iter_errors({key: value for key, value in LEAST.items() if key != missing})) != []


def test_every_kind_and_every_key_is_described() -> None:
    schema = job_schema()
    for kind in KINDS:
        described = schema["$defs"][kind.__name__]
        assert described["additionalProperties"] is False
        assert set(described["properties"]) == {"kind", *kind.__struct_encode_fields__} - kind.given
        bare = [name for name, each in described["properties"].items() if not each.get("description")]
        assert bare == ["kind"]
        assert "Attributes:" not in json.dumps(schema)


EXPORT = {"name": "e", "kind": "export", "list": "users", "output": "users.csv"}


@pytest.mark.parametrize(
    ("column", "is_good"),
    [
        ("id", True),
        ({"email": "primary_email"}, True),
        ({"name": "since", "path": "created_at", "type": "time"}, True),
        ({"path": "created_at"}, True),
        ("", False),
        (5, False),
        ({"a": "b", "c": "d"}, False),
        ({"name": "since", "path": "created_at", "type": "date"}, False),
        ({}, False),
    ],
)
def test_a_column_is_written_in_any_of_three_ways(validator: Draft202012Validator, column: Any, is_good: bool) -> None:
    assert (list(validator.iter_errors(EXPORT | {"columns": [column]})) == []) is is_good
