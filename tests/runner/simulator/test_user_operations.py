import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from clerk_testing.simulated import SimulatedClient, simulator_in_loop


def play(scenario: Callable[[SimulatedClient], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with simulator_in_loop(**{"users": 12, **settings}) as clerk:
            await scenario(clerk)

    asyncio.run(run())


async def user_id(clerk: SimulatedClient, number: int) -> str:
    found: str = (await clerk.get(f"/users?username=user_{number}"))[0]["id"]
    return found


def test_a_created_user_can_be_found_by_everything_that_identifies_it() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        body = {
            "email_address": ["Ada@Example.com", "second@example.com"],
            "email_address_identification_status": ["verified", "reserved"],
            "phone_number": ["+15005550006"],
            "web3_wallet": ["0xABC"],
            "username": "Ada",
            "external_id": "Legacy-1",
            "first_name": "Ada",
            "password": "correct horse battery",
            "public_metadata": {"plan": "pro"},
            "created_at": "2012-10-20T07:15:20.902Z",
        }
        made = await clerk.post("/users", body)
        assert made["created_at"] == 1350717320902
        assert made["password_enabled"]
        assert [entry["email_address"] for entry in made["email_addresses"]] == [
            "ada@example.com",
            "second@example.com",
        ]
        assert [entry["verification"] is None for entry in made["email_addresses"]] == [False, True]
        assert made["primary_email_address_id"] == made["email_addresses"][0]["id"]
        for query in (
            "email_address=SECOND@example.com",
            "phone_number=%2B15005550006",
            "web3_wallet=0xabc",
            "username=ada",
            "external_id=Legacy-1",
            f"user_id={made['id']}",
        ):
            assert await clerk.get(f"/users?{query}") == [made], query
        assert await clerk.get("/users?external_id=legacy-1") == [], "external ids regard case"
        assert await clerk.get(f"/users/{made['id']}") == made

    play(scenario)


@pytest.mark.parametrize(
    ("body", "code", "parameter"),
    [
        ({"email_address": ["USER3@example.com"]}, "form_identifier_exists", "email_address"),
        ({"username": "user_3"}, "form_identifier_exists", "username"),
        ({"username": "x", "external_id": "ext-3"}, "form_identifier_exists", "external_id"),
        ({"phone_number": ["+15550000004"]}, "form_identifier_exists", "phone_number"),
        ({"email_address": ["a@b.co", "A@b.co"]}, "form_identifier_exists", "email_address"),
        ({"email_address": ["nonsense"]}, "form_param_format_invalid", "email_address"),
        ({"email_address": "a@b.co"}, "form_param_type_invalid", "email_address"),
        ({"email_address": [1]}, "form_param_type_invalid", "email_address"),
        ({"phone_number": ["12345"]}, "form_param_format_invalid", "phone_number"),
        ({"username": "x", "shoe_size": 4}, "form_param_unknown", "shoe_size"),
        ({"username": "x", "password": "short"}, "form_password_length_too_short", "password"),
        ({"username": "x", "password": "password123"}, "form_password_pwned", "password"),
        ({"username": "x", "password_digest": "$2a"}, "form_param_missing", "password_digest"),
        (
            {"username": "x", "password_digest": "$2a", "password_hasher": "rot13"},
            "form_param_value_invalid",
            "password_hasher",
        ),
        ({"username": "x", "created_at": "yesterday"}, "form_param_format_invalid", "created_at"),
        ({"username": "x", "created_at": "2020-01-01T00:00:00"}, "form_param_format_invalid", "created_at"),
        ({"username": "x", "create_organizations_limit": -1}, "form_param_value_invalid", None),
        ({"username": "x", "create_organizations_limit": True}, "form_param_type_invalid", None),
        (
            {"email_address": ["a@b.co"], "email_address_identification_status": []}
            | {"email_address_identification_status": ["verified", "verified"]},
            "form_param_value_invalid",
            "email_address_identification_status",
        ),
        (
            {"email_address": ["a@b.co"], "email_address_identification_status": ["maybe"]},
            "form_param_value_invalid",
            "email_address_identification_status",
        ),
        ({"username": "x", "public_metadata": {"a": "b" * 8192}}, "form_param_exceeds_allowed_size", None),
        ({}, "form_data_missing", None),
    ],
)
def test_a_user_that_cannot_be_is_refused(body: object, code: str, parameter: str | None) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("POST", "/users", body)
        assert (answer.status, answer.codes) == (422, [code])
        if parameter is not None:
            assert answer.body["errors"][0]["meta"] == {"param_name": parameter}
        assert (await clerk.get("/users/count"))["total_count"] == 12
        assert clerk.simulator.effects("CreateUser") == {}

    play(scenario)


def test_what_skips_a_check() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        await clerk.post("/users", {"skip_user_requirement": True})
        await clerk.post("/users", {"username": "x", "password": "short", "skip_password_checks": True})
        made = await clerk.post("/users", {"username": "y", "password_digest": "$2a$", "password_hasher": "bcrypt"})
        assert made["password_enabled"]

    play(scenario)


def test_a_development_instance_holds_a_hundred_users_unless_told_otherwise() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        await clerk.post("/users", {"username": "x"})
        answer = await clerk.ask("POST", "/users", {"username": "y"})
        assert (answer.status, answer.codes) == (403, ["user_quota_exceeded"])

    play(scenario, users=99, keys=("sk_test_one",))
    play(scenario, users=11, user_quota=12)


def test_updating_a_user_moves_its_identifiers() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        one = await user_id(clerk, 3)
        answer = await clerk.ask("PATCH", f"/users/{one}", {"username": "new", "external_id": "e"})
        assert (answer.body["username"], answer.body["external_id"]) == ("new", "e")
        assert await clerk.get("/users?username=user_3") == []
        assert await clerk.get("/users?external_id=e") == [answer.body]
        assert (await clerk.ask("PATCH", f"/users/{one}", {"username": "user_4"})).codes == ["form_identifier_exists"]
        assert (await clerk.post("/users", {"username": "user_3"}))["username"] == "user_3"
        assert (await clerk.ask("PATCH", "/users/user_x", {"username": "z"})).status == 404

    play(scenario)


def test_the_primary_address_must_be_the_users_own() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        made = await clerk.post("/users", {"email_address": ["a@b.co", "c@d.co"]})
        second = made["email_addresses"][1]["id"]
        path = f"/users/{made['id']}"
        changed = await clerk.ask("PATCH", path, {"primary_email_address_id": second})
        assert changed.body["primary_email_address_id"] == second
        assert (await clerk.ask("PATCH", path, {"primary_email_address_id": "idn_x"})).status == 404

    play(scenario)


@pytest.mark.parametrize("version", ["2025-11-10", "2026-05-12"])
def test_before_the_newest_version_updating_replaces_metadata(version: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        one = await user_id(clerk, 3)
        answer = await clerk.ask(
            "PATCH", f"/users/{one}", {"public_metadata": {"a": 1}}, {"Clerk-API-Version": version}
        )
        if version < "2026-05-12":
            assert answer.body["public_metadata"] == {"a": 1}
        else:
            assert answer.codes == ["form_param_unknown"]

    play(scenario)


def test_metadata_is_merged_deeply_or_replaced_by_field() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path = f"/users/{await user_id(clerk, 3)}/metadata"
        await clerk.ask("PUT", path, {"public_metadata": {"a": {"b": 1, "c": [1]}, "d": 2}})
        body = {"public_metadata": {"a": {"b": None, "c": [2], "e": {"f": None}}}, "unsafe_metadata": {"x": 1}}
        merged = (await clerk.ask("PATCH", path, body)).body
        assert merged["public_metadata"] == {"a": {"c": [2], "e": {}}, "d": 2}
        assert merged["unsafe_metadata"] == {"x": 1}
        replaced = (await clerk.ask("PUT", path, {"public_metadata": {"z": None}})).body
        assert replaced["public_metadata"] == {"z": None}
        assert replaced["unsafe_metadata"] == {"x": 1}
        assert replaced["private_metadata"] == merged["private_metadata"]
        assert len(clerk.simulator.effects("UpdateUserMetadata")) == 1

    play(scenario)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_metadata_field_takes_8192_bytes_and_no_more(method: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path = f"/users/{await user_id(clerk, 3)}/metadata"
        filler = "x" * (8192 - len('{"a":""}'))
        await clerk.ask("PUT", path, {"public_metadata": {}})
        assert (await clerk.ask(method, path, {"public_metadata": {"a": filler}})).status == 200
        answer = await clerk.ask(method, path, {"public_metadata": {"a": filler + "x"}})
        assert (answer.status, answer.codes) == (422, ["form_param_exceeds_allowed_size"])
        assert (await clerk.ask(method, path, {"metadata": {}})).codes == ["form_param_unknown"]
        assert (await clerk.ask(method, path, {"public_metadata": [1]})).codes == ["form_param_type_invalid"]

    play(scenario)


def test_a_deleted_user_is_gone_with_every_membership() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        one = await user_id(clerk, 3)
        answer = await clerk.ask("DELETE", f"/users/{one}")
        assert answer.body == {"object": "user", "id": one, "deleted": True, "external_id": "ext-3"}
        assert (await clerk.ask("DELETE", f"/users/{one}")).status == 404
        assert await clerk.get("/users?username=user_3") == []
        assert (await clerk.get("/organization_memberships"))["total_count"] == 11
        made = await clerk.post("/users", {"email_address": ["user3@example.com"], "external_id": "ext-3"})
        assert made["id"] != one
        assert clerk.simulator.effects("DeleteUser").keys() == {one}

    play(scenario, organizations=3, members=4)


def test_banning_and_locking() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        one = await user_id(clerk, 3)
        for action, field, value in (
            ("ban", "banned", True),
            ("unban", "banned", False),
            ("lock", "locked", True),
            ("unlock", "locked", False),
        ):
            assert (await clerk.post(f"/users/{one}/{action}"))[field] is value
            assert (await clerk.ask("POST", f"/users/user_x/{action}")).status == 404
        ids = [one, await user_id(clerk, 4)]
        assert [user["banned"] for user in await clerk.post("/users/ban", {"user_ids": ids})] == [True, True]
        assert len(await clerk.get("/users?banned=true")) == 2
        refused = await clerk.ask("POST", "/users/unban", {"user_ids": [*ids, "user_x"]})
        assert refused.status == 404
        assert len(await clerk.get("/users?banned=true")) == 2
        for wrong in ([], ["user_x"] * 51):
            assert (await clerk.ask("POST", "/users/ban", {"user_ids": wrong})).codes == ["bulk_size_exceeded"]

    play(scenario)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        async with clerk.session.post(f"{clerk.simulator.address}/v1/users", data=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["errors"][0]["code"] == "request_body_invalid"

    play(scenario)
