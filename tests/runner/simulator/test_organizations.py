import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from clerk_testing.simulated import SimulatedClient, simulator_in_loop


def play(scenario: Callable[[SimulatedClient], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with simulator_in_loop(**{"users": 20, "organizations": 4, "members": 3, **settings}) as clerk:
            await scenario(clerk)

    asyncio.run(run())


async def organizations(clerk: SimulatedClient, query: str = "") -> list[str]:
    page = await clerk.get(f"/organizations?limit=500&{query}")
    assert page["total_count"] >= len(page["data"])
    return [organization["slug"].removeprefix("organization-") for organization in page["data"]]


async def path_of(clerk: SimulatedClient, number: int) -> str:
    return f"/organizations/{(await clerk.get(f'/organizations/organization-{number}'))['id']}"


async def user_id(clerk: SimulatedClient, number: int) -> str:
    found: str = (await clerk.get(f"/users?username=user_{number}"))[0]["id"]
    return found


def test_organizations_are_listed_with_their_total() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        ids = [row["id"] for row in (await clerk.get("/organizations?order_by=created_at"))["data"]]
        assert await organizations(clerk) == ["3", "2", "1", "0"]
        assert await organizations(clerk, "order_by=name&limit=500") == ["0", "1", "2", "3"]
        assert await organizations(clerk, "order_by=-members_count&offset=1&limit=2") == ["2", "1", "0"]
        assert await organizations(clerk, f"organization_id={ids[1]}&organization_id=%2B{ids[2]}") == ["2", "1"]
        assert await organizations(clerk, f"organization_id=-{ids[1]}") == ["3", "2", "0"]
        assert await organizations(clerk, "query=TION%203") == ["3"]
        assert await organizations(clerk, f"query={ids[2]}") == ["2"]
        assert await organizations(clerk, f"user_id={await user_id(clerk, 4)}") == ["1"]
        assert await organizations(clerk, f"user_id=-{await user_id(clerk, 4)}") == ["3", "2", "0"]
        counted = await clerk.get("/organizations?include_members_count=true&limit=1")
        assert counted["data"][0]["members_count"] == 3
        assert counted["total_count"] == 4

    play(scenario)


def test_an_organization_is_created_changed_and_deleted() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        creator = await user_id(clerk, 9)
        body = {"name": "Acme", "slug": "acme", "created_by": creator, "created_at": "2020-01-01T00:00:00Z"}
        made = await clerk.post("/organizations", body)
        assert (made["created_by"], made["created_at"]) == (creator, 1577836800000)
        assert await clerk.get("/organizations/acme") == made
        members = await clerk.get(f"/organizations/{made['id']}/memberships")
        assert [member["role"] for member in members["data"]] == ["org:admin"]
        assert (await clerk.ask("POST", "/organizations", {"name": "B", "slug": "acme"})).codes == [
            "form_identifier_exists"
        ]
        assert (await clerk.ask("POST", "/organizations", {"name": "B", "slug": "organization-1"})).status == 422
        assert (await clerk.ask("POST", "/organizations", {"name": "B", "created_by": "user_x"})).status == 404
        path = f"/organizations/{made['id']}"
        changed = await clerk.ask("PATCH", path, {"name": "Acme 2", "slug": "acme2"})
        assert (changed.body["name"], changed.body["created_at"]) == ("Acme 2", made["created_at"])
        assert (await clerk.ask("GET", "/organizations/acme")).status == 404
        counted = await clerk.get("/organizations/acme2?include_members_count=true")
        assert counted["members_count"] == 1
        gone = await clerk.ask("DELETE", path)
        assert gone.body == {"object": "organization", "id": made["id"], "slug": "acme2", "deleted": True}
        assert (await clerk.ask("DELETE", path)).status == 404

    play(scenario)


def test_deleting_an_organization_ends_its_memberships_and_invitations() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path = await path_of(clerk, 1)
        await clerk.post(f"{path}/invitations", {"email_address": "a@b.co", "role": "org:member"})
        await clerk.ask("DELETE", path)
        assert (await clerk.get("/organization_memberships"))["total_count"] == 9
        assert (await clerk.get("/organization_invitations"))["total_count"] == 0
        assert (await clerk.ask("GET", f"{path}/memberships")).status == 404
        assert await organizations(clerk) == ["3", "2", "0"]

    play(scenario)


def test_invitations_of_a_deleted_organization_do_not_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        kept, deleted = await path_of(clerk, 1), await path_of(clerk, 2)
        for path in (kept, deleted):
            made = await clerk.post(f"{path}/invitations", {"email_address": "a@b.co", "role": "org:member"})
        await clerk.ask("DELETE", deleted)
        monkeypatch.setattr("clerk_runner.simulator.exchange._wall_ms", lambda: made["expires_at"])
        assert (await clerk.get("/organization_invitations?status=expired"))["total_count"] == 1

    play(scenario)


def test_metadata_of_organizations() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path = await path_of(clerk, 1)
        merged = await clerk.ask("PATCH", f"{path}/metadata", {"public_metadata": {"a": {"b": 1}}})
        assert merged.body["public_metadata"] == {"number": 1, "a": {"b": 1}}
        replaced = await clerk.ask("PUT", f"{path}/metadata", {"public_metadata": {}})
        assert replaced.body["public_metadata"] == {}
        assert (await clerk.ask("PATCH", f"{path}/metadata", {"unsafe_metadata": {}})).status == 422
        body = {"public_metadata": {"x": 1}}
        assert (await clerk.ask("PATCH", path, body)).codes == ["form_param_unknown"]
        older = await clerk.ask("PATCH", path, body, {"Clerk-API-Version": "2025-11-10"})
        assert older.body["public_metadata"] == {"x": 1}

    play(scenario)


def test_memberships_are_created_changed_and_ended() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path, user = await path_of(clerk, 1), await user_id(clerk, 15)
        body = {"user_id": user, "role": "org:member", "public_metadata": {"a": 1}}
        made = await clerk.post(f"{path}/memberships", body)
        assert (made["object"], made["role_name"]) == ("organization_membership", "Member")
        assert made["public_user_data"]["identifier"] == "user15@example.com"
        assert made["organization"]["slug"] == "organization-1"
        again = await clerk.ask("POST", f"{path}/memberships", body)
        assert (again.status, again.codes) == (400, ["already_a_member_in_organization"])
        one = f"{path}/memberships/{user}"
        assert (await clerk.ask("PATCH", one, {"role": "org:admin"})).body["role"] == "org:admin"
        merged = await clerk.ask("PATCH", f"{one}/metadata", {"public_metadata": {"b": 2}})
        assert merged.body["public_metadata"] == {"a": 1, "b": 2}
        ended = await clerk.ask("DELETE", one)
        assert ended.body["id"] == made["id"]
        for method, path_, payload in (
            ("DELETE", one, None),
            ("PATCH", one, {"role": "org:admin"}),
            ("PATCH", f"{one}/metadata", {}),
        ):
            assert (await clerk.ask(method, path_, payload)).status == 404

    play(scenario)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"role": "member"}, 422, "form_param_value_invalid"),
        ({"role": "org:owner"}, 404, "resource_not_found"),
        ({"user_id": "user_x"}, 404, "resource_not_found"),
        ({"user_id": None}, 422, "form_param_missing"),
    ],
)
def test_a_membership_that_cannot_be_is_refused(body: dict[str, object], status: int, code: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        wanted = {"user_id": await user_id(clerk, 15), "role": "org:member", **body}
        answer = await clerk.ask("POST", f"{await path_of(clerk, 1)}/memberships", wanted)
        assert (answer.status, answer.codes) == (status, [code])

    play(scenario)


def test_an_organization_has_room_for_so_many_members_and_invitations() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path = await path_of(clerk, 1)
        await clerk.ask("PATCH", path, {"max_allowed_memberships": 4})
        invitation = {"email_address": "a@b.co", "role": "org:member"}
        await clerk.post(f"{path}/invitations", invitation)
        answer = await clerk.ask("POST", f"{path}/invitations", {**invitation, "email_address": "c@d.co"})
        assert (answer.status, answer.codes) == (403, ["organization_membership_quota_exceeded"])
        await clerk.post(f"{path}/memberships", {"user_id": await user_id(clerk, 15), "role": "org:member"})
        full = await clerk.ask(
            "POST", f"{path}/memberships", {"user_id": await user_id(clerk, 16), "role": "org:member"}
        )
        assert full.codes == ["organization_membership_quota_exceeded"]

    play(scenario)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [5, 4, 3]),
        ("order_by=created_at&limit=2", [3, 4]),
        ("order_by=-username&offset=1", [4, 3]),
        ("order_by=first_name", [4, 5, 3]),
        ("role=org:admin", [3]),
        ("role=org:admin&role=org:member", [5, 4, 3]),
        ("email_address=user4@example.com", [4]),
        ("username=user_4&username=user_9", [4]),
        ("query=user5@", [5]),
        ("external_id=ext-4", [5, 4, 3]),
        ("created_at_before=1", []),
        ("created_at_after=1", [5, 4, 3]),
    ],
)
def test_lists_of_members(query: str, numbers: list[int]) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        page = await clerk.get(f"{await path_of(clerk, 1)}/memberships?{query}")
        names = [member["public_user_data"]["username"] for member in page["data"]]
        assert names == [f"user_{number}" for number in numbers]
        ids = [await user_id(clerk, 4)]
        excluded = await clerk.get(f"{await path_of(clerk, 1)}/memberships?user_id=-{ids[0]}")
        assert excluded["total_count"] == 2

    play(scenario)


def test_memberships_of_all_and_of_one_user() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        user = await user_id(clerk, 4)
        await clerk.post(f"{await path_of(clerk, 3)}/memberships", {"user_id": user, "role": "org:admin"})
        of_user = await clerk.get(f"/users/{user}/organization_memberships")
        slugs = [row["organization"]["slug"] for row in of_user["data"]]
        assert (slugs, of_user["total_count"]) == (["organization-3", "organization-1"], 2)
        everything = await clerk.get("/organization_memberships?limit=2&offset=12&order_by=created_at")
        assert (len(everything["data"]), everything["total_count"]) == (1, 13)
        by_name = await clerk.get("/organization_memberships?limit=1&order_by=username")
        assert by_name["data"][0]["public_user_data"]["username"] == "user_0"

    play(scenario)


def test_bounds_of_a_members_creation_are_played_both_ways() -> None:
    async def count(clerk: SimulatedClient) -> int:
        created_at = (await clerk.get("/users?username=user_4"))[0]["created_at"]
        page = await clerk.get(
            f"{await path_of(clerk, 1)}/memberships?created_at_after={created_at}&created_at_before={created_at}"
        )
        total: int = page["total_count"]
        return total

    async def run(mode: str) -> int:
        async with simulator_in_loop(users=20, organizations=4, members=3, created_at_bounds=mode) as clerk:
            return await count(clerk)

    assert [asyncio.run(run(mode)) for mode in ("inclusive", "exclusive")] == [1, 0]


def test_an_organization_invitation_is_made_once_for_each_organization() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path, other = await path_of(clerk, 1), await path_of(clerk, 2)
        body = {"email_address": "A@b.co", "role": "org:admin", "inviter_user_id": await user_id(clerk, 3)}
        made = await clerk.post(f"{path}/invitations", body)
        assert (made["email_address"], made["role_name"], made["status"]) == ("a@b.co", "Admin", "pending")
        assert made["public_inviter_data"]["identifier"] == "user3@example.com"
        again = await clerk.ask("POST", f"{path}/invitations", body)
        assert (again.status, again.codes) == (400, ["organization_invitation_not_unique"])
        await clerk.post(f"{other}/invitations", {"email_address": "a@b.co", "role": "org:member"})
        assert await clerk.get(f"{path}/invitations/{made['id']}") == made
        assert (await clerk.ask("GET", f"{other}/invitations/{made['id']}")).status == 404
        assert len(clerk.simulator.effects("CreateOrganizationInvitation")) == 2

    play(scenario)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email_address": "user4@example.com"}, 400, "already_a_member_in_organization"),
        ({"role": "member"}, 422, "form_param_value_invalid"),
        ({"role": "org:owner"}, 404, "resource_not_found"),
        ({"role": None}, 422, "form_param_missing"),
        ({"inviter_user_id": "user_x"}, 404, "resource_not_found"),
        ({"expires_in_days": 400}, 422, "form_param_value_invalid"),
        ({"ignore_existing": True}, 422, "form_param_unknown"),
        ({"private_metadata": {"a": "b" * 9000}}, 422, "form_param_exceeds_allowed_size"),
    ],
)
def test_an_organization_invitation_that_cannot_be_is_refused(body: dict[str, object], status: int, code: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        wanted = {"email_address": "a@b.co", "role": "org:member", **body}
        answer = await clerk.ask("POST", f"{await path_of(clerk, 1)}/invitations", wanted)
        assert (answer.status, answer.codes) == (status, [code])
        member = {**wanted, "inviter_user_id": await user_id(clerk, 4), "email_address": "x@y.co"}
        if code == "already_a_member_in_organization":
            refused = await clerk.ask("POST", f"{await path_of(clerk, 1)}/invitations", member)
            assert refused.codes == ["not_an_admin_in_organization"]

    play(scenario)


@pytest.mark.parametrize(
    ("mode", "status", "made"),
    [("all-or-nothing", 400, 0), ("partial", 200, 1), ("partial-refused", 400, 1)],
)
def test_a_bulk_call_with_offenders_is_played_every_way(mode: str, status: int, made: int) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path = await path_of(clerk, 1)
        wanted = [
            {"email_address": address, "role": "org:member"} for address in ("a@x.co", "user4@example.com", "a@x.co")
        ]
        answer = await clerk.ask("POST", f"{path}/invitations/bulk", wanted)
        assert answer.status == status
        if status == 200:
            assert answer.body["total_count"] == 1
        assert (await clerk.get(f"{path}/invitations"))["total_count"] == made
        assert (await clerk.ask("POST", f"{path}/invitations/bulk", [])).codes == ["bulk_size_exceeded"]

    play(scenario, bulk=mode)


def test_behind_a_replica_a_duplicate_goes_unnoticed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path, body = await path_of(clerk, 1), {"email_address": "a@b.co", "role": "org:member"}
        made = await clerk.post(f"{path}/invitations", body)
        await clerk.post(f"{path}/invitations", body)
        monkeypatch.setattr("clerk_runner.simulator.exchange._wall_ms", lambda: made["created_at"] + 60_000)
        assert (await clerk.ask("POST", f"{path}/invitations", body)).status == 400

    play(scenario, duplicate_lag_s=60.0)


def test_organization_invitations_are_listed_and_revoked() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        path = await path_of(clerk, 1)
        for address in ("a@x.co", "b@x.co", "user9@example.com"):
            await clerk.post(f"{path}/invitations", {"email_address": address, "role": "org:member"})
        first = (await clerk.get(f"{path}/invitations?email_address=A@x.co"))["data"][0]
        revoker = {"requesting_user_id": await user_id(clerk, 3)}
        revoked = await clerk.post(f"{path}/invitations/{first['id']}/revoke", revoker)
        assert revoked["status"] == "revoked"
        assert (await clerk.ask("POST", f"{path}/invitations/{first['id']}/revoke")).status == 400

        async def found(query: str) -> list[str]:
            return [row["email_address"] for row in (await clerk.get(query))["data"]]

        assert await found(f"{path}/invitations?status=revoked") == ["a@x.co"]
        assert await found(f"{path}/invitations?email_address=a@x.co&status=pending") == []
        assert await found(f"{path}/invitations?order_by=email_address") == [
            "a@x.co",
            "b@x.co",
            "user9@example.com",
        ]
        assert await found(f"{path}/invitations/pending?order_by=-email_address") == [
            "user9@example.com",
            "b@x.co",
        ]
        assert await found(f"{await path_of(clerk, 2)}/invitations") == []
        assert await found("/organization_invitations?query=B@X") == ["b@x.co"]
        everything = (await clerk.get("/organization_invitations?limit=1"))["data"][0]
        assert everything["public_organization_data"]["slug"] == "organization-1"
        assert await found(f"/users/{await user_id(clerk, 9)}/organization_invitations") == ["user9@example.com"]
        assert (await clerk.ask("GET", f"{path}/invitations?status={quote('?')}")).status == 422

    play(scenario)
