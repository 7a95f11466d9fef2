"""Waits that somebody else ends: in time, once, and never for another's reason."""

from __future__ import annotations

import asyncio

import pytest

from clerk_limits.clock import run_virtual
from clerk_runner.deadlines import Deadlines, Wait


async def outlast(deadlines: Deadlines, wait_s: float) -> str:
    """Wait for so long, if the deadline lets it; says how it ended."""
    try:
        with deadlines.wait():
            await asyncio.sleep(wait_s)
    except TimeoutError:
        return f"called off at {asyncio.get_running_loop().time():.1f}"
    return "in time"


def test_each_wait_ends_after_its_own_time_though_one_timer_serves_all() -> None:
    async def scenario() -> list[str]:
        deadlines = Deadlines(10.0)
        began_at_s = asyncio.get_running_loop().time()
        waits = []
        for wait_s in (30.0, 1.0, 30.0, 9.9):
            waits.append(asyncio.ensure_future(outlast(deadlines, wait_s)))
            await asyncio.sleep(2.0)
        assert began_at_s == 0.0
        return await asyncio.gather(*waits)

    assert run_virtual(scenario()) == ["called off at 10.0", "in time", "called off at 14.0", "in time"]


def test_a_wait_that_comes_after_an_idle_time_has_a_timer_too() -> None:
    async def scenario() -> list[str]:
        deadlines = Deadlines(10.0)
        ends = [await outlast(deadlines, 1.0)]
        await asyncio.sleep(100.0)
        ends.append(await outlast(deadlines, 30.0))
        return ends

    assert run_virtual(scenario()) == ["in time", "called off at 111.0"]


def test_what_is_closed_ends_nothing_any_more() -> None:
    async def scenario() -> str:
        deadlines = Deadlines(10.0)
        wait = asyncio.ensure_future(outlast(deadlines, 30.0))
        await asyncio.sleep(1.0)
        deadlines.close()
        return await wait

    assert run_virtual(scenario()) == "in time"


@pytest.mark.parametrize("ends_first", [True, False])
def test_whoever_cancels_the_task_gets_what_it_wants(ends_first: bool) -> None:
    async def scenario() -> None:
        wait = Wait()

        async def waiting() -> None:
            with wait:
                await asyncio.sleep(30.0)

        task = asyncio.ensure_future(waiting())
        await asyncio.sleep(1.0)
        for act in (wait.end, task.cancel) if ends_first else (task.cancel, wait.end):
            act()
        await asyncio.wait([task])
        assert task.cancelled()

    run_virtual(scenario())


def test_a_task_goes_on_after_a_wait_that_was_ended_and_can_be_cancelled_again() -> None:
    async def scenario() -> int:
        wait, ended = Wait(), 0

        async def waiting() -> None:
            nonlocal ended
            for _ in range(2):
                try:
                    with wait if ended == 0 else Wait():
                        await asyncio.sleep(5.0)
                except TimeoutError:
                    ended += 1
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

        task = asyncio.ensure_future(waiting())
        await asyncio.sleep(1.0)
        wait.end()
        wait.end()
        await task
        return ended

    assert run_virtual(scenario()) == 1


def test_an_error_of_what_is_waited_for_stays_what_it_is() -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="broken"), Wait():
            raise ValueError("broken")

    run_virtual(scenario())
