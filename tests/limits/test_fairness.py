"""First come first served where it matters, and nobody waits for what he does not need."""

import asyncio
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerk_limits.clock import Clock, VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions

TINY = GateOptions(share=0.05, quota_share=0.1, per_hour=12, per_day=40)
USER, METADATA = ("PATCH", "/users/{id}"), ("PUT", "/users/{id}/metadata")


@dataclass(frozen=True)
class Ask:
    """One call: when it asks, for what, and how long it holds its permit."""

    operation: tuple[str, str]
    subject: str | None
    items: int
    spare: int
    at_s: float
    hold_s: float
    gives_back: bool

    def needs(self) -> dict[str, tuple[int, int]]:
        """Every scope with the amount taken and the reserve left, from the documentation and not from the code."""
        needs = {"instance": (1, 0)}
        if self.operation[0] == "POST":
            needs[self.operation[1]] = (1, self.spare)
        if self.operation in (USER, METADATA):
            needs[f"user {self.subject}"] = (1, 0)
        if self.items:
            needs["per_hour"] = needs["per_day"] = (self.items, 0)
        return needs

    def asks_no_more_than(self, other: "Ask") -> bool:
        """Whether there is room for this call wherever there is room for the other."""
        mine, theirs = self.needs(), other.needs()
        return all(
            scope in theirs and amount + spare <= sum(theirs[scope]) and amount <= theirs[scope][0]
            for scope, (amount, spare) in mine.items()
        )


def asks() -> st.SearchStrategy[list[Ask]]:
    read = st.tuples(st.just(("GET", "/users")), st.none(), st.just(0), st.just(0))
    write = st.tuples(st.sampled_from([USER, METADATA]), st.sampled_from(["a", "b"]), st.just(0), st.just(0))
    single = st.tuples(st.just(("POST", "/invitations")), st.none(), st.integers(0, 2), st.sampled_from([0, 3]))
    bulk = st.tuples(st.just(("POST", "/invitations/bulk")), st.none(), st.integers(1, 10), st.just(0))
    ask = st.builds(
        lambda what, at_s, hold_s, gives_back: Ask(what[0], what[1], what[2], what[3], at_s, hold_s, gives_back),
        st.one_of(read, write, single, bulk),
        st.integers(0, 30).map(float),
        st.floats(0.0, 20.0),
        st.booleans(),
    )
    return st.lists(ask, max_size=30).map(lambda found: sorted(found, key=lambda one: one.at_s))


class Turn(NamedTuple):
    """When a call asked and got its permit, and its place among those that asked and among those that were served."""

    asked_at_s: float
    at_s: float
    asked: int
    served: int


def granted(options: GateOptions, calls: list[Ask]) -> list[Turn]:
    """The turn of each call, in the order of the list."""
    turns: dict[int, Turn] = {}
    asked = count()

    async def one(gate: Gate, gate_clock: Clock, place: int, ask: Ask) -> None:
        await asyncio.sleep(ask.at_s)
        method, template = ask.operation
        # Sleepers that wake at the same time wake in any order: the turn begins here.
        number, asked_at_s = next(asked), gate_clock.now()
        permit = await gate.acquire(method, template, subject=ask.subject, items=ask.items, spare=ask.spare)
        turns[place] = Turn(asked_at_s, permit.granted_at_s, number, len(turns))
        await asyncio.sleep(ask.hold_s)
        if ask.gives_back:
            permit.give_back()
        else:
            permit.settle()

    async def scenario() -> None:
        clock = VirtualClock(start_wall_s=0.0)
        gate = Gate(InstanceKind.DEVELOPMENT, options, clock)
        async with asyncio.TaskGroup() as group:
            for place, ask in enumerate(calls):
                group.create_task(one(gate, clock, place, ask))

    run_virtual(scenario())
    return [turns[place] for place in range(len(calls))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asks())
def test_who_came_first_and_needs_no_more_goes_first(calls: list[Ask]) -> None:
    turns = granted(TINY, calls)
    for earlier, one in zip(calls, turns, strict=True):
        for later, other in zip(calls, turns, strict=True):
            if one.asked < other.asked and earlier.asks_no_more_than(later):
                assert one.served < other.served, (earlier, later)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asks())
def test_everybody_gets_a_turn(calls: list[Ask]) -> None:
    turns = granted(TINY, calls)
    # Not compared with the time that the example names: a loop wakes a sleeper up to one tick of its clock early.
    assert len(turns) == len(calls)
    assert all(turn.at_s >= turn.asked_at_s for turn in turns)


def test_a_wait_for_a_quota_does_not_stop_reads() -> None:
    singles = [Ask(("POST", "/invitations"), None, 0, 0, n / 100, 0.1, False) for n in range(30)]
    reads = [Ask(("GET", "/users"), None, 0, 0, 1.0, 0.1, False) for _ in range(50)]
    turns = granted(GateOptions(share=1.0, quota_share=0.1), singles + reads)
    assert turns[10].at_s == pytest.approx(3600.12, abs=0.01)
    assert all(turn.at_s < 10 for turn in turns[30:])


def test_a_wait_in_one_lane_does_not_stop_the_other() -> None:
    bulk = [Ask(("POST", "/invitations/bulk"), None, 10, 0, 0.0, 0.1, False) for _ in range(4)]
    singles = [Ask(("POST", "/invitations"), None, 1, 0, 1 + n / 100, 0.1, False) for n in range(20)]
    turns = granted(GateOptions(share=1.0, quota_share=0.1, per_hour=100), bulk + singles)
    assert [turn.at_s for turn in turns[:2]] == [0.0, 0.0]
    assert turns[2].at_s > 3600
    assert all(turn.at_s < 2 for turn in turns[4:14])


def test_a_big_call_is_not_overtaken_for_ever_by_small_ones() -> None:
    """Ten items at once wait until ten are free, although singles that came later would fit in before."""
    first = [Ask(("POST", "/invitations"), None, 2, 0, float(n), 0.0, False) for n in range(6)]
    big = [Ask(("POST", "/invitations/bulk"), None, 10, 0, 10.0, 0.0, False)]
    later = [Ask(("POST", "/invitations"), None, 1, 0, 11.0 + n, 0.0, False) for n in range(6)]
    turns = granted(GateOptions(share=1.0, per_hour=12), first + big + later)
    assert turns[6].at_s == pytest.approx(3604.02, abs=1e-3)
    assert all(turn.at_s >= turns[6].at_s for turn in turns[7:])


def test_a_waiter_needs_two_scopes_that_others_use_up_in_turn() -> None:
    """It is short now of the one, now of the other; what it has claimed stays with it until it goes."""
    user = [Ask(USER, "a", 0, 0, float(n), 9.0, False) for n in range(3)]
    reads = [Ask(("GET", "/users"), None, 0, 0, n * 0.5, 0.2, False) for n in range(60)]
    turns = granted(GateOptions(share=0.1), [*user, *reads])
    assert turns[1].at_s < 30
    assert turns[2].at_s < 60


@pytest.mark.parametrize(
    ("spent_at_s", "single_at_s", "bulk_at_s"),
    [((0, 0), 161.0, 3661.02), ((0, 0, 0, 0, 0, 100, 100, 100, 100, 100), 3600.02, 3700.02)],
    ids=["room for one", "no room"],
)
def test_a_block_does_not_cost_a_waiter_its_turn(
    spent_at_s: tuple[float, ...], single_at_s: float, bulk_at_s: float
) -> None:
    """While the single's endpoint was closed, a later call of ten began to wait for the job's own limit."""

    async def scenario() -> dict[str, float]:
        gate = Gate(
            InstanceKind.DEVELOPMENT,
            GateOptions(per_hour=10),
            VirtualClock(start_wall_s=0.0),
            jitter=lambda: 0.0,
        )
        await asyncio.sleep(100)
        gate.charge("per_hour", spent_at_s)
        gate.throttled("POST", "/invitations", retry_after="60", date=None)
        served: dict[str, float] = {}

        async def ask(template: str, items: int) -> None:
            with await gate.acquire("POST", template, items=items) as permit:
                permit.settle()
            served[template] = permit.granted_at_s

        async with asyncio.TaskGroup() as group:
            group.create_task(ask("/invitations", 1))
            await asyncio.sleep(1)
            group.create_task(ask("/invitations/bulk", 10))
        return served

    served = run_virtual(scenario())
    assert served["/invitations"] == pytest.approx(single_at_s)
    assert served["/invitations/bulk"] >= bulk_at_s
