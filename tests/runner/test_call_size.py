"""How much a call may carry where the job has limits of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import pytest

from clerk_jobs.invite import Invitations, Lane
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.call_size import RECHECK_S, CallSizes, quota_name

START_S = 1_800_000_000.0


def play(
    scenario: Callable[[Gate, CallSizes, Lane, Lane], Coroutine[Any, Any, None]],
    lanes: Literal["both", "bulk"] = "both",
    **options: Any,
) -> None:
    async def run() -> None:
        gate = Gate(InstanceKind.PRODUCTION, GateOptions(quota_share=1.0, **options), VirtualClock(START_S))
        work = Invitations(organizations=False, lanes=lanes, on_existing="skip")
        await scenario(gate, CallSizes(work.lanes, gate), work.lanes[0], work.lanes[-1])

    run_virtual(run())


def test_without_limits_of_its_own_a_call_may_grow_while_it_waits() -> None:
    async def scenario(_: Gate, sizes: CallSizes, bulk: Lane, single: Lane) -> None:
        assert sizes.ask(bulk, 3) == (10, 0.0)
        assert sizes.ask(single, 1) == (1, 0.0)
        assert sizes.ask(bulk, 0) == (0, 0.0)

    play(scenario)


def test_a_call_asks_for_what_is_free_and_no_more() -> None:
    async def scenario(gate: Gate, sizes: CallSizes, bulk: Lane, single: Lane) -> None:
        assert sizes.ask(bulk, 10) == (10, 0.0)
        with await gate.acquire("POST", bulk.template, items=8) as permit:
            assert sizes.ask(bulk, 10) == (4, 0.0)
            assert sizes.ask(bulk, 3) == (3, 0.0)
            with await gate.acquire("POST", single.template, items=4) as other:
                # Nothing is free, and when it will be depends on the calls under way.
                assert sizes.ask(single, 1) == (0, RECHECK_S)
                other.settle()
            size, wait_s = sizes.ask(single, 1)
            assert (size, round(wait_s)) == (0, 3600)
            permit.settle()
        await asyncio.sleep(3601)
        assert sizes.ask(bulk, 10) == (10, 0.0)

    play(scenario, per_hour=12)


def test_a_bulk_call_takes_no_crumbs_where_its_lane_has_to_carry_more() -> None:
    """300 an hour: the single lane carries 95, so 25 bulk calls must carry at least nine each."""

    async def scenario(gate: Gate, sizes: CallSizes, bulk: Lane, single: Lane) -> None:
        with await gate.acquire("POST", bulk.template, items=292) as permit:
            size, wait_s = sizes.ask(bulk, 10)
            assert (size, wait_s) == (0, RECHECK_S)
            assert sizes.ask(bulk, 8) == (8, 0.0), "all that is left may go"
            assert sizes.ask(single, 1) == (1, 0.0)
            permit.settle()
        size, wait_s = sizes.ask(bulk, 10)
        assert (size, round(wait_s)) == (0, 3600)

    play(scenario, per_hour=300)


def test_the_bulk_lane_alone_carries_all_of_it() -> None:
    """40 an hour by 25 calls: two each, so that none is kept back for long."""

    async def scenario(gate: Gate, sizes: CallSizes, bulk: Lane, _: Lane) -> None:
        with await gate.acquire("POST", bulk.template, items=38):
            assert sizes.ask(bulk, 10) == (2, 0.0)
        with await gate.acquire("POST", bulk.template, items=39):
            assert sizes.ask(bulk, 10)[0] == 0

    play(scenario, "bulk", per_day=40)


def test_the_names_of_the_quotas() -> None:
    lanes = Invitations(organizations=True, lanes="both", on_existing="skip").lanes
    names = {lane.name: quota_name(lane, InstanceKind.PRODUCTION) for lane in lanes}
    assert names == {"bulk": "organization-invitations-bulk", "single": "organization-invitations"}


def test_a_gate_without_limits_of_its_own_counts_no_items() -> None:
    gate = Gate(InstanceKind.PRODUCTION, GateOptions(), VirtualClock(START_S))
    for ask in (gate.items_free, lambda: gate.items_free_in(1)):
        with pytest.raises(ValueError, match="nothing counts items"):
            ask()
