"""A time series keeps its memory flat and loses nothing that it counted."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from clerk_runner.reporting.series import MOST_BUCKETS, Series, latency_class, percentile_s, summed
from clerk_runner.reporting.timeline import timeline

START_S = 1_800_000_000


@given(st.integers(0, 2**32), st.integers(1, 2_000), st.floats(0, 30 * 86_400))
def test_nothing_is_lost_however_long_it_takes(seed: int, requests: int, span_s: float) -> None:
    chance = random.Random(seed)
    moments_s = [chance.uniform(0, span_s) for _ in range(requests)]
    series = Series()
    for moment_s in moments_s:
        series.at(START_S + moment_s).requests += 1
    assert len(series.buckets) <= MOST_BUCKETS
    assert sum(bucket.requests for bucket in series.buckets.values()) == len(moments_s)
    assert all(begin % series.width_s == 0 for begin in series.buckets)
    cut = timeline(series)
    assert cut is not None
    assert summed(cut.stretches).requests == summed(cut.coarser().stretches).requests == len(moments_s)
    assert len(cut.stretches) <= 161
    assert len(cut.coarser().stretches) <= 24
    assert cut.begin_s <= START_S + min(moments_s)
    assert START_S + max(moments_s) < cut.end_s


def test_a_week_of_seconds_takes_few_buckets() -> None:
    series = Series()
    for second in range(0, 7 * 86_400, 20):
        series.at(START_S + second).requests += 1
    assert MOST_BUCKETS / 2 < len(series.buckets) <= MOST_BUCKETS
    assert series.width_s == 2048
    assert series.rebuilt


@given(st.lists(st.floats(0.001, 600), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_percentile_is_true_to_six_percent(latencies_s: list[float], part: float) -> None:
    counts: dict[int, int] = {}
    for latency_s in latencies_s:
        number = latency_class(latency_s)
        counts[number] = counts.get(number, 0) + 1
    rank = next(place for place in range(1, len(latencies_s) + 1) if place >= part * len(latencies_s))
    true_s, told_s = sorted(latencies_s)[rank - 1], percentile_s(counts, part)
    assert told_s is not None
    assert true_s / 1.061 <= told_s <= true_s * 1.061


def test_nothing_noted_has_no_timeline() -> None:
    assert timeline(Series()) is None
    assert percentile_s({}, 0.5) is None
