"""Preparing a call: what it becomes, and everything that is refused before it could be sent."""

from __future__ import annotations

from typing import Any

import pytest

from clerk_jobs.call import Safety
from clerk_jobs.catalog import Json, Operation, Schema, load
from clerk_jobs.catalog.prepare import CallRefusedError, Inputs, missing, prepare, put_field

CATALOG = load()
USERS = CATALOG.operation("GetUserList")
INVITE = CATALOG.operation("CreateInvitation")
EVERY = [operation for version in CATALOG.versions for operation in load(version).operations()]


def refusal(operation: Operation | str, **inputs: Any) -> list[str]:
    chosen = CATALOG.operation(operation) if isinstance(operation, str) else operation
    with pytest.raises(CallRefusedError) as caught:
        prepare(chosen, Inputs(**inputs))
    return [str(finding) for finding in caught.value.findings]


def test_a_call_carries_all_that_the_engine_needs() -> None:
    operation = CATALOG.operation("UpdateOrganizationMembershipMetadata")
    body: Json = {"public_metadata": {"seat": 3}}
    inputs = Inputs({"organization_id": "org_1", "user_id": "user_1"}, body=body)
    call = prepare(operation, inputs)
    assert (call.operation, call.method, call.template) == (operation.operation_id, "PATCH", operation.path)
    assert call.path == "/organizations/org_1/memberships/user_1/metadata"
    assert (call.subject, call.safety, call.body, call.query) == ("org_1/user_1", Safety.IDEMPOTENT, body, ())


@pytest.mark.parametrize(
    ("operation", "path", "subject"),
    [
        ("UpdateUser", {"user_id": "user_1"}, "user_1"),
        ("UpdateOrganization", {"organization_id": "org_1"}, "org_1"),
        ("GetUserList", {}, None),
        ("GetMachine", {"machine_id": "mch_1"}, None),
    ],
)
def test_whose_limit_counts_the_call(operation: str, path: dict[str, str], subject: str | None) -> None:
    assert prepare(CATALOG.operation(operation), Inputs(path, body=_body(operation))).subject == subject


def _body(operation: str) -> Json:
    return {} if CATALOG.operation(operation).body is not None else None


def test_path_values_are_encoded_and_cannot_leave_their_step() -> None:
    operation = CATALOG.operation("GetRoleSet")
    assert (
        prepare(operation, Inputs({"role_set_key_or_id": "role_set:a/b?c#d%"})).path
        == "/role_sets/role_set:a%2Fb%3Fc%23d%25"
    )


@pytest.mark.parametrize("value", ["", "..", ".", "a\nb", "{user_id}", ":id", "<id>"])
def test_what_is_no_id_is_refused_even_unchecked(value: str) -> None:
    with pytest.raises(CallRefusedError):
        prepare(CATALOG.operation("GetUser"), Inputs({"user_id": value}), check=False)


NESTED: Json = 1
for _ in range(2000):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("inputs", "place"),
    [
        (Inputs({"user_id": "a\udcff"}), "path user_id"),
        (Inputs({"user_id": "a"}, [("x\udcff", "1")]), "query"),
        (Inputs({"user_id": "a"}, body={"public_metadata": {"\ud800": 1}}), "body"),
        (Inputs({"user_id": "a"}, body={"public_metadata": [{"a": "\ud800"}]}), "body"),
        (Inputs({"user_id": "a"}, body={"public_metadata": {"n": 2**63}}), "body"),
        (Inputs({"user_id": "a"}, body={"public_metadata": {"n": float("inf")}}), "body"),
        (Inputs({"user_id": "a"}, body={"public_metadata": NESTED}), "body"),
    ],
)
def test_what_no_request_can_carry_is_refused_even_unchecked(inputs: Inputs, place: str) -> None:
    with pytest.raises(CallRefusedError) as caught:
        prepare(CATALOG.operation("UpdateUserMetadata"), inputs, check=False)
    assert [f"{finding.place} {finding.name}".rstrip() for finding in caught.value.findings] == [place]


def test_numbers_and_depths_that_are_used_pass() -> None:
    body: Json = {"public_metadata": {"n": -(2**62), "f": 1e300, "yes": True, "deep": [[[[[["\u00e9"]]]]]]}}
    assert prepare(CATALOG.operation("UpdateUserMetadata"), Inputs({"user_id": "a"}, body=body)).body == body


def test_arrays_repeat_their_name_or_are_joined_as_documented() -> None:
    domains = CATALOG.operation("ListAllOrganizationDomains")
    query = (
        ("enrollment_mode", "automatic_invitation"),
        ("domains", "a.b"),
        ("enrollment_mode", "x"),
        ("domains", "c.d"),
    )
    call = prepare(domains, Inputs(query=query), check=False)
    assert call.query == (
        ("domains", "a.b"),
        ("domains", "c.d"),
        ("enrollment_mode", "automatic_invitation,x"),
    )
    several = (("user_id", "user_1"), ("user_id", "+user_2"))
    assert prepare(USERS, Inputs(query=several)).query == several


UNKNOWN = "is not a parameter here; "
SNAKE = "the REST API uses snake_case: {} (SDKs use camelCase)"
REPEAT = "write {}, and repeat the name for each value"


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("limit", "501", "must be at most 500, is 501"),
        ("limit", "ten", "must be a whole number, is text"),
        ("offset", "-1", "must be at least 0, is -1"),
        ("banned", "yes", "must be true or false, is text"),
        ("created_at", "gt:1700000000000", UNKNOWN + "write created_at_after=1700000000000"),
        ("created_at", "lt:1700000000000", UNKNOWN + "write created_at_before=1700000000000"),
        ("last_active_at", "gte:1", UNKNOWN + "write last_active_at_after=1"),
        ("email_address[]", "a@b.co", UNKNOWN + REPEAT.format("email_address")),
        ("user_id[0]", "user_1", UNKNOWN + REPEAT.format("user_id")),
        ("web3wallet[]", "0x1", UNKNOWN + REPEAT.format("web3_wallet")),
        ("web3wallet", "0x1", UNKNOWN + "write web3_wallet"),
        ("email", "a@b.co", UNKNOWN + "write email_address"),
        ("emailAddress", "a@b.co", UNKNOWN + SNAKE.format("email_address")),
        ("orderBy", "x", UNKNOWN + SNAKE.format("order_by")),
        ("page_size", "5", UNKNOWN + "write limit"),
        ("cursor", "x", UNKNOWN + "write starting_after"),
        ("bannd", "true", UNKNOWN + "did you mean banned?"),
    ],
)
def test_a_wrong_query_is_refused_with_the_right_one(name: str, value: str, finding: str) -> None:
    assert refusal(USERS, query=((name, value),)) == [f"query {name}: {finding}"]


@pytest.mark.parametrize("order", ["created_at:desc", "age", "--created_at", "+-created_at", ""])
def test_an_order_that_is_not_documented_is_refused(order: str) -> None:
    (finding,) = refusal(USERS, query=(("order_by", order),))
    assert finding.startswith("query order_by: must be one of created_at, updated_at, ")
    assert finding.endswith(", with + (ascending) or - (descending) before it")


@pytest.mark.parametrize("order", ["created_at", "+created_at", "-last_sign_in_at", "web3wallet"])
def test_the_documented_orders_are_taken(order: str) -> None:
    assert prepare(USERS, Inputs(query=(("order_by", order),))).query == (("order_by", order),)


def test_a_cursor_stands_alone_and_goes_by_creation() -> None:
    query = (("starting_after", "user_1"), ("offset", "10"), ("order_by", "username"))
    assert refusal(USERS, query=query) == [
        "query offset: cannot be used with starting_after; leave out one of them",
        "query order_by: must be +created_at or -created_at with starting_after",
    ]


def test_counts_that_only_the_texts_state_are_checked() -> None:
    many = tuple(("user_id", f"user_{n}") for n in range(101))
    assert refusal(USERS, query=many) == ["query user_id: takes at most 100 values, has 101"]
    assert refusal("GetSessionList") == ["query: client_id or user_id is required"]


def test_a_parameter_of_one_value_is_not_given_twice() -> None:
    assert refusal(USERS, query=(("limit", "1"), ("limit", "2"))) == [
        "query limit: takes one value but is given more than once"
    ]


ADA: dict[str, Json] = {"email_address": "ada@example.com"}
USE_METADATA = "use PATCH /users/{user_id}/metadata (merges) or PUT /users/{user_id}/metadata (replaces)"


@pytest.mark.parametrize(
    ("operation", "body", "findings"),
    [
        ("CreateInvitation", None, ["body email_address: is required"]),
        ("CreateInvitation", {}, ["body email_address: is required"]),
        ("CreateInvitation", ADA | {"email": "x"}, ["body email: is not a field here; write email_address"]),
        (
            "CreateInvitation",
            ADA | {"publicMetadata": {}},
            ["body publicMetadata: is not a field here; " + SNAKE.format("public_metadata")],
        ),
        (
            "CreateInvitation",
            ADA | {"expires_in_days": 366},
            ["body expires_in_days: must be at most 365, is 366"],
        ),
        ("CreateBulkInvitations", [], ["body: needs at least 1 items, has 0"]),
        ("CreateBulkInvitations", [ADA] * 11, ["body: takes at most 10 items, has 11"]),
        (
            "CreateBulkInvitations",
            [ADA | {"metadata": 1}],
            ["body [0].metadata: is not a field here; write public_metadata"],
        ),
        ("BanUser", {"a": 1}, ["body: this operation takes none"]),
        ("CreateUser", None, ["body: is required"]),
        (
            "UpdateUser",
            {"public_metadata": {}},
            ["body public_metadata: is not a field here; " + USE_METADATA],
        ),
        ("UsersBan", {"user_ids": ["u"] * 51}, ["body user_ids: takes at most 50 items, has 51"]),
    ],
)
def test_a_wrong_body_is_refused(operation: str, body: Json, findings: list[str]) -> None:
    chosen = CATALOG.operation(operation)
    path = {parameter.name: "user_1" for parameter in chosen.path_parameters}
    assert refusal(chosen, path=path, body=body) == findings


@pytest.mark.parametrize(
    ("role", "hint"),
    [
        ("member", "did you mean org:member?"),
        ("basic_member", "did you mean org:member?"),
        ("Admin", "did you mean org:admin?"),
        ("owner", "roles look like org:member"),
    ],
)
def test_a_role_without_its_prefix_is_stopped(role: str, hint: str) -> None:
    one: Json = {"email_address": "a@b.co", "role": role}
    path = {"organization_id": "org_1"}
    message = f"is not a role key, which begins with org:; {hint}"
    assert refusal("CreateOrganizationInvitation", path=path, body=one) == [f"body role: {message}"]
    assert refusal("CreateOrganizationInvitationBulk", path=path, body=[one]) == [f"body [0].role: {message}"]
    assert refusal("ListOrganizationMemberships", path=path, query=[("role", role)]) == [f"query role: {message}"]


def test_a_long_refusal_is_cut() -> None:
    body: Json = [{"nonsense": n} for n in range(10)] * 3
    with pytest.raises(CallRefusedError, match=r"POST /invitations/bulk cannot be called like this: ") as caught:
        prepare(CATALOG.operation("CreateBulkInvitations"), Inputs(body=body))
    assert str(caught.value).endswith("; ...")
    assert len(caught.value.findings) == 61


def test_unknown_path_values_are_refused() -> None:
    assert refusal("GetUser", path={"user_id": "user_1", "org": "x"}) == [
        "path org: is not a parameter of this path; known: user_id"
    ]
    assert refusal("GetUserList", path={"org": "x"}) == [
        "path org: is not a parameter of this path; this path has none"
    ]


def test_no_check_sends_what_was_written() -> None:
    call = prepare(USERS, Inputs(query=(("nonsense", "1"),), body={"x": 1}), check=False)
    assert (call.query, call.body) == ((("nonsense", "1"),), {"x": 1})


def test_what_is_missing_is_named_in_order() -> None:
    operation = CATALOG.operation("CreateOrganizationInvitation")
    assert [(m.place, m.name) for m in missing(operation, Inputs())] == [
        ("path", "organization_id"), ("body", "email_address"), ("body", "role"),
    ]  # fmt: skip
    some = Inputs({"organization_id": "org_1"}, body={"role": "org:member"})
    assert [(m.place, m.name) for m in missing(operation, some)] == [("body", "email_address")]
    assert missing(CATALOG.operation("CreateBulkInvitations"), Inputs(body=[])) == ()
    keys = CATALOG.operation("getApiKeys")
    assert [(m.place, m.name) for m in missing(keys, Inputs())] == [("query", "subject")]
    assert missing(keys, Inputs(query=(("subject", "x"),))) == ()


@pytest.mark.parametrize(
    ("field", "text", "body"),
    [
        ("notify", "false", {"notify": False}),
        ("expires_in_days", "7", {"expires_in_days": 7}),
        ("email_address", "5", {"email_address": "5"}),
        ("public_metadata.plan", "pro", {"public_metadata": {"plan": "pro"}}),
        ("public_metadata.a.b", "[1]", {"public_metadata": {"a": {"b": [1]}}}),
        ("public_metadata", '{"a": null}', {"public_metadata": {"a": None}}),
        ("nonsense", "x", {"nonsense": "x"}),
    ],
)
def test_fields_are_typed_by_the_schema(field: str, text: str, body: Json) -> None:
    assert INVITE.body is not None
    assert put_field(INVITE.body.schema, {}, field, text) == body


def test_an_array_field_collects_its_values() -> None:
    body = CATALOG.operation("CreateUser").body
    assert body is not None
    one = put_field(body.schema, {}, "email_address", "a@b.co")
    assert put_field(body.schema, one, "email_address", "c@d.co") == {"email_address": ["a@b.co", "c@d.co"]}
    assert put_field(body.schema, one, "email_address", '["x@y.z"]') == {"email_address": ["x@y.z"]}
    wrong: Json = {"email_address": "a@b.co"}
    assert isinstance(wrong, dict)
    assert put_field(body.schema, wrong, "email_address", "b") == {"email_address": ["a@b.co", "b"]}


def test_a_value_has_no_fields() -> None:
    assert INVITE.body is not None
    with pytest.raises(ValueError, match="notify has a value already"):
        put_field(INVITE.body.schema, {"notify": True}, "notify.x", "1")
    typed = Schema(type="object", additional=Schema(type="integer"))
    assert put_field(typed, {}, "a", "1") == {"a": 1}


@pytest.mark.parametrize("version", CATALOG.versions)
def test_every_operation_can_be_prepared_once_what_it_demands_is_there(version: str) -> None:
    for operation in load(version).operations():
        inputs = Inputs()
        if missing(operation, inputs):
            with pytest.raises(CallRefusedError):
                prepare(operation, inputs)
        path = {parameter.name: "value_1" for parameter in operation.path_parameters}
        call = prepare(operation, Inputs(path), check=False)
        assert "{" not in call.path
        assert call.safety is operation.safety
