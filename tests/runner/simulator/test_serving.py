"""What the server does around an operation: keys, versions, paths, limits, faults, and who was there to hear."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from clerk_runner.simulator import SimulatorSettings
from clerk_runner.simulator.faults import Fault
from clerk_runner.simulator.latency import Latency, Stall
from clerk_testing.simulated import SimulatedClient, simulator_in_loop


def play(scenario: Callable[[SimulatedClient], Awaitable[None]], *faults: str, **settings: Any) -> None:
    async def run() -> None:
        parsed = tuple(Fault.parse(text) for text in faults)
        async with simulator_in_loop(faults=parsed, **settings) as clerk:
            await scenario(clerk)

    asyncio.run(run())


def report(clerk: SimulatedClient) -> Any:
    return clerk.simulator.report()


def invite(address: str) -> dict[str, str]:
    return {"email_address": address}


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "authorization_header_format_invalid"),
        ("Basic abc", "authorization_header_format_invalid"),
        ("Bearer sk_live_other", "clerk_key_invalid"),
    ],
)
def test_a_wrong_key_is_401_and_spends_nothing(authorization: str, code: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("GET", "/users", headers={"Authorization": authorization})
        assert (answer.status, answer.codes) == (401, [code])
        assert report(clerk)["limits"] == {}
        assert report(clerk)["clients"]["unknown"]["requests"] == 1

    play(scenario)


def test_the_instance_is_of_its_keys_kind() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        instance = await clerk.get("/instance")
        assert instance["environment_type"] == ("production" if "live" in clerk.simulator.key else "development")
        assert instance["id"].startswith("ins_")

    play(scenario)
    play(scenario, keys=("sk_test_x",))


def test_the_clients_of_an_instance_are_told_apart() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        ids = set()
        for headers in (
            {"Authorization": "Bearer sk_live_a"},
            {"Authorization": "Bearer sk_live_b"},
            {"Authorization": "Bearer sk_live_b", "X-Simulator-Client": "application"},
        ):
            ids.add((await clerk.ask("GET", "/instance", headers=headers)).body["id"])
        assert len(ids) == 1
        assert report(clerk)["clients"].keys() == {"key 1", "key 2", "application"}

    play(scenario, keys=("sk_live_a", "sk_live_b"))


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {"Clerk-API-Version": "1999-01-01"}),
        ("?__clerk_api_version=1999-01-01", {}),
        ("?__clerk_api_version=2026-05-12", {"Clerk-API-Version": "2026-05-12"}),
    ],
)
def test_a_version_that_is_none_or_named_twice_is_refused(query: str, headers: dict[str, str]) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("GET", f"/users{query}", headers=headers)
        assert (answer.status, answer.codes) == (400, ["api_version_invalid"])

    play(scenario)


def test_a_version_may_stand_in_the_header_or_in_the_query() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        for query, headers in (("", {"Clerk-API-Version": "2021-02-05"}), ("?__clerk_api_version=2025-11-10", {})):
            assert (await clerk.ask("GET", f"/users{query}", headers=headers)).status == 200

    play(scenario)


def test_unknown_paths_and_methods() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        for path in ("/nothing", "/users/user_1/shoes", "/", "/organizations//invitations"):
            answer = await clerk.ask("GET", path)
            assert (answer.status, answer.codes) == (404, ["resource_not_found"]), path
            assert answer.body["clerk_trace_id"].endswith(answer.headers["cf-ray"])
        assert (await clerk.ask("PUT", "/users")).status == 405
        async with clerk.session.get(f"{clerk.simulator.address}/users") as outside:
            assert outside.status == 404
        async with clerk.session.get(f"{clerk.simulator.address}/simulator/nothing") as outside:
            assert outside.status == 404

    play(scenario)


def test_an_hourly_quota_closes_its_operation_and_no_other() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        for number in range(100):
            await clerk.post("/invitations", invite(f"p{number}@x.co"))
        refused = await clerk.ask("POST", "/invitations", invite("more@x.co"))
        assert (refused.status, refused.codes) == (429, ["too_many_requests"])
        assert 3590 <= int(refused.headers["Retry-After"]) <= 3600
        await clerk.post("/invitations/bulk", [invite("more@x.co")])
        await clerk.get("/users")
        seen = report(clerk)
        assert seen["throttled"] == seen["clients"]["key 1"]["throttled"] == 1
        assert seen["limits"]["invitation"]["worst_window"] == 101
        assert seen["limits"]["instance"]["worst_window"] == 103
        assert seen["requests"]["POST /invitations"] == {"200": 100, "429": 1}
        assert seen["effects"]["CreateInvitation"]["total"] == 101

    play(scenario)


@pytest.mark.parametrize(("key", "limit"), [("sk_test_x", 100), ("sk_live_x", 1000)])
def test_the_instance_limit_depends_on_the_kind_of_key(key: str, limit: int) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        for _ in range(limit):
            assert (await clerk.ask("GET", "/instance")).status == 200
        assert (await clerk.ask("GET", "/instance")).status == 429
        assert (await clerk.ask("GET", "/jwks")).status == 200, "the one operation without a limit"
        assert report(clerk)["limits"]["instance"]["worst_window"] == limit + 1

    play(scenario, keys=(key,))


def test_a_users_metadata_takes_ten_writes_in_ten_seconds() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        first, second = (user["id"] for user in await clerk.get("/users"))
        for _ in range(5):
            for method in ("PATCH", "PUT"):
                assert (await clerk.ask(method, f"/users/{first}/metadata", {})).status == 200
        assert (await clerk.ask("PATCH", f"/users/{first}", {})).status == 429
        assert (await clerk.ask("PATCH", f"/users/{second}", {})).status == 200
        assert report(clerk)["limits"]["user"]["worst_window"] == 11

    play(scenario, users=2)


def test_quotas_come_back_at_the_speed_asked_for() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        for number in range(100):
            await clerk.post("/invitations", invite(f"p{number}@x.co"))
        refused = await clerk.ask("POST", "/invitations", invite("more@x.co"))
        await asyncio.sleep(int(refused.headers["Retry-After"]))
        await clerk.post("/invitations", invite("more@x.co"))

    play(scenario, speed=1800.0)


@pytest.mark.parametrize(
    ("fault", "happened"), [("drop-before-effect", False), ("drop-after-effect", True), ("timeout", True)]
)
def test_a_lost_answer_tells_nothing_of_the_effect(fault: str, happened: bool) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        async with asyncio.timeout(5):
            with pytest.raises((aiohttp.ClientError, TimeoutError)):
                async with asyncio.timeout(0.5):
                    await clerk.ask("POST", "/invitations", invite("a@b.co"))
        assert bool(clerk.simulator.effects("CreateInvitation")) is happened
        assert sum(report(clerk)["faults"].values()) == 1

    play(scenario, f"POST /invitations:{fault}")


def test_a_timeout_before_the_effect() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await clerk.ask("POST", "/invitations", invite("a@b.co"))
        assert clerk.simulator.effects("CreateInvitation") == {}

    play(scenario, "POST /invitations:timeout-before")


@pytest.mark.parametrize(
    ("fault", "status", "code", "happened"),
    [
        ("500-before", 500, "internal_clerk_error", False),
        ("500-after", 500, "internal_clerk_error", True),
        ("503", 503, "service_unavailable", False),
        ("409:code=conflict", 409, "conflict", False),
        ("409", 409, "resource_locked", False),
        ("418", 418, "request_invalid", False),
    ],
)
def test_a_status_instead_of_the_effect_or_after_it(fault: str, status: int, code: str, happened: bool) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("POST", "/invitations", invite("a@b.co"))
        assert (answer.status, answer.codes) == (status, [code])
        assert bool(clerk.simulator.effects("CreateInvitation")) is happened

    play(scenario, f"POST /invitations:{fault}")


@pytest.mark.parametrize(
    ("option", "header"),
    [("", "1"), (":retry=2", "2"), (":retry=", None), (":retry=Wed, 21 Oct 2015", "Wed, 21 Oct 2015")],
)
def test_an_injected_429_says_what_it_was_told(option: str, header: str | None) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("GET", "/users")
        assert (answer.status, answer.headers.get("Retry-After")) == (429, header)
        closed = header is not None and header.isdecimal()
        assert (await clerk.ask("GET", "/users")).status == (429 if closed else 200)

    play(scenario, f"GET /users:429{option}:first=1")


def test_answers_that_cannot_be_read() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        address = f"{clerk.simulator.address}/v1"
        async with clerk.session.get(f"{address}/users/count") as cut:
            body = await cut.read()
            assert (cut.status, cut.content_length) == (200, len(body))
            with pytest.raises(json.JSONDecodeError):
                json.loads(body)
        async with clerk.session.get(f"{address}/users") as broken:
            assert broken.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await broken.read()
        async with clerk.session.get(f"{address}/instance") as page:
            assert (page.status, page.content_type) == (200, "text/html")

    play(scenario, "GET /users/count:truncated-json", "GET /users:truncated-body", "GET /instance:html", users=3)


def test_a_partial_bulk_call_leaves_one_out() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        made = await clerk.post("/invitations/bulk", [invite("a@b.co"), invite("c@d.co")])
        assert [row["email_address"] for row in made] == ["a@b.co"]
        path = f"/organizations/{(await clerk.get('/organizations'))['data'][0]['id']}/invitations/bulk"
        members = [{**invite(address), "role": "org:member"} for address in ("a@b.co", "c@d.co")]
        assert (await clerk.post(path, members))["total_count"] == 1

    play(scenario, "POST *bulk:partial-bulk", organizations=1)


@pytest.mark.parametrize(("effect", "late"), [("late", 1), ("early", 0)])
def test_effects_that_land_after_their_client_left_are_counted(effect: str, late: int) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await clerk.ask("POST", "/invitations", invite("a@b.co"))
        await clerk.get("/instance")  # takes as long as the effect that nobody waits for
        seen = report(clerk)["effects_after_disconnect"]
        assert seen["total"] == len(seen["newest"]) == late
        if late:
            assert seen["newest"][0]["key"] == "a@b.co"

    play(scenario, latency=Latency.parse("400ms"), effect=effect)


def test_an_answer_takes_its_latency() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        begun = time.monotonic()
        await clerk.get("/users")
        assert time.monotonic() - begun >= 0.1

    play(scenario, latency=Latency.parse("100ms"))


def test_a_slow_operation_takes_longer_than_others() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        slow = asyncio.ensure_future(clerk.get("/users/count"))
        await clerk.get("/users")
        assert not slow.done()
        assert (await slow)["total_count"] == 3

    play(scenario, "GET /users/count:slow:by=300ms", users=3)


def test_answers_may_be_indented() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        async with clerk.session.get(f"{clerk.simulator.address}/v1/users") as answer:
            text = await answer.text()
        assert text.startswith('[\n  {\n    "id": "user_')
        assert len(json.loads(text)) == 3

    play(scenario, users=3, pretty=True)


def test_a_stalled_network_delivers_together_what_waited() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        def silence_ms() -> int:
            times = [arrival["at_ms"] for arrival in report(clerk)["arrivals"]]
            return max((after - before for before, after in pairwise(times)), default=0)

        async with asyncio.timeout(10):
            while silence_ms() < 150:
                await asyncio.gather(*(clerk.get("/instance") for _ in range(3)))

    play(scenario, stall=Stall.parse("200ms/220ms"), arrivals=1000)


def test_the_unseen_hand_works_without_key_limit_or_trace() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        user = (await clerk.get("/users"))[0]["id"]
        address = f"{clerk.simulator.address}/simulator/v1/users/{user}"
        async with aiohttp.ClientSession() as session:
            async with session.delete(address) as answer:
                assert (answer.status, (await answer.json())["deleted"]) == (200, True)
            async with session.delete(address) as answer:
                assert answer.status == 404
            async with session.get(f"{clerk.simulator.address}/simulator/v1/nothing") as answer:
                assert answer.status == 404
        assert (await clerk.ask("GET", f"/users/{user}")).status == 404
        assert report(clerk)["requests_total"] == 2
        assert report(clerk)["effects"] == {}

    play(scenario, users=2)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"keys": ()}, "keys"),
        ({"keys": ("pk_live_x",)}, "keys"),
        ({"keys": ("sk_live_x", "sk_test_x")}, "keys"),
        ({"speed": 0}, "speed"),
        ({"users": -1}, "users"),
        ({"users": 2, "organizations": 1, "members": 3}, "members"),
        ({"user_email": "nobody@example.com"}, "pattern"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SimulatorSettings(**settings)
