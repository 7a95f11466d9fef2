"""One permit takes all or none; endings, reserves, charges, own limits, subjects, and what is told about them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clerk_limits.clock import LoopClock, VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions, Permit
from clerk_testing.virtual import CallScript, fullest_window, play

WALL_S = 1_800_000_000.0
PRODUCTION, DEVELOPMENT = InstanceKind.PRODUCTION, InstanceKind.DEVELOPMENT


def new_gate(options: GateOptions | None = None, instance: InstanceKind = DEVELOPMENT) -> Gate:
    return Gate(instance, options or GateOptions(), VirtualClock(start_wall_s=WALL_S), jitter=lambda: 0.0)


def used(gate: Gate) -> dict[str, int]:
    return {row.name: row.used for row in gate.usage() if row.used}


def now() -> float:
    return asyncio.get_running_loop().time()


def played(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    run_virtual(main())


def test_a_permit_counts_in_every_window_that_covers_the_call() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(per_hour=100, per_day=500))
        await gate.acquire("POST", "/invitations/bulk", items=10)
        assert used(gate) == {"instance": 1, "invitations-bulk": 1, "per_hour": 10, "per_day": 10}
        await gate.acquire("PATCH", "/users/{user_id}/metadata", subject="user_1")
        assert used(gate)["user"] == 1
        assert used(gate)["instance"] == 2

    played(scenario)


def test_what_need_not_wait_needs_no_coroutine() -> None:
    """`acquire_at_once` gives and refuses as `acquire` does: all windows or none, and nobody is overtaken."""

    async def scenario() -> None:
        gate = new_gate(GateOptions(quota_share=0.01))
        first = gate.acquire_at_once("POST", "/invitations")
        assert first is not None
        assert used(gate) == {"instance": 1, "invitations": 1}
        assert gate.acquire_at_once("POST", "/invitations") is None
        waiting = asyncio.create_task(gate.acquire("POST", "/invitations"), name="waiting")
        await asyncio.sleep(1)
        first.give_back()
        assert gate.acquire_at_once("POST", "/invitations") is None
        assert used(gate) == {"instance": 1, "invitations": 1}
        (await waiting).settle()
        with pytest.raises(ValueError, match="name it as the subject"):
            gate.acquire_at_once("PATCH", "/users/{user_id}/metadata")

    played(scenario)


def test_a_failure_is_told_to_who_need_not_wait() -> None:
    async def scenario() -> None:
        gate = new_gate()
        gate.fail(RuntimeError("the ledger is lost"))
        with pytest.raises(RuntimeError, match="the ledger is lost"):
            gate.acquire_at_once("GET", "/users")

    played(scenario)


def test_a_loop_whose_timers_do_not_tell_when_they_ring_is_good_enough() -> None:
    """uvloop's are such ones."""

    class Mute:
        def __init__(self, timer: asyncio.TimerHandle) -> None:
            self.cancel = timer.cancel

    class MuteClock(VirtualClock):
        def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
            return Mute(super().call_at(when, callback))  # type: ignore[return-value]

    async def scenario() -> None:
        gate = Gate(DEVELOPMENT, GateOptions(), MuteClock(start_wall_s=WALL_S), jitter=lambda: 0.0)
        gate.throttled("GET", "/users", retry_after="30", date=None)
        waiting = [asyncio.create_task(gate.acquire("GET", "/users"), name="closed")]
        for _ in range(40):
            (await gate.acquire("GET", "/domains")).settle()
        waiting.append(asyncio.create_task(gate.acquire("GET", "/domains"), name="paced"))
        await asyncio.gather(*waiting)

    played(scenario)


def test_all_or_none() -> None:
    """Whoever waits for one window holds nothing of the others."""

    async def scenario() -> None:
        gate = new_gate(GateOptions(quota_share=0.01))
        first = await gate.acquire("POST", "/invitations")
        waiting = asyncio.create_task(gate.acquire("POST", "/invitations"), name="waiting")
        await asyncio.sleep(1)
        assert used(gate) == {"instance": 1, "invitations": 1}
        first.settle()
        await waiting
        assert now() == pytest.approx(1 + 3600.02)

    played(scenario)


def test_jwks_has_no_limit() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.01))
        await gate.acquire("GET", "/users")
        waiting = asyncio.create_task(gate.acquire("GET", "/users"), name="waiting")
        await asyncio.sleep(0)
        for _ in range(50):
            with await gate.acquire("GET", "/jwks") as permit:
                permit.settle()
        waiting.cancel()
        assert now() == 0.0
        assert used(gate) == {"instance": 1}
        assert gate.next_in("GET", "/jwks") == 0.0

    played(scenario)


@pytest.mark.parametrize(
    ("end", "free_again_at_s"),
    [
        (Permit.settle, 5 + 10.02),
        (Permit.lose, 5 + 40.0),
        (Permit.give_back, 5.0),
        (lambda permit: permit.__exit__(None, None, None), 5 + 40.0),
    ],
    ids=["settled", "lost", "given back", "left without a word"],
)
def test_the_end_of_a_permit_decides_when_it_returns(end: Callable[[Permit], None], free_again_at_s: float) -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.01))
        permit = await gate.acquire("GET", "/users")
        assert gate.next_in("GET", "/users") is None
        await asyncio.sleep(5)
        end(permit)
        for later_word in (Permit.give_back, Permit.settle, Permit.lose):
            later_word(permit)
        assert gate.next_in("GET", "/users") == pytest.approx(max(0.0, free_again_at_s - 5))
        await gate.acquire("GET", "/users")
        assert now() == pytest.approx(max(free_again_at_s, now() if free_again_at_s == 5.0 else 0))

    played(scenario)


def test_an_exception_in_the_block_loses_the_permit() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.01))
        with pytest.raises(ConnectionError), await gate.acquire("GET", "/users"):
            raise ConnectionError
        assert gate.next_in("GET", "/users") == 40.0

    played(scenario)


def test_a_waiter_that_is_cancelled_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.01))
        first = await gate.acquire("GET", "/users")
        second = asyncio.create_task(gate.acquire("GET", "/users"), name="second")
        third = asyncio.create_task(gate.acquire("GET", "/users"), name="third")
        await asyncio.sleep(1)
        second.cancel()
        await asyncio.sleep(0)
        first.give_back()
        (await third).settle()
        assert now() == 1.0
        assert second.cancelled()

    played(scenario)


def test_what_is_given_back_goes_to_the_next_at_once() -> None:
    """The waiter knows when another slot returns; it does not wait for that one."""

    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.02))
        (await gate.acquire("GET", "/users")).settle()
        second = await gate.acquire("GET", "/users")
        waiting = asyncio.create_task(gate.acquire("GET", "/users"), name="waiting")
        await asyncio.sleep(1)
        gives_back_at_s = now()
        assert gives_back_at_s < 10
        second.give_back()
        await waiting
        assert now() == gives_back_at_s

    played(scenario)


def test_a_claim_ends_with_the_waiter_that_made_it() -> None:
    """One waits for the job's own limit and keeps its turn at the endpoint; when it leaves, the next goes at once."""

    async def scenario() -> None:
        gate = new_gate(GateOptions(per_hour=1))
        await gate.acquire("POST", "/invitations", items=1)
        first = asyncio.create_task(gate.acquire("POST", "/invitations", items=1), name="first")
        await asyncio.sleep(1)
        second = asyncio.create_task(gate.acquire("POST", "/invitations"), name="second")
        await asyncio.sleep(1)
        assert not second.done()
        first.cancel()
        await second
        assert now() == 2.0

    played(scenario)


def test_a_permit_granted_to_a_task_that_is_cancelled_in_the_same_turn_is_given_back() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.01))
        first = await gate.acquire("GET", "/users")
        waiting = asyncio.create_task(gate.acquire("GET", "/users"), name="waiting")
        await asyncio.sleep(1)
        first.give_back()
        waiting.cancel()
        await asyncio.sleep(0)
        assert waiting.cancelled()
        assert used(gate) == {}

    played(scenario)


def test_a_cancelled_task_is_passed_over_when_a_permit_comes_in_the_same_turn() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.01))
        first = await gate.acquire("GET", "/users")
        waiting = [asyncio.create_task(gate.acquire("GET", "/users"), name=f"{n}") for n in range(3)]
        await asyncio.sleep(1)
        waiting[0].cancel()
        first.give_back()
        await waiting[1]
        assert now() == 1.0
        waiting[2].cancel()

    played(scenario)


def test_a_reserve_is_left_for_those_who_may_use_it() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(quota_share=0.1))
        for _ in range(5):
            (await gate.acquire("POST", "/invitations", spare=5)).settle()
        assert gate.next_in("POST", "/invitations", spare=5) == pytest.approx(3600.02)
        fresh = asyncio.create_task(gate.acquire("POST", "/invitations", spare=5), name="fresh")
        await asyncio.sleep(1)
        resend = await gate.acquire("POST", "/invitations")
        assert now() == 1.0
        resend.settle()
        await fresh
        # Ten in all, five of them to be spared and one re-sent: four come back early enough.
        assert now() == pytest.approx(3600.02)

    played(scenario)


def test_a_reserve_never_makes_a_call_impossible() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(quota_share=0.01))
        await gate.acquire("POST", "/invitations", spare=5)
        assert now() == 0.0

    played(scenario)


def test_a_jobs_own_limits_count_items_and_not_calls() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(per_hour=25))
        for _ in range(2):
            (await gate.acquire("POST", "/invitations/bulk", items=10)).settle()
        for _ in range(5):
            (await gate.acquire("POST", "/invitations", items=1)).settle()
        await gate.acquire("GET", "/users")
        assert now() == 0.0
        assert gate.next_in("POST", "/invitations", items=1) == pytest.approx(3600.02)
        await gate.acquire("POST", "/invitations", items=1)
        assert now() == pytest.approx(3600.02)

    played(scenario)


def test_a_call_that_can_never_pass_is_refused_at_once() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(per_hour=5))
        for ask in (gate.acquire("POST", "/invitations/bulk", items=10),):
            with pytest.raises(ValueError, match=r"10 items can never pass a limit of 5 items \(per_hour\)"):
                await ask
        with pytest.raises(ValueError, match="can never pass"):
            gate.next_in("POST", "/invitations/bulk", items=10)

    played(scenario)


@pytest.mark.parametrize("numbers", [{"items": -1}, {"spare": -1}])
def test_negative_numbers_are_refused(numbers: dict[str, int]) -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="numbers from 0 on"):
            await new_gate().acquire("GET", "/users", **numbers)  # type: ignore[arg-type]  # never the subject

    played(scenario)


def test_what_an_earlier_process_spent_is_counted() -> None:
    async def scenario() -> None:
        gate = new_gate()
        await asyncio.sleep(100)
        wall_s = WALL_S + 100
        gate.charge("invitations", [wall_s - 3599 + n for n in range(90)])
        assert used(gate) == {"invitations": 90}
        assert gate.next_in("POST", "/invitations") == pytest.approx(1.02)
        await gate.acquire("POST", "/invitations")
        assert now() == pytest.approx(101.02)

    played(scenario)


def test_a_charge_from_the_future_is_held_for_one_period_from_now() -> None:
    """The wall clock went back between two runs: neither free too early nor an hour late."""

    async def scenario() -> None:
        gate = new_gate(GateOptions(quota_share=0.01))
        gate.charge("invitations", [WALL_S + 86_400])
        assert gate.next_in("POST", "/invitations") == pytest.approx(3600.02)

    played(scenario)


@pytest.mark.parametrize("name", ["invitation", "user", "per_hour"])
def test_a_charge_to_a_limit_that_is_not_there_is_refused(name: str) -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match=f"no limit is called '{name}'; there are instance, invitations"):
            new_gate().charge(name, [WALL_S])

    played(scenario)


def test_each_subject_has_a_window_of_its_own() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=1.0))
        for subject in ("user_1", "user_2"):
            for method, template in [("PATCH", "/users/{id}"), ("PUT", "/users/{user_id}/metadata")] * 5:
                (await gate.acquire(method, template, subject=subject)).settle()
        assert now() == 0.0
        assert gate.next_in("PATCH", "/users/{id}", subject="user_1") == pytest.approx(10.02)
        assert gate.next_in("PATCH", "/users/{id}", subject="user_3") == 0.0
        await gate.acquire("PATCH", "/users/{id}", subject="user_3")
        await gate.acquire("PATCH", "/users/{user_id}/metadata", subject="user_1")
        assert now() == pytest.approx(10.02)

    played(scenario)


def test_a_subject_is_asked_for_where_it_decides() -> None:
    async def scenario() -> None:
        gate = new_gate()
        with pytest.raises(ValueError, match=r"PATCH /users/\{user_id\} is limited for each user"):
            await gate.acquire("PATCH", "/users/{user_id}")
        await gate.acquire("GET", "/users/{user_id}", subject="user_1")
        assert used(gate) == {"instance": 1}

    played(scenario)


def test_memory_does_not_grow_with_the_number_of_subjects() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=1.0), PRODUCTION)
        most = 0
        for number in range(6_000):
            with await gate.acquire("PATCH", "/users/{user_id}", subject=f"user_{number}") as permit:
                permit.settle()
            most = max(most, len(gate._budget._subjects))
        # A thousand can be in use in one period; two are looked at for each that comes.
        assert most <= 2_000
        assert gate._lanes == {}

    played(scenario)


def test_two_calls_of_one_subject_that_go_together_leave_nothing_behind() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.2))
        held = [await gate.acquire("GET", "/users") for _ in range(20)]
        patches = [
            asyncio.create_task(gate.acquire("PATCH", "/users/{id}", subject="user_1"), name=f"{number}")
            for number in range(2)
        ]
        await asyncio.sleep(60)
        for permit in held:
            permit.give_back()
        for patch in patches:
            (await patch).give_back()
        assert [key for key in gate._lanes if key[1]] == []
        assert [scope.lanes for scope in gate._budget._subjects.values()] == [0]

    played(scenario)


def test_a_subject_that_is_waited_for_is_not_forgotten() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.2))
        held = [await gate.acquire("PATCH", "/users/{id}", subject="user_1") for _ in range(2)]
        waiting = asyncio.create_task(gate.acquire("PATCH", "/users/{id}", subject="user_1"), name="waiting")
        for number in range(40):
            with await gate.acquire("PATCH", "/users/{id}", subject=f"other_{number}") as permit:
                permit.settle()
        assert not waiting.done()
        for permit in held:
            permit.settle()
        settled_at_s = now()
        await waiting
        assert now() >= settled_at_s + 10.02

    played(scenario)


def test_a_subject_whose_call_still_waits_keeps_its_window() -> None:
    """Its window is empty, but forgetting it would give the subject a second one beside it."""

    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.1))
        calls = [CallScript("GET", "/users") for _ in range(10)]
        calls.append(CallScript("PATCH", "/users/{id}", "user_1"))
        calls += [CallScript("PATCH", "/users/{id}", f"other_{number}") for number in range(2)]
        calls.append(CallScript("PUT", "/users/{id}/metadata", "user_1"))
        first, second = (await play(gate, calls)).of(subject="user_1")
        assert second - first >= 10

    played(scenario)


def test_usage_tells_all_numbers() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(per_day=100, speed=10.0), PRODUCTION)
        for _ in range(3):
            (await gate.acquire("POST", "/invitations", items=1)).settle()
        gate.throttled("POST", "/invitations", retry_after="9", date=None)
        rows = {row.name: row for row in gate.usage()}
        instance, quota, own = rows["instance"], rows["invitations"], rows["per_day"]
        assert (instance.used, instance.allowed, instance.permits, instance.period_s) == (3, 700, 1000, 1.0)
        assert (instance.bucket_capacity, instance.refill_per_s, instance.blocked) == (175, 700.0, 0.0)
        assert (quota.used, quota.allowed, quota.permits, quota.period_s) == (3, 90, 100, 360.0)
        assert quota.blocked == pytest.approx(9.1)
        assert (own.used, own.allowed, own.permits) == (3, 100, None)

    played(scenario)


def test_speed_divides_period_guard_and_hold() -> None:
    async def scenario() -> None:
        gate = new_gate(GateOptions(share=0.01, speed=10.0))
        (await gate.acquire("GET", "/users")).settle()
        assert gate.next_in("GET", "/users") == pytest.approx(1.002)
        (await gate.acquire("GET", "/users")).lose()
        assert gate.next_in("GET", "/users") == pytest.approx(4.0)

    played(scenario)


def test_waiting_costs_nothing_and_then_one_timer() -> None:
    """A quota wait of an hour is one jump of the loop, not a poll."""

    async def scenario() -> None:
        gate = new_gate(GateOptions(quota_share=0.01))
        (await gate.acquire("POST", "/invitations")).settle()
        looked = 0
        sweep = gate._turnstile._sweep

        def counted() -> None:
            nonlocal looked
            looked += 1
            sweep()

        gate._turnstile._sweep = counted  # type: ignore[method-assign]  # to count, not to change
        await gate.acquire("POST", "/invitations")
        assert now() == pytest.approx(3600.02)
        assert looked <= 3

    played(scenario)


def test_real_time_works_as_virtual_time_does() -> None:
    """Five calls in a tenth of a second: ten seconds at a hundredfold speed."""

    async def scenario() -> None:
        clock = LoopClock()
        gate = Gate(DEVELOPMENT, GateOptions(share=0.05, speed=100.0), clock)
        sent = []
        for _ in range(12):
            with await gate.acquire("GET", "/users") as permit:
                sent.append(clock.now())
                permit.settle()
        assert fullest_window(sent, 0.1) <= 5

    asyncio.run(scenario())


def test_early_release_counts_from_the_first_byte_and_not_from_the_grant() -> None:
    """A request that waited for its connection may arrive later than a quarter of a second after its permit came."""

    async def free_again_at(departs_at_s: float | None) -> float:
        gate = new_gate(GateOptions(share=0.01, early_release_s=0.25))
        began = now()
        permit = await gate.acquire("GET", "/users")
        if departs_at_s is not None:
            await asyncio.sleep(departs_at_s)
            assert permit.depart(now())
        await asyncio.sleep(3.0 - (now() - began))
        permit.settle()
        await gate.acquire("GET", "/users")
        return now() - began

    async def scenario() -> None:
        assert await free_again_at(None) == pytest.approx(0.25 + 10.02)
        assert await free_again_at(2.0) == pytest.approx(2.25 + 10.02)
        assert await free_again_at(2.9) == pytest.approx(3.0 + 10.02)

    played(scenario)
