import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from clerk_runner.simulator.formulas import CreatedAt
from clerk_testing.simulated import SimulatedClient, simulator_in_loop

Scenario = Callable[[SimulatedClient], Awaitable[None]]


def play(scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        async with simulator_in_loop(**{"users": 60, **settings}) as clerk:
            await scenario(clerk)

    asyncio.run(run())


def at(path: str, **query: object) -> str:
    return f"{path}?{urlencode(query, doseq=True)}"


async def usernames(clerk: SimulatedClient, **query: object) -> list[str]:
    return [user["username"] for user in await clerk.get(at("/users", **query))]


def test_a_list_is_a_bare_array_of_ten_newest_first() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        assert await usernames(clerk) == [f"user_{number}" for number in range(59, 49, -1)]

    play(scenario)


@pytest.mark.parametrize(("limit", "rows"), [(1, 1), (60, 60), (500, 60), (501, 10), (0, 10), (-1, 10)])
def test_a_limit_outside_of_its_bounds_answers_ten_rows(limit: int, rows: int) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        assert len(await usernames(clerk, limit=limit)) == rows

    play(scenario)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "many"},
        {"offset": -1},
        {"offset": "far"},
        {"order_by": "shoe_size"},
        {"banned": "perhaps"},
        {"created_at_after": "2026-01-01"},
        {"provider": "oauth_google"},
        {"email_address": [f"user{number}@example.com" for number in range(101)]},
    ],
)
def test_a_parameter_of_a_wrong_kind_is_422(query: dict[str, object]) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("GET", at("/users", **query))
        assert answer.status == 422
        assert answer.body["errors"][0]["meta"]["param_name"] in {*query, "provider_user_id"}

    play(scenario)


def test_an_unknown_parameter_is_ignored() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        assert len(await usernames(clerk, created_at="gt:1", limit=500)) == 60

    play(scenario)


def test_the_cursor_walks_every_user_once_either_way() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        for order in ("+created_at", "created_at", "-created_at"):
            seen: list[str] = []
            query: dict[str, object] = {"order_by": order, "limit": 7}
            while page := await clerk.get(at("/users", **query)):
                seen += [user["id"] for user in page]
                query["starting_after"] = seen[-1]
            assert len(seen) == len(set(seen)) == 60

    play(scenario, user_created=CreatedAt.parse("clumped:9"))


def test_the_cursor_goes_only_with_creation_and_without_an_offset() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        last = (await clerk.get("/users?limit=1"))[0]["id"]
        for query in ({"order_by": "username"}, {"offset": 1}, {"order_by": "-updated_at"}):
            answer = await clerk.ask("GET", at("/users", starting_after=last, **query))
            assert (answer.status, answer.body["errors"][0]["meta"]) == (422, {"param_name": "starting_after"})
        assert (await clerk.ask("GET", "/users?starting_after=user_nobody")).status == 422
        assert len(await usernames(clerk, starting_after=last, offset=0)) == 10

    play(scenario)


def test_a_version_without_the_cursor_ignores_it() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        first = await clerk.get("/users?limit=1")
        headers = {"Clerk-API-Version": "2025-03-12"}
        answer = await clerk.ask("GET", at("/users", limit=1, starting_after=first[0]["id"]), headers=headers)
        assert answer.body == first

    play(scenario)


@pytest.mark.parametrize(("mode", "status", "rows"), [("resolved", 200, 10), ("refused", 422, 0), ("empty", 200, 0)])
@pytest.mark.parametrize("order", ["+created_at", "-created_at"])
def test_a_deleted_cursor_is_played_all_three_ways(mode: str, status: int, rows: int, order: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        page = await clerk.get(at("/users", limit=20, order_by=order))
        await clerk.ask("DELETE", f"/users/{page[9]['id']}")
        answer = await clerk.ask("GET", at("/users", starting_after=page[9]["id"], order_by=order))
        assert answer.status == status
        if status == 200:
            assert answer.body == page[10 : 10 + rows]

    play(scenario, deleted_cursor=mode)


@pytest.mark.parametrize("mode", ["inclusive", "exclusive"])
def test_bounds_of_creation_are_played_both_ways(mode: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        users = await clerk.get("/users?limit=500&order_by=created_at")
        first, last = users[20]["created_at"], users[30]["created_at"]
        bounds = {"created_at_after": first, "created_at_before": last}
        expected = [user for user in users if first <= user["created_at"] <= last]
        if mode == "exclusive":
            expected = [user for user in expected if first < user["created_at"] < last]
        assert await clerk.get(at("/users", limit=500, order_by="created_at", **bounds)) == expected
        count = await clerk.get(at("/users/count", **bounds))
        assert count == {"object": "total_count", "total_count": len(expected)}

    play(scenario, created_at_bounds=mode, user_created=CreatedAt.parse("clumped:3"))


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"email_address": ["user5@example.com", "USER7@example.com", "nobody@example.com"]}, [7, 5]),
        ({"username": ["user_5", "user_7"]}, [7, 5]),
        ({"external_id": ["ext-5", "+ext-7"]}, [7, 5]),
        ({"external_id": ["+ext-5", "+ext-7", "-ext-7"]}, [5]),
        ({"phone_number": ["+15550000008", "+15550000005"]}, [8]),
        ({"email_address": ["user5@example.com", "user7@example.com"], "username": ["user_7"]}, [7]),
        ({"provider": "oauth_google", "provider_user_id": ["10005"]}, [5]),
        ({"provider": "oauth_apple", "provider_user_id": ["10005"]}, []),
        ({"web3_wallet": ["0x1"]}, []),
        ({"query": "user41@"}, [41]),
        ({"query": "USER_41"}, [41]),
        ({"email_address_query": "SER41"}, [41]),
        ({"phone_number_query": "50000008"}, [8]),
        ({"username_query": "r_4", "name_query": "ada"}, [48]),
        ({"name_query": "ada lov", "limit": 500}, [0]),
        ({"banned": "true"}, []),
        ({"banned": "false", "limit": 2}, [59, 58]),
        ({"banned": "false", "limit": 2, "offset": 57, "order_by": "+created_at"}, [57, 58]),
        ({"external_id": [f"-ext-{number}" for number in range(58)]}, [59, 58]),
        ({"order_by": "username", "limit": 3}, [0, 1, 10]),
        ({"order_by": "-email_address", "limit": 2, "offset": 1}, [8, 7]),
        ({"order_by": "-phone_number", "limit": 1}, [56]),
        ({"order_by": "last_active_at", "limit": 1}, [0]),
        ({"order_by": ["username", "-created_at"], "limit": 1}, [0]),
    ],
)
def test_filters_and_orders(query: dict[str, object], numbers: list[int]) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        assert await usernames(clerk, **query) == [f"user_{number}" for number in numbers]
        filters = {name: value for name, value in query.items() if name not in {"limit", "offset", "order_by"}}
        total = (await clerk.get(at("/users/count", **filters)))["total_count"]
        assert total == len(await usernames(clerk, **filters, limit=500))

    play(scenario)


def test_ids_are_included_and_excluded_and_a_plus_must_be_encoded() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        ids = [user["id"] for user in await clerk.get("/users?limit=500")]
        assert await usernames(clerk, user_id=[ids[3], f"+{ids[1]}"]) == ["user_58", "user_56"]
        assert len(await usernames(clerk, user_id=[f"-{ids[0]}"], limit=500)) == 59
        assert await clerk.get(f"/users?user_id=+{ids[3]}") == [], "an unencoded plus is a blank"
        assert (await clerk.ask("GET", "/users?order_by=+created_at")).status == 422

    play(scenario)


def test_times_of_activity() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        users = await clerk.get("/users?limit=500&order_by=created_at")
        active, signed_in = users[30]["last_active_at"], users[30]["last_sign_in_at"]
        since = await clerk.get(at("/users", limit=500, last_active_at_since=active))
        assert {user["id"] for user in since} == {u["id"] for u in users if u["last_active_at"] >= active}
        before = await clerk.get(at("/users", limit=500, last_sign_in_at_before=signed_in))
        assert {user["id"] for user in before} == {u["id"] for u in users if u["last_sign_in_at"] < signed_in}
        created = (await clerk.post("/users", {"email_address": ["new@example.com"]}))["id"]
        after = await clerk.get(at("/users", limit=500, last_active_at_after=1))
        assert created not in {user["id"] for user in after}, "who was never active is not after anything"

    play(scenario)


def test_members_of_organizations() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        first, second = (o["id"] for o in (await clerk.get("/organizations?order_by=created_at"))["data"])
        assert await usernames(clerk, organization_id=first) == ["user_2", "user_1", "user_0"]
        assert await usernames(clerk, organization_id=[first, second], limit=1) == ["user_5"]
        outside = await usernames(clerk, organization_id=f"-{first}", limit=500)
        assert len(outside) == 57
        assert await usernames(clerk, organization_id="org_nowhere") == []

    play(scenario, organizations=2, members=3)


def test_changes_and_arrivals_stand_where_they_belong() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        users = await clerk.get("/users?limit=500&order_by=created_at")
        middle = await clerk.post("/users", {"username": "middle", "created_at": _rfc3339(users[30]["created_at"] + 1)})
        await clerk.ask("DELETE", f"/users/{users[10]['id']}")
        await clerk.ask("PATCH", f"/users/{users[5]['id']}", {"first_name": "Changed"})
        expected = [user["id"] for user in users]
        expected.insert(31, middle["id"])
        del expected[10]
        listed = await clerk.get("/users?limit=500&order_by=created_at")
        assert [user["id"] for user in listed] == expected
        assert listed[5]["first_name"] == "Changed"
        newest = await clerk.get("/users?limit=2&order_by=-updated_at")
        assert {user["id"] for user in newest} == {users[5]["id"], middle["id"]}
        assert await clerk.get("/users?limit=2&order_by=-updated_at&banned=false") == newest
        assert (await clerk.get("/users/count"))["total_count"] == 60
        for user in (users[20], middle):
            await clerk.ask("PATCH", f"/users/{user['id']}", {"created_at": "2000-01-01T00:00:00Z"})
        oldest = await clerk.get("/users?limit=2&order_by=created_at")
        assert {user["id"] for user in oldest} == {users[20]["id"], middle["id"]}
        assert (await clerk.get("/users/count"))["total_count"] == 60

    play(scenario)


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def test_the_same_settings_give_the_same_bytes() -> None:
    async def bytes_of(clerk: SimulatedClient) -> bytes:
        async with clerk.session.get(f"{clerk.simulator.address}/v1/users?limit=500") as answer:
            return await answer.read()

    async def run(seed: int) -> bytes:
        async with simulator_in_loop(users=60, seed=seed) as clerk:
            return await bytes_of(clerk)

    first, again, other = (asyncio.run(run(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert len(first) / 60 > 2200


def test_a_million_users_answer_at_any_depth() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        assert await usernames(clerk, offset=999_998, order_by="created_at") == ["user_999998", "user_999999"]
        one = (await clerk.get(at("/users", email_address="user654321@example.com")))[0]
        page = await clerk.get(at("/users", starting_after=one["id"], limit=1))
        assert page[0]["username"] == "user_654320"
        assert (await clerk.get("/users/count"))["total_count"] == 1_000_000

    play(scenario, users=1_000_000)


def test_users_who_come_and_go_do_not_disturb_a_filtered_walk() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        users = await clerk.get("/users?limit=500&order_by=created_at")

        async def churn() -> None:
            for number in range(40):
                await clerk.post("/users", {"username": f"new-{number}"})
                await clerk.ask("DELETE", f"/users/{users[number]['id']}")

        walked, _ = await asyncio.gather(clerk.get("/users?limit=500&name_query=ada"), churn())
        found = [user["id"] for user in walked]
        assert len(found) == len(set(found))
        adas = {user["id"] for user in users[40:] if user["first_name"] == "Ada"}
        assert adas <= set(found)

    play(scenario, users=6000)
