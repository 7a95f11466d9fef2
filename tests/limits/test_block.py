"""What a 429 closes: every form of Retry-After, backoff, one incident counted once, instance-wide blocks, restarts."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_limits.block import retry_after_s
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions

WALL_S = 1_785_751_200.0
"""Mon, 03 Aug 2026 10:00:00 GMT."""

SERVER_DATE = "Mon, 03 Aug 2026 10:00:00 GMT"


def new_gate(options: GateOptions | None = None, jitter: float = 0.0) -> Gate:
    clock = VirtualClock(start_wall_s=WALL_S)
    return Gate(InstanceKind.PRODUCTION, options or GateOptions(), clock, jitter=lambda: jitter)


@pytest.mark.parametrize(
    ("retry_after", "date", "expected"),
    [
        ("10", None, 10.0),
        (" 10 ", None, 10.0),
        ("2.5", None, 2.5),
        ("0.001", None, 0.001),
        ("1000000000", None, 1e9),
        ("Mon, 03 Aug 2026 10:00:30 GMT", SERVER_DATE, 30.0),
        # The server's clock is an hour ahead of ours: only its own Date makes sense of its Retry-After.
        ("Mon, 03 Aug 2026 11:00:30 GMT", "Mon, 03 Aug 2026 11:00:00 GMT", 30.0),
        ("Mon, 03 Aug 2026 10:00:30 GMT", None, 30.0),
        ("Mon, 03 Aug 2026 10:00:30 GMT", "yesterday", 30.0),
        ("Mon, 03 Aug 2026 10:00:30 -0000", SERVER_DATE, 30.0),
        ("Mon, 03 Aug 2026 09:59:00 GMT", SERVER_DATE, None),
        (None, SERVER_DATE, None),
        ("", None, None),
        ("0", None, None),
        ("0.0", None, None),
        ("-5", None, None),
        ("nan", None, None),
        ("inf", None, None),
        ("1e3", None, None),
        ("1_000", None, None),
        ("0x10", None, None),
        ("9" * 400, None, None),
        ("soon", None, None),
        ("10, 20", None, None),
        ("Mon, 99 Aug 2026 10:00:30 GMT", SERVER_DATE, None),
    ],
)
def test_the_forms_of_retry_after(retry_after: str | None, date: str | None, expected: float | None) -> None:
    assert retry_after_s(retry_after, date, WALL_S) == expected


@given(st.text(), st.text())
def test_no_header_makes_it_fail(retry_after: str, date: str) -> None:
    seconds = retry_after_s(retry_after, date, WALL_S)
    assert seconds is None or seconds > 0


def throttle(gate: Gate, operation: str = "GET /users", retry_after: str | None = None) -> float:
    method, template = operation.split(" ")
    return gate.throttled(method, template, retry_after=retry_after, date=SERVER_DATE)


def test_the_endpoint_opens_after_retry_after_a_second_and_jitter() -> None:
    async def scenario() -> list[float]:
        gate = new_gate(jitter=0.25)
        told_s = throttle(gate, retry_after="10")
        await gate.acquire("GET", "/users")
        return [told_s, asyncio.get_running_loop().time()]

    assert run_virtual(scenario()) == [11.25, 11.25]


def test_other_endpoints_go_on() -> None:
    async def scenario() -> list[float]:
        gate, loop = new_gate(), asyncio.get_running_loop()
        throttle(gate, "POST /invitations", "1800")
        await gate.acquire("GET", "/users")
        await gate.acquire("GET", "/invitations")
        before = loop.time()
        await gate.acquire("POST", "/invitations")
        return [before, loop.time()]

    assert run_virtual(scenario()) == [0.0, 1801.0]


def test_those_who_wait_already_wait_for_the_block_too() -> None:
    async def scenario() -> float:
        gate = new_gate()
        permits = [await gate.acquire("POST", "/invitations") for _ in range(90)]
        waiting = asyncio.create_task(gate.acquire("POST", "/invitations"), name="waiting")
        await asyncio.sleep(1)
        throttle(gate, "POST /invitations", "7200")
        for permit in permits:
            permit.settle()
        await waiting
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == 1 + 7201


def test_a_general_endpoint_without_retry_after_waits_ten_seconds_each_time() -> None:
    async def scenario() -> list[float]:
        gate, waits = new_gate(), []
        for _ in range(3):
            waits.append(throttle(gate))
            await asyncio.sleep(60)
        return waits

    assert run_virtual(scenario()) == [11.0, 11.0, 11.0]


async def _refusals(gate: Gate, times: int, *, settle_first: bool) -> list[float]:
    """Refuse one invitation after another, reporting each before or after its permit is settled."""
    waits = []
    for _ in range(times):
        permit = await gate.acquire("POST", "/invitations")
        if settle_first:
            permit.settle()
        waits.append(throttle(gate, "POST /invitations"))
        permit.settle()
    return waits


@pytest.mark.parametrize("settle_first", [True, False])
def test_an_hourly_route_doubles_to_an_hour_and_starts_anew_after_a_success(settle_first: bool) -> None:
    async def scenario() -> list[float]:
        gate = new_gate()
        waits = await _refusals(gate, 8, settle_first=settle_first)
        (await gate.acquire("POST", "/invitations")).settle()
        return waits + await _refusals(gate, 2, settle_first=settle_first)

    doubling = [61.0, 121.0, 241.0, 481.0, 961.0, 1921.0, 3601.0, 3601.0]
    assert run_virtual(scenario()) == [*doubling, 61.0, 121.0]


def test_requests_under_way_when_the_block_began_count_once() -> None:
    async def scenario() -> list[float]:
        gate = new_gate()
        permits = [await gate.acquire("POST", "/invitations") for _ in range(5)]
        waits = []
        for permit in permits:
            waits.append(throttle(gate, "POST /invitations"))
            permit.settle()
            await asyncio.sleep(1)
        await asyncio.sleep(100)
        waits.append(throttle(gate, "POST /invitations"))
        return waits

    assert run_virtual(scenario()) == [61.0, 60.0, 59.0, 58.0, 57.0, 121.0]


def test_a_late_refusal_of_an_old_incident_is_known_by_its_permit() -> None:
    async def scenario() -> list[float]:
        gate = new_gate()
        early, late = [await gate.acquire("POST", "/invitations") for _ in range(2)]
        waits = [throttle(gate, "POST /invitations")]
        early.settle()
        await asyncio.sleep(70)
        waits.append(gate.throttled("POST", "/invitations", retry_after=None, date=None, permit=late))
        waits.append(throttle(gate, "POST /invitations"))
        return waits

    assert run_virtual(scenario()) == [61.0, 0.0, 121.0]


def test_a_second_refusal_never_shortens_a_block() -> None:
    async def scenario() -> list[float]:
        gate = new_gate()
        return [throttle(gate, retry_after="100"), throttle(gate, retry_after="5")]

    assert run_virtual(scenario()) == [101.0, 101.0]


def test_two_templates_within_a_second_close_the_instance() -> None:
    async def scenario() -> list[float]:
        gate, loop = new_gate(), asyncio.get_running_loop()
        throttle(gate, "GET /users", "30")
        await asyncio.sleep(0.9)
        throttle(gate, "GET /organizations", "10")
        times = []
        for template in ("/clients", "/organizations", "/users"):
            await gate.acquire("GET", template)
            times.append(loop.time())
        return times

    assert run_virtual(scenario()) == pytest.approx([11.9, 11.9, 31.0])


@pytest.mark.parametrize(
    ("second", "after_s"),
    [("GET /organizations", 1.1), ("POST /users", 0.5), ("POST /users", 0.0)],
    ids=["too late", "the same path", "the same path at once"],
)
def test_one_template_or_a_later_one_closes_itself_alone(second: str, after_s: float) -> None:
    async def scenario() -> float | None:
        gate = new_gate()
        throttle(gate, "GET /users", "30")
        await asyncio.sleep(after_s)
        throttle(gate, second, "30")
        return gate.next_in("GET", "/clients")

    assert run_virtual(scenario()) == 0.0


def test_two_spent_quotas_do_not_stop_reads_for_an_hour() -> None:
    """Both lanes may meet quotas that the application has spent: that says little about the instance."""

    async def scenario() -> list[float | None]:
        gate = new_gate()
        throttle(gate, "POST /invitations", "2400")
        throttle(gate, "POST /invitations/bulk", "2400")
        return [gate.next_in("GET", "/users"), gate.next_in("POST", "/invitations")]

    assert run_virtual(scenario()) == [11.0, 2401.0]


def test_speed_divides_our_own_waits_and_never_retry_after() -> None:
    async def scenario() -> list[float]:
        gate = new_gate(GateOptions(speed=10.0), jitter=0.5)
        return [throttle(gate, "POST /invitations", "30"), throttle(gate, "POST /organizations/{id}/invitations")]

    assert run_virtual(scenario()) == pytest.approx([30.15, 6.15])


def test_blocks_are_remembered_across_a_restart() -> None:
    async def first() -> dict[str, float]:
        gate = new_gate()
        throttle(gate, "POST /organizations/{organization_id}/invitations", "1800")
        await asyncio.sleep(2)
        throttle(gate, "GET /users", "20")
        throttle(gate, "GET /clients", "20")
        await asyncio.sleep(5)
        return gate.blocked_until()

    async def second(blocks: dict[str, float]) -> list[float | None]:
        gate = new_gate()
        await asyncio.sleep(10)
        for operation, until_wall_s in blocks.items():
            gate.restore_block(operation, until_wall_s)
        return [
            gate.next_in("POST", "/organizations/{id}/invitations"),
            gate.next_in("GET", "/domains"),
        ]

    blocks = run_virtual(first())
    assert blocks == {
        "POST /organizations/{organization_id}/invitations": WALL_S + 1801,
        "GET /users": WALL_S + 23,
        "GET /clients": WALL_S + 23,
        "*": WALL_S + 23,
    }
    assert run_virtual(second(blocks)) == pytest.approx([1791.0, 13.0])


def test_a_block_that_is_over_is_neither_told_nor_restored() -> None:
    async def scenario() -> tuple[dict[str, float], float | None]:
        gate = new_gate()
        gate.restore_block("GET /users", WALL_S - 5)
        return gate.blocked_until(), gate.next_in("GET", "/users")

    assert run_virtual(scenario()) == ({}, 0.0)


@pytest.mark.parametrize("name", ["", "users", "GET users", "GET"])
def test_a_name_that_is_no_operation_is_refused(name: str) -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="names no operation"):
            new_gate().restore_block(name, WALL_S + 5)

    run_virtual(scenario())
