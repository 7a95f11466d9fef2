"""Every operation of every version can be built, found by its path, and is what Clerk's documents say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest

from clerk_jobs.catalog import (
    Catalog,
    ListShape,
    Operation,
    Schema,
    UnknownOperationError,
    UnknownVersionError,
    load,
)

VERSIONS = load().versions
NEWEST = load()
EVERY = [pytest.param(load(version), id=version) for version in VERSIONS]

# Counted in the documents: operations, paths that have one, tags in use.
COUNTS = {
    "2021-02-05": (212, 149, 38),
    "2024-10-01": (219, 152, 39),
    "2025-03-12": (132, 93, 29),
    "2025-04-10": (219, 152, 39),
    "2025-11-10": (239, 165, 41),
    "2026-05-12": (249, 171, 41),
}


def test_the_newest_version_is_the_default() -> None:
    assert NEWEST.version == max(VERSIONS) == "2026-05-12"
    assert tuple(COUNTS) == VERSIONS


@pytest.mark.parametrize("catalog", EVERY)
def test_counts_are_those_of_the_documents(catalog: Catalog) -> None:
    operations = catalog.operations()
    paths = {operation.path for operation in operations}
    assert (len(operations), len(paths), len(catalog.tags())) == COUNTS[catalog.version]


@pytest.mark.parametrize("catalog", EVERY)
def test_every_operation_is_found_by_its_id_its_template_and_a_path_with_ids(catalog: Catalog) -> None:
    for operation in catalog.operations():
        assert catalog.operation(operation.operation_id) is operation
        assert catalog.find(operation.method.lower(), operation.path) is operation
        values = {parameter.name: f"value_{n}" for n, parameter in enumerate(operation.path_parameters)}
        filled = operation.path.format_map(values)
        assert catalog.match(operation.method, f"/v1{filled}/") == (operation, values)


@pytest.mark.parametrize("catalog", EVERY)
def test_path_parameters_are_exactly_those_of_the_template_and_required(catalog: Catalog) -> None:
    for operation in catalog.operations():
        names = re.findall(r"\{(\w+)\}", operation.path)
        assert [parameter.name for parameter in operation.path_parameters] == names
        assert all(parameter.required for parameter in operation.path_parameters)
        assert {parameter.place for parameter in operation.parameters} <= {"path", "query"}


@pytest.mark.parametrize("catalog", EVERY)
def test_every_operation_has_a_tag_a_success_and_a_body_only_where_one_is_sent(catalog: Catalog) -> None:
    for operation in catalog.operations():
        assert operation.tags
        assert operation.responses
        assert [r.status for r in operation.responses] == sorted(r.status for r in operation.responses)
        assert operation.body is None or operation.method in {"POST", "PUT", "PATCH"}
        assert operation.sdk.count(".") == 1


@pytest.mark.parametrize("catalog", EVERY)
def test_schemas_are_whole(catalog: Catalog) -> None:
    for operation in catalog.operations():
        for schema in _schemas(operation):
            for inner in schema.walk():
                assert inner.type in {"string", "integer", "number", "boolean", "array", "object", None}
                assert inner.type != "array" or inner.items is not None
                assert not inner.properties or inner.type in {"object", None}


@pytest.mark.parametrize("catalog", EVERY)
def test_what_a_body_demands_can_be_given(catalog: Catalog) -> None:
    for operation in catalog.operations():
        if operation.body is not None:
            for inner in operation.body.schema.walk():
                assert set(inner.required) <= set(inner.properties) or not inner.properties


def test_list_shapes_are_those_of_the_documents() -> None:
    lists = [operation for operation in NEWEST.operations() if operation.list_shape]
    assert Counter(operation.list_shape for operation in lists) == {
        ListShape.DATA: 27,
        ListShape.ARRAY: 9,
        ListShape.WHOLE: 5,
        ListShape.M2M_TOKENS: 1,
    }
    assert sum(operation.page_maximum is not None for operation in lists) == 37
    assert {operation.page_maximum for operation in lists} == {500, 100, None}
    for operation in lists:
        assert operation.method == "GET"
        assert (operation.page_maximum is None) is (operation.list_shape is ListShape.WHOLE)


def test_only_users_have_a_cursor() -> None:
    assert [o.path for o in NEWEST.operations() if o.parameter("starting_after")] == ["/users"]


def test_rows_are_taken_from_each_shape_and_from_nothing_else() -> None:
    assert ListShape.ARRAY.rows([{"id": "a"}]) == [{"id": "a"}]
    assert ListShape.ARRAY.rows({"data": [1], "total_count": 1}) == [1]
    assert ListShape.WHOLE.rows({"data": [], "total_count": 0}) == []
    assert ListShape.M2M_TOKENS.rows({"m2m_tokens": [2], "total_count": 1}) == [2]
    assert ListShape.M2M_TOKENS.rows({"data": [2]}) is None
    assert ListShape.DATA.rows([1]) is None
    assert ListShape.DATA.rows({"data": {}}) is None
    assert ListShape.DATA.rows("data") is None


def test_facts_of_an_invitation() -> None:
    operation = NEWEST.operation("CreateInvitation")
    assert operation.body is not None
    schema = operation.body.schema
    assert schema.required == ("email_address",)
    assert schema.additional is False
    expires = schema.properties["expires_in_days"]
    assert (expires.type, expires.minimum, expires.maximum) == ("integer", 1, 365)
    assert schema.properties["template_slug"].enum == ("invitation", "waitlist_invitation")


def test_bulk_bodies_know_how_many_they_take() -> None:
    bulk = [NEWEST.operation(name).body for name in ("CreateBulkInvitations", "CreateBulkWaitlistEntries")]
    assert [(body.schema.min_items, body.schema.max_items) for body in bulk if body] == [(1, 10), (1, 50)]


def test_responses_keep_the_names_of_components_and_resolve_them() -> None:
    rows = NEWEST.operation("GetUserList").response(200)
    assert rows is not None
    assert rows.schema is not None
    assert rows.schema.items is not None
    assert rows.schema.items.component == "User"
    assert rows.schema.items.properties["email_addresses"].items is not None
    assert NEWEST.operation("GetUserList").success is rows
    assert NEWEST.operation("GetUserList").response(299) is None


def test_a_literal_step_is_preferred_to_a_parameter() -> None:
    pending = NEWEST.find("GET", "/organizations/org_1/invitations/pending")
    assert pending is not None
    assert pending.operation_id == "ListPendingOrganizationInvitations"


@pytest.mark.parametrize(("method", "path"), [("GET", "/user"), ("PUT", "/users"), ("GET", ""), ("GET", "/v1")])
def test_a_path_that_nobody_documents_is_not_found(method: str, path: str) -> None:
    assert NEWEST.find(method, path) is None


def test_an_empty_step_is_no_id() -> None:
    assert NEWEST.find("GET", "/users//organization_memberships") is None


def test_methods_of_a_path() -> None:
    assert NEWEST.methods("/users/user_1/metadata") == ("PUT", "PATCH")
    assert NEWEST.methods("/nothing") == ()


@pytest.mark.parametrize("words", ["Sign-in Tokens", "sign in tokens", "SIGN_IN_TOKENS", "signintokens"])
def test_a_tag_is_known_however_it_is_written(words: str) -> None:
    assert NEWEST.tag(words) == "Sign-in Tokens"


def test_an_unknown_tag_is_none() -> None:
    assert NEWEST.tag("Sign-in") is None


def test_an_unknown_operation_names_the_nearest() -> None:
    with pytest.raises(UnknownOperationError, match=r"'DeletUser'; did you mean DeleteUser") as caught:
        NEWEST.operation("DeletUser")
    assert caught.value.nearest[0] == "DeleteUser"
    assert NEWEST.nearest("deleteuser") == ("DeleteUser",)
    with pytest.raises(UnknownOperationError, match=r"no operation 'xyzzy'$"):
        NEWEST.operation("xyzzy")


def test_an_unknown_version_names_the_known() -> None:
    with pytest.raises(UnknownVersionError, match=r"'2020-01-01'; known versions: 2021-02-05, .*2026-05-12$"):
        load("2020-01-01")


def test_metadata_left_patch_user_in_the_newest_version() -> None:
    def fields(version: str) -> set[str]:
        body = load(version).operation("UpdateUser").body
        assert body is not None
        return set(body.schema.properties)

    gone = fields("2025-11-10") - fields("2026-05-12")
    assert gone == {"public_metadata", "private_metadata", "unsafe_metadata"}


def test_the_catalogue_is_cheap_and_drags_nothing_heavy_in() -> None:
    """By a yardstick of the same process, as milliseconds are others on each machine: 30 and 60 on a quick one."""
    script = """if True:
        import sys, time
        from clerk_jobs.catalog import load
        from clerk_jobs.catalog.facts import package_facts

        def counting():
            total = 0
            for number in range(600_000):
                total += number

        def took(work):
            start = time.process_time()
            work()
            return time.process_time() - start

        one, all_of_them, yardstick = [], [], []
        for _ in range(5):
            package_facts.cache_clear()
            yardstick.append(took(counting))
            one.append(took(lambda: load().operation("CreateUser")))
            package_facts.cache_clear()
            all_of_them.append(took(lambda: load().operations()))
        heavy = {"aiohttp", "click", "msgspec", "yaml", "rich", "structlog", "difflib"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        assert min(one) < min(yardstick), (one, yardstick)
        assert min(all_of_them) < 2 * min(yardstick), (all_of_them, yardstick)
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def _schemas(operation: Operation) -> list[Schema]:
    found = [parameter.schema for parameter in operation.parameters]
    found += [response.schema for response in operation.responses if response.schema is not None]
    return [*found, operation.body.schema] if operation.body is not None else found
