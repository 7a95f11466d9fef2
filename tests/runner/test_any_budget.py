"""A key whose instance is not known yet spends the budget of each that it may belong to."""

from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.any_budget import AnyBudget


def used(gate: Gate) -> int:
    return next(row.used for row in gate.usage() if row.name == "instance")


def test_a_permit_is_one_of_each_instance_and_never_of_one_alone() -> None:
    async def scenario() -> None:
        clock, kind = VirtualClock(start_wall_s=1_800_000_000.0), InstanceKind.DEVELOPMENT
        others = [Gate(kind, GateOptions(), clock) for _ in range(2)]
        gate = AnyBudget(others, kind, GateOptions(), clock)
        assert gate.acquire_at_once("GET", "/users") is None
        assert [used(one) for one in (gate, *others)] == [0, 0, 0]
        permit = await gate.acquire("GET", "/users")
        assert [used(one) for one in (gate, *others)] == [1, 1, 1]
        permit.give_back()
        assert [used(one) for one in (gate, *others)] == [0, 0, 0]

    run_virtual(scenario())
