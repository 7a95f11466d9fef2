"""Calls through the gate: repeats by safety class, blocks after a 429, and what ends a run. All in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest

from clerk_jobs.call import Call, Problem, Reply, Safety, Talk
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.client import Answered, Attempt, Client, Lost, NotSent
from clerk_runner.credentials import Credentials, SecretKey
from clerk_runner.errors import AccessError, Exit, RunnerError, StoppedError
from clerk_runner.exchange import Exchange, GaveUp, Sent
from clerk_runner.logs import echo_log, open_log, silent_log
from clerk_runner.refusals import fatal_error

READ = Call("GetUserList", "GET", "/users", "/users", Safety.READ)
PATCH = Call("UpdateUserMetadata", "PATCH", "/users/{user_id}/metadata", "/users/u/metadata", Safety.IDEMPOTENT)
PATCH = Call(PATCH.operation, PATCH.method, PATCH.template, PATCH.path, PATCH.safety, subject="u")
ONCE = Call("CreateInvitation", "POST", "/invitations", "/invitations", Safety.ONCE)

START_S = 1_800_000_000.0

Script: TypeAlias = Callable[[int], Attempt]
"""What the n-th attempt ends in, from 1."""


class ScriptedClient(Client):
    """Ends attempts as a script says, a tenth of a second after they began, and remembers when that was."""

    script: Script
    began: list[float]

    async def attempt(self, call: Call, decode: Any = orjson.loads, _depart: Any = None) -> Attempt:
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.1)
        return self.script(len(self.began))


def scripted(script: Script) -> ScriptedClient:
    credentials = Credentials(SecretKey("sk_test_abc"), "http://127.0.0.1:9", frozenset(), "the test")
    client = ScriptedClient(credentials, "2026-05-12")
    client.script, client.began = script, []
    return client


def exchange_of(script: Script, speed: float = 1.0) -> tuple[Exchange, ScriptedClient]:
    client = scripted(script)
    clock = VirtualClock(START_S)
    gate = Gate(InstanceKind.PRODUCTION, GateOptions(speed=speed), clock)
    return Exchange(client, gate, clock, log=silent_log(), speed=speed), client


def play(scenario: Callable[[Exchange, ScriptedClient], Coroutine[Any, Any, Any]], script: Script, **named: Any) -> Any:
    async def main() -> Any:
        return await scenario(*exchange_of(script, **named))

    return run_virtual(main())


def answer(status: int = 200, code: str = "", *, parsed: bool = True, retry_after: str | None = None) -> Answered:
    problems = (Problem(code or f"http_{status}", "said"),) if status >= 400 else ()
    return Answered(Reply(status, {} if parsed else None, problems), parsed, retry_after)


def first(*ends: Attempt, then: Attempt | None = None) -> Script:
    """These ends in turn, then a success or what is given for ever."""
    return lambda number: ends[number - 1] if number <= len(ends) else then or answer()


async def read(exchange: Exchange, client: ScriptedClient) -> Reply:
    return await exchange.read(READ)


async def patch(exchange: Exchange, client: ScriptedClient) -> Reply:
    return await exchange.read(PATCH)


def ended(scenario: Any, script: Script, **named: Any) -> tuple[RunnerError, float, int]:
    """The error that a scenario ends with, the virtual seconds until then, and the attempts."""

    async def main(exchange: Exchange, client: ScriptedClient) -> tuple[RunnerError, float, int]:
        with pytest.raises(RunnerError) as caught:
            await scenario(exchange, client)
        return caught.value, exchange.clock.now(), len(client.began)

    found: tuple[RunnerError, float, int] = play(main, script, **named)
    return found


AGAIN = [
    Lost("gone"),
    NotSent("no connection"),
    answer(parsed=False),
    answer(409, "resource_locked"),
    *(answer(status) for status in (408, 425, 429, 499, 500, 502, 503, 504, 520, 524, 529, 530)),
]


def test_a_clock_that_is_not_believed_is_told_once_for_each_time_that_it_becomes_so() -> None:
    told: list[Any] = []

    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        exchange.attach(echo_log(told.append, "info"))
        for is_far in (False, True, True, False, True):
            client.is_far = is_far
            await exchange.read(READ)

    play(scenario, first())
    assert [each["event"] for each in told] == ["date_ignored", "date_ignored"]


@pytest.mark.parametrize("end", AGAIN, ids=str)
def test_a_read_is_repeated_until_a_definite_answer(end: Attempt) -> None:
    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        assert (await exchange.read(READ)).ok
        assert len(client.began) == 4
        assert exchange.trouble == ""
        assert exchange.requests == (1 if isinstance(end, NotSent) else 4)

    play(scenario, first(end, end, end))


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_refusal_is_an_answer(status: int) -> None:
    assert play(read, first(answer(status))).status == status


@pytest.mark.parametrize("end", [Lost("gone"), NotSent("no connection"), answer(503)], ids=str)
def test_a_read_is_given_up_after_ten_minutes(end: Attempt) -> None:
    error, after_s, attempts = ended(read, lambda _: end)
    assert isinstance(error, StoppedError)
    assert error.exit == Exit.STOPPED
    assert 600 < after_s < 640
    assert attempts > 30


def test_a_rehearsal_gives_up_sooner() -> None:
    assert 10 < ended(read, lambda _: Lost("gone"), speed=60)[1] < 11


def test_nine_minutes_of_silence_are_borne() -> None:
    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        client.script = lambda _: Lost("gone") if exchange.clock.now() < 540 else answer()
        assert (await exchange.read(READ)).ok
        assert exchange.stop is None

    play(scenario, first())


def test_an_idempotent_call_is_given_up_after_a_minute() -> None:
    error, after_s, attempts = ended(patch, lambda _: Lost("gone"))
    assert isinstance(error, GaveUp)
    assert error.code == "no_answer"
    assert 60 < after_s < 95
    assert attempts > 3


def test_an_idempotent_call_that_never_left_may_wait_longer() -> None:
    """Nothing was written, so nothing newer can be overwritten: the minute begins with the first doubt."""

    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        client.script = lambda _: NotSent("no connection") if exchange.clock.now() < 300 else answer()
        assert (await exchange.read(PATCH)).ok

    play(scenario, first())
    error, after_s, _ = ended(patch, lambda _: NotSent("no connection"))
    assert error.code == "unreachable"
    assert 600 < after_s < 640


def test_an_idempotent_call_is_not_repeated_after_a_long_block() -> None:
    """The wait for a permit counts too: after it, the site may have written something newer."""
    error, _, attempts = ended(patch, first(Lost("gone"), answer(429, retry_after="300")))
    assert isinstance(error, GaveUp)
    assert attempts == 2


def test_an_idempotent_success_counts_whatever_its_body() -> None:
    assert play(patch, first(answer(parsed=False), then=answer(404))).ok


def test_a_429_costs_no_attempt_and_waits_as_it_was_told() -> None:
    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        assert (await exchange.read(PATCH)).ok
        gaps = [later - earlier for earlier, later in zip(client.began, client.began[1:], strict=False)]
        assert all(30 <= gap < 40 for gap in gaps), gaps
        assert (exchange.throttled, exchange.requests) == (20, 21)

    play(scenario, first(*[answer(429, retry_after="30")] * 20))


def test_a_429_closes_the_gate() -> None:
    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        await exchange.read(READ)
        assert exchange.clock.now() >= 30

    play(scenario, first(answer(429, retry_after="30")))


def test_other_endpoints_go_on_during_a_block() -> None:
    other = Call("GetInstance", "GET", "/instance", "/instance", Safety.READ)

    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        async with asyncio.TaskGroup() as group:
            blocked = group.create_task(exchange.read(READ))
            await asyncio.sleep(1)
            await exchange.read(other)
            assert exchange.clock.now() < 5
            assert not blocked.done()

    play(scenario, first(answer(429, retry_after="30")))


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (answer(), "answered"),
        (answer(parsed=False), "answered"),
        (answer(400), "answered"),
        (answer(422), "answered"),
        (answer(401), "answered"),
        (answer(429), "throttled"),
        (NotSent("refused"), "not_sent"),
        (Lost("gone"), "lost"),
        *((answer(status), "lost") for status in (302, 408, 409, 425, 499, 500, 501, 502, 503, 504, 524, 530)),
    ],
    ids=str,
)
def test_a_once_call_is_sent_once_and_its_end_is_told(end: Attempt, word: str) -> None:
    async def scenario(exchange: Exchange, client: ScriptedClient) -> Sent:
        sent = await exchange.once(ONCE, await exchange.gate.acquire("POST", "/invitations"))
        assert len(client.began) == 1
        assert exchange.stop is None
        return sent

    assert play(scenario, lambda _: end).end == word


def test_pauses_are_drawn_from_zero_to_a_bound_that_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[tuple[float, float]] = []

    def drawn(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr(random, "uniform", drawn)

    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        for tries in (1, 2, 3, 4, 5, 6, 7, 1000, 10**9):
            await exchange.pause(tries)

    play(scenario, first())
    assert bounds == [(0, high) for high in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0)]
    bounds.clear()
    play(scenario, first(), speed=10)
    assert max(high for _, high in bounds) == 3.0


def test_an_unsafe_connection_ends_the_run_at_once() -> None:
    error, after_s, attempts = ended(read, lambda _: NotSent("the TLS connection cannot be trusted", fatal=True))
    assert isinstance(error, AccessError)
    assert (error.exit, attempts) == (Exit.ACCESS, 1)
    assert after_s < 1
    assert "127.0.0.1:9" in error.message


def test_a_host_that_does_not_answer_stops_once_calls_too() -> None:
    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        while exchange.stop is None:
            await exchange.once(ONCE, await exchange.gate.acquire("POST", "/invitations"))
            await asyncio.sleep(10)
        assert 600 < exchange.clock.now() < 640
        assert (exchange.stop.exit, exchange.stop.code) == (Exit.STOPPED, "unreachable")
        assert exchange.trouble == "no connection"

    play(scenario, lambda _: NotSent("no connection"))


def test_one_good_answer_ends_the_trouble() -> None:
    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        client.script = lambda number: answer() if number % 20 == 0 else NotSent("no connection")
        while exchange.clock.now() < 3600:
            await exchange.once(ONCE, await exchange.gate.acquire("POST", "/invitations"))
            await asyncio.sleep(20)
        assert exchange.stop is None

    play(scenario, first())


def test_a_cancelled_call_counts_and_holds_its_slot() -> None:
    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        task = asyncio.create_task(exchange.read(READ), name="cancelled")
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert exchange.requests == 1
        usage = next(one for one in exchange.gate.usage() if one.name == "instance")
        assert usage.used == 1

    play(scenario, first())


@pytest.mark.parametrize(
    ("end", "exit_code", "code"),
    [
        (answer(401, "clerk_key_invalid"), 3, "clerk_key_invalid"),
        (answer(403, "authorization_missing_scopes"), 3, "authorization_missing_scopes"),
        (answer(403, "action_blocked"), 3, "action_blocked"),
        (answer(402, "unsupported_subscription_plan_features"), 4, "unsupported_subscription_plan_features"),
        (answer(403, "user_quota_exceeded"), 4, "user_quota_exceeded"),
        (answer(403, "organization_not_enabled_in_instance"), 4, "organization_not_enabled_in_instance"),
        (answer(400, "api_version_invalid"), 4, "api_version_invalid"),
        (answer(302), 4, "redirected"),
    ],
    ids=str,
)
def test_answers_that_end_a_run(end: Answered, exit_code: int, code: str) -> None:
    error, _, attempts = ended(read, lambda _: end)
    assert (int(error.exit), error.code, attempts) == (exit_code, code, 1)
    assert error.hint


@pytest.mark.parametrize(
    "end",
    [
        answer(),
        answer(400, "duplicate_record"),
        answer(404, "resource_not_found"),
        answer(403, "user_banned"),
        answer(403, "not_a_member_in_organization"),
        answer(422, "form_param_format_invalid"),
    ],
    ids=str,
)
def test_answers_that_are_one_items_alone(end: Answered) -> None:
    assert fatal_error(end.reply) is None


def test_a_read_may_keep_the_judgement_to_its_caller() -> None:
    async def scenario(exchange: Exchange, client: ScriptedClient) -> int:
        return (await exchange.read(READ, judge=False)).status

    assert play(scenario, lambda _: answer(403, "authorization_invalid")) == 403


def test_a_conversation_is_carried_through_and_closed() -> None:
    closed: list[bool] = []

    def talk() -> Talk[int]:
        try:
            one = yield READ
            two = yield READ
            return one.status + two.status
        finally:
            closed.append(True)

    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        assert await exchange.converse(talk()) == 600
        client.script = lambda _: answer(401)
        with pytest.raises(AccessError):
            await exchange.converse(talk())

    play(scenario, first(answer(200), answer(400)))
    assert closed == [True, True]


def test_a_conversation_without_a_call() -> None:
    def silent() -> Talk[int]:
        yield from ()
        return 7

    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        assert await exchange.converse(silent()) == 7
        assert not client.began

    play(scenario, first())


def test_a_429_is_logged_with_its_wait_and_nothing_of_the_body(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"

    async def scenario(exchange: Exchange, client: ScriptedClient) -> None:
        log, file = open_log(path)
        with file:
            exchange.attach(log)
            await exchange.read(READ)

    play(scenario, first(answer(429, retry_after="3")))
    (line,) = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert (line["event"], line["operation"]) == ("throttled", "GetUserList")
    assert line["wait_s"] >= 3
