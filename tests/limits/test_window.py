"""The window against a model that keeps a list and counts."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_limits.window import SlidingWindow, Slot

STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 8.0),
        st.sampled_from(["take", "take", "take", "settle", "lose", "give_back", "charge"]),
        st.integers(1, 3),
    ),
    max_size=60,
)


class Model:
    """Permits as a plain list of (amount, when it is free again or None while open)."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.entries: list[tuple[int, float | None]] = []

    def free(self, now_s: float, without_open: bool = False) -> int:
        out = [
            amount
            for amount, until in self.entries
            if (until is None and not without_open) or (until is not None and until > now_s)
        ]
        return self.allowed - sum(out)

    def next_at(self, now_s: float, amount: int) -> float | None:
        moments = [now_s, *sorted(until for _, until in self.entries if until is not None and until > now_s)]
        return next((moment for moment in moments if self.free(moment) >= amount), None)


@given(STEPS)
def test_the_window_agrees_with_a_plain_list(steps: list[tuple[float, str, int]]) -> None:
    window, model, now_s = SlidingWindow(5, 10.0), Model(5), 0.0
    slots: list[tuple[Slot, int]] = []
    for wait_s, action, amount in steps:
        now_s += wait_s
        if action == "take":
            if model.free(now_s) >= amount:
                slots.append((window.take(now_s, amount), len(model.entries)))
                model.entries.append((amount, None))
            else:
                with pytest.raises(ValueError, match="permits asked for"):
                    window.take(now_s, amount)
        elif action == "charge":
            window.charge(now_s - wait_s, amount)
            model.entries.append((amount, now_s - wait_s + 10.02))
        elif slots:
            slot, index = slots.pop(0)
            end: Callable[[Slot], None] = {
                "settle": lambda slot: window.settle(slot, now_s),  # noqa: B023 - called at once
                "lose": lambda slot: window.lose(slot, now_s),  # noqa: B023 - called at once
                "give_back": window.give_back,
            }[action]
            end(slot)
            hold_s = {"settle": 10.02, "lose": 40.0, "give_back": 0.0}[action]
            model.entries[index] = (slot.amount, now_s + hold_s)
        assert window.free(now_s) == model.free(now_s)
        for amount_asked in (1, 2, 5):
            assert window.next_at(now_s, amount_asked) == model.next_at(now_s, amount_asked)


def test_a_slot_returns_a_period_and_a_guard_after_its_response() -> None:
    window = SlidingWindow(1, 10.0)
    slot = window.take(0.0)
    assert window.next_at(4.0) is None
    window.settle(slot, 4.0)
    assert window.next_at(4.0) == 14.02
    assert (window.free(14.019), window.free(14.02)) == (0, 1)


def test_a_lost_request_holds_its_slot_for_as_long_as_it_may_still_arrive() -> None:
    window = SlidingWindow(1, 10.0)
    window.lose(window.take(0.0), 5.0)
    assert window.next_at(5.0) == 45.0


def test_charges_beyond_what_is_allowed_are_waited_out() -> None:
    window = SlidingWindow(2, 10.0)
    for ended_at_s in (-9.0, -8.0, -7.0):
        window.charge(ended_at_s)
    assert window.free(0.0) == -1
    assert window.next_at(0.0) == pytest.approx(2.02)


@pytest.mark.parametrize(
    "numbers",
    [
        {"allowed": 0, "period_s": 10.0},
        {"allowed": 1, "period_s": 0.0},
        {"allowed": 1, "period_s": float("nan")},
        {"allowed": 1, "period_s": 10.0, "guard_s": -1.0},
    ],
)
def test_a_window_without_sense_is_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a window needs"):
        SlidingWindow(**numbers)  # type: ignore[arg-type]  # the table mixes int and float
