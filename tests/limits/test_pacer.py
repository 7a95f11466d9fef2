"""The bucket keeps its law, tells honestly when it has tokens, and takes back those that were not used."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerk_limits.clock import run_virtual
from clerk_limits.pacer import Pacer, burst_capacity


@settings(deadline=None)
@given(
    capacity=st.integers(1, 20),
    rate_per_s=st.floats(0.001, 500.0),
    steps=st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, 4)), max_size=40),
)
def test_waiting_until_next_at_is_enough_and_the_law_holds(
    capacity: int, rate_per_s: float, steps: list[tuple[float, int]]
) -> None:
    async def scenario() -> list[tuple[float, int]]:
        loop = asyncio.get_running_loop()
        pacer = Pacer("test", capacity, rate_per_s)
        taken = []
        for wait_s, wanted in steps:
            await asyncio.sleep(wait_s)
            amount = min(wanted, capacity)
            tries = 0
            while (when_s := pacer.next_at(loop.time(), amount)) > loop.time():
                await asyncio.sleep(when_s - loop.time())
                tries += 1
            assert tries <= 2
            pacer.take(loop.time(), amount)
            taken.append((loop.time(), amount))
        return taken

    taken = run_virtual(scenario())
    for first, (began, _) in enumerate(taken):
        total = 0
        for moment, amount in taken[first:]:
            total += amount
            assert total <= capacity + rate_per_s * (moment - began) + 1e-3


def test_tokens_of_calls_that_were_not_sent_are_spent_first() -> None:
    async def scenario() -> list[float]:
        pacer = Pacer("test", 2, 1.0)
        pacer.take(0.0, 2)
        pacer.give_back(2)
        pacer.take(0.0, 2)
        return [pacer.next_at(0.0, amount) for amount in (1, 2)]

    assert run_virtual(scenario()) == pytest.approx([1.0, 2.0], abs=1e-5)


def test_returned_tokens_do_not_outlive_the_buckets_memory() -> None:
    async def scenario() -> float:
        pacer = Pacer("test", 2, 1.0)
        pacer.take(0.0, 2)
        pacer.give_back(2)
        await asyncio.sleep(10)
        pacer.take(10.0, 2)
        return pacer.next_at(10.0)

    assert run_virtual(scenario()) == pytest.approx(11.0, abs=1e-5)


def test_taking_what_is_not_there_is_refused() -> None:
    async def scenario() -> None:
        pacer = Pacer("test", 1, 1.0)
        pacer.take(0.0)
        with pytest.raises(ValueError, match="bucket test has no 1 tokens left"):
            pacer.take(0.0)

    run_virtual(scenario())


@pytest.mark.parametrize(("capacity", "rate_per_s"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_a_bucket_without_sense_is_refused(capacity: int, rate_per_s: float) -> None:
    with pytest.raises(ValueError, match="bucket test needs"):
        Pacer("test", capacity, rate_per_s)


def test_a_burst_is_a_quarter_of_the_window() -> None:
    assert [burst_capacity(allowed) for allowed in (1, 4, 90, 1000)] == [1, 1, 22, 250]
