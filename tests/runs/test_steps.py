"""Jobs with steps, end to end: the command line as a process, against the simulator as another."""

from __future__ import annotations

import csv
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from clerk_testing.commands import Ended, Workplace
from clerk_testing.simulated import SimulatedClerk

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "steps"


def users_of(clerk: SimulatedClerk) -> list[str]:
    return [user["id"] for user in clerk.perform("GET", "/users?limit=500&order_by=%2Bcreated_at")]


def organizations_of(clerk: SimulatedClerk) -> dict[str, dict[str, Any]]:
    found = clerk.perform("GET", "/organizations?limit=500&include_members_count=true")["data"]
    return {one["slug"]: one for one in found}


def example(workplace: Workplace, clerk: SimulatedClerk) -> None:
    """The example's files, with users of this instance."""
    shutil.copytree(EXAMPLE, workplace.folder, dirs_exist_ok=True)
    lines = (EXAMPLE / "people.csv").read_text().splitlines()
    people = [f"{user},{line.partition(',')[2]}" for user, line in zip(users_of(clerk), lines[1:], strict=False)]
    workplace.write("people.csv", "\n".join((lines[0], *people, "")))


def call(workplace: Workplace, *arguments: str) -> Ended:
    return workplace.run(*arguments, "--yes", "--json")


def by_step(ended: Ended) -> dict[str, dict[str, int]]:
    assert ended.out, ended.err
    steps = ended.json["steps"]
    parts = [step["items"] for step in steps]
    assert ended.json["items"] == {word: sum(part[word] for part in parts) for word in parts[0]}
    return {step["name"]: {word: many for word, many in step["items"].items() if many} for step in steps}


def results(ended: Ended) -> list[dict[str, str]]:
    with Path(ended.json["outputs"][0]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def place(start: Any) -> tuple[Workplace, SimulatedClerk]:
    workplace, clerk = start("--users=6", key="sk_test_steps")
    example(workplace, clerk)
    return workplace, clerk


def test_the_example_creates_joins_and_describes_in_one_run(place: tuple[Workplace, SimulatedClerk]) -> None:
    workplace, clerk = place
    planned = workplace.run("plan", "onboarding.yaml", "--json")
    assert planned.code == 1, planned.err
    plan = planned.json
    assert [(step["name"], step["kind"], step["items"]["pending"]) for step in plan["steps"]] == [
        ("organizations", "operation", 3),
        ("memberships", "operation", 4),
        ("metadata", "metadata", 3),
    ]
    assert plan["calls"]["instance"] == sum(step["calls"]["instance"] for step in plan["steps"]) == 10
    assert plan["ends_s"] > 0
    (problem,) = plan["problems"]
    assert (problem["step"], problem["line"], problem["code"]) == ("memberships", 6, "reference_missing")
    shown = workplace.run("plan", "onboarding.yaml").out
    assert "step 2     memberships (operation): POST /organizations/{organization_id}/memberships" in shown
    assert "people.csv:6: reference_missing: the row of step organizations" in shown
    assert organizations_of(clerk) == {}

    ended = call(workplace, "run", "onboarding.yaml")
    assert ended.code == 1, ended.err
    assert by_step(ended) == {
        "organizations": {"total": 3, "done": 3},
        "memberships": {"total": 5, "done": 4, "failed": 1},
        "metadata": {"total": 3, "done": 3},
    }
    made = organizations_of(clerk)
    assert {slug: one["members_count"] for slug, one in made.items()} == {
        "analytical-engines": 2,
        "difference-and-sons": 1,
        "babbage-mill": 1,
    }
    assert made["babbage-mill"]["public_metadata"] == {"plan": "enterprise", "seats": 200}
    rows = results(ended)
    assert [row["step"] for row in rows] == ["organizations"] * 3 + ["memberships"] * 5 + ["metadata"] * 3
    assert [row["row"] for row in rows[3:8]] == ["1", "2", "3", "4", "5"]
    failed = workplace.run("runs", "failed", "last").out
    assert failed.splitlines()[0].startswith("user_id,org_slug,role,_status,_code")
    assert "bernoulli-numbers,org:member,failed,reference_missing" in failed
    # Done once, and the same command says so.
    assert call(workplace, "run", "onboarding.yaml").json["repeated"] is True


def test_what_failed_is_mended_and_fed_back_and_the_rest_is_not_done_again(
    place: tuple[Workplace, SimulatedClerk],
) -> None:
    workplace, clerk = place
    call(workplace, "run", "onboarding.yaml")
    mended = workplace.run("runs", "failed", "last", "--step", "memberships").out
    workplace.write("mended.csv", mended.replace("bernoulli-numbers", "babbage-mill"))
    ended = call(workplace, "run", "onboarding.yaml", "--set", "steps[1].source=mended.csv")
    assert ended.code == 0, ended.err
    # The metadata is there already, and reading tells so.
    assert by_step(ended) == {
        "organizations": {"total": 3, "skipped": 3},
        "memberships": {"total": 1, "done": 1},
        "metadata": {"total": 3, "skipped": 3},
    }
    assert organizations_of(clerk)["babbage-mill"]["members_count"] == 2
    assert sum(len(times) for times in clerk.effects("CreateOrganization").values()) == 3


def test_a_retry_finds_the_ids_of_the_run_that_it_does_again_in_part(start: Any) -> None:
    refused = "--fail=POST /organizations/*/memberships:422:code=form_param_format_invalid:first=2"
    workplace, clerk = start("--users=6", refused, key="sk_test_steps")
    example(workplace, clerk)
    first = call(workplace, "run", "onboarding.yaml")
    assert by_step(first)["memberships"] == {"total": 5, "done": 2, "failed": 3}, first.err
    again = call(workplace, "retry", "last", "--code", "form_param_format_invalid")
    assert again.code == 0, again.err
    assert by_step(again) == {"organizations": {}, "memberships": {"total": 2, "done": 2}, "metadata": {}}
    assert again.json["parent"] == first.json["run"]
    assert sum(one["members_count"] for one in organizations_of(clerk).values()) == 4


def test_an_undo_takes_back_the_steps_that_it_can_and_names_the_others(
    place: tuple[Workplace, SimulatedClerk],
) -> None:
    workplace, clerk = place
    ended = call(workplace, "run", "onboarding.yaml")
    undone = call(workplace, "undo", ended.json["run"])
    assert undone.code == 0, undone.err
    assert by_step(undone) == {"metadata": {"total": 3, "done": 3}}
    assert "stays as it is: step organizations: a run of kind operation cannot be taken back" in undone.err
    made = organizations_of(clerk)
    assert [one["public_metadata"] for one in made.values()] == [{}, {}, {}]


TWICE = """\
name: twice
steps:
  - name: first
    kind: metadata
    target: users
    source: rows.csv
    id: "{user_id}"
    public_metadata: {plan: "{plan}", step: one}
  - name: second
    kind: metadata
    target: users
    source: rows.csv
    id: "{user_id}"
    public_metadata: {step: two}
    private_metadata: {seats: "{seats:int}"}
"""


def test_two_steps_over_the_same_users_are_undone_to_what_was_before_both(start: Any) -> None:
    workplace, clerk = start("--users=3")
    ids = users_of(clerk)
    before = [clerk.perform("GET", f"/users/{user}") for user in ids]
    workplace.write("job.yaml", TWICE)
    workplace.write("rows.csv", "user_id,plan,seats\n" + "".join(f"{user},pro,3\n" for user in ids))
    ended = call(workplace, "run", "job.yaml")
    assert by_step(ended) == {name: {"total": 3, "done": 3} for name in ("first", "second")}, ended.err
    assert clerk.perform("GET", f"/users/{ids[0]}")["public_metadata"]["step"] == "two"
    undone = call(workplace, "undo", "last")
    assert list(by_step(undone)) == ["second", "first"]
    assert undone.code == 0, undone.err
    for user, was in zip(ids, before, strict=True):
        now = clerk.perform("GET", f"/users/{user}")
        assert [now[kind] for kind in ("public_metadata", "private_metadata")] == [
            was[kind] for kind in ("public_metadata", "private_metadata")
        ]
    # Steps that read before they write are simply done again.
    assert by_step(call(workplace, "run", "job.yaml")) == {
        name: {"total": 3, "done": 3} for name in ("first", "second")
    }


LEAVERS = """\
name: leavers
steps:
  - name: ban
    kind: operation
    operation: BanUser
    source: rows.csv
    path: {user_id: "{user_id}"}
  - name: delete
    kind: operation
    operation: DeleteUser
    source: rows.csv
    path: {user_id: "{user_id}"}
"""


def test_deletions_of_a_step_are_confirmed_by_their_number_before_anything_is_sent(start: Any) -> None:
    workplace, clerk = start("--users=3", CLERK_BAPI_SCOPES="write,delete")
    workplace.write("job.yaml", LEAVERS)
    workplace.write("rows.csv", "user_id\n" + "".join(f"{user}\n" for user in users_of(clerk)[:2]))
    refused = call(workplace, "run", "job.yaml", "--confirm-count", "4")
    assert (refused.code, refused.json["error"]["code"]) == (3, "confirmation_missing")
    assert "--confirm-count 2" in refused.json["error"]["hint"]
    assert clerk.effects("BanUser") == {}
    ended = call(workplace, "run", "job.yaml", "--confirm-count", "2")
    assert (ended.code, by_step(ended)["delete"]) == (0, {"total": 2, "done": 2}), ended.err
    assert len(users_of(clerk)) == 1


def test_rows_that_share_a_key_fail_before_anything_is_sent(place: tuple[Workplace, SimulatedClerk]) -> None:
    workplace, _ = place
    organizations = (EXAMPLE / "organizations.csv").read_text()
    workplace.write("organizations.csv", organizations + "Another,babbage-mill,free,1\n")
    plan = workplace.run("plan", "onboarding.yaml", "--offline", "--json").json
    problems = [(one["step"], one["line"], one["code"]) for one in plan["problems"]]
    assert problems[:2] == [("organizations", 4, "key_repeated"), ("organizations", 5, "key_repeated")]
    # Whoever refers to one of them fails with it.
    assert ("memberships", 5, "reference_missing") in problems


def test_a_changed_input_names_its_step_and_keeps_what_was_done(start: Any) -> None:
    workplace, clerk = start("--users=6", "--fail=POST /organizations/*/memberships:402:skip=2", key="sk_test_steps")
    example(workplace, clerk)
    stopped = call(workplace, "run", "onboarding.yaml")
    assert (stopped.code, stopped.json["state"]) == (4, "stopped"), stopped.err
    pending = by_step(stopped)["memberships"]["pending"]
    assert pending
    people = (workplace.folder / "people.csv").read_text()
    workplace.write("people.csv", people.replace("bernoulli-numbers", "babbage-mill"))
    refused = call(workplace, "run", "onboarding.yaml")
    assert (refused.code, refused.json["error"]["code"]) == (2, "run_differs")
    assert "the input of step memberships changed" in refused.json["error"]["message"]
    going_on = call(workplace, "run", "onboarding.yaml", "--accept-changes")
    # What was sent stays done: it is matched by its key, which holds the organization's id by now.
    assert by_step(going_on)["organizations"] == {"total": 3, "done": 3}, going_on.err
    assert by_step(going_on)["memberships"] == {"total": 5, "done": 2, "pending": 3}
    assert sum(len(times) for times in clerk.effects("CreateOrganization").values()) == 3


LISTING = """\
name: tidy
steps:
  - name: users
    kind: create-users
    source: rows.csv
    key: "{id}"
    external_id: "{id}"
    email_address: "{email}"
    public_metadata: {boss: "{boss?}"}
    mapping: ids.csv
  - name: metadata
    kind: metadata
    target: users
    list: users
    where: {query: new.example.com}
    errors: {stop_after: 1}
    public_metadata: {boss_id: "{steps.users[user.public_metadata.boss].id?}"}
  - name: bans
    kind: operation
    operation: BanUser
    list: users
    where: {query: new.example.com}
    backup: "before-{run}.jsonl"
    path: {user_id: "{user.id}"}
"""


def import_users(workplace: Workplace, count: int) -> None:
    rows = [f"x{n},p{n}@new.example.com,{f'x{n - 1}' if n else ''}\n" for n in range(count)]
    workplace.write("rows.csv", "id,email,boss\n" + "".join(rows))
    workplace.write("job.yaml", LISTING)


def test_later_steps_list_what_earlier_ones_made_and_save_it_first(start: Any) -> None:
    workplace, clerk = start("--users=5", key="sk_test_steps")
    import_users(workplace, 4)
    planned = workplace.run("plan", "job.yaml").out
    assert "time and calls leave out steps whose rows are not known yet: metadata, bans" in planned
    assert planned.count("the list is read when this step begins") == 2
    ended = call(workplace, "run", "job.yaml")
    assert ended.code == 0, ended.out + ended.err
    assert by_step(ended) == {
        "users": {"total": 4, "done": 4},
        # Who has no boss changes nothing.
        "metadata": {"total": 4, "done": 3, "skipped": 1},
        "bans": {"total": 4, "done": 4},
    }
    made = {user["external_id"]: user for user in clerk.perform("GET", "/users?limit=500&query=new.example.com")}
    assert [made[f"x{n}"]["public_metadata"].get("boss_id") for n in range(4)] == [
        None,
        *(made[f"x{n}"]["id"] for n in range(3)),
    ]
    assert all(user["banned"] for user in made.values())
    folder = workplace.folder
    with (folder / "ids.csv").open(encoding="utf-8", newline="") as file:
        assert [*csv.reader(file)] == [["old_id", "new_id"], *([key, made[key]["id"]] for key in sorted(made))]
    (backup,) = folder.glob("before-*.jsonl")
    saved = [orjson.loads(line) for line in backup.read_bytes().splitlines()]
    # What the steps before made of them, and not yet what this one makes.
    assert {one["id"]: (one["banned"], one["public_metadata"]) for one in saved} == {
        user["id"]: (False, user["public_metadata"]) for user in made.values()
    }
    assert {str(folder / "ids.csv"), str(backup)} <= set(ended.json["outputs"])


def test_a_step_stops_by_its_own_threshold_and_the_lists_after_it_are_not_read(start: Any) -> None:
    workplace, clerk = start("--users=5", "--fail=PATCH *:422:first=1", key="sk_test_steps")
    import_users(workplace, 3)
    ended = call(workplace, "run", "job.yaml")
    assert (ended.code, ended.json["error"]["code"]) == (4, "threshold"), ended.out
    assert by_step(ended)["bans"] == {}
    assert not clerk.effects("UsersBan")
    report = (Path(ended.json["run_dir"]) / "report.html").read_text()
    assert "Step metadata: 1 row" in report
    no_rows = workplace.run("runs", "failed", "last", "--step", "bans")
    assert (no_rows.code, "has no rows yet" in no_rows.err) == (2, True), no_rows.err
    gone_on = call(workplace, "resume", ended.json["run"])
    assert (gone_on.code, by_step(gone_on)["bans"]) == (1, {"total": 3, "done": 3}), gone_on.err
    (backup,) = workplace.folder.glob("before-*.jsonl")
    assert backup.read_bytes().count(b"\n") == 3
    # A retry does the failed rows alone: it lists nothing anew, saves nothing, and bans nobody.
    again = call(workplace, "retry", "last")
    assert (again.code, by_step(again)) == (0, {"users": {}, "metadata": {"total": 1, "done": 1}, "bans": {}})


def test_a_deletion_that_lists_is_the_first_step_and_is_counted(start: Any) -> None:
    workplace, clerk = start("--users=5", key="sk_test_steps", CLERK_BAPI_SCOPES="write,delete")
    workplace.write(
        "job.yaml",
        "name: gone\nsteps:\n"
        '  - {name: users, kind: operation, operation: DeleteUser, list: users, path: {user_id: "{user.id}"}}\n'
        '  - {name: rest, kind: metadata, target: users, list: users, public_metadata: {left: "{user.id}"}}\n',
    )
    assert call(workplace, "run", "job.yaml").code == 3
    ended = workplace.run("run", "job.yaml", "--yes", "--json", "--confirm-count", "5")
    assert (ended.code, by_step(ended)) == (0, {"users": {"total": 5, "done": 5}, "rest": {}}), ended.err
    assert users_of(clerk) == []


def test_the_plan_counts_what_the_steps_before_spend_of_an_hour(start: Any) -> None:
    """Either step alone fits into the hour's quotas; the second one finds them spent."""
    workplace, _ = start(CLERK_BATCH_SPEED="1")
    for name in ("one", "two"):
        workplace.write(f"{name}.csv", "email\n" + "".join(f"{name}{number}@example.com\n" for number in range(250)))
    steps = "".join(
        f"  - {{name: {name}, kind: invite, source: {name}.csv, email: '{{email}}'}}\n" for name in ("one", "two")
    )
    workplace.write("job.yaml", f"name: two\nsteps:\n{steps}")
    plan = workplace.run("plan", "job.yaml", "--offline", "--json").json
    begins, ends = (datetime.fromisoformat(plan["steps"][1][name]) for name in ("starts_at", "ends_at"))
    first = begins - datetime.fromisoformat(plan["starts_at"])
    assert first.total_seconds() < 600
    assert 3_000 < (ends - begins).total_seconds() < 3_700
    assert 3_000 < plan["ends_s"] < 4_300
