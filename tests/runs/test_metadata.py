"""Metadata jobs end to end: the command line as a process, against the simulator as another."""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from clerk_testing.commands import Ended, Workplace
from clerk_testing.simulated import SimulatedClerk

POLL_S = 0.05
JOB = """\
name: plans
kind: metadata
target: users
source: rows.csv
id: "{user_id}"
public_metadata: {plan: "{plan}", seats: "{seats:int}", old: null}
"""


def users(clerk: SimulatedClerk, count: int = 500) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = clerk.perform("GET", f"/users?limit={count}&order_by=%2Bcreated_at")
    return found


def prepare(workplace: Workplace, rows: Sequence[tuple[object, ...]], job: str = JOB, header: str = "") -> None:
    workplace.write("job.yaml", job)
    with (workplace.folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((header or "user_id,plan,seats").split(","))
        writer.writerows(rows)


def write(workplace: Workplace, *more: str) -> Ended:
    return workplace.run("run", "job.yaml", "--yes", "--json", *more)


def items(ended: Ended) -> dict[str, int]:
    assert ended.out, ended.err
    return {word: count for word, count in ended.json["items"].items() if count}


def seed(clerk: SimulatedClerk, user_id: str, **fields: Any) -> None:
    clerk.perform("PUT", f"/users/{user_id}/metadata", fields)


def writes(clerk: SimulatedClerk, operation: str = "UpdateUserMetadata") -> dict[str, int]:
    return {key: len(times) for key, times in clerk.effects(operation).items()}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def codes(workplace: Workplace, run: str) -> dict[str, str]:
    return {row["line"]: row["code"] for row in read_csv(workplace.state / "runs" / run / "results.csv") if row["code"]}


def test_a_backfill_writes_what_differs_and_a_second_one_nothing(start: Any) -> None:
    workplace, clerk = start("--users=250")
    ids = [user["id"] for user in users(clerk)]
    seed(clerk, ids[0], public_metadata={"plan": "pro", "seats": 0})
    seed(clerk, ids[1], public_metadata={"plan": "pro", "seats": 1, "old": [1], "other": "stays"})
    prepare(workplace, [(user_id, "pro", number) for number, user_id in enumerate(ids)])
    first = write(workplace)
    assert (first.code, items(first)) == (0, {"total": 250, "done": 249, "skipped": 1})
    # GET /instance, three reads of a hundred, and the writes.
    assert first.json["requests"] == 1 + 3 + 249
    after = users(clerk)
    assert after[1]["public_metadata"] == {"plan": "pro", "seats": 1, "other": "stays"}
    assert [user["public_metadata"]["seats"] for user in after] == list(range(250))
    second = write(workplace)
    assert items(second) == {"total": 250, "skipped": 250}
    assert second.json["run"] != first.json["run"]
    # Whose instance it is, is known by now.
    assert second.json["requests"] == 3
    assert clerk.report()["throttled"] == 0
    assert writes(clerk) == dict.fromkeys(ids[1:], 1)


def test_users_are_matched_and_rows_of_one_are_folded_in_their_order(start: Any) -> None:
    workplace, clerk = start("--users=120")
    first, other = "first@example.com", "other@example.com"
    twice = clerk.perform("POST", "/users", {"email_address": [first, other]})["id"]
    people = [user for user in users(clerk) if user["id"] != twice]
    second = people[1]["email_addresses"][0]["email_address"]
    job = JOB.replace('id: "{user_id}"', 'match: {email_address: "{email}"}')
    filler = [(person["email_addresses"][0]["email_address"], "free", 1) for person in [people[0], *people[2:]]]
    rows = [
        (first, "free", 1),
        (second.upper(), "team", 2),
        *filler,
        (other, "pro", 7),
        ("nobody@example.com", "pro", 1),
    ]
    prepare(workplace, rows, job, "email,plan,seats")
    ended = write(workplace)
    assert (ended.code, items(ended)) == (1, {"total": 123, "done": 122, "failed": 1})
    assert codes(workplace, ended.json["run"]) == {"124": "not_found"}
    metadata = {user["id"]: user["public_metadata"] for user in users(clerk)}
    assert metadata[twice] == {"plan": "pro", "seats": 7}
    assert metadata[people[1]["id"]]["plan"] == "team"
    assert set(writes(clerk).values()) == {1}


def test_replace_leaves_nothing_else_in_a_kind_and_does_not_touch_the_others(start: Any) -> None:
    workplace, clerk = start("--users=3")
    ids = [user["id"] for user in users(clerk)]
    seed(clerk, ids[0], public_metadata={"gone": {"a": 1}}, private_metadata={"stays": 1}, unsafe_metadata={"u": 1})
    job = JOB.replace(", old: null}", "}\nmode: replace")
    prepare(workplace, [(user_id, "pro", 3) for user_id in ids], job)
    assert items(write(workplace)) == {"total": 3, "done": 3}
    found = users(clerk)[0]
    assert found["public_metadata"] == {"plan": "pro", "seats": 3}
    assert (found["private_metadata"], found["unsafe_metadata"]) == ({"stays": 1}, {"u": 1})
    assert clerk.report()["requests"]["PUT /users/{user_id}/metadata"] == {"200": 3}
    assert items(write(workplace)) == {"total": 3, "skipped": 3}


def test_a_field_that_would_be_too_large_fails_in_the_plan(start: Any) -> None:
    workplace, clerk = start("--users=2")
    ids = [user["id"] for user in users(clerk)]
    seed(clerk, ids[0], public_metadata={"filler": "x" * 8150})
    prepare(workplace, [(user_id, "a longer plan than fits", 1) for user_id in ids])
    plan = workplace.run("plan", "job.yaml", "--json")
    assert plan.code == 1
    assert [problem["code"] for problem in plan.json["problems"]] == ["metadata_too_large"]
    assert plan.json["calls"] == {"user": 1, "instance": 1}
    assert items(plan) == {"total": 2, "failed": 1, "pending": 1}
    assert items(write(workplace)) == {"total": 2, "done": 1, "failed": 1}
    assert writes(clerk) == {ids[1]: 1}
    told = "keep less in this kind of metadata"
    assert told in workplace.run("runs", "show", "last").out
    assert told in workplace.run("run", "job.yaml", "--yes").out


def test_organizations_and_memberships_too(start: Any) -> None:
    workplace, clerk = start("--users=30", "--organizations=4", "--members=5")
    organizations = [one["id"] for one in clerk.perform("GET", "/organizations?limit=10")["data"]]
    job = JOB.replace("target: users", "target: organizations").replace("{user_id}", "{org}")
    prepare(workplace, [(one, "team", 9) for one in [*organizations, "org_nowhere"]], job, "org,plan,seats")
    ended = write(workplace)
    assert items(ended) == {"total": 5, "done": 4, "failed": 1}
    found = clerk.perform("GET", "/organizations?limit=10")["data"]
    assert {one["public_metadata"]["plan"] for one in found} == {"team"}
    members = [
        (one, each["public_user_data"]["user_id"])
        for one in organizations
        for each in clerk.perform("GET", f"/organizations/{one}/memberships?limit=10")["data"]
    ]
    clerk.perform(
        "PATCH",
        f"/organizations/{members[0][0]}/memberships/{members[0][1]}/metadata",
        {"public_metadata": {"x": {"y": 1}}},
    )
    job = JOB.replace("target: users", "target: memberships\nmode: replace").replace(", old: null", "")
    job = job.replace('id: "{user_id}"', 'id: {organization_id: "{org}", user_id: "{user_id}"}')
    prepare(workplace, [(*member, "desk", 1) for member in members], job, "org,user_id,plan,seats")
    ended = write(workplace)
    assert items(ended) == {"total": 20, "done": 20}, ended.err
    first = clerk.perform("GET", f"/organizations/{members[0][0]}/memberships?limit=10")["data"]
    assert {json.dumps(one["public_metadata"], sort_keys=True) for one in first} == {'{"plan": "desk", "seats": 1}'}
    assert items(write(workplace)) == {"total": 20, "skipped": 20}


def test_lost_answers_are_repeated_and_end_as_they_should(start: Any) -> None:
    workplace, clerk = start(
        "--users=60", "--fail=PATCH *:500:15%", "--fail=PATCH *:drop-after-effect:10%", "--fail=GET *:503:10%"
    )
    ids = [user["id"] for user in users(clerk)]
    prepare(workplace, [(user_id, "pro", 1) for user_id in ids])
    ended = write(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 60, "done": 60}), ended.err
    assert {user["public_metadata"]["plan"] for user in users(clerk)} == {"pro"}


def test_a_killed_run_goes_on_and_compares_what_it_does_not_know(start: Any) -> None:
    workplace, clerk = start("--users=200", "--latency=0.3s", key="sk_test_tests")
    ids = [user["id"] for user in users(clerk)]
    prepare(workplace, [(user_id, "pro", number) for number, user_id in enumerate(ids)])
    process = workplace.start("run", "job.yaml", "--yes", "--json")
    while not writes(clerk) and process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with closing(sqlite3.connect(workplace.only_run() / "run.db")) as db:
        assert db.execute("SELECT count(*) FROM item WHERE state = 1").fetchone()[0]
    ended = write(workplace)
    assert ended.code == 0, ended.err
    assert ended.json["items"]["done"] + ended.json["items"]["skipped"] == 200
    assert [user["public_metadata"]["seats"] for user in users(clerk)] == list(range(200))


def test_what_somebody_else_wrote_after_a_crash_is_not_overwritten(start: Any) -> None:
    workplace, clerk = start("--users=2")
    ids = [user["id"] for user in users(clerk)]
    prepare(workplace, [(user_id, "pro", 1) for user_id in ids])
    clerk.perform("PUT", f"/users/{ids[0]}/metadata", {"public_metadata": {"plan": "free"}})
    # A plan's look alone would not make a run: the journal is brought to where a crash in mid-flight leaves it.
    first = workplace.run("run", "job.yaml", "--json")
    assert first.code == 3
    ended = write(workplace)
    assert ended.code == 0
    run = workplace.only_run()
    with closing(sqlite3.connect(run / "run.db")) as db, db:
        now_ms = int(time.time() * 1000)
        begin = "INSERT INTO attempt(operation, items, intent_ms, server_ms) VALUES (1, 1, ?, ?)"
        for seq in (1, 2):
            attempt = db.execute(begin, (now_ms, now_ms)).lastrowid
            db.execute("UPDATE item SET state = 1, attempt = ? WHERE seq = ?", (attempt, seq))
        db.execute("""UPDATE meta SET value = '"running"' WHERE name = 'state'""")
    clerk.perform("PUT", f"/users/{ids[0]}/metadata", {"public_metadata": {"plan": "enterprise"}})
    again = write(workplace)
    assert items(again) == {"total": 2, "done": 1, "unresolved": 1}
    assert codes(workplace, run.name) == {"2": "changed_meanwhile"}
    assert users(clerk)[0]["public_metadata"] == {"plan": "enterprise"}
    answered = workplace.run("resume", "last", "--yes", "--json", "--on-unresolved=retry")
    assert items(answered) == {"total": 2, "done": 2}
    assert users(clerk)[0]["public_metadata"]["plan"] == "pro"


def undo(workplace: Workplace, *more: str) -> Ended:
    return workplace.run("undo", "last", "--yes", "--json", *more)


def test_an_undo_restores_the_start_exactly(start: Any) -> None:
    workplace, clerk = start("--users=30", "--organizations=2", "--members=3")
    ids = [user["id"] for user in users(clerk)]
    seed(clerk, ids[0], public_metadata={"plan": {"name": "old", "tags": [1, 1.0, True]}, "old": {"deep": [None]}})
    seed(clerk, ids[1], public_metadata={"plan": "pro", "seats": 1.0})
    seed(clerk, ids[2], public_metadata={"plan": "pro", "seats": 1})
    before = [user["public_metadata"] for user in users(clerk)]
    prepare(workplace, [(user_id, "pro", 1) for user_id in ids])
    assert items(write(workplace)) == {"total": 30, "done": 29, "skipped": 1}
    assert users(clerk)[0]["public_metadata"] == {"plan": "pro", "seats": 1}
    ended = undo(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 29, "done": 29}), ended.err
    assert json.dumps([user["public_metadata"] for user in users(clerk)]) == json.dumps(before)
    assert ended.json["kind"] == "undo"
    # Once more there is nothing to do, and the undo itself can be taken back.
    parent = ended.json["parent"]
    assert items(workplace.run("undo", parent, "--yes", "--json")) == {"total": 29, "skipped": 29}
    assert items(workplace.run("undo", ended.json["run"], "--yes", "--json")) == {"total": 29, "done": 29}
    assert users(clerk)[0]["public_metadata"] == {"plan": "pro", "seats": 1}


def test_an_undo_leaves_what_somebody_else_changed_and_says_so(start: Any) -> None:
    workplace, clerk = start("--users=3")
    ids = [user["id"] for user in users(clerk)]
    seed(clerk, ids[2], public_metadata={"plan": {"null": None}})
    before = [user["public_metadata"] for user in users(clerk)]
    prepare(workplace, [(user_id, "team", 1) for user_id in ids])
    assert items(write(workplace)) == {"total": 3, "done": 3}
    seed(clerk, ids[0], public_metadata={"plan": "enterprise", "seats": 1, "new": True})
    ended = undo(workplace)
    assert (ended.code, items(ended)) == (1, {"total": 3, "done": 1, "failed": 2})
    assert sorted(codes(workplace, ended.json["run"]).values()) == ["conflict", "not_restorable"]
    found = [user["public_metadata"] for user in users(clerk)]
    assert found == [{"plan": "enterprise", "new": True}, before[1], {"plan": "team"}]
    forced = workplace.run("undo", ended.json["parent"], "--yes", "--json", "--force")
    assert items(forced) == {"total": 3, "done": 1, "skipped": 1, "failed": 1}
    assert users(clerk)[0]["public_metadata"] == {"plan": before[0]["plan"], "new": True}


def test_a_membership_and_an_interrupted_undo(start: Any) -> None:
    workplace, clerk = start("--users=120", "--organizations=1", "--members=100", "--latency=0.3s", key="sk_test_tests")
    (organization,) = [one["id"] for one in clerk.perform("GET", "/organizations?limit=10")["data"]]

    def metadata() -> dict[str, Any]:
        rows = clerk.perform("GET", f"/organizations/{organization}/memberships?limit=500")["data"]
        return {row["public_user_data"]["user_id"]: row["public_metadata"] for row in rows}

    before = metadata()
    job = JOB.replace("target: users", "target: memberships").replace("instance", "x")
    job = job.replace('id: "{user_id}"', f'id: {{organization_id: {organization}, user_id: "{{user_id}}"}}')
    prepare(workplace, [(user_id, "pro", 1) for user_id in before], job)
    assert items(write(workplace)) == {"total": 100, "done": 100}
    written = len(writes(clerk, "UpdateOrganizationMembershipMetadata"))
    process = workplace.start("undo", "last", "--yes", "--json")

    def again() -> int:
        return sum(writes(clerk, "UpdateOrganizationMembershipMetadata").values())

    while again() == written and process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ended = workplace.run("resume", "last", "--yes", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["items"]["total"] == 100
    assert metadata() == before


def test_what_cannot_be_taken_back_says_so(start: Any) -> None:
    workplace, clerk = start("--users=1")
    ids = [user["id"] for user in users(clerk)]
    prepare(workplace, [(user_id, "pro", 1) for user_id in ids], JOB + "undo: false\n")
    shown = workplace.run("plan", "job.yaml")
    assert "undo: false, so it cannot be taken back" in shown.out
    assert write(workplace).code == 0
    ended = undo(workplace)
    assert (ended.code, ended.json["error"]["code"]) == (2, "no_undo")
    job = 'name: o\nkind: operation\noperation: BanUser\nsource: rows.csv\npath: {user_id: "{user_id}"}\n'
    workplace.write("job.yaml", job)
    assert write(workplace).code == 0
    assert undo(workplace).json["error"]["code"] == "no_undo"


def begun(workplace: Workplace, clerk: SimulatedClerk, least: int) -> subprocess.Popen[str]:
    """A run that has written so often; the test ends it."""
    process = workplace.start("run", "job.yaml", "--yes", "--json")
    while sum(writes(clerk).values()) < least and process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
    assert process.poll() is None, process.communicate()
    return process


def test_an_input_that_changed_is_compared_anew_and_an_undo_still_knows_the_start(start: Any) -> None:
    workplace, clerk = start("--users=150", "--latency=0.3s", key="sk_test_tests")
    before = {user["id"]: user["public_metadata"] for user in users(clerk)}
    prepare(workplace, [(user_id, "pro", 1) for user_id in before])
    process = begun(workplace, clerk, 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    prepare(workplace, [(user_id, "team", 1) for user_id in list(before)[10:]])
    refused = write(workplace)
    assert (refused.code, refused.json["error"]["code"]) == (2, "run_differs")
    ended = write(workplace, "--accept-changes")
    assert (ended.code, ended.json["items"]["total"]) == (0, 140), ended.err
    plans = {user["id"]: user["public_metadata"].get("plan") for user in users(clerk)}
    assert {plans[user_id] for user_id in list(before)[10:]} == {"team"}
    undone = undo(workplace)
    assert undone.code == 0, undone.out
    assert {user["id"]: user["public_metadata"] for user in users(clerk)} == before


def test_an_interrupted_run_ends_its_calls_and_goes_on(start: Any) -> None:
    workplace, clerk = start("--users=150", "--latency=0.3s", key="sk_test_tests")
    ids = [user["id"] for user in users(clerk)]
    prepare(workplace, [(user_id, "pro", 1) for user_id in ids])
    process = begun(workplace, clerk, 5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    left = json.loads(out)["items"]
    assert left["pending"] > 0
    assert (left["unresolved"], left["failed"]) == (0, 0)
    assert left["done"] == len(writes(clerk))
    ended = write(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 150, "done": 150})
    assert set(writes(clerk).values()) == {1}


def test_a_run_leaves_when_its_operation_is_closed_for_long(start: Any) -> None:
    workplace, clerk = start("--users=20", "--fail=PATCH *:429:retry=600:first=1", key="sk_test_tests")
    prepare(workplace, [(user["id"], "pro", 1) for user in users(clerk)])
    ended = write(workplace, "--max-wait", "5s")
    assert (ended.code, ended.json["state"]) == (5, "waiting"), ended.err
    assert ended.json["items"]["pending"] + ended.json["items"]["done"] == 20
    assert ended.json["items"]["unresolved"] == 0


def test_what_fails_for_longer_than_a_repeat_may_take_is_read_again_before_it_is_sent_again(start: Any) -> None:
    workplace, clerk = start("--users=4", "--fail=PATCH *:500-before:first=60")
    ids = [user["id"] for user in users(clerk)]
    prepare(workplace, [(user_id, "pro", 1) for user_id in ids])
    ended = write(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 4, "done": 4}), ended.err
    with closing(sqlite3.connect(workplace.only_run() / "run.db")) as db:
        assert db.execute("SELECT max(doubts) FROM item").fetchone()[0] >= 1
    assert writes(clerk) == dict.fromkeys(ids, 1)


def test_rows_of_one_subject_count_once_against_the_limits_of_the_job(start: Any) -> None:
    workplace, clerk = start("--users=2")
    ids = [user["id"] for user in users(clerk)]
    prepare(workplace, [(ids[0], "pro", 1), (ids[0], "team", 2), (ids[1], "pro", 3)], JOB + "limits: {per_hour: 1}\n")
    ended = write(workplace, "--max-wait", "1s")
    assert (ended.code, items(ended)) == (5, {"total": 3, "done": 2, "pending": 1}), ended.err
    assert writes(clerk) == {ids[0]: 1}
    found = {user["id"]: user["public_metadata"] for user in users(clerk)}
    assert (found[ids[0]]["plan"], found[ids[0]]["seats"]) == ("team", 2)
