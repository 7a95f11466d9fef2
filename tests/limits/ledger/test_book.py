"""The book's law, against a model that counts arrivals: processes lease, send, crash, stop and set their clocks."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clerk_limits.ledger.book import NAMES_S, Book
from clerk_limits.ledger.terms import EVERY_SUBJECT, Answer, Ask, Moment, Return

PERIOD_S = 10.0
GUARD_S = 0.02
AFTER_S = PERIOD_S + GUARD_S
HOLD_S = 2.0 + 65.0 + PERIOD_S + 30.0


def book(folder: Path, *, durable: bool = False, boot: str = "boot-1", pid: int = 1, label: str = "test") -> Book:
    return Book(folder / "ledger.db", boot, durable=durable, pid=pid, label=label)


def ask(
    allowed: int = 10,
    *,
    least: int = 1,
    most: int = 10,
    spare: int = 0,
    subject: str = "",
    joins: int = 0,
    alone: int = 0,
) -> Ask:
    return Ask("instance", subject, least, most, spare, allowed, HOLD_S, PERIOD_S, joins=joins, alone=alone)


def returned(lease: int, amount: int = 1, *, hold_s: float | None = AFTER_S, subject: str = "") -> Return:
    return Return(lease, "instance", subject, amount, hold_s, AFTER_S)


def granted(one: Book, now_s: float, wish: Ask | None = None, *returns: Return) -> Answer:
    return one.trade(Moment(now_s, now_s), returns, [wish or ask()]).answers[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ledger").mkdir(mode=0o700)
    return tmp_path / "ledger"


# ------------------------------------------------------------------ leases


def test_two_processes_take_from_one_window(folder: Path) -> None:
    one, other = book(folder), book(folder, pid=2)
    assert granted(one, 0.0, ask(most=7)).granted == 7
    assert granted(other, 0.0, ask(most=7)).granted == 3
    answer = granted(one, 0.0)
    assert (answer.granted, answer.used, answer.unsettled) == (0, 10, True)


def test_each_permit_is_settled_by_itself(folder: Path) -> None:
    one, other = book(folder), book(folder)
    lease = granted(one, 0.0).lease
    assert granted(other, 0.0).granted == 0
    granted(one, 1.0, ask(most=1, spare=10), returned(lease), returned(lease, 2, hold_s=None))
    # Two came back unused, one is spent until one period after its answer, seven are still under way.
    assert granted(other, 1.0, ask(most=2)).granted == 2
    assert granted(other, 1.0 + AFTER_S - 0.1).granted == 0
    assert granted(other, 1.0 + AFTER_S + 0.02).granted == 1


def test_permits_that_are_added_to_a_lease_count_and_end_with_the_latest(folder: Path) -> None:
    one, other = book(folder), book(folder)
    lease = granted(one, 0.0, ask(most=4)).lease
    added = granted(one, 50.0, ask(most=3, joins=lease))
    assert (added.lease, added.granted, added.used) == (lease, 3, 7)
    assert granted(other, 50.0).granted == 3
    # Those of the first time were never settled: they count as long as those that were added.
    answer = granted(other, 50.0 + HOLD_S - 0.1)
    assert (answer.granted, answer.used) == (0, 10)
    assert granted(other, 50.0 + HOLD_S).granted == 10


def test_several_permits_of_a_lease_end_in_one_trade(folder: Path) -> None:
    one, other = book(folder), book(folder)
    lease = granted(one, 0.0).lease
    two = [returned(lease), returned(lease, 2, hold_s=None)]
    assert granted(one, 0.0, ask(most=1, spare=10), *two).used == 8
    assert granted(other, 0.0, ask(most=10)).granted == 2
    granted(one, 0.0, ask(most=1, spare=10), *[returned(lease, 1, hold_s=None)] * 7)
    assert granted(other, 0.0, ask(most=10)).granted == 7


def test_who_is_alone_gets_as_many_as_wait_and_nobody_else_does(folder: Path) -> None:
    one, other = book(folder), book(folder, pid=2)
    wish = ask(100, most=10, alone=40)
    lease = granted(one, 0.0, wish)
    assert (lease.granted, granted(one, 0.1, wish).granted) == (40, 40)
    assert granted(other, 0.2, wish).granted == 10
    # The other has permits out, and then waits for some: each is a reason to take no more than everybody does.
    assert granted(one, 0.3, wish, returned(lease.lease, 40, hold_s=None)).granted == 10
    assert granted(other, 0.4, ask(100, least=50, most=50)).granted == 0
    assert granted(one, 0.5, wish).granted == 0


def test_a_process_with_the_smaller_share_is_never_taken_for_alone(folder: Path) -> None:
    large, small = book(folder), book(folder, pid=2)
    spent = granted(large, 0.0, ask(100, most=1))
    assert granted(small, 0.1, ask(70, most=10, alone=40), returned(spent.lease, hold_s=None)).granted == 10


@pytest.mark.parametrize("gone_s", [0.0, HOLD_S])
def test_what_is_added_to_a_lease_that_is_gone_is_a_lease_of_its_own(folder: Path, gone_s: float) -> None:
    one = book(folder)
    lease = granted(one, 0.0, ask(most=1)).lease
    back = [returned(lease, hold_s=None)] if not gone_s else []
    added = granted(one, gone_s, ask(most=2, joins=lease), *back)
    assert (added.granted, added.used) == (2, 2)
    assert added.lease != lease


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_free_again_does_not_count_while_it_is_in_the_file(folder: Path, durable: bool) -> None:
    one = book(folder, durable=durable)
    granted(one, 0.0, ask(most=1, spare=10), returned(0, 10))
    # Windows are swept once in a second, and were a moment ago.
    granted(one, AFTER_S - 0.1, ask(most=1, spare=10))
    answer = granted(one, AFTER_S + 0.1)
    assert (answer.granted, answer.used) == (10, 10)


def claim(prolongs: int = 0) -> Ask:
    """One permit of every user, of whom four are allowed and half may be claimed."""
    return Ask("user", EVERY_SUBJECT, 1, 1, 2, 4, HOLD_S, PERIOD_S, prolongs)


def of_user(most: int) -> Ask:
    return Ask("user", "user_1", 1, most, 0, 4, HOLD_S, PERIOD_S)


def test_a_claim_counts_against_every_subject_and_lives_as_long_as_it_is_prolonged(folder: Path) -> None:
    one, other, third = book(folder), book(folder), book(folder)
    lease = granted(one, 0.0, claim()).lease
    assert granted(other, 0.0, claim()).granted == 1
    assert granted(third, 0.0, claim()).granted == 0
    assert granted(third, 0.0, of_user(9)).granted == 2
    for now_s in (50.0, 100.0, 150.0):
        assert granted(one, now_s, claim(lease)).lease == lease
    # The others have ended by time; the leases of one user keep a further claim out as claims keep out leases.
    assert granted(third, 151.0, of_user(9)).granted == 3
    assert granted(other, 151.0, claim()).granted == 0


def test_numbers_of_a_file_that_was_lost_mean_nothing_in_the_new_one(folder: Path) -> None:
    one = book(folder)
    lost = granted(one, 0.0, claim()).lease
    (folder / "ledger.db").unlink()
    assert granted(one, 0.0, of_user(1)).lease != lost
    granted(one, 0.0, None, Return(lost, "user", EVERY_SUBJECT, 1, None, AFTER_S))
    assert granted(one, 0.0, of_user(9)).granted == 3
    # Neither is it prolonged: there is no room for a claim beside four leases.
    assert granted(one, 0.0, claim(lost)).granted == 0


def test_a_dead_holders_lease_ends_by_time_alone(folder: Path) -> None:
    assert granted(book(folder, pid=999_999), 0.0).granted == 10
    one = book(folder)
    assert granted(one, HOLD_S - 0.01).granted == 0
    assert granted(one, HOLD_S).granted == 10


def test_the_leases_of_a_process_that_is_known_to_be_dead_end_with_what_it_may_have_sent(folder: Path) -> None:
    dead, one = book(folder), book(folder)
    badge = dead.badge(Moment(0.0, 0.0))
    assert granted(dead, 0.0).granted == 10
    for _ in range(2):
        one.bury(Moment(5.0, 5.0), badge, 67.0)
    assert granted(one, 5.0 + PERIOD_S + 30.0 - 0.1).granted == 0
    assert granted(one, 5.0 + PERIOD_S + 30.0).granted == 10


def test_the_badge_of_another_file_buries_nobody(folder: Path) -> None:
    alive, one = book(folder), book(folder)
    badge = alive.badge(Moment(0.0, 0.0))
    assert granted(alive, 0.0).granted == 10
    one.bury(Moment(5.0, 5.0), f"another:{badge.partition(':')[2]}", 67.0)
    assert granted(one, 60.0).granted == 0


def test_what_is_refused_says_when_enough_has_returned(folder: Path) -> None:
    one = book(folder)
    lease = granted(one, 0.0).lease
    answer = granted(one, 2.0, ask(least=2, most=2), returned(lease, hold_s=8.0), returned(lease, hold_s=9.0))
    assert answer.wait_s == pytest.approx(9.0, abs=0.021)
    assert granted(one, 2.0, ask(least=5, most=5)).wait_s is None


def test_a_reserve_stays_untouched(folder: Path) -> None:
    one = book(folder)
    assert granted(one, 0.0, ask(most=10, spare=4)).granted == 6
    assert granted(one, 0.0, ask(most=1, spare=4)).granted == 0
    assert granted(one, 0.0, ask(most=1)).granted == 1


def test_each_subject_has_a_window_of_its_own(folder: Path) -> None:
    one = book(folder)
    assert granted(one, 0.0, ask(subject="user_1")).granted == 10
    assert granted(one, 0.0, ask(subject="user_2")).granted == 10
    assert granted(one, 0.0, ask(subject="user_1")).granted == 0


def test_permits_that_were_spent_without_a_lease_count(folder: Path) -> None:
    one = book(folder)
    one.trade(Moment(0.0, 0.0), [returned(0, 4)], ())
    assert granted(one, 0.0).granted == 6


def test_a_lease_number_of_another_file_touches_nobodys_lease(folder: Path) -> None:
    one, other = book(folder), book(folder)
    lease = granted(other, 0.0, ask(most=5)).lease
    answer = granted(one, 0.0, ask(most=10), returned(lease, 5))
    # Counted on top, since it was spent; what the other one holds is held all the same.
    assert (answer.granted, answer.used) == (0, 10)


# ------------------------------------------------------------------ who goes next


def test_nobody_takes_what_an_earlier_ticket_waits_for(folder: Path) -> None:
    holder, early, late = book(folder), book(folder), book(folder)
    lease = granted(holder, 0.0).lease
    assert granted(early, 0.1, ask(most=4)).granted == 0
    assert granted(late, 0.2, ask(most=4)).granted == 0
    holder.trade(Moment(0.3, 0.3), [returned(lease, 5, hold_s=None)], ())
    assert granted(late, 0.3, ask(most=4)).granted == 1
    assert granted(early, 0.3, ask(most=4)).granted == 4


def test_a_ticket_dies_with_its_holder(folder: Path) -> None:
    holder, dead, late = book(folder), book(folder), book(folder)
    lease = granted(holder, 0.0).lease
    assert granted(dead, 0.1).granted == 0
    holder.trade(Moment(0.3, 0.3), [returned(lease, 10, hold_s=None)], ())
    assert granted(late, 0.5).granted == 0
    assert granted(late, 1.2).granted == 10


def test_who_leaves_stands_in_nobodys_way(folder: Path) -> None:
    holder, early, late = book(folder), book(folder), book(folder)
    lease = granted(holder, 0.0).lease
    assert granted(early, 0.1).granted == 0
    early.leave(Moment(0.2, 0.2), ())
    assert granted(late, 0.2, ask(), returned(lease, 0, hold_s=None)).granted == 0
    holder.leave(Moment(0.3, 0.3), [returned(lease, 10, hold_s=None)])
    assert granted(late, 0.3).granted == 10


def test_each_keeps_within_its_own_share_and_all_within_the_largest(folder: Path) -> None:
    small, large = book(folder), book(folder)
    assert granted(small, 0.0, ask(7, most=10)).granted == 7
    assert granted(large, 0.0, ask(10, most=10)).granted == 3
    other = book(folder)
    assert granted(other, 0.0, ask(7)).granted == 0


def test_two_jobs_of_one_share_do_not_add_up(folder: Path) -> None:
    assert granted(book(folder), 0.0, ask(7, most=5)).granted == 5
    assert granted(book(folder), 0.0, ask(7, most=5)).granted == 2


def test_a_small_share_does_not_starve_beside_a_large_one(folder: Path) -> None:
    """The large one holds everything; what comes back goes to whoever has waited longest."""
    small, large = book(folder), book(folder)
    lease = granted(large, 0.0, ask(10)).lease
    assert granted(small, 0.1, ask(7, most=1)).granted == 0
    assert granted(large, 0.2, ask(10, most=1), returned(lease, hold_s=None)).granted == 0
    assert granted(small, 0.2, ask(7, most=1)).granted == 1


# ------------------------------------------------------------------ 429s


def test_a_block_is_told_to_everybody_until_it_ends(folder: Path) -> None:
    one, other = book(folder), book(folder)
    one.block(Moment(0.0, 0.0), "GET /users", 30.0)
    one.block(Moment(1.0, 1.0), "GET /users", 5.0)
    assert other.trade(Moment(10.0, 10.0), (), ()).blocks == [("GET /users", 20.0)]
    assert other.trade(Moment(30.0, 30.0), (), ()).blocks == []


def test_a_429_shrinks_everybodys_share_and_it_grows_back(folder: Path) -> None:
    one, other = book(folder), book(folder)
    one.shrink(Moment(0.0, 0.0), "instance", PERIOD_S)
    one.shrink(Moment(0.5, 0.5), "instance", PERIOD_S)
    answer = granted(other, 1.0, ask(100, most=100))
    assert answer.granted == 75
    recovered = granted(other, 130.0, ask(100, most=100), returned(answer.lease, 75, hold_s=None))
    assert recovered.granted == 85


# ------------------------------------------------------------------ clocks and boots


def test_a_quota_is_free_when_both_clocks_say_so(folder: Path) -> None:
    one = book(folder, durable=True)
    one.trade(Moment(0.0, 1000.0), [returned(0, 10)], ())
    forward = one.trade(Moment(1.0, 1000.0 + 3600.0), (), [ask()]).answers[0]
    assert forward.granted == 0
    both = one.trade(Moment(AFTER_S + 1, 1000.0 + AFTER_S + 1), (), [ask()]).answers[0]
    assert both.granted == 10


def test_a_wall_clock_that_goes_back_holds_a_quota_for_one_period_at_most(folder: Path) -> None:
    one = book(folder, durable=True)
    one.trade(Moment(0.0, 90_000.0), [returned(0, 10)], ())
    back = one.trade(Moment(5.0, 5.0), (), [ask()]).answers[0]
    assert back.granted == 0
    assert back.wait_s == pytest.approx(AFTER_S, abs=0.1)
    assert one.trade(Moment(5.1 + AFTER_S, 5.1 + AFTER_S), (), [ask()]).answers[0].granted == 10


def test_a_quota_survives_a_boot_and_a_window_does_not(folder: Path) -> None:
    for durable, expected in ((True, 0), (False, 10)):
        path = folder / str(durable)
        path.mkdir()
        book(path, durable=durable).trade(Moment(500.0, 1000.0), [returned(0, 10)], ())
        after = book(path, durable=durable, boot="boot-2")
        assert after.trade(Moment(1.0, 1001.0), (), [ask()]).answers[0].granted == expected


def test_a_quota_that_survived_a_boot_is_free_by_the_wall_clock(folder: Path) -> None:
    book(folder, durable=True).trade(Moment(500.0, 1000.0), [returned(0, 10)], ())
    after = book(folder, durable=True, boot="boot-2")
    assert after.trade(Moment(1.0, 1000.0 + AFTER_S + 0.1), (), [ask()]).answers[0].granted == 10


def test_the_names_of_processes_that_have_long_gone_are_dropped(folder: Path) -> None:
    one = book(folder, label="old")
    one.trade(Moment(0.0, 0.0), (), ())
    one.storage.close()
    late = book(folder, label="new")
    late.trade(Moment(1.0, NAMES_S + 1.0), (), ())
    names = late.storage.connection().execute("SELECT label FROM holder").fetchall()
    assert names == [("new",)]


# ------------------------------------------------------------------ any history at all


@dataclass
class Process:
    book: Book
    leases: list[list[int]] = field(default_factory=list)
    """[lease, permits in hand]"""
    joins: int = 0
    """The lease that it had last."""
    under_way: list[int] = field(default_factory=list)
    """Lease of each request that was sent and not answered."""


class Processes(RuleBasedStateMachine):
    """Arrivals happen at any moment between a send and its answer: the model takes the worst of both."""

    allowed = 2

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.now_s = 100.0
        self.skew_s = 0.0
        self.processes: list[Process] = []
        self.spans: list[tuple[float, float]] = []
        """(sent, answered) of every request; one that nobody saw answered may arrive until its deadline."""
        self.open: dict[int, list[int]] = {}
        self.begin()

    def teardown(self) -> None:
        for process in self.processes:
            process.book.storage.close()
        self._folder.cleanup()

    @precondition(lambda self: len(self.processes) < 3)
    @rule()
    def begin(self) -> None:
        self.processes.append(Process(book(Path(self._folder.name), durable=self.durable)))

    durable = False
    waiting = 0
    """Permits that a process may have at once where it is alone."""

    @rule(waiting=st.integers(0, 8))
    def wait(self, waiting: int) -> None:
        self.waiting = waiting

    def moment(self) -> Moment:
        return Moment(self.now_s, self.now_s + self.skew_s)

    def some(self, data: st.DataObject) -> Process:
        return data.draw(st.sampled_from(self.processes))

    @rule(data=st.data(), most=st.integers(1, 4), spare=st.sampled_from([0, 0, 0, 1]), joins=st.booleans())
    def lease(self, data: st.DataObject, most: int, spare: int, joins: bool) -> None:
        self.lease_for(self.some(data), most, spare, joins)

    @rule(data=st.data())
    def request(self, data: st.DataObject) -> None:
        self.request_of(self.some(data))

    def request_of(self, process: Process) -> None:
        if process.leases or self.lease_for(process, 1, 0):
            lease = process.leases[0]
            lease[1] -= 1
            if not lease[1]:
                process.leases.pop(0)
            process.under_way.append(lease[0])
            self.open.setdefault(id(process), []).append(len(self.spans))
            self.spans.append((self.now_s, self.now_s + 65.0 + 30.0))

    def lease_for(self, process: Process, most: int, spare: int, joins: bool = False) -> bool:
        joined = process.joins if joins else 0
        wish = ask(self.allowed, most=most, spare=spare, joins=joined, alone=self.waiting)
        answer = process.book.trade(self.moment(), (), [wish]).answers[0]
        if answer.granted:
            process.leases.append([answer.lease, answer.granted])
            process.joins = answer.lease
        return answer.granted > 0

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.answer_of(self.some(data))

    def answer_of(self, process: Process) -> None:
        if process.under_way:
            place = self.open[id(process)].pop(0)
            sent_s = self.spans[place][0]
            self.spans[place] = (sent_s, self.now_s)
            back = returned(process.under_way.pop(0), hold_s=self.hold_s(sent_s))
            process.book.trade(self.moment(), [back], ())

    def hold_s(self, sent_s: float) -> float:
        return AFTER_S

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        process = self.some(data)
        if process.leases:
            lease, amount = process.leases.pop()
            process.book.trade(self.moment(), [returned(lease, amount, hold_s=None)], ())

    @precondition(lambda self: len(self.processes) > 1)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.crash_of(self.some(data))

    def crash_of(self, process: Process) -> None:
        """What it had sent may arrive until the deadline; nobody will ever settle it."""
        process.book.storage.close()
        self.processes.remove(process)

    @rule(passed_s=st.sampled_from([0.01, 0.9, 1.9, 9.99, 10.02, 40.0, 110.0]))
    def time_passes(self, passed_s: float) -> None:
        self.now_s += passed_s
        for process in self.processes:
            # A permit that was leased too long ago is void, and an attempt ends with its deadline.
            if passed_s > 1.9:
                process.leases.clear()
            if passed_s >= 40.0:
                process.under_way.clear()
                self.open.pop(id(process), None)

    @rule(jump_s=st.sampled_from([-7200.0, -60.0, 60.0, 7200.0]))
    def clock_is_set(self, jump_s: float) -> None:
        self.skew_s += jump_s

    @invariant()
    def never_more_than_allowed_in_any_period(self) -> None:
        """Each request may have arrived at any moment between its send and its answer: the worst is counted."""
        for start_s in {moment for span in self.spans for moment in span}:
            inside = [span for span in self.spans if span[0] < start_s + PERIOD_S and span[1] >= start_s]
            assert len(inside) <= self.allowed, (start_s, inside)


class Quotas(Processes):
    durable = True


TestWindows = Processes.TestCase
TestWindows.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQuotas = Quotas.TestCase
TestQuotas.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


class FreeAfterSend(Processes):
    """A defect on purpose: permits return one period after their send."""

    allowed = 1

    def hold_s(self, sent_s: float) -> float:
        return AFTER_S - (self.now_s - sent_s)

    def play(self) -> None:
        process = self.processes[0]
        self.request_of(process)
        self.now_s += 9.0
        self.answer_of(process)
        self.now_s += 1.1
        self.request_of(process)


class FreeAtDeath(Processes):
    """A defect on purpose: the leases of a process that died are free at once."""

    allowed = 1

    def crash_of(self, process: Process) -> None:
        process.book.leave(self.moment(), [returned(lease, hold_s=None) for lease in process.under_way])
        super().crash_of(process)

    def play(self) -> None:
        self.begin()
        dead, other = self.processes
        self.request_of(dead)
        self.crash_of(dead)
        self.request_of(other)


@pytest.mark.parametrize("defect", [FreeAfterSend, FreeAtDeath])
def test_the_model_notices_a_defect(defect: type[FreeAfterSend | FreeAtDeath]) -> None:
    machine = defect()
    try:
        machine.play()
        with pytest.raises(AssertionError):
            machine.never_more_than_allowed_in_any_period()
    finally:
        machine.teardown()


def test_the_file_is_for_this_user_alone(folder: Path) -> None:
    granted(book(folder), 0.0)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
