"""Jobs that create users, end to end: the command line as a process, against the simulator as another."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

from clerk_testing.commands import Ended, Workplace
from clerk_testing.simulated import SimulatedClerk

JOB = """\
name: import
kind: create-users
source: rows.csv
external_id: "{id}"
email_address: "{email}"
first_name: "{first?}"
public_metadata: {plan: "{plan?}"}
mapping: ids.csv
"""
HEADER = "id,email,first,plan"


def rows(workplace: Workplace, *lines: str, header: str = HEADER) -> None:
    workplace.write("rows.csv", "\n".join((header, *lines, "")))


def call(workplace: Workplace, *more: str) -> Ended:
    return workplace.run("run", "job.yaml", "--yes", "--json", *more)


def items(ended: Ended) -> dict[str, int]:
    assert ended.out, ended.err
    return {word: count for word, count in ended.json["items"].items() if count}


def codes(ended: Ended) -> list[str]:
    with Path(ended.json["outputs"][0]).open(encoding="utf-8", newline="") as file:
        return [row["code"] for row in csv.DictReader(file)]


def people(clerk: SimulatedClerk) -> dict[str, dict[str, Any]]:
    return {user["external_id"]: user for user in clerk.perform("GET", "/users?limit=500")}


def mapping(workplace: Workplace) -> dict[str, str]:
    path = workplace.folder / "ids.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["old_id", "new_id"]
    assert len({old for old, _ in lines}) == len(lines), "no old id stands there twice"
    return {line[0]: line[1] for line in lines}


def effects(clerk: SimulatedClerk, operation: str) -> int:
    return sum(map(len, clerk.effects(operation).values()))


def test_who_exists_is_found_first_and_the_mapping_has_everybody(start: Any) -> None:
    workplace, clerk = start("--users=4")
    there = people(clerk)
    workplace.write("job.yaml", JOB)
    rows(
        workplace,
        "ext-0,new@example.com,,",
        "a1,USER1@example.com,,",
        "a2,ada@example.com,Ada,pro",
        "a2,ada@example.com,Ada,pro",
        "a3,not an address,,",
        "a4,lin@example.com,Lin,",
    )
    clerk.perform("PATCH", f"/users/{there['ext-1']['id']}", {"external_id": ""})
    planned = workplace.run("plan", "job.yaml")
    assert "2 to create" in planned.out
    assert "each email_address arrives verified" in planned.out
    assert effects(clerk, "CreateUser") == 0
    ended = call(workplace)
    assert (ended.code, items(ended)) == (1, {"total": 6, "done": 2, "skipped": 3, "failed": 1}), ended.err
    assert codes(ended) == ["already_exists", "already_exists", "", "duplicate_row", "invalid_email", ""]
    now = people(clerk)
    assert mapping(workplace) == {
        "ext-0": there["ext-0"]["id"],
        "a1": there["ext-1"]["id"],
        "a2": now["a2"]["id"],
        "a4": now["a4"]["id"],
    }
    assert (now["a2"]["first_name"], now["a2"]["public_metadata"]) == ("Ada", {"plan": "pro"})
    assert ended.json["outputs"][2] == str(workplace.folder / "ids.csv")
    # A run of creates that is done is not repeated; with the mended row it is a new one that skips what is done.
    assert call(workplace).json["repeated"] is True
    (workplace.folder / "rows.csv").write_text(
        (workplace.folder / "rows.csv").read_text().replace("not an address", "eve@example.com")
    )
    again = call(workplace)
    assert (again.code, again.json["items"]["done"], effects(clerk, "CreateUser")) == (0, 1, 3), again.out
    assert mapping(workplace).keys() == {"ext-0", "a1", "a2", "a3", "a4"}


def test_on_existing_fail_and_identifiers_that_mean_somebody_else(start: Any) -> None:
    workplace, clerk = start("--users=4")
    workplace.write("job.yaml", JOB + "on_existing: fail\n")
    rows(workplace, "ext-0,new@example.com,,", "b1,user1@example.com,,", "ext-2,user3@example.com,,")
    ended = call(workplace)
    assert codes(ended) == ["already_exists", "other_external_id", "ambiguous_user"]
    assert effects(clerk, "CreateUser") == 0
    assert mapping(workplace) == {}


def test_lost_answers_are_looked_up_and_nobody_is_made_twice(start: Any) -> None:
    faults = ("drop-after-effect:every=4", "drop-before-effect:every=7", "500-before:every=11")
    workplace, clerk = start(*(f"--fail=POST /users:{fault}" for fault in faults))
    workplace.write("job.yaml", JOB)
    rows(workplace, *(f"a{number},p{number}@example.com,,x" for number in range(30)))
    ended = call(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 30, "done": 30}), ended.out
    assert effects(clerk, "CreateUser") == 30
    assert mapping(workplace) == {old: user["id"] for old, user in people(clerk).items()}


def test_by_address_alone_what_was_lost_is_found_by_its_fields(start: Any) -> None:
    workplace, clerk = start("--fail=POST /users:drop-after-effect:every=2")
    fields = 'email_address: "{email}"\nfirst_name: "{first}"\ncreated_at: "2019-01-02T03:04:05Z"\n'
    workplace.write("job.yaml", f"name: i\nkind: create-users\nsource: rows.csv\n{fields}")
    rows(workplace, *(f"p{number}@example.com,F{number}" for number in range(6)), header="email,first")
    ended = call(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 6, "done": 6}), ended.out
    assert "reconciled" in codes(ended)
    assert {user["created_at"] for user in clerk.perform("GET", "/users?limit=500")} == {1546398245000}


def test_the_plan_of_the_instance_stops_the_run_and_it_goes_on_later(start: Any) -> None:
    workplace, clerk = start("--user-quota=3", key="sk_test_tests")
    workplace.write("job.yaml", JOB)
    rows(workplace, *(f"a{number},p{number}@example.com,," for number in range(5)))
    ended = call(workplace)
    assert (ended.code, ended.json["state"], ended.json["error"]["code"]) == (4, "stopped", "user_quota_exceeded")
    assert ended.json["items"]["done"] == 3
    assert len(mapping(workplace)) == 3
    for user in people(clerk).values():
        clerk.perform("DELETE", f"/users/{user['id']}")
    again = workplace.run("resume", "last", "--yes", "--json")
    assert (again.code, items(again)) == (0, {"total": 5, "done": 5})


def test_a_mapping_that_is_not_ours_is_left_alone(start: Any) -> None:
    workplace, clerk = start()
    workplace.write("job.yaml", JOB)
    rows(workplace, "a1,ada@example.com,,")
    workplace.write("ids.csv", "old_id,new_id\nmine,1\n")
    ended = call(workplace)
    assert (ended.code, ended.json["error"]["code"]) == (2, "output_exists")
    assert (workplace.folder / "ids.csv").read_text() == "old_id,new_id\nmine,1\n"
    assert clerk.report()["requests"] == {}
    assert workplace.run("plan", "job.yaml").code == 2
    assert call(workplace, "--force").code == 0
    assert mapping(workplace).keys() == {"a1"}
    workplace.write("job.yaml", JOB.replace("ids.csv", "../ids.csv"))
    assert "is outside the job file's folder" in workplace.run("plan", "job.yaml").err


def test_existing_users_are_changed_where_they_differ_and_an_undo_puts_all_back(start: Any) -> None:
    workplace, clerk = start("--users=4")
    allowed = Workplace(workplace.folder, {**workplace.variables, "CLERK_BAPI_SCOPES": "write,delete"})
    before = people(clerk)
    same = before["ext-2"]
    clerk.perform("PATCH", f"/users/{before['ext-1']['id']}", {"first_name": None})
    before = people(clerk)
    workplace.write("job.yaml", JOB + 'on_existing: update\ntotp_secret: "{totp?}"\n')
    rows(
        workplace,
        "ext-0,user0@example.com,New,gold,secret",
        "ext-1,user1@example.com,Named,,",
        f"ext-2,user2@example.com,{same['first_name']},{same['public_metadata']['plan']},",
        "a1,ada@example.com,Ada,,",
        "a2,lin@example.com,Lin,,",
        header=HEADER + ",totp",
    )
    planned = workplace.run("plan", "job.yaml").out
    assert "2 exist and are updated" in planned
    assert "of existing users these are not changed: email_address, totp_secret" in planned
    ended = call(workplace)
    assert codes(ended) == ["updated", "updated", "unchanged", "", ""], ended.out
    after = people(clerk)
    assert after["ext-0"]["public_metadata"] == {**before["ext-0"]["public_metadata"], "plan": "gold"}
    assert (after["ext-0"]["first_name"], after["ext-0"]["totp_enabled"]) == ("New", False)
    assert len(mapping(workplace)) == 5
    clerk.perform("PATCH", f"/users/{after['ext-0']['id']}", {"first_name": "Theirs"})
    run = ended.json["run"]
    assert workplace.run("undo", run, "--yes", "--json").json["error"]["code"] == "scope_missing"
    refused = allowed.run("undo", run, "--yes", "--json", "--confirm-count", "5")
    assert (refused.code, refused.json["error"]["code"]) == (3, "confirmation_missing")
    assert "--confirm-count 2" in refused.json["error"]["hint"], "the users that are put back are not deleted"
    undone = allowed.run("undo", run, "--yes", "--json", "--confirm-count", "2")
    assert (undone.code, items(undone)) == (1, {"total": 4, "done": 3, "failed": 1}), undone.out
    assert "conflict" in codes(undone)
    now = people(clerk)
    assert set(now) == set(before)
    kept = ("first_name", "public_metadata", "external_id")
    assert [now["ext-1"][name] for name in kept] == [before["ext-1"][name] for name in kept]
    assert (now["ext-0"]["first_name"], now["ext-0"]["public_metadata"]) == (
        "Theirs",
        before["ext-0"]["public_metadata"],
    )


def test_no_secret_of_a_row_is_kept(start: Any) -> None:
    workplace, clerk = start("--fail=POST /users:drop-after-effect:every=2")
    workplace.write("job.yaml", JOB + 'password: "{plan}"\nskip_password_checks: "{first:bool}"\n')
    rows(workplace, *(f"a{number},p{number}@example.com,true,Secret-{number}-word" for number in range(4)))
    refused = "a9,p9@example.com,false,Secret"
    with (workplace.folder / "rows.csv").open("a") as file:
        file.write(f"{refused}\n")
    ended = call(workplace)
    assert items(ended) == {"total": 5, "done": 4, "failed": 1}, ended.out
    kept = [path for path in workplace.state.rglob("*") if path.is_file() and path.name != "failed.csv"]
    assert [path.name for path in kept if b"Secret" in path.read_bytes()] == []
    assert "Secret" not in ended.out + ended.err
    assert json.dumps(people(clerk)).count("Secret") == 4, "the plan holds it, and the simulator keeps no password"
