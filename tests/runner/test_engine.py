"""The engine in virtual time, before a Clerk that loses answers: everybody once, nobody dropped, always an end."""

from __future__ import annotations

import asyncio
import datetime
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerk_jobs.call import Call, Outcome, State
from clerk_jobs.jobfile import StopAfter
from clerk_limits.gate import GateOptions
from clerk_runner.doubts import DOUBTS_PER_ITEM
from clerk_runner.errors import AccessError, Exit, LeftEarly, StoppedError
from clerk_runner.journal import Intent, Journal
from clerk_runner.lanes import DOUBTS_IN_A_ROW
from clerk_testing.engine_play import Ending, Play, address
from clerk_testing.model import ModelClerk, refusal


def everybody_once(play: Play) -> None:
    """Each item in exactly one state, the engine and its journal of one mind, and nobody mailed twice."""
    assert Counter(play.states) == play.in_journal
    assert sum(play.states.values()) == len(play.groups)
    assert all(count == 1 for count in play.clerk.mails.values()), play.clerk.mails


def in_state(play: Play, state: State) -> list[int]:
    with closing(sqlite3.connect(play.folder / "run.db")) as db:
        return [seq for (seq,) in db.execute("SELECT seq FROM item WHERE state = ? ORDER BY seq", (state,))]


def test_an_intent_is_durable_before_its_call_is_sent(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 25, threads=True)
    seen: list[int] = []

    async def before(call: Call) -> None:
        with closing(sqlite3.connect(tmp_path / "run.db")) as db:
            bodies = call.body if isinstance(call.body, list) else [call.body]
            states = {
                db.execute(
                    "SELECT state FROM item WHERE seq = ?", (int(body["email_address"][1:].split("@")[0]),)
                ).fetchone()[0]
                for body in bodies
            }
            assert states == {State.INTENT}
            attempts = db.execute("SELECT intent_ms FROM attempt WHERE ended_ms IS NULL").fetchall()
            assert attempts
            seen.append(len(bodies))

    async def during(play: Play) -> None:
        play.client.before = before

    play.run(during)
    assert sum(seen) == 25
    assert play.states == {State.DONE: 25}
    everybody_once(play)


def test_both_lanes_carry_and_the_tens_stay_together(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 130)
    play.run()
    sizes = Counter(len(call.body) if isinstance(call.body, list) else 0 for call in play.client.sent)
    assert play.states == {State.DONE: 130}
    assert sizes[10] >= 8
    assert sum(max(size, 1) * count for size, count in sizes.items()) == 130
    everybody_once(play)


def test_a_bulk_call_is_of_one_organization(tmp_path: Path) -> None:
    play = Play(tmp_path, [f"org_{seq % 3}" for seq in range(60)])
    play.run()
    assert play.states == {State.DONE: 60}
    for call in play.client.sent:
        group = call.path.split("/")[2]
        bodies = call.body if isinstance(call.body, list) else [call.body]
        assert {play.groups[int(body["email_address"][1:].split("@")[0]) - 1] for body in bodies} == {group}
    everybody_once(play)


@pytest.mark.parametrize("ending", ["429", "not-sent"])
def test_what_is_known_not_to_have_happened_goes_back(tmp_path: Path, ending: Ending) -> None:
    play = Play(tmp_path, [""] * 12, endings=[ending] * 3)
    play.run()
    assert play.states == {State.DONE: 12}
    assert len(play.client.sent) > 3
    everybody_once(play)


def test_a_429_closes_the_endpoint_for_as_long_as_it_says(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 3, job="lanes: single\n", endings=["429"])
    play.run()
    times = [moment for moment, call in play.client.seen if call.path == "/invitations" and call.method == "POST"]
    assert times[1] - times[0] >= 30


@pytest.mark.parametrize("ending", ["lost", "lost-before", "late", "500", "500-after", "502-late"])
@pytest.mark.parametrize("job", ["", "lanes: single\n", "lanes: bulk\n"])
def test_a_lost_answer_waits_for_its_quarantine(tmp_path: Path, ending: Ending, job: str) -> None:
    play = Play(tmp_path, [""] * 14, job=job, endings=[ending])
    play.run()
    assert play.states == {State.DONE: 14}
    everybody_once(play)
    reads = [moment for moment, call in play.client.seen if call.method == "GET"]
    assert reads[0] >= 120.0


def test_a_process_that_stood_still_sends_nothing_under_an_intent_of_long_ago(tmp_path: Path) -> None:
    """When it wakes up, the intent's quarantine may be over: killed then, its next start would look and send again."""
    play = Play(tmp_path, [""] * 3, job="lanes: single\n", endings=["stands-still"])
    play.run()
    assert play.client.held == 1
    assert play.states == {State.DONE: 3}
    everybody_once(play)


def test_a_clock_that_was_set_back_makes_nobody_wait_longer_than_the_quarantine(tmp_path: Path) -> None:
    play = Play(tmp_path, [""], endings=["lost"], options={"max_time_s": 10.0})
    play.run()
    assert play.states == {State.DOUBT: 1}
    play.start_s, play.options, play.endings = play.start_s - 3_600, {}, []
    play.run()
    assert play.states == {State.DONE: 1}
    reads = [moment for moment, call in play.client.seen if call.method == "GET"]
    assert 110 < reads[0] < 130


def test_three_doubts_in_a_row_stop_a_lane_until_one_is_settled(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 10, job="lanes: single\n", endings=["lost"] * 5)
    play.run()
    sends = [moment for moment, call in play.client.seen if call.method == "POST"]
    assert sends[DOUBTS_IN_A_ROW] - sends[DOUBTS_IN_A_ROW - 1] > 100
    assert play.states == {State.DONE: 10}
    everybody_once(play)


def test_an_item_that_stays_in_doubt_is_for_a_person(tmp_path: Path) -> None:
    play = Play(tmp_path, [""], job="lanes: single\n", endings=["lost-before"] * 20)
    play.run()
    assert play.states == {State.UNRESOLVED: 1}
    assert len(play.client.sent) == DOUBTS_PER_ITEM


def test_five_singles_an_hour_are_kept_for_what_goes_alone(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 500)
    play.run()
    first_hour = [call for moment, call in play.client.seen if moment < 3500 and call.path == "/invitations"]
    assert len(first_hour) == 95
    everybody_once(play)


def test_failures_over_the_threshold_stop_the_run(tmp_path: Path) -> None:
    offenders = {address(seq): "form_param_format_invalid" for seq in range(1, 80)}
    play = Play(
        tmp_path,
        [""] * 300,
        ModelClerk(offenders=offenders),
        job="lanes: single\n",
        options={"stop_after": StopAfter(count=7)},
    )
    engine = play.run()
    assert isinstance(engine.ending, StoppedError)
    assert engine.ending.code == "threshold"
    assert play.states == {State.FAILED: 7, State.PENDING: 293}
    everybody_once(play)


def test_a_call_of_one_that_is_refused_ends_though_only_the_bulk_lane_may_send(tmp_path: Path) -> None:
    clerk = ModelClerk(offenders={address(3): "form_param_format_invalid"}, named=False)
    play = Play(tmp_path, [""] * 12, clerk, job="lanes: bulk\n")
    play.run()
    assert play.states == {State.DONE: 11, State.FAILED: 1}
    everybody_once(play)


@pytest.mark.parametrize("bulk", ["all-or-nothing", "partial", "partial-refused"])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("job", ["", "lanes: bulk\n", "lanes: single\n"])
def test_offenders_among_ten(tmp_path: Path, bulk: Any, named: bool, job: str) -> None:
    clerk = ModelClerk(bulk, offenders={address(4): "form_param_format_invalid"}, named=named)
    clerk.add(address(2).upper(), before=True)["created_at"] -= 60_000
    clerk.users[address(7)] = "user_7"
    play = Play(tmp_path, [""] * 25, clerk, job=job)
    play.run()
    if bulk == "partial" and "bulk" in job:
        # A success that names nobody says nothing about why.
        assert in_state(play, State.SKIPPED) == [2]
        assert in_state(play, State.UNRESOLVED) == [4, 7]
    else:
        assert in_state(play, State.FAILED) == [4]
        assert in_state(play, State.SKIPPED) == [2, 7]
    assert play.states[State.DONE] == 22
    everybody_once(play)


def test_a_reinvitation_is_revoked_first(tmp_path: Path) -> None:
    play = Play(tmp_path, [""], job="on_existing: reinvite\n")
    old = play.clerk.add(address(1), before=True)

    async def seed() -> None:
        journal = Journal(tmp_path / "run.db", durable=False)
        await journal.ingest([play.row(1, "")])
        await journal.settle([Outcome(1, State.PENDING, revoke=old["id"])])
        journal.close()

    asyncio.run(seed())
    play.run()
    paths = [call.path for _, call in play.client.seen]
    assert paths == [f"/invitations/{old['id']}/revoke", "/invitations/bulk"]
    assert old["status"] == "revoked"
    assert play.states == {State.DONE: 1}


# ------------------------------------------------------------------ leaving


def test_an_interrupt_awaits_what_is_in_flight_and_sends_nothing_more(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 300)

    async def during(play: Play) -> None:
        await play.client.reached(4)
        play.engine.interrupt()
        during_seen.append(len(play.client.seen))

    during_seen: list[int] = []
    engine = play.run(during)
    assert engine.interrupted
    assert engine.ending is None
    assert len(play.client.seen) == during_seen[0]
    assert State.INTENT not in play.states
    assert play.states[State.DONE] == sum(play.clerk.mails.values())
    play.run()
    assert play.states == {State.DONE: 300}
    everybody_once(play)


def test_a_drain_waits_half_a_minute_and_no_longer(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 5, job="lanes: single\n")

    async def during(play: Play) -> None:
        play.client.latency_s = 50.0
        await play.client.reached(1)
        play.engine.interrupt()

    play.run(during)
    assert play.start_s - 1_800_000_000.0 < 32
    assert in_state(play, State.INTENT) == [1]
    play.run()
    assert play.states == {State.DONE: 5}
    everybody_once(play)


def test_a_drain_does_not_wait_for_a_backoff(tmp_path: Path) -> None:
    play = Play(tmp_path, [""], job="lanes: single\n", endings=["not-sent"] * 1000)

    async def during(play: Play) -> None:
        await play.client.reached(12)
        begun = asyncio.get_running_loop().time()
        play.engine.interrupt()
        interrupted.append(begun)

    interrupted: list[float] = []
    play.run(during)
    assert play.start_s - 1_800_000_000.0 - interrupted[0] < 2
    assert play.states == {State.PENDING: 1}


def test_leaving_when_the_next_permit_is_too_far_away(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 400, options={"max_wait_s": 60.0})
    engine = play.run()
    assert isinstance(engine.ending, LeftEarly)
    assert engine.ending.exit is Exit.LEFT_EARLY
    assert engine.ending.until is not None
    assert play.states[State.DONE] >= 340
    assert play.start_s < 1_800_000_000.0 + 300


def test_leaving_when_the_quarantine_ends_too_far_away(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 3, endings=["lost"] * 9, options={"max_wait_s": 60.0})
    engine = play.run()
    assert isinstance(engine.ending, LeftEarly)
    assert "what is in doubt" in str(engine.ending)
    assert play.states == {State.DOUBT: 3}


def test_leaving_when_the_time_is_over(tmp_path: Path) -> None:
    play = Play(tmp_path, [""] * 400, options={"max_time_s": 600.0})
    engine = play.run()
    assert isinstance(engine.ending, LeftEarly)
    assert engine.ending.until is not None
    permit_s = datetime.datetime.fromisoformat(engine.ending.until).timestamp() - 1_800_000_000.0
    # The first permit of the cold hour comes back an hour after its answer.
    assert 3600 <= permit_s < 3610
    assert "the next permit comes at" in str(engine.ending)
    assert 600 <= play.start_s - 1_800_000_000.0 < 610
    play.options = {}
    play.run()
    assert play.states == {State.DONE: 400}
    everybody_once(play)


@pytest.mark.parametrize(
    ("status", "code", "error", "state"),
    [
        (401, "authentication_invalid", AccessError, State.PENDING),
        (402, "unsupported_subscription_plan_features", StoppedError, State.DOUBT),
        (403, "organization_membership_quota_exceeded", StoppedError, State.DOUBT),
    ],
)
def test_a_refusal_that_no_other_call_could_better_stops_all_lanes(
    tmp_path: Path, status: int, code: str, error: type[Exception], state: State
) -> None:
    play = Play(tmp_path, [""] * 100, job="lanes: bulk\n")
    answer = play.clerk.answer

    def refuse(call: Call) -> Any:
        play.clerk.calls.append(call)
        return refusal(status, code)

    async def during(play: Play) -> None:
        play.clerk.answer = refuse  # type: ignore[method-assign]

    engine = play.run(during)
    assert isinstance(engine.ending, error)
    assert len(play.client.sent) == 1
    assert play.states[state] >= 10
    play.clerk.answer = answer  # type: ignore[method-assign]
    play.run()
    assert play.states == {State.DONE: 100}
    everybody_once(play)


# ------------------------------------------------------------------ numbers of its own


def test_a_job_of_fewer_than_ten_an_hour_sends_smaller_calls(tmp_path: Path) -> None:
    limits = GateOptions(share=1.0, quota_share=1.0, per_hour=4)
    play = Play(tmp_path, [""] * 9, limits=limits)
    play.run()
    assert play.states == {State.DONE: 9}
    assert 7200 <= play.start_s - 1_800_000_000.0 < 7300
    everybody_once(play)


@pytest.mark.parametrize("lanes", ["both", "single", "bulk"])
@pytest.mark.parametrize("groups", [[""] * 105, ["org_a", "org_b", "org_c"] * 35])
def test_what_is_free_of_the_jobs_own_hour_is_used_whole(tmp_path: Path, lanes: str, groups: list[str]) -> None:
    limits = GateOptions(share=1.0, quota_share=1.0, per_hour=25)
    play = Play(tmp_path, groups, job=f"lanes: {lanes}\n", limits=limits)
    play.run()
    assert play.states == {State.DONE: 105}
    assert 4 * 3600 <= play.start_s - 1_800_000_000.0 < 4 * 3600 + 60
    everybody_once(play)


def test_doubt_ahead_of_what_was_read_comes_back_once(tmp_path: Path) -> None:
    """Doubts of an earlier process may lie anywhere in the input, also beyond the items that are held."""
    groups = [""] * 3000
    play = Play(tmp_path, groups)

    async def seed() -> None:
        journal = Journal(tmp_path / "run.db", durable=False)
        await journal.ingest([play.row(seq, "") for seq in range(1, 3001)])
        await journal.begin(Intent("POST", "/invitations/bulk", (2900, 2950), 1_799_999_000_000, 1_799_999_000_000))
        journal.close()

    asyncio.run(seed())
    play.run()
    assert play.states == {State.DONE: 3000}
    everybody_once(play)


ENDINGS = st.sampled_from(
    ["answer", "answer", "late", "lost", "lost-before", "not-sent", "429", "500-after", "502-late"]
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    endings=st.lists(ENDINGS, max_size=12),
    groups=st.lists(st.sampled_from(["org_a", "org_b"]), min_size=1, max_size=26),
    organizations=st.booleans(),
    bulk=st.sampled_from(["all-or-nothing", "partial", "partial-refused"]),
    named=st.booleans(),
    lanes=st.sampled_from(["both", "single", "bulk"]),
    offenders=st.sets(st.integers(1, 26), max_size=4),
    standing=st.sets(st.integers(1, 26), max_size=4),
    interrupts=st.lists(st.floats(0.1, 400.0), max_size=3),
)
def test_whatever_happens_it_ends_and_everybody_is_invited_once(
    tmp_path_factory: pytest.TempPathFactory,
    endings: list[Ending],
    groups: list[str],
    organizations: bool,
    bulk: Any,
    named: bool,
    lanes: str,
    offenders: set[int],
    standing: set[int],
    interrupts: list[float],
) -> None:
    clerk = ModelClerk(bulk, offenders={address(seq): "form_param_format_invalid" for seq in offenders}, named=named)
    groups = groups if organizations else [""] * len(groups)
    standing -= offenders
    for seq in standing:
        if seq <= len(groups):
            clerk.add(address(seq), groups[seq - 1], before=True)
            clerk.invitations[-1]["created_at"] = 1_700_000_000_000
    play = Play(tmp_path_factory.mktemp("play"), groups, clerk, job=f"lanes: {lanes}\n", endings=list(endings))

    for after_s in interrupts:

        async def during(play: Play, after_s: float = after_s) -> None:
            await asyncio.sleep(after_s)
            play.engine.interrupt()

        play.run(during)
        assert Counter(play.states) == play.in_journal
    play.run()
    everybody_once(play)
    assert play.engine.ending is None
    unresolved = set(in_state(play, State.UNRESOLVED))
    places = set(range(1, len(groups) + 1))
    assert set(in_state(play, State.SKIPPED)) | unresolved >= standing & places
    assert set(in_state(play, State.FAILED)) | unresolved >= offenders & places
    mailed = {int(who[1:].split("@")[0]) for _, who in clerk.mails}
    assert mailed >= places - offenders - standing - unresolved
    assert set(in_state(play, State.DONE)) <= mailed
