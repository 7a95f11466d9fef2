from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_runner.simulator.windows import FixedWindow, Meter, SlidingWindow, make_window

arrivals = st.lists(st.floats(0, 50, allow_nan=False), min_size=1, max_size=200).map(sorted)


def admitted(window: SlidingWindow | FixedWindow, times: list[float]) -> list[float]:
    passed = []
    for time in times:
        if not window.wait_s(time):
            window.count(time)
            passed.append(time)
    return passed


@given(arrivals, st.integers(1, 8))
def test_a_sliding_window_never_holds_more_than_its_limit(times: list[float], limit: int) -> None:
    passed = admitted(SlidingWindow(limit, 10.0), times)

    for first, beyond in zip(passed, passed[limit:], strict=False):
        assert first + 10.0 <= beyond


@given(arrivals, st.integers(1, 8))
def test_a_sliding_window_refuses_only_when_it_is_full(times: list[float], limit: int) -> None:
    window, passed = SlidingWindow(limit, 10.0), list[float]()
    for time in times:
        if window.wait_s(time):
            assert sum(before + 10.0 > time for before in passed) >= limit
        else:
            window.count(time)
            passed.append(time)


@given(arrivals, st.integers(1, 8))
def test_a_fixed_window_never_holds_more_than_its_limit_in_one_period(times: list[float], limit: int) -> None:
    passed = admitted(FixedWindow(limit, 10.0), times)

    for period in range(6):
        assert sum(time // 10.0 == period for time in passed) <= limit


def test_a_fixed_window_lets_twice_its_limit_through_around_a_boundary() -> None:
    times = [9.7, 9.8, 9.9, 10.0, 10.1, 10.2]

    assert admitted(FixedWindow(3, 10.0), times) == times
    assert admitted(SlidingWindow(3, 10.0), times) == times[:3]


def test_the_wait_ends_when_there_is_room() -> None:
    sliding, fixed = SlidingWindow(1, 10.0), FixedWindow(1, 10.0)
    for window in (sliding, fixed):
        window.count(4.0)

    assert sliding.wait_s(6.0) == pytest.approx(8.0)
    assert fixed.wait_s(6.0) == pytest.approx(4.0)
    assert not sliding.wait_s(14.0)
    assert not fixed.wait_s(10.0)


def test_a_window_is_idle_once_nothing_in_it_matters() -> None:
    for kind in ("strict", "fixed"):
        window = make_window(kind, 2, 10.0)
        assert window.idle(0.0)
        window.count(1.0)
        assert not window.idle(9.0)
        assert window.idle(11.0)


@given(arrivals)
def test_the_meter_knows_the_worst_window(times: list[float]) -> None:
    meter = Meter(10.0)
    for time in times:
        meter.arrive(time)

    assert meter.worst == max(sum(end - 10.0 < time <= end for time in times) for end in times)


def test_the_meter_counts_what_a_bucket_alone_lets_through() -> None:
    meter = Meter(10.0)
    burst = [0.0] * 100
    refilled = [place * 0.1 for place in range(1, 100)]
    for time in burst + refilled:
        meter.arrive(time)

    assert meter.worst == 199
    assert all(earlier <= later for earlier, later in pairwise(refilled))
