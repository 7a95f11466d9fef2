"""Jobs over any operation, end to end: the command line as a process, against the simulator as another."""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from clerk_testing.commands import Ended, Workplace
from clerk_testing.simulated import SimulatedClerk

POLL_S = 0.05
DELETE = """\
name: leavers
kind: operation
operation: DeleteUser
source: rows.csv
path: {user_id: "{user_id}"}
"""
CREATE = """\
name: teams
kind: operation
operation: POST /organizations
source: rows.csv
body: {name: "{name}", max_allowed_memberships: "{seats:int?}"}
"""


def ids_of(clerk: SimulatedClerk) -> list[str]:
    return [user["id"] for user in clerk.perform("GET", "/users?limit=500&order_by=%2Bcreated_at")]


def rows(workplace: Workplace, header: str, *lines: str) -> None:
    workplace.write("rows.csv", "\n".join((header, *lines, "")))


def call(workplace: Workplace, *more: str) -> Ended:
    return workplace.run("run", "job.yaml", "--yes", "--json", *more)


def items(ended: Ended) -> dict[str, int]:
    assert ended.out, ended.err
    return {word: count for word, count in ended.json["items"].items() if count}


def codes(ended: Ended) -> list[str]:
    with Path(ended.json["outputs"][0]).open(encoding="utf-8", newline="") as file:
        return [row["code"] for row in csv.DictReader(file)]


def effects(clerk: SimulatedClerk, operation: str) -> dict[str, int]:
    return {key: len(times) for key, times in clerk.effects(operation).items()}


def test_a_deletion_needs_its_scope_and_its_number(start: Any) -> None:
    workplace, clerk = start("--users=6")
    ids = ids_of(clerk)
    workplace.write("job.yaml", DELETE + f"protect: [{ids[0]}]\n")
    rows(workplace, "user_id", *ids[:4], ids[1], '""')
    assert call(workplace).json["error"]["code"] == "scope_missing"
    allowed = Workplace(workplace.folder, {**workplace.variables, "CLERK_BAPI_SCOPES": "write,delete"})
    plan = workplace.run("plan", "job.yaml")
    assert "destroys: all sessions of the user" in plan.out
    assert "DeleteUser will be called 3 times; this is irreversible" in plan.out
    for number in ((), ("--confirm-count", "4")):
        refused = call(allowed, *number)
        assert (refused.code, refused.json["error"]["code"]) == (3, "confirmation_missing")
        assert "--confirm-count 3" in refused.json["error"]["hint"]
    assert effects(clerk, "DeleteUser") == {}
    clerk.perform("DELETE", f"/users/{ids[3]}")
    ended = call(allowed, "--confirm-count", "3")
    # The protected one, the one that is there twice, and the row without an id.
    assert items(ended) == {"total": 6, "done": 3, "skipped": 2, "failed": 1}
    assert sorted(filter(None, codes(ended))) == ["already_absent", "call_refused", "duplicate_row", "protected"]
    assert set(ids_of(clerk)) == {ids[0], *ids[4:]}


def test_too_many_rows_are_refused_before_anything_is_sent(start: Any) -> None:
    workplace, clerk = start("--users=3")
    workplace.write("job.yaml", DELETE + "max_rows: 2\n")
    rows(workplace, "user_id", *ids_of(clerk))
    ended = call(workplace, "--admin", "--confirm-count", "3")
    assert (ended.code, ended.json["error"]["code"]) == (2, "too_many_rows")
    assert len(ids_of(clerk)) == 3


def test_a_create_happens_once_and_a_lost_answer_is_never_sent_again_by_itself(start: Any) -> None:
    workplace, clerk = start("--fail=POST /organizations:drop-after-effect:every=5")
    workplace.write("job.yaml", CREATE)
    rows(
        workplace,
        "name,seats",
        *(f"Team {number},{number % 3 or ''}" for number in range(20)),
        "Team 0,",
        "Team 99,many",
    )
    ended = call(workplace)
    found = items(ended)
    assert (ended.code, found["total"], found["skipped"], found["failed"]) == (1, 22, 1, 1)
    assert found["done"] + found["unresolved"] == 20
    assert found["unresolved"] >= 1
    assert sum(effects(clerk, "CreateOrganization").values()) == 20
    again = workplace.run("resume", "last", "--yes", "--json", "--on-unresolved=skip")
    assert "unresolved" not in items(again)
    assert sum(effects(clerk, "CreateOrganization").values()) == 20
    # A run of creates that is done is not repeated.
    assert call(workplace).json["repeated"] is True
    # With a changed file the plan says what a run will leave alone, and why.
    rows(workplace, "name,seats", *(f"Team {number},{number % 3 or ''}" for number in range(20)), "Team 100,")
    plan = workplace.run("plan", "job.yaml", "--json").json
    assert plan["items"] == {"total": 21, "done": 0, "skipped": 20, "failed": 0, "unresolved": 0, "pending": 1}
    assert [(one["status"], one["code"], one["rows"]) for one in plan["reasons"]] == [
        ("skipped", "done_in_earlier_run", found["done"]),
        ("skipped", "left_in_earlier_run", found["unresolved"]),
    ]
    shown = workplace.run("plan", "job.yaml").out
    assert f"  skipped    {found['done']} done_in_earlier_run: an earlier run of this job already did this row" in shown
    assert items(call(workplace)) == {"total": 21, "done": 1, "skipped": 20}
    assert sum(effects(clerk, "CreateOrganization").values()) == 21


def test_a_killed_deletion_goes_on_to_its_end(start: Any) -> None:
    workplace, clerk = start(
        "--users=120", "--latency=0.3s", "--fail=DELETE *:drop-after-effect:3%", key="sk_test_tests"
    )
    ids = ids_of(clerk)
    workplace.write("job.yaml", DELETE)
    rows(workplace, "user_id", *ids)
    arguments = ("run", "job.yaml", "--yes", "--json", "--admin", "--confirm-count", "120")
    process = workplace.start(*arguments)
    while not effects(clerk, "DeleteUser") and process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with closing(sqlite3.connect(workplace.only_run() / "run.db")) as db:
        assert db.execute("SELECT count(*) FROM item WHERE state = 0").fetchone()[0]
    ended = workplace.run(*arguments)
    assert (ended.code, items(ended)) == (0, {"total": 120, "done": 120}), ended.err
    assert ids_of(clerk) == []
    assert effects(clerk, "DeleteUser") == dict.fromkeys(ids, 1)


def test_other_operations_and_rows_that_contradict_each_other(start: Any) -> None:
    workplace, clerk = start("--users=4")
    ids = ids_of(clerk)
    job = 'name: names\nkind: operation\noperation: UpdateUser\nsource: rows.csv\npath: {user_id: "{id}"}\n'
    workplace.write("job.yaml", job + 'body: {first_name: "{name}"}\n')
    rows(workplace, "id,name", f"{ids[0]},Ada", f"{ids[1]},Grace", f"{ids[1]},Barbara", "user_nobody,Alan")
    ended = call(workplace)
    assert items(ended) == {"total": 4, "done": 1, "failed": 3}
    assert codes(ended) == ["", "conflicting_rows", "conflicting_rows", "resource_not_found"]
    assert "line 4 has the same key with other values" in (workplace.only_run() / "failed.csv").read_text()
    assert effects(clerk, "UpdateUser") == {ids[0]: 1}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (("DeleteUser", "DeleteUsr"), "did you mean DeleteUser"),
        (("DeleteUser", "GetUser"), "use kind: export"),
        (('{user_id: "{user_id}"}', '{usr_id: "{user_id}"}'), "did you mean user_id?"),
        (('{user_id: "{user_id}"}', '{user_id: "user_1"}'), "names no column"),
        (("path:", "body: {a: 1}\npath:"), "does not apply to DeleteUser"),
        (("DeleteUser", "CreateOrganization"), "body: is missing"),
        (("DeleteUser", "DELETE /users/{user_id}/nowhere"), "operation"),
    ],
)
def test_what_does_not_fit_the_operation_is_told_at_its_place(
    tmp_path: Any, changed: tuple[str, str], told: str
) -> None:
    workplace = Workplace(tmp_path, {"CLERK_SECRET_KEY": "sk_test_x"})
    workplace.write("job.yaml", DELETE.replace(*changed))
    rows(workplace, "user_id", "user_1")
    ended = workplace.run("plan", "job.yaml")
    assert ended.code == 2
    assert told in ended.err


def test_failed_rows_are_sent_again_once_the_cause_is_gone(start: Any) -> None:
    workplace, clerk = start("--users=4")
    ids = ids_of(clerk)
    (organization,) = [clerk.perform("POST", "/organizations", {"name": "Team", "slug": "team"})["id"]]
    workplace.write(
        "job.yaml",
        "name: members\nkind: operation\noperation: POST /organizations/{organization_id}/memberships\n"
        'source: {csv: rows.csv, delimiter: ";"}\n'
        'path: {organization_id: "{org}"}\nbody: {user_id: "{id}", role: "org:member"}\n',
    )
    rows(workplace, "org;id", *(f"{organization};{one}" for one in ids[:2]), f"later;{ids[2]}", "team;user_nobody")
    first = call(workplace)
    assert items(first) == {"total": 4, "done": 2, "failed": 2}
    clerk.perform("POST", "/organizations", {"name": "Later", "slug": "later"})
    again = workplace.run("retry", "last", "--yes", "--json")
    assert (again.code, items(again)) == (1, {"total": 2, "done": 1, "failed": 1}), again.err
    assert again.json["parent"] == first.json["run"]
    assert again.json["run"] != first.json["run"]
    none = workplace.run("retry", again.json["run"], "--code", "invalid_email", "--yes", "--json")
    assert (none.code, none.json["error"]["code"]) == (2, "no_rows")
    # What was done is not done again, whichever run is asked.
    assert sum(effects(clerk, "CreateOrganizationMembership").values()) == 3
    resumed = workplace.run("resume", again.json["run"], "--yes", "--json")
    assert resumed.json["repeated"] is True


BAN = """\
name: bans
kind: operation
operation: BanUser
source: rows.csv
path: {user_id: "{user_id}"}
"""


def test_fifty_are_banned_in_a_call_and_the_culprits_of_a_refused_one_alone(start: Any) -> None:
    workplace, clerk = start("--users=120")
    ids = ids_of(clerk)
    workplace.write("job.yaml", BAN)
    rows(workplace, "user_id", *ids[:60], "user_nowhere", *ids[60:])
    assert "BanUser for 121 rows, 50 in a call" in workplace.run("plan", "job.yaml").out
    ended = call(workplace)
    assert items(ended) == {"total": 121, "done": 120, "failed": 1}
    assert effects(clerk, "BanUser") == dict.fromkeys(ids, 1)
    requests = clerk.report()["requests"]
    assert sum(requests["POST /users/ban"].values()) == 3
    assert sum(requests["POST /users/{user_id}/ban"].values()) == 50
    workplace.write("job.yaml", BAN.replace("bans", "single").replace("BanUser", "UnbanUser") + "lanes: single\n")
    assert items(call(workplace))["done"] == 120
    assert clerk.report()["requests"].get("POST /users/unban") is None


def test_the_waitlist_takes_fifty_in_a_call_and_nobody_twice(start: Any) -> None:
    workplace, clerk = start("--fail=POST /waitlist_entries/bulk:drop-after-effect:every=3")
    job = "name: w\nkind: operation\noperation: CreateWaitlistEntry\nsource: rows.csv\n"
    workplace.write("job.yaml", job + 'body: {email_address: "{email}", notify: false}\n')
    people = [f"person{number}@example.com" for number in range(220)]
    rows(workplace, "email", *people)
    ended = call(workplace)
    assert items(ended) == {"total": 220, "done": 220}
    assert effects(clerk, "CreateWaitlistEntry") == dict.fromkeys(people, 1)
    assert set(clerk.report()["requests"]) >= {"POST /waitlist_entries/bulk", "GET /waitlist_entries"}


@pytest.mark.parametrize("fault", ["drop-after-effect", "drop-before-effect:first=12"])
def test_a_repeatable_call_without_an_answer_is_settled_by_what_is_there(start: Any, fault: str) -> None:
    """Answers are lost for longer than calls are repeated; then the object itself tells."""
    workplace, clerk = start("--users=3", f"--fail=POST /users/*/lock:{fault}")
    workplace.write("job.yaml", BAN.replace("BanUser", "LockUser"))
    rows(workplace, "user_id", *ids_of(clerk))
    ended = call(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 3, "done": 3})
    assert {user["locked"] for user in clerk.perform("GET", "/users?limit=10")} == {True}


def test_a_newer_write_of_somebody_else_is_not_overwritten(start: Any) -> None:
    workplace, clerk = start("--users=1", "--fail=PATCH /users/*:drop-before-effect")
    (user_id,) = ids_of(clerk)
    workplace.write("job.yaml", BAN.replace("BanUser", "UpdateUser") + 'body: {first_name: "Ours"}\n')
    rows(workplace, "user_id", user_id)
    process = workplace.start("run", "job.yaml", "--yes", "--json")
    while "PATCH /users/{user_id}" not in clerk.report()["requests"] and process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
    clerk.perform("PATCH", f"/users/{user_id}", {"first_name": "Theirs"})
    out, err = process.communicate(timeout=110)
    ended = Ended(process.returncode, out, err)
    assert (ended.code, items(ended), codes(ended)) == (1, {"total": 1, "unresolved": 1}, ["changed_meanwhile"])
    assert clerk.perform("GET", f"/users/{user_id}")["first_name"] == "Theirs"


def test_a_backup_is_whole_before_the_first_deletion_and_never_replaced(start: Any) -> None:
    workplace, clerk = start("--users=230")
    people = clerk.perform("GET", "/users?limit=500&order_by=%2Bcreated_at")
    workplace.write("job.yaml", DELETE + "backup: saved/leavers.jsonl\n")
    rows(workplace, "user_id", *(user["id"] for user in people), "user_nowhere")
    backup = workplace.folder / "saved" / "leavers.jsonl"
    plan = workplace.run("plan", "job.yaml")
    assert "backup: what the rows name is saved to saved/leavers.jsonl before the first call" in plan.out
    refused = call(workplace, "--admin", "--confirm-count=3")
    assert (refused.code, backup.exists()) == (3, False)
    ended = call(workplace, "--admin", "--confirm-count=231")
    assert (ended.code, items(ended)) == (0, {"total": 231, "done": 231})
    assert ended.json["outputs"][-1] == str(backup)
    assert backup.stat().st_mode & 0o777 == 0o600
    saved = {user["id"]: user for user in map(json.loads, backup.read_text(encoding="utf-8").splitlines())}
    assert saved == {user["id"]: user for user in people}
    assert ids_of(clerk) == []
    # 3 reads of a hundred, not one of each.
    assert clerk.report()["requests"]["GET /users"] == {"200": 3}
    rows(workplace, "user_id", "user_other")
    for command in (("plan", "job.yaml", "--json"), ("run", "job.yaml", "--json", "--admin", "--fresh")):
        again = workplace.run(*command)
        assert (again.code, again.json["error"]["code"]) == (2, "output_exists")
    assert len(backup.read_text(encoding="utf-8").splitlines()) == 230


def test_a_backup_that_a_kill_left_half_is_written_anew_before_anything_is_deleted(start: Any) -> None:
    workplace, clerk = start("--users=60", "--organizations=60", "--latency=30ms")
    ids = [one["id"] for one in clerk.perform("GET", "/organizations?limit=100")["data"]]
    job = DELETE.replace("DeleteUser", "DeleteOrganization").replace("user_id", "organization_id")
    workplace.write("job.yaml", job + "backup: saved.jsonl\n")
    rows(workplace, "organization_id", *ids)
    options = ("run", "job.yaml", "--yes", "--json", "--admin", "--confirm-count=60", "--share=0.05")
    ended = Ended(1, "", "")
    for kills in range(30):
        process = workplace.start(*options, measured=False)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.5 + 0.2 * kills)
        process.kill()
        out, err = process.communicate()
        ended = Ended(process.returncode, out, err)
        if process.returncode == 0:
            break
        gone = len(effects(clerk, "DeleteOrganization"))
        backup = workplace.folder / "saved.jsonl"
        saved = backup.read_bytes().splitlines() if backup.exists() else []
        # Whenever anything is gone the backup is there, with all of it.
        assert not gone or len(saved) == 60
        if gone:
            break
    if ended.code:
        # Not the job again: a run that was killed when all was done is done, and the next one would be a new one.
        ended = workplace.run("resume", "last", *options[2:])
    assert ended.code == 0, ended.out + ended.err
    assert items(ended)["done"] == 60
    saved = [json.loads(line)["id"] for line in (workplace.folder / "saved.jsonl").read_bytes().splitlines()]
    assert sorted(saved) == sorted(ids)
    assert not list(workplace.folder.glob(".saved*"))


def test_a_backup_of_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    rows(workplace, "id", "1")
    job = "name: b\nkind: operation\noperation: RevokeSignInToken\nsource: rows.csv\n"
    workplace.write("job.yaml", job + 'path: {sign_in_token_id: "{id}"}\nbackup: ../x.csv\n')
    ended = workplace.run("run", "job.yaml", "--json")
    assert ended.code == 2
    assert "is outside the job file" in ended.json["error"]["message"]
    ended = workplace.run("run", "job.yaml", "--json", "--set", "backup=x.jsonl")
    assert "Clerk has no operation that reads what RevokeSignInToken changes" in ended.json["error"]["message"]
