"""Every operation of every version, asked for: no test names one by hand but where it needs a body."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from clerk_jobs.catalog import ListShape, Operation, Parameter, Schema, load
from clerk_jobs.catalog.check import check_value
from clerk_jobs.catalog.example import example_value
from clerk_testing.simulated import SimulatedClient, simulator_in_loop

VERSIONS = load().versions


def play(scenario: Callable[[SimulatedClient], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with simulator_in_loop(speed=1000.0, **settings) as clerk:
            await scenario(clerk)

    asyncio.run(run())


async def ask(
    clerk: SimulatedClient, operation: Operation, version: str, query: str = "", **params: str
) -> tuple[int, Any]:
    """Ask for an operation with example values, but for the ids that are given."""
    path = operation.path
    for parameter in operation.path_parameters:
        path = path.replace(f"{{{parameter.name}}}", params.get(parameter.name) or _example(parameter))
    body: object = None
    if operation.body is not None and operation.body.media_type == "application/json":
        body = example_value(operation.body.schema)
    headers = {"Clerk-API-Version": version}
    url = f"{clerk.simulator.address}/v1{path}{query}"
    async with clerk.session.request(operation.method, url, json=body, headers=headers) as answer:
        return answer.status, await answer.json() if answer.content_length else None


def _example(parameter: Parameter) -> str:
    return str(example_value(parameter.schema, parameter.name))


async def ids(clerk: SimulatedClient) -> dict[str, str]:
    organization = (await clerk.get("/organizations?order_by=created_at"))["data"][0]["id"]
    members = await clerk.get(f"/organizations/{organization}/memberships")
    return {"user_id": members["data"][0]["public_user_data"]["user_id"], "organization_id": organization}


def findings(operation: Operation, status: int, body: Any) -> list[str]:
    response = operation.response(status)
    assert response is not None, f"{operation} does not document {status}"
    if response.schema is None:
        return [] if body is None else ["has a body"]
    # A document that contradicts itself has no example that fits it; a generic answer is that example.
    unavoidable = _complaints(response.schema, example_value(response.schema))
    return sorted(_complaints(response.schema, body) - unavoidable)


def _complaints(schema: Schema, value: Any) -> set[str]:
    """What is wrong with a value; a row's number does not matter."""
    return {re.sub(r"\[\d+\]", "[]", str(finding)) for finding in check_value(schema, value)}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_read_answers_in_its_documented_shape(version: str) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        known = await ids(clerk)
        invitation = {"email_address": "a@b.co", "role": "org:member"}
        path = f"/organizations/{known['organization_id']}/invitations"
        known["invitation_id"] = (await clerk.post(path, invitation))["id"]
        for operation in load(version).operations():
            if operation.method == "GET":
                status, body = await ask(clerk, operation, version, **known)
                assert status == 200, operation
                if version == VERSIONS[-1]:
                    assert findings(operation, status, body) == [], operation

    play(scenario, users=5, organizations=2, members=2, invitations=3)


def test_every_write_is_known_and_answers_in_its_documented_shape() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        by_hand = clerk.simulator._stage._router.names
        for operation in load().operations():
            if operation.method == "GET" or str(operation) in by_hand:
                continue
            status, body = await ask(clerk, operation, VERSIONS[-1])
            assert operation.success is not None
            assert status == operation.success.status, operation
            assert findings(operation, status, body) == [], operation
            assert clerk.simulator.effects(operation.operation_id), operation

    play(scenario)


def test_what_is_written_down_is_in_the_newest_version() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        known = {str(operation) for operation in load().operations()}
        assert clerk.simulator._stage._router.names <= known

    play(scenario)


def test_what_was_written_answers_in_its_documented_shape() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        user = await clerk.post(
            "/users",
            {
                "email_address": ["a@b.co"],
                "phone_number": ["+15005550006"],
                "web3_wallet": ["0x1"],
                "email_address_identification_status": ["reserved"],
            },
        )
        organization = await clerk.post("/organizations", {"name": "Acme", "created_by": user["id"]})
        member = (await clerk.get("/users?username=user_1"))[0]["id"]
        one, role = f"/organizations/{organization['id']}", {"role": "org:member"}
        invitation = {"email_address": "c@d.co", "inviter_user_id": user["id"], **role}
        for method, path, body in (
            ("GET", f"/users/{user['id']}", None),
            ("PATCH", f"/users/{user['id']}", {"first_name": "A"}),
            ("PATCH", f"/users/{user['id']}/metadata", {"public_metadata": {"a": 1}}),
            ("PUT", f"/users/{user['id']}/metadata", {"public_metadata": {"a": 1}}),
            ("POST", f"/users/{user['id']}/lock", None),
            ("POST", "/users/ban", {"user_ids": [user["id"]]}),
            ("POST", "/invitations", {"email_address": "x@y.co"}),
            ("POST", "/invitations/bulk", [{"email_address": "z@y.co"}]),
            ("GET", "/invitations", None),
            ("PATCH", one, {"name": "B"}),
            ("PATCH", f"{one}/metadata", {"public_metadata": {"a": 1}}),
            ("POST", f"{one}/memberships", {"user_id": member, **role}),
            ("PATCH", f"{one}/memberships/{member}", role),
            ("PATCH", f"{one}/memberships/{member}/metadata", {"public_metadata": {"a": 1}}),
            ("POST", f"{one}/invitations", invitation),
            ("POST", f"{one}/invitations/bulk", [{**invitation, "email_address": "e@f.co"}]),
            ("GET", "/organization_invitations", None),
            ("DELETE", f"{one}/memberships/{member}", None),
            ("DELETE", one, None),
            ("DELETE", f"/users/{user['id']}", None),
            ("DELETE", f"/users/{user['id']}", None),
        ):
            operation = load().find(method, path)
            assert operation is not None
            answer = await clerk.ask(method, path, body)
            assert findings(operation, answer.status, answer.body) == [], (method, path)

    play(scenario, users=5)


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/redirect_urls", ListShape.ARRAY),
        ("/machines", ListShape.DATA),
        ("/m2m_tokens", ListShape.M2M_TOKENS),
        ("/domains", ListShape.WHOLE),
    ],
)
def test_a_generic_list_is_walked_in_its_shape(path: str, shape: ListShape) -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        async def rows(query: str) -> list[Any]:
            found: Any = shape.rows(await clerk.get(f"{path}?{query}"))
            return [*found]

        whole = await rows("limit=100&order_by=%2Bcreated_at")
        assert len({row["id"] for row in whole}) == 25
        newest = await rows("limit=3&offset=2")
        if shape is ListShape.WHOLE:
            assert newest == whole[::-1]
        else:
            assert newest == whole[22:19:-1]
            assert len(await rows("limit=501")) == 10

    play(scenario, rows=25)


def test_a_generic_array_may_be_paginated() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        answer = await clerk.get("/redirect_urls?paginated=true&limit=2")
        assert (len(answer["data"]), answer["total_count"]) == (2, 3)

    play(scenario)


def test_a_path_lives_in_its_versions_only() -> None:
    async def scenario(clerk: SimulatedClient) -> None:
        older = {"Clerk-API-Version": "2025-04-10"}
        assert (await clerk.ask("GET", "/commerce/plans", headers=older)).status == 200
        assert (await clerk.ask("GET", "/commerce/plans")).status == 404
        assert (await clerk.ask("GET", "/billing/plans", headers={"Clerk-API-Version": "1999-01-01"})).codes == [
            "api_version_invalid"
        ]
        assert (await clerk.ask("PUT", "/machines")).status == 405
        assert (await clerk.ask("GET", "/users/ban")).status == 405, "no generic user in place of a real one"

    play(scenario)
