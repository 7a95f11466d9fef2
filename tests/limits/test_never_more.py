"""Never more than N requests arrive in any window, whatever the network and the callers do."""

import pytest
from aiolimiter import AsyncLimiter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerk_limits.budget import WindowFactory, WindowSpec, sliding_window
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind, limits_for
from clerk_limits.gate import Gate, GateOptions
from clerk_limits.window import SlidingWindow, Slot, Window
from clerk_testing.virtual import (
    Arrivals,
    CallEnd,
    CallScript,
    fullest_fixed_window,
    fullest_window,
    play,
)

# Small shares make small windows, so that a few dozen calls fill each of them many times over.
SMALL = GateOptions(share=0.05, quota_share=0.05)
ALLOWED = {"instance": 5, "POST /invitations": 5, "POST /invitations/bulk": 1, "user": 1}
PATCH_USER = ("PATCH", "/users/{user_id}/metadata")
OPERATIONS = [("GET", "/users"), ("POST", "/invitations"), ("POST", "/invitations/bulk"), PATCH_USER]


def scripts() -> st.SearchStrategy[list[CallScript]]:
    """Calls of every kind, any latency, any end; the server sees each anywhere between send and end."""
    latency = st.one_of(st.just(0.0), st.floats(0.0, 3.0), st.floats(0.0, 60.0))
    one = st.builds(
        lambda operation, subject, rest: CallScript(operation[0], operation[1], subject, **rest),
        st.sampled_from(OPERATIONS),
        st.sampled_from(["user_1", "user_2"]),
        st.fixed_dictionaries(
            {
                "asks_at_s": st.floats(0.0, 40.0),
                "latency_s": latency,
                "seen_at": st.floats(0.0, 0.999),
                "end": st.sampled_from([*[CallEnd.RESPONSE] * 6, CallEnd.LOST, CallEnd.NEVER_SENT]),
                "cancel_after_s": st.one_of(st.none(), st.none(), st.floats(0.0, 30.0)),
            }
        ),
    )
    return st.lists(one, max_size=40)


def through_gate(window: WindowFactory, calls: list[CallScript]) -> Arrivals:
    async def scenario() -> Arrivals:
        clock = VirtualClock(start_wall_s=1_800_000_000.0)
        return await play(Gate(InstanceKind.DEVELOPMENT, SMALL, clock, window=window), calls)

    return run_virtual(scenario())


def excess(arrivals: Arrivals) -> dict[str, int]:
    """How far each window was overrun at worst; empty when the promise was kept."""
    found = {"instance": fullest_window(arrivals.of(), 10.0) - ALLOWED["instance"]}
    for phase in (0.0, 1.7, 5.0, 9.99):
        fixed = fullest_fixed_window(arrivals.of(), 10.0, phase) - ALLOWED["instance"]
        found["instance"] = max(found["instance"], fixed)
    for operation in ("POST /invitations", "POST /invitations/bulk"):
        found[operation] = fullest_window(arrivals.of(operation), 3600.0) - ALLOWED[operation]
    for user in arrivals.subjects():
        times = arrivals.of("PATCH /users/{user_id}/metadata", subject=user)
        found[user] = fullest_window(times, 10.0) - ALLOWED["user"]
    return {name: over for name, over in found.items() if over > 0}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts())
def test_no_window_is_ever_overrun(calls: list[CallScript]) -> None:
    assert excess(through_gate(sliding_window, calls)) == {}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts())
def test_every_call_that_is_not_cancelled_is_made(calls: list[CallScript]) -> None:
    patient = [call for call in calls if call.cancel_after_s is None and call.end is not CallEnd.NEVER_SENT]
    seen = through_gate(sliding_window, patient)
    assert len(seen.times) == len(patient)


def slow_then_fast() -> list[CallScript]:
    """Five slow calls that the server sees late, then many fast ones that it sees at once."""
    slow = [CallScript("GET", "/users", latency_s=9.0, seen_at=0.999) for _ in range(5)]
    fast = [CallScript("GET", "/users", asks_at_s=5.0, latency_s=0.05) for _ in range(15)]
    return slow + fast


class FreedAfterSend(SlidingWindow):
    """A seeded defect: the slot's period runs from the send, as a log of sends would have it."""

    def settle(self, slot: Slot, now_s: float) -> None:
        super().settle(slot, slot.taken_at_s)


class NoWindow(SlidingWindow):
    """A seeded defect: the bucket alone holds the calls back."""

    def free(self, now_s: float) -> int:
        return 1_000_000


class LostIsForgotten(SlidingWindow):
    """A seeded defect: a request without a response is taken for one that never arrives."""

    def lose(self, slot: Slot, now_s: float) -> None:
        self.give_back(slot)


def made_of(kind: type[SlidingWindow]) -> WindowFactory:
    def make(spec: WindowSpec) -> Window:
        return kind(spec.allowed, spec.period_s, guard_s=spec.guard_s, lost_hold_s=spec.lost_hold_s)

    return make


DEFECTS = {
    FreedAfterSend: slow_then_fast(),
    NoWindow: [CallScript("POST", "/invitations", latency_s=0.05) for _ in range(12)],
    LostIsForgotten: [
        CallScript("POST", "/invitations", seen_at=seen_at, end=CallEnd.LOST) for seen_at in (0.1, 0.9) * 6
    ],
}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_a_seeded_defect_is_seen(defect: type[SlidingWindow]) -> None:
    calls = DEFECTS[defect]
    assert excess(through_gate(made_of(defect), calls)) != {}
    assert excess(through_gate(sliding_window, calls)) == {}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_the_property_finds_a_seeded_defect_by_itself(defect: type[SlidingWindow]) -> None:
    @settings(
        max_examples=2000,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=[phase for phase in settings().phases if phase.name == "generate"],
    )
    @given(scripts())
    def never_more(calls: list[CallScript]) -> None:
        assert excess(through_gate(made_of(defect), calls)) == {}

    with pytest.raises(AssertionError):
        never_more()


def test_a_bucket_alone_lets_twice_the_limit_through_and_the_gate_does_not() -> None:
    async def bucket_alone() -> list[float]:
        clock = VirtualClock(start_wall_s=0.0)
        bucket = AsyncLimiter(1000, 10.0)
        times = []
        for _ in range(2500):
            await bucket.acquire()
            times.append(clock.now())
        return times

    calls = [CallScript("GET", "/users", latency_s=0.05, seen_at=0.5) for _ in range(2500)]

    async def gated() -> list[float]:
        gate = Gate(InstanceKind.PRODUCTION, GateOptions(share=1.0), VirtualClock(start_wall_s=0.0))
        return (await play(gate, calls)).of()

    assert fullest_window(run_virtual(bucket_alone()), 10.0) >= 1998
    assert fullest_window(run_virtual(gated()), 10.0) == 1000


@pytest.mark.parametrize("latency_s", [0.05, 0.4, 1.5])
def test_the_window_is_used(latency_s: float) -> None:
    """Saturated, a full share uses at least T / (T + guard + latency) of the limit."""
    calls = [CallScript("GET", "/users", latency_s=latency_s, seen_at=0.5) for _ in range(6000)]

    async def scenario() -> list[float]:
        gate = Gate(InstanceKind.PRODUCTION, GateOptions(share=1.0), VirtualClock(start_wall_s=0.0))
        return (await play(gate, calls)).of()

    times = run_virtual(scenario())
    steady = [moment for moment in times if 10.0 <= moment < 50.0]
    assert len(steady) / 4000 >= 10 / (10.02 + latency_s) - 0.01
    assert fullest_window(times, 10.0) <= 1000


def test_the_table_of_this_test_is_the_one_in_force() -> None:
    """The expectations above are written by hand; this ties them to the allowances that the gate computes."""

    async def allowed() -> dict[str, int]:
        gate = Gate(InstanceKind.DEVELOPMENT, SMALL, VirtualClock(start_wall_s=0.0))
        return {row.name: row.allowed for row in gate.usage()}

    rows = run_virtual(allowed())
    names = [limits_for(*operation, InstanceKind.DEVELOPMENT)[-1].name for operation in OPERATIONS]
    assert [rows[name] for name in names] == [5, 5, 1, 1]
