import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_runner.simulator.formulas import HISTORY_END_MS, CreatedAt, Pattern
from clerk_runner.simulator.ids import Ids

HOUR_MS = 3_600_000


@given(st.integers(0, 2**40 - 1), st.integers(0, 5))
def test_an_id_leads_back_to_its_number(number: int, seed: int) -> None:
    ids = Ids("user_", seed)

    identifier = ids.make(number)
    assert len(identifier) == len("user_") + 27
    assert ids.number(identifier) == number
    assert Ids("org_", seed).number(identifier) is None
    assert Ids("user_", seed + 1).number(identifier) is None


def test_ids_do_not_sort_by_age() -> None:
    made = [Ids("user_", 0).make(number) for number in range(100)]
    assert made != sorted(made)


@pytest.mark.parametrize("text", ["user_", "user_x", "", "user_" + "!" * 27, Ids("user_", 0).head + "!" * 8])
def test_what_is_no_id_has_no_number(text: str) -> None:
    assert Ids("user_", 0).number(text) is None


@pytest.mark.parametrize("shape", ["uniform", "burst:4h", "clumped:50", "clumped"])
@pytest.mark.parametrize("count", [1, 7, 1000])
def test_creation_times_never_decrease_and_lie_in_the_past(shape: str, count: int) -> None:
    created_at_ms = CreatedAt.parse(shape).formula(count)
    times = [created_at_ms(number) for number in range(count)]

    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] <= HISTORY_END_MS


def test_a_burst_puts_nine_tenths_into_its_hours() -> None:
    created_at_ms = CreatedAt.parse("burst:4h").formula(1000)
    times = [created_at_ms(number) for number in range(1000)]

    assert times[949] - times[50] <= 4 * HOUR_MS
    assert times[50] - times[49] > 100 * HOUR_MS


def test_clumps_share_a_millisecond() -> None:
    created_at_ms = CreatedAt.parse("clumped:50").formula(1000)

    assert len({created_at_ms(number) for number in range(1000)}) == 20


@pytest.mark.parametrize("text", ["", "even", "uniform:3", "burst:soon", "clumped:some"])
def test_a_shape_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"uniform|duration"):
        CreatedAt.parse(text)


@pytest.mark.parametrize("text", ["nobody@example.com", "a{n}{n}@b.co", "a1{n}@b.co", "a{n}1@b.co"])
def test_a_pattern_needs_one_number_and_no_digit_beside_it(text: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern(text)


@given(st.sampled_from(["user{n}@example.com", "{n}@x.co", "a.{n}+b@x.co"]), st.integers(0, 500))
def test_a_pattern_never_denies_a_text_that_holds_a_part(text: str, number: int) -> None:
    pattern = Pattern(text)
    made = pattern.make(number)
    start = random.Random(number).randrange(len(made))
    for part in (made[start:], made[:start], made):
        others = [pattern.make(other) for other in range(600) if pattern.make(other) != part]
        if any(part in other for other in others):
            assert pattern.may_hold(part)
