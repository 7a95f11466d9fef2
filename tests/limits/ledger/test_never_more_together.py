"""Never more than N requests arrive in any window from all processes together, whatever they and the network do.

The same promise as in ``test_never_more``, kept by a ledger for processes that come, crash and share nothing but a
folder, and the same test of the test: each seeded defect must be seen.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerk_limits.clock import run_virtual
from clerk_limits.gate import GateOptions
from clerk_limits.ledger import Lender
from clerk_limits.ledger.book import Book
from clerk_limits.ledger.claimed import Claim
from clerk_limits.ledger.leased import LeasedWindow, _Leased
from clerk_limits.ledger.teller import Teller
from clerk_limits.ledger.terms import EVERY_SUBJECT, Ask, Moment
from clerk_limits.window import Slot
from clerk_testing.machine import Machine
from clerk_testing.virtual import Arrivals, CallEnd, CallScript, fullest_fixed_window, fullest_window

SMALL = GateOptions(share=0.05, quota_share=0.05)
ALLOWED = {"instance": 5, "POST /invitations": 5, "POST /invitations/bulk": 1, "user": 1}
PATCH_USER = ("PATCH", "/users/{user_id}/metadata")
WIDE = GateOptions(share=0.4)
"""Four permits for each user, so that two processes may have a claim on them."""
OPERATIONS = [("GET", "/users"), ("POST", "/invitations"), ("POST", "/invitations/bulk"), PATCH_USER]
PROCESSES = 3


@dataclass(frozen=True)
class Story:
    """What the processes of a machine do.

    Attributes:
        calls: of each process.
        deaths: when each is killed, None for never.
        lost_at_s: when the file of the short windows is deleted, None for never.
    """

    calls: list[list[CallScript]]
    deaths: list[float | None] = field(default_factory=lambda: [None] * PROCESSES)
    lost_at_s: float | None = None


def scripts(operations: list[tuple[str, str]] = OPERATIONS) -> st.SearchStrategy[list[CallScript]]:
    latency = st.one_of(st.just(0.0), st.floats(0.0, 3.0), st.floats(0.0, 60.0))
    one = st.builds(
        lambda operation, subject, rest: CallScript(operation[0], operation[1], subject, **rest),
        st.sampled_from(operations),
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
    return st.lists(one, max_size=14)


def stories(operations: list[tuple[str, str]] = OPERATIONS) -> st.SearchStrategy[Story]:
    """Calls of every kind in three processes, of which some are killed in the middle."""
    deaths = st.lists(st.one_of(st.none(), st.none(), st.floats(0.0, 60.0)), min_size=PROCESSES, max_size=PROCESSES)
    return st.builds(Story, st.lists(scripts(operations), min_size=PROCESSES, max_size=PROCESSES), deaths)


Flaw = Callable[[Machine], AbstractContextManager[Any]]


@contextmanager
def none_at_all(machine: Machine) -> Iterator[None]:
    """No defect."""
    yield


def told(story: Story, window: Any = LeasedWindow, flaw: Flaw = none_at_all, options: GateOptions = SMALL) -> Arrivals:
    """Play a story; what the server saw of all processes."""

    async def scenario(folder: Path) -> Arrivals:
        async with Machine(folder, window=window) as machine:
            with flaw(machine):
                every = await machine.processes(PROCESSES, options)
                if story.lost_at_s is not None:
                    machine.clock.call_at(story.lost_at_s, (folder / "windows.db").unlink)
                return Arrivals.together(
                    await asyncio.gather(
                        *(
                            process.play(calls, dies_at_s=dies_at_s)
                            for process, calls, dies_at_s in zip(every, story.calls, story.deaths, strict=True)
                        )
                    )
                )

    with tempfile.TemporaryDirectory() as folder:
        return run_virtual(scenario(Path(folder)))


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


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_no_window_is_ever_overrun_by_all_together(story: Story) -> None:
    assert excess(told(story)) == {}


def most_to_a_user(arrivals: Arrivals) -> int:
    """The fullest window of any user, of whom four are allowed."""
    times = [arrivals.of("PATCH /users/{user_id}/metadata", subject=user) for user in arrivals.subjects()]
    return max((fullest_window(one, 10.0) for one in times), default=0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories([PATCH_USER] * 3 + [OPERATIONS[0]]))
def test_claims_and_leases_together_never_overrun_a_subject(story: Story) -> None:
    assert most_to_a_user(told(story, options=WIDE)) <= 4


def patches(count: int, **how: Any) -> list[CallScript]:
    return [CallScript(*PATCH_USER, "user_1", **how) for _ in range(count)]


@contextmanager
def uncounted(machine: Machine) -> Iterator[None]:
    """A seeded defect: a lease of one subject does not see the claims on all."""
    out = Teller._out

    def own_alone(teller: Teller, ask: Ask) -> tuple[int, int, bool]:
        if ask.subject == EVERY_SUBJECT:
            return out(teller, ask)
        query = "SELECT coalesce(sum(amount), 0) FROM lease WHERE scope = ? AND subject = ?"
        used = teller._connection.execute(query, (ask.scope, ask.subject)).fetchone()[0]
        return used, used, False

    with patch.object(Teller, "_out", own_alone):
        yield


@contextmanager
def claimed_beside_all(machine: Machine) -> Iterator[None]:
    """A seeded defect: a claim does not see what is leased of single subjects."""
    out = Teller._out

    def claims_alone(teller: Teller, ask: Ask) -> tuple[int, int, bool]:
        if ask.subject != EVERY_SUBJECT:
            return out(teller, ask)
        query = "SELECT coalesce(sum(amount), 0) FROM lease WHERE scope = ? AND subject = ?"
        used = teller._connection.execute(query, (ask.scope, ask.subject)).fetchone()[0]
        return used, 0, False

    with patch.object(Teller, "_out", claims_alone):
        yield


@contextmanager
def given_back_whole(machine: Machine) -> Iterator[None]:
    """A seeded defect: a claim that goes back is free at once, although it was used a moment ago."""
    bring_back = Claim._bring_back

    def at_once(claim: Claim, now_s: float) -> None:
        claim._held_until_s = now_s
        bring_back(claim, now_s)

    with patch.object(Claim, "_bring_back", at_once):
        yield


CLAIM_DEFECTS: dict[Flaw, Story] = {
    uncounted: Story([patches(5)] * PROCESSES),
    claimed_beside_all: Story([patches(4), patches(4, asks_at_s=1.0), []]),
    given_back_whole: Story([patches(1), patches(8, asks_at_s=4.0), []]),
}


@pytest.mark.parametrize("defect", CLAIM_DEFECTS, ids=lambda defect: str(defect.__name__))
def test_a_seeded_defect_of_claims_is_seen(defect: Flaw) -> None:
    story = CLAIM_DEFECTS[defect]
    assert most_to_a_user(told(story, options=WIDE)) == 4
    assert most_to_a_user(told(story, flaw=defect, options=WIDE)) > 4


def calls(count: int, **how: Any) -> list[CallScript]:
    return [CallScript("GET", "/users", **how) for _ in range(count)]


class FreedAfterSend(LeasedWindow):
    """A seeded defect: the slot's period runs from the send, as a log of sends would have it."""

    def settle(self, slot: Slot, now_s: float) -> None:
        spent_s = self._after_response_s
        self._end(slot, spent_s - (now_s - slot.taken_at_s), spent_s)


class BucketAlone(LeasedWindow):
    """A seeded defect: the bucket alone holds the calls back."""

    def free(self, now_s: float) -> int:
        return 1_000_000

    def take(self, now_s: float, amount: int = 1) -> Slot:
        return _Leased(amount, now_s, lambda: 0.0)


class LostIsForgotten(LeasedWindow):
    """A seeded defect: a request without a response is taken for one that never arrives."""

    def lose(self, slot: Slot, now_s: float) -> None:
        self.give_back(slot)


@contextmanager
def ended_by_pid(machine: Machine) -> Iterator[None]:
    """A seeded defect: the leases of a process that is dead are dropped, though its requests are under way."""
    forget = Book._forget

    def and_the_dead(book: Book, connection: sqlite3.Connection, now: Moment) -> None:
        forget(book, connection, now)
        for pid in machine.dead:
            connection.execute("DELETE FROM lease WHERE holder IN (SELECT id FROM holder WHERE pid = ?)", (pid,))

    with patch.object(Book, "_forget", and_the_dead):
        yield


@contextmanager
def begun_anew(machine: Machine) -> Iterator[None]:
    """A seeded defect: a file that was lost is begun anew as if nothing had been spent."""
    with patch.object(Lender, "_closed", lambda *_: ((), 0.0)):
        yield


SLOW_THEN_FAST = Story([calls(5, latency_s=9.0, seen_at=0.999), calls(15, asks_at_s=5.0, latency_s=0.05), []])
TOO_MANY = Story([[CallScript("POST", "/invitations", latency_s=0.05) for _ in range(4)]] * PROCESSES)
LOST = Story([calls(6, seen_at=seen_at, end=CallEnd.LOST) for seen_at in (0.1, 0.9, 0.5)])
KILLED = Story([calls(5, latency_s=30.0, seen_at=0.1), calls(5, asks_at_s=2.0), []], [1.0, None, None])
FILE_LOST = Story([calls(5), calls(5, asks_at_s=3.0), []], lost_at_s=2.0)

DEFECTS: dict[Any, Story] = {
    FreedAfterSend: SLOW_THEN_FAST,
    BucketAlone: TOO_MANY,
    LostIsForgotten: LOST,
    ended_by_pid: KILLED,
    begun_anew: FILE_LOST,
}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_a_seeded_defect_is_seen(defect: Any) -> None:
    story = DEFECTS[defect]
    flawed = told(story, window=defect) if isinstance(defect, type) else told(story, flaw=defect)
    assert excess(flawed) != {}
    assert excess(told(story)) == {}
