from random import Random
from statistics import median

import pytest

from clerk_runner.simulator.latency import Latency, Stall, effect_share, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("50ms", 0.05), ("250us", 0.00025), ("2", 2.0), ("1.5s", 1.5), ("30d", 2_592_000.0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1 hour"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("50ms", Latency("constant", 0.05, 0.05)),
        ("0.1-0.8s", Latency("lognormal", 0.1, 0.8)),
        ("1-2s", Latency("uniform", 1.0, 2.0)),
        ("100ms-800ms", Latency("lognormal", 0.1, 0.8)),
        ("lognormal:1-2s", Latency("lognormal", 1.0, 2.0)),
        ("uniform:50-800ms", Latency("uniform", 0.05, 0.8)),
    ],
)
def test_latencies(text: str, latency: Latency) -> None:
    parsed = Latency.parse(text)
    assert parsed.shape == latency.shape
    assert (parsed.low_s, parsed.high_s) == pytest.approx((latency.low_s, latency.high_s))


@pytest.mark.parametrize("text", ["2-1s", "0-1s", "fast", "1s-"])
def test_what_is_no_latency_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"latencies|duration"):
        Latency.parse(text)


def test_nine_tenths_of_a_lognormal_lie_between_its_ends() -> None:
    random = Random(1)
    drawn = [Latency.parse("0.1-0.8s").draw(random) for _ in range(20_000)]

    assert sum(0.1 <= seconds <= 0.8 for seconds in drawn) / len(drawn) == pytest.approx(0.9, abs=0.01)
    assert median(drawn) == pytest.approx(0.283, abs=0.01)


def test_a_uniform_one_keeps_to_its_ends() -> None:
    random = Random(1)
    drawn = [Latency.parse("1-2s").draw(random) for _ in range(1000)]

    assert 1.0 <= min(drawn) < 1.01
    assert 1.99 < max(drawn) <= 2.0


def test_the_effect_happens_early_late_or_anywhere() -> None:
    random = Random(1)

    assert effect_share("early", random) == 0.0
    assert effect_share("late", random) == 1.0
    assert 0.0 < effect_share("random", random) < 1.0


def test_a_stall_holds_up_what_comes_during_its_silence() -> None:
    stall = Stall.parse("1s/17s")

    assert stall.wait_s(0.0) == 0.0
    assert stall.wait_s(15.9) == 0.0
    assert stall.wait_s(16.25) == pytest.approx(0.75)
    assert stall.wait_s(17.0) == 0.0


@pytest.mark.parametrize("text", ["1s", "17s/1s", "0s/1s", "a/b"])
def test_what_is_no_stall_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"stall|duration"):
        Stall.parse(text)
