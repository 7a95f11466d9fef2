"""Gates that share a ledger, on one virtual-time loop: each with its own lender, as processes would have them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from clerk_limits import Gate, GateOptions, InstanceKind, VirtualClock, run_virtual
from clerk_limits.ledger import (
    Charge,
    LedgerError,
    Lender,
    LenderOptions,
    charge_planned,
    read_in_use,
    storage,
)
from clerk_limits.ledger.book import Book
from clerk_limits.ledger.leased import DEADLINE_S, LEASE_S, LeasedWindow
from clerk_limits.ledger.terms import Ask, Moment, Return, Trade

START_S = 1_800_000_000.0
Scenario = Callable[[list[Gate]], Awaitable[None]]


class Office:
    """Opens gates on one ledger."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder = folder
        self.clock = VirtualClock(START_S)
        self.options = options

    def lender(self, label: str = "test") -> Lender:
        options = LenderOptions(folder=self.folder, boot="boot-1", pid=1, label=label, **self.options)  # type: ignore[arg-type]
        return Lender(options, self.clock)

    def gate(self, lender: Lender, options: GateOptions | None = None) -> Gate:
        wanted = options or GateOptions(share=1.0, quota_share=1.0)
        return Gate(InstanceKind.DEVELOPMENT, wanted, self.clock, ledger=lender, jitter=lambda: 0.0)


def play(folder: Path, scenario: Scenario, *, gates: int = 2, options: GateOptions | None = None) -> None:
    async def main() -> None:
        office = Office(folder)
        async with AsyncExitStack() as stack:
            lenders = [await stack.enter_async_context(office.lender()) for _ in range(gates)]
            await scenario([office.gate(lender, options) for lender in lenders])

    run_virtual(main())


async def spend(gate: Gate, method: str = "GET", template: str = "/users", *, hold_s: float = 0.1) -> float:
    loop = asyncio.get_running_loop()
    with await gate.acquire(method, template) as permit:
        at_s = loop.time()
        await asyncio.sleep(hold_s)
        permit.settle()
    return at_s


def test_two_gates_keep_within_one_window(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        sent = await asyncio.gather(*(spend(gates[number % 2]) for number in range(130)))
        early = [at_s for at_s in sent if at_s < 10.0]
        assert len(early) <= 100
        assert len(early) > 90
        assert max(sent) < 14.0

    play(tmp_path, scenario)


def test_a_quota_is_shared_and_durable(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        sent = await asyncio.gather(*(spend(gates[number % 2], "POST", "/invitations/bulk") for number in range(25)))
        assert max(sent) < 60

    play(tmp_path, scenario)

    async def later(gates: list[Gate]) -> None:
        assert gates[0].next_in("POST", "/invitations") == pytest.approx(0.0, abs=1e-3)
        waiting = asyncio.ensure_future(spend(gates[0], "POST", "/invitations/bulk"))
        await asyncio.sleep(60)
        assert not waiting.done()
        left_s = gates[0].next_in("POST", "/invitations/bulk")
        assert left_s is not None
        assert left_s > 3000
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    # Another process, at once: the quota is still spent.
    play(tmp_path, later, gates=1)


def test_a_cancelled_waiter_leaves_its_place_to_others(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        held = [await gates[0].acquire("GET", "/users") for _ in range(100)]
        gone = asyncio.ensure_future(gates[0].acquire("GET", "/users"))
        stays = asyncio.ensure_future(gates[1].acquire("GET", "/users"))
        await asyncio.sleep(1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        held[0].give_back()
        permit = await asyncio.wait_for(stays, 5)
        permit.give_back()
        for one in held[1:]:
            one.give_back()

    play(tmp_path, scenario)


def test_what_is_not_used_goes_back_after_the_life_of_a_lease(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        (await gates[0].acquire("GET", "/users")).settle()
        await asyncio.sleep(LEASE_S + 1)
        assert used(tmp_path) == 1

    play(tmp_path, scenario)


def test_those_who_wait_together_are_served_by_few_trades_where_nobody_else_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trades = trades_of(monkeypatch)

    async def scenario(gates: list[Gate]) -> None:
        await asyncio.gather(*(spend(gates[0]) for _ in range(25)))

    play(tmp_path, scenario, gates=1)
    assert len(trades) <= 5


def test_however_high_the_speed_trades_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trades = trades_of(monkeypatch)

    async def main() -> None:
        office = Office(tmp_path, speed=60.0)
        async with office.lender() as lender:
            gate = office.gate(lender, GateOptions(share=1.0, quota_share=1.0, speed=60.0))
            for _ in range(66):
                await spend(gate, hold_s=0.0005)

    run_virtual(main())
    assert len(trades) <= 8


def trades_of(monkeypatch: pytest.MonkeyPatch) -> list[Ask]:
    """What is asked of the instance's window from now on."""
    asked: list[Ask] = []
    real = Book.trade

    def counted(book: Book, now: Moment, returns: Sequence[Return], asks: Sequence[Ask]) -> Trade:
        asked.extend(one for one in asks if one.scope == "instance")
        return real(book, now, returns, asks)

    monkeypatch.setattr(Book, "trade", counted)
    return asked


def used(folder: Path, scope: str = "instance") -> int:
    clock = asyncio.get_running_loop().time()
    found = read_in_use(folder, "boot-1", steady_s=clock, boot_s=clock, wall_s=START_S + clock)
    return sum(one.amount for one in found if one.scope == scope)


def test_leaving_settles_and_gives_back(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        (await gates[0].acquire("GET", "/users")).settle()

    play(tmp_path, scenario, gates=1)
    found = read_in_use(tmp_path, "boot-1", steady_s=0.1, boot_s=0.1, wall_s=START_S)
    assert [(one.scope, one.amount, one.is_open, one.label) for one in found] == [("instance", 1, False, "test")]


def test_a_block_is_heard_by_the_other_and_survives(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        gates[0].throttled("GET", "/users", retry_after="300", date=None)
        await spend(gates[1], "GET", "/organizations")
        await asyncio.sleep(1)
        assert gates[1].blocked_until()["GET /users"] > START_S + 290
        assert "GET /organizations" not in gates[1].blocked_until()

    play(tmp_path, scenario)

    async def later(gates: list[Gate]) -> None:
        assert gates[0].blocked_until()["GET /users"] > START_S + 250

    play(tmp_path, later, gates=1)


def test_a_429_shrinks_the_share_of_both_and_it_recovers(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        gates[0].throttled("GET", "/organizations", retry_after="1", date=None)
        assert gates[0].share_left == 0.75
        await asyncio.sleep(1)
        await spend(gates[1])
        assert gates[1].share_left == 0.75
        sent = await asyncio.gather(*(spend(gates[1]) for _ in range(90)))
        assert len([at_s for at_s in sent if at_s < sent[0] + 9.9]) <= 75
        await asyncio.sleep(1000)
        assert gates[0].share_left == 1.0

    play(tmp_path, scenario)


def test_a_429_of_a_quota_leaves_the_share_alone(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        gates[0].throttled("POST", "/invitations", retry_after="1", date=None)
        assert gates[0].share_left == 1.0

    play(tmp_path, scenario, gates=1)


def test_a_new_ledger_begins_with_what_the_journals_prove(tmp_path: Path) -> None:
    async def main() -> None:
        past = [Charge("invitations-bulk", START_S - 600, 3600.02)] * 24 + [Charge("invitations-bulk", 0.0, 3600.0)]
        office = Office(tmp_path, past=lambda now_s: past)
        async with office.lender() as lender:
            gate = office.gate(lender)
            assert await spend(gate, "POST", "/invitations/bulk") < 1
            assert await spend(gate, "POST", "/invitations/bulk") == pytest.approx(3000, abs=1)

    run_virtual(main())


def test_the_first_read_is_asked_for_once(tmp_path: Path) -> None:
    async def main() -> None:
        office = Office(tmp_path)
        async with office.lender() as lender, office.lender() as other:
            assert await lender.needs_first_read()
            await lender.first_read([Charge("invitations-bulk", START_S - 3000, 3600.0)] * 25)
            assert not await other.needs_first_read()
            assert await spend(office.gate(other), "POST", "/invitations/bulk") == pytest.approx(600, abs=1)

    run_virtual(main())


def test_a_recent_request_without_a_ledger_counts_as_a_spent_window(tmp_path: Path) -> None:
    async def main() -> None:
        office = Office(tmp_path, used_at=lambda: START_S - 3.0)
        async with office.lender() as lender:
            assert await spend(office.gate(lender)) >= 10.0

    run_virtual(main())


def test_a_request_without_a_permit_is_the_first_of_the_window(tmp_path: Path) -> None:
    async def main() -> None:
        office = Office(tmp_path)
        async with office.lender() as lender:
            gate = office.gate(lender)
            await lender.spend(gate.window_spec("instance"))
            assert used(tmp_path) == 1

    run_virtual(main())


def test_without_a_ledger_nobody_gets_a_permit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LOCKED_S", 0.05)

    async def scenario(gates: list[Gate]) -> None:
        held = [await gates[0].acquire("GET", "/users") for _ in range(100)]
        waiting = [asyncio.ensure_future(gates[0].acquire("GET", "/users")) for _ in range(3)]
        await asyncio.sleep(0.01)
        holder = sqlite3.connect(tmp_path / "windows.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        for permit in held:
            permit.settle()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, LedgerError) for result in results)
        with pytest.raises(LedgerError):
            await gates[0].acquire("GET", "/users")
        holder.close()

    play(tmp_path, scenario, gates=1)


def test_a_plan_counts_what_is_settled(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        for _ in range(25):
            await spend(gates[0], "POST", "/invitations/bulk")
        now_s = asyncio.get_running_loop().time()
        found = read_in_use(tmp_path, "boot-1", steady_s=now_s, boot_s=now_s, wall_s=START_S + now_s)
        planned = Gate(InstanceKind.DEVELOPMENT, GateOptions(quota_share=1.0), VirtualClock(START_S))
        charge_planned(planned, found, START_S + now_s)
        left_s = planned.next_in("POST", "/invitations/bulk")
        assert left_s is not None
        assert left_s > 3500

    play(tmp_path, scenario, gates=1)


def test_a_ledger_that_cannot_be_read_counts_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "quotas.db").write_bytes(b"nothing" * 1000)
    assert read_in_use(tmp_path, "boot-1", steady_s=0.0, boot_s=0.0, wall_s=START_S) == []


def test_one_process_cannot_charge_what_all_share(tmp_path: Path) -> None:
    async def scenario(gates: list[Gate]) -> None:
        with pytest.raises(NotImplementedError):
            gates[0].charge("instance", [0.0])
        window = LeasedWindow(gates[0].window_spec("instance"), 1, desk=None, speed=1.0)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="in hand"):
            window.take(0.0)

    play(tmp_path, scenario, gates=1)
    assert DEADLINE_S > 60


@pytest.mark.parametrize(("method", "template"), [("GET", "/users"), ("POST", "/invitations")])
def test_a_permit_is_void_once_the_ledger_may_count_it_no_more(tmp_path: Path, method: str, template: str) -> None:
    """Whoever stood still for so long since it was granted must take another one."""

    async def scenario(gates: list[Gate]) -> None:
        loop = asyncio.get_running_loop()
        permit = await gates[0].acquire(method, template)
        await asyncio.sleep(LEASE_S + DEADLINE_S - 0.5)
        assert permit.depart(loop.time())
        await asyncio.sleep(1.0)
        assert not permit.depart(loop.time())
        permit.give_back()
        with await gates[0].acquire(method, template) as another:
            assert another.depart(loop.time())
            another.settle()

    play(tmp_path, scenario, gates=1)
