"""Which instance a key belongs to, and what is said where that cannot be known."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clerk_limits.clock import LoopClock
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.client import Client
from clerk_runner.credentials import Credentials, SecretKey
from clerk_runner.errors import AccessError, RunnerError, StoppedError, UsageError
from clerk_runner.exchange import Exchange
from clerk_runner.identity import identify
from clerk_runner.logs import silent_log

KEY = SecretKey("sk_test_abc")


def identity() -> str:
    async def scenario() -> str:
        credentials = Credentials(KEY, "http://127.0.0.1:9", frozenset(), "the test")
        clock = LoopClock()
        async with Client(credentials, "2026-05-12") as client:
            gate = Gate(InstanceKind.DEVELOPMENT, GateOptions(), clock)
            return await identify(Exchange(client, gate, clock, log=silent_log()), credentials)

    return asyncio.run(scenario())


def refusal(code: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": "no"}]}


def test_the_instance_tells_its_id(clerk_responses: Any) -> None:
    clerk_responses.answer("GET", "/instance", payload={"object": "instance", "id": "ins_1"})
    assert identity() == "ins_1"


@pytest.mark.parametrize("status", [403, 404])
def test_a_key_that_may_not_ask_stands_for_itself(clerk_responses: Any, status: int) -> None:
    clerk_responses.answer("GET", "/instance", status=status, payload=refusal("authorization_invalid"))
    assert identity() == f"key-{KEY.fingerprint}"
    assert "abc" not in KEY.fingerprint


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ({"status": 401, "payload": refusal("clerk_key_invalid")}, AccessError, "clerk_key_invalid"),
        ({"status": 400, "payload": refusal("api_version_invalid")}, UsageError, "api_version_invalid"),
        ({"status": 302, "body": "<html>", "content_type": "text/html"}, StoppedError, "redirected"),
        ({"payload": {"welcome": "to another API"}}, UsageError, "not_clerk"),
        ({"payload": []}, UsageError, "not_clerk"),
    ],
)
def test_what_ends_a_run_before_it_begins(
    clerk_responses: Any, answer: dict[str, Any], kind: type[RunnerError], code: str
) -> None:
    clerk_responses.answer("GET", "/instance", **answer)
    with pytest.raises(kind) as caught:
        identity()
    assert caught.value.code == code
