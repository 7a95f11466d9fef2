"""Compiling: from small documents of our own, and from Clerk's where they are at hand (CLERK_SPEC_DIR)."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from clerk_jobs.catalog import Catalog, ListShape, load
from clerk_jobs.catalog.compile import SpecError, compile_documents, compile_folder, main, parse_document
from clerk_jobs.catalog.facts import FactsError, pack_facts, package_facts, unpack_facts

SPECS = os.environ.get("CLERK_SPEC_DIR")


def document(version: str = "2030-01-01", **changes: Any) -> dict[str, Any]:
    """A document of one operation and two components."""
    operation = {
        "operationId": "ListRoads",
        "tags": ["Roads"],
        "summary": "Secret prose",
        "description": "Secret prose",
        "parameters": [
            {"$ref": "#/components/parameters/Limit"},
            {
                "name": "kind",
                "in": "query",
                "explode": False,
                "deprecated": True,
                "schema": {"type": "string"},
            },
        ],
        "responses": {
            "default": {"description": "Secret prose"},
            "404": {"description": "Secret prose"},
            "200": {"$ref": "#/components/responses/Roads"},
        },
        **changes,
    }
    return {
        "info": {"version": version},
        "paths": {"/roads": {"get": operation}},
        "components": {
            "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 7}}},
            "schemas": {"Road": ROAD, "Place": {"type": "string", "description": "Secret prose"}},
            "responses": {
                "Roads": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {
                                    "data": {"type": "array", "items": {"$ref": "#/components/schemas/Road"}}
                                },
                            }
                        }
                    }
                }
            },
        },
    }


ROAD = {
    "type": "object",
    "description": "Secret prose",
    "example": {"from": "Secret prose"},
    "additionalProperties": False,
    "required": ["from"],
    "properties": {
        "from": {
            "allOf": [{"$ref": "#/components/schemas/Place"}],
            "nullable": True,
            "description": "Secret prose",
        },
        "length": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "default": False},
        "next": {"$ref": "#/components/schemas/Road"},
        "toll": {"nullable": True, "oneOf": [{"$ref": "#/components/schemas/Place"}]},
        "kind": {
            "oneOf": [{"type": "string"}, {"type": "integer"}],
            "discriminator": {"propertyName": "is", "mapping": {}},
        },
        "lanes": {"type": "object", "additionalProperties": {"type": "integer"}},
        "joined": {
            "allOf": [
                {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
                {"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}}},
            ]
        },
    },
}


def compiled(*documents: dict[str, Any]) -> Catalog:
    return load(facts=compile_documents(documents or [document()]))


def road_of(catalog: Catalog) -> Any:
    answer = catalog.operation("ListRoads").success
    assert answer is not None
    assert answer.schema is not None
    assert answer.schema.properties["data"].items is not None
    return answer.schema.properties["data"].items


def test_an_operation_is_read() -> None:
    operation = compiled().operation("ListRoads")
    assert (operation.method, operation.path, operation.tags, operation.phrase) == (
        "GET", "/roads", ("Roads",), "List roads",
    )  # fmt: skip
    assert operation.list_shape is ListShape.DATA
    assert operation.page_maximum == 7
    assert [r.status for r in operation.responses] == [200, 404]
    assert operation.sdk == "roads.ListRoads"
    kind = operation.parameter("kind")
    assert kind is not None
    assert (kind.explode, kind.deprecated, kind.required) == (False, True, False)


def test_references_are_resolved_and_combined_schemas_merged() -> None:
    road = road_of(compiled())
    assert (road.component, road.required, road.additional) == ("Road", ("from",), False)
    place = road.properties["from"]
    assert (place.type, place.nullable, place.component) == ("string", True, "Place")
    assert (road.properties["toll"].type, road.properties["toll"].nullable) == ("string", True)
    length = road.properties["length"]
    assert (length.minimum, length.exclusive_minimum, length.default) == (0, True, False)
    assert road.properties["lanes"].additional.type == "integer"
    assert [s.type for s in road.properties["kind"].one_of] == ["string", "integer"]
    assert road.properties["kind"].discriminator == "is"
    joined = road.properties["joined"]
    assert (list(joined.properties), joined.required, joined.component) == (["a", "b"], ("a", "b"), None)


def test_a_schema_that_holds_itself_ends() -> None:
    inner = road_of(compiled()).properties["next"]
    assert (inner.component, dict(inner.properties)) == ("Road", {})


def test_no_description_gets_through() -> None:
    assert "Secret" not in repr(compile_documents([document()]))


def test_what_versions_share_is_stored_once() -> None:
    one = compile_documents([document()])
    two = compile_documents([document("2031-01-01"), document()])
    assert list(two.versions) == ["2030-01-01", "2031-01-01"]
    assert (two.operations, two.schemas) == (one.operations, one.schemas)
    assert load(facts=two).version == "2031-01-01"


def test_a_body_keeps_its_media_type() -> None:
    body = {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}
    changed = document(requestBody=body, deprecated=True)
    operation = compiled(changed).operation("ListRoads")
    assert operation.body is not None
    assert (operation.body.media_type, operation.body.required, operation.deprecated) == (
        "multipart/form-data", False, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "x.yml is not YAML: "),
        ("- a", "x.yml is not an OpenAPI document: it has no paths"),
        ("paths: {}", "x.yml is not an OpenAPI document: it has no paths"),
        ("paths: {/a: {}}", "x.yml does not name its version as a date in info.version"),
        ("info: 3\npaths: {/a: {}}", "x.yml does not name its version as a date in info.version"),
    ],
)
def test_what_is_no_document_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_document(text, "x.yml")
    assert str(caught.value).startswith(message)


def test_an_operation_that_is_not_as_openapi_has_it_is_refused() -> None:
    with pytest.raises(SpecError, match="version 2030-01-01 is not as expected"):
        compile_documents([document(parameters=[{"$ref": "#/components/parameters/Gone"}])])


def test_what_holds_itself_is_refused_and_ends() -> None:
    circle = document(parameters=[{"$ref": "#/components/parameters/A"}])
    circle["components"] = {"parameters": {"A": {"$ref": "#/components/parameters/B"}}}
    circle["components"]["parameters"]["B"] = {"$ref": "#/components/parameters/A"}
    with pytest.raises(SpecError, match="leads in a circle"):
        compile_documents([circle])
    anchored: dict[str, Any] = {"type": "object"}
    anchored["properties"] = {"again": anchored}
    with pytest.raises(SpecError, match="RecursionError"):
        compile_documents([document(parameters=[{"name": "a", "in": "query", "schema": anchored}])])


def test_the_command_compiles_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "2030-01-01.yml").write_text(yaml.safe_dump(document()))
    target = tmp_path / "facts.bin"
    assert main([str(tmp_path), str(target)]) == 0
    assert capsys.readouterr().out == "2030-01-01: 1 operations\n"
    assert load(facts=unpack_facts(target.read_bytes(), "target")).operation_ids == ("ListRoads",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2030-01-01.yml", "facts.bin"]


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "facts.bin")]) == 2
    assert "holds no OpenAPI document" in capsys.readouterr().err


@pytest.mark.parametrize("packed", [b"no facts", zlib.compress(b"[1]"), zlib.compress(b"{}")])
def test_a_damaged_file_of_facts_is_refused(packed: bytes) -> None:
    with pytest.raises(FactsError, match=r"x\.bin is damaged"):
        unpack_facts(packed, "x.bin")


def test_a_file_of_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clerk_jobs.catalog.facts.FORMAT", 99)
    packed = pack_facts(compile_documents([document()]))
    monkeypatch.undo()
    with pytest.raises(FactsError, match=r"x\.bin has format 99"):
        unpack_facts(packed, "x.bin")


def test_facts_that_are_missing_from_the_installation_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clerk_jobs.catalog.facts.FACTS_FILE", tmp_path / "facts.bin")
    with pytest.raises(FactsError, match=r"facts\.bin cannot be read: No such file"):
        package_facts.__wrapped__()


@pytest.mark.skipif(not SPECS, reason="CLERK_SPEC_DIR names no folder of OpenAPI documents")
def test_the_package_holds_what_the_documents_say() -> None:
    assert compile_folder(Path(str(SPECS))) == package_facts()
