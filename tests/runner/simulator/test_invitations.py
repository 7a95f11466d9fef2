import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from clerk_testing.simulated import SimulatedClient, simulator_in_loop

DAY_MS = 86_400_000


def play(scenario: Callable[[SimulatedClient], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with simulator_in_loop(**{"users": 5, "invitations": 20, **settings}) as clerk:
            await scenario(clerk)

    asyncio.run(run())


def invite(*addresses: str, **fields: object) -> list[dict[str, object]]:
    return [{"email_address": address, **fields} for address in addresses]


async def addresses(clerk: SimulatedClient, query: str = "") -> list[str]:
    return [row["email_address"] for row in await clerk.get(f"/invitations?limit=500&{query}")]


def test_an_invitation_is_made_once() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        made = await clerk.post("/invitations", invite("New@Example.com", public_metadata={"a": 1})[0])
        assert (made["email_address"], made["status"], made["revoked"]) == ("new@example.com", "pending", False)
        assert made["expires_at"] == made["created_at"] + 30 * DAY_MS
        again = await clerk.ask("POST", "/invitations", invite("new@example.com")[0])
        assert (again.status, again.codes) == (400, ["duplicate_record"])
        assert again.body["errors"][0]["meta"] == {"email_addresses": ["new@example.com"]}
        assert clerk.simulator.effects("CreateInvitation") == {"new@example.com": [made["created_at"]]}

    play(scenario)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email_address": "user1@example.com"}, 422, "form_identifier_exists"),
        ({"email_address": "invited7@example.com"}, 400, "duplicate_record"),
        ({"email_address": "INVITED7@example.com"}, 400, "duplicate_record"),
        ({"email_address": "nonsense"}, 422, "form_param_format_invalid"),
        ({"email_address": "x@y.co", "colour": "red"}, 422, "form_param_unknown"),
        ({"email_address": "x@y.co", "expires_in_days": 0}, 422, "form_param_value_invalid"),
        ({"email_address": "x@y.co", "expires_in_days": 366}, 422, "form_param_value_invalid"),
        ({"email_address": "x@y.co", "notify": "yes"}, 422, "form_param_type_invalid"),
        ({"email_address": "x@y.co", "template_slug": "birthday"}, 422, "form_param_value_invalid"),
        ({"email_address": None}, 422, "form_param_missing"),
        ({"email_address": "x@y.co", "public_metadata": {"a": "b" * 9000}}, 422, "form_param_exceeds_allowed_size"),
    ],
)
def test_an_invitation_that_cannot_be_is_refused(body: object, status: int, code: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("POST", "/invitations", body)
        assert (answer.status, answer.codes) == (status, [code])
        assert clerk.simulator.effects("CreateInvitation") == {}

    play(scenario)


def test_every_wrong_field_is_named_at_once() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("POST", "/invitations", {"a": 1, "notify": 1, "expires_in_days": 900})
        assert [error["meta"]["param_name"] for error in answer.body["errors"]] == [
            "a",
            "email_address",
            "notify",
            "expires_in_days",
        ]

    play(scenario)


def test_ignore_existing_makes_a_second_one_and_sends_a_second_mail() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        for address in ("invited7@example.com", "user1@example.com"):
            await clerk.post("/invitations", invite(address, ignore_existing=True)[0])
            await clerk.post("/invitations", invite(address, ignore_existing=True, notify=False)[0])
        report: Any = clerk.simulator.report()
        assert report["effects"]["CreateInvitation"]["repeated"].keys() == {
            "invited7@example.com",
            "user1@example.com",
        }
        assert report["effects"]["CreateInvitation"]["repeated_keys"] == 2
        assert report["emails"] == {"sent": 2, "dropped": 0}

    play(scenario)


def test_a_development_instance_drops_mails_beyond_a_hundred() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        for start in range(0, 110, 10):
            await clerk.post("/invitations/bulk", invite(*(f"p{n}@x.co" for n in range(start, start + 10))))
        report: Any = clerk.simulator.report()
        assert report["emails"] == {"sent": 100, "dropped": 10}
        assert report["effects"]["CreateInvitation"]["total"] == 110

    play(scenario, keys=("sk_test_one",))


@pytest.mark.parametrize(
    ("mode", "status", "made"),
    [("all-or-nothing", 400, 0), ("partial", 200, 2), ("partial-refused", 400, 2)],
)
def test_a_bulk_call_with_offenders_is_played_every_way(mode: str, status: int, made: int) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        wanted = invite("a@x.co", "invited1@example.com", "b@x.co", "a@x.co", "invited2@example.com")
        answer = await clerk.ask("POST", "/invitations/bulk", wanted)
        assert answer.status == status
        if status == 200:
            assert [row["email_address"] for row in answer.body] == ["a@x.co", "b@x.co"]
        else:
            assert answer.body["errors"][0]["meta"]["email_addresses"] == [
                "invited1@example.com",
                "a@x.co",
                "invited2@example.com",
            ]
        assert len(clerk.simulator.effects("CreateInvitation")) == made

    play(scenario, bulk=mode)


def test_in_a_bulk_call_nothing_helps_against_an_existing_user() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        wanted = invite("a@x.co", "user1@example.com", ignore_existing=True)
        answer = await clerk.ask("POST", "/invitations/bulk", wanted)
        assert (answer.status, answer.codes) == (422, ["form_identifier_exists"])

    play(scenario)


@pytest.mark.parametrize("mode", ["partial", "partial-refused"])
def test_a_partial_bulk_call_of_offenders_alone_is_refused(mode: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("POST", "/invitations/bulk", invite("invited1@example.com"))
        assert answer.codes == ["duplicate_record"]

    play(scenario, bulk=mode)


@pytest.mark.parametrize(
    ("body", "code"),
    [([], "bulk_size_exceeded"), ([{}] * 11, "bulk_size_exceeded"), ({}, "request_body_invalid")],
)
def test_a_bulk_call_takes_one_to_ten(body: object, code: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.ask("POST", "/invitations/bulk", body)
        assert (answer.status, answer.codes) == (400, [code])

    play(scenario)


def test_a_revoked_invitation_leaves_the_list_and_frees_the_address() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        formula = (await clerk.get("/invitations?query=invited7@example.com"))[0]
        written = await clerk.post("/invitations", invite("new@x.co")[0])
        for one in (formula, written):
            revoked = await clerk.post(f"/invitations/{one['id']}/revoke")
            assert (revoked["status"], revoked["revoked"]) == ("revoked", True)
            again = await clerk.ask("POST", f"/invitations/{one['id']}/revoke")
            assert (again.status, again.codes) == (400, ["invitation_already_revoked"])
            assert one["email_address"] not in await addresses(clerk)
            assert one["email_address"] in await addresses(clerk, "status=revoked")
            assert await addresses(clerk, f"query={one['email_address']}") == []
            await clerk.post("/invitations", invite(one["email_address"])[0])
            assert await addresses(clerk, f"query={one['email_address']}&status=pending")
        assert (await clerk.ask("POST", "/invitations/inv_x/revoke")).status == 404

    play(scenario)


def test_lists_are_filtered_ordered_and_paged() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        new = await clerk.post("/invitations", invite("aaa@x.co")[0])
        assert (await addresses(clerk))[:2] == ["aaa@x.co", "invited19@example.com"]
        assert (await addresses(clerk, "order_by=created_at"))[-1] == "aaa@x.co"
        assert (await addresses(clerk, "order_by=email_address"))[0] == "aaa@x.co"
        assert (await addresses(clerk, "order_by=expires_at"))[0] == "aaa@x.co"
        assert (await addresses(clerk, "order_by=-email_address&offset=1"))[0] == "invited8@example.com"
        assert await addresses(clerk, f"query={new['id']}") == ["aaa@x.co"]
        assert await addresses(clerk, "query=ED1@EX") == ["invited1@example.com"]
        assert len(await addresses(clerk, "query=invited1")) == 11
        assert await addresses(clerk, "status=accepted") == []
        assert len(await clerk.get("/invitations")) == 10
        paged = await clerk.get("/invitations?paginated=true&limit=3&offset=20")
        assert (len(paged["data"]), paged["total_count"]) == (1, 21)
        for wrong in ("status=maybe", "order_by=status", "paginated=perhaps"):
            assert (await clerk.ask("GET", f"/invitations?{wrong}")).status == 422

    play(scenario)


def test_a_million_given_addresses_can_be_invited_already() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        refused = await clerk.ask("POST", "/invitations", invite("guest999999@x.co")[0])
        assert refused.codes == ["duplicate_record"]
        await clerk.post("/invitations", invite("guest1000000@x.co")[0])
        assert await addresses(clerk, "query=guest123456@x.co") == ["guest123456@x.co"]
        page = await clerk.get("/invitations?status=pending&limit=2&offset=999999&paginated=true")
        assert ([row["email_address"] for row in page["data"]], page["total_count"]) == (
            ["guest1@x.co", "guest0@x.co"],
            1_000_001,
        )

    play(scenario, invitations=1_000_000, invitation_email="guest{n}@x.co")


def test_an_invitation_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        made = await clerk.post("/invitations", invite("new@x.co", expires_in_days=1)[0])
        monkeypatch.setattr("clerk_runner.simulator.exchange._wall_ms", lambda: made["expires_at"])
        expired = await clerk.get("/invitations?status=expired")
        assert [(row["email_address"], row["status"]) for row in expired] == [("new@x.co", "expired")]
        assert "new@x.co" in await addresses(clerk), "the list without a status shows all but revoked ones"
        assert (await clerk.ask("POST", f"/invitations/{made['id']}/revoke")).codes == ["invitation_not_pending"]
        await clerk.post("/invitations", invite("new@x.co")[0])

    play(scenario)


def test_behind_a_replica_a_duplicate_goes_unnoticed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        made = await clerk.post("/invitations", invite("new@x.co")[0])
        assert (await clerk.post("/invitations/bulk", invite("new@x.co")))[0]["id"] != made["id"]
        monkeypatch.setattr("clerk_runner.simulator.exchange._wall_ms", lambda: made["created_at"] + 60_000)
        assert (await clerk.ask("POST", "/invitations", invite("new@x.co")[0])).codes == ["duplicate_record"]
        report: Any = clerk.simulator.report()
        assert report["effects"]["CreateInvitation"]["repeated"].keys() == {"new@x.co"}

    play(scenario, duplicate_lag_s=60.0)
