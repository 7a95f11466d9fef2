"""What a 429 makes of a share: a quarter less at once, a hundredth more after each quiet period."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from clerk_limits import Gate, GateOptions, InstanceKind, SlidingWindow, VirtualClock, run_virtual
from clerk_limits.aimd import WHOLE, Share, Shrunk, factor_at, shrink

PERIOD_S = 10.0
moments = st.lists(st.floats(0.0, 10_000.0), max_size=60).map(sorted)


@given(refused_at=moments, now_s=st.floats(0.0, 10_000.0))
def test_the_factor_never_leaves_its_bounds(refused_at: list[float], now_s: float) -> None:
    state = WHOLE
    for at_s in refused_at:
        state = shrink(state, at_s, PERIOD_S)
    assert 0.1 <= factor_at(state, max(now_s, state.at_s), PERIOD_S) <= 1.0


@given(factor=st.floats(0.1, 1.0), one_s=st.floats(0.0, 5000.0), more_s=st.floats(0.0, 5000.0))
def test_it_never_shrinks_by_itself_and_is_whole_in_the_end(factor: float, one_s: float, more_s: float) -> None:
    state = Shrunk(factor, 0.0)
    assert factor_at(state, one_s, PERIOD_S) <= factor_at(state, one_s + more_s, PERIOD_S)
    assert factor_at(state, (3 + 90 + 1) * PERIOD_S, PERIOD_S) == 1.0


def test_three_periods_have_to_be_quiet_first() -> None:
    state = shrink(WHOLE, 100.0, PERIOD_S)
    assert [factor_at(state, 100.0 + quiet * PERIOD_S, PERIOD_S) for quiet in (0, 3, 3.9, 4, 5)] == [
        0.75,
        0.75,
        0.75,
        0.76,
        0.77,
    ]


def test_429s_that_were_under_way_together_count_once() -> None:
    state = shrink(WHOLE, 100.0, PERIOD_S)
    assert shrink(state, 100.9, PERIOD_S) is state
    assert shrink(state, 101.0, PERIOD_S).factor == 0.75 * 0.75


def test_a_storm_ends_at_a_tenth() -> None:
    state = WHOLE
    for second in range(100):
        state = shrink(state, float(second), PERIOD_S)
    assert state.factor == 0.1


def test_a_window_lets_no_more_through_than_its_share_allows() -> None:
    share = Share(PERIOD_S)
    window = SlidingWindow(10, PERIOD_S, share=share)
    slots = [window.take(0.0) for _ in range(10)]
    share.shrink(0.0)
    assert window.free(0.0) == -3
    for number, slot in enumerate(slots):
        window.settle(slot, float(number))
    assert window.next_at(9.0) == 13.02
    assert (window.free(13.0), window.free(13.02), window.free(19.02)) == (0, 1, 7)


def test_at_least_one_permit_stays() -> None:
    share = Share(PERIOD_S)
    share.shrink(0.0)
    assert SlidingWindow(1, PERIOD_S, share=share).free(0.0) == 1


def test_a_gate_leaves_a_quarter_to_others_after_a_429() -> None:
    async def scenario() -> list[float]:
        clock = VirtualClock(0.0)
        gate = Gate(InstanceKind.DEVELOPMENT, GateOptions(share=1.0), clock, jitter=lambda: 0.0)
        gate.throttled("GET", "/organizations", retry_after="1", date=None)
        assert gate.share_left == 0.75
        times = []
        for _ in range(90):
            with await gate.acquire("GET", "/users") as permit:
                times.append(clock.now())
                permit.settle()
        return times

    times = run_virtual(scenario())
    assert len([at_s for at_s in times if at_s < 10.0]) == 75


def test_a_429_switches_early_release_off() -> None:
    async def scenario() -> list[float | None]:
        clock = VirtualClock(0.0)
        options = GateOptions(share=0.01, early_release_s=0.25)
        gate = Gate(InstanceKind.DEVELOPMENT, options, clock, jitter=lambda: 0.0)
        found: list[float | None] = []
        for refused in (False, True):
            permit = await gate.acquire("GET", "/users")
            sent_s = clock.now()
            await clock.sleep(2.0)
            if refused:
                gate.throttled("GET", "/organizations", retry_after="1", date=None)
            permit.settle()
            left_s = gate.next_in("GET", "/users")
            assert left_s is not None
            found.append(round(clock.now() + left_s - sent_s, 2))
        return found

    assert run_virtual(scenario()) == [10.27, 12.02]


def test_a_share_that_was_never_shrunk_is_whole() -> None:
    assert factor_at(WHOLE, -math.inf, PERIOD_S) == 1.0
    assert Share(PERIOD_S).of(700, 0.0) == 700
