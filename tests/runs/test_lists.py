"""Jobs that take their rows from a list: the command line as a process, against the simulator as another."""

from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest

from clerk_jobs.errors import JobFileError
from clerk_jobs.jobfile import load_job
from clerk_testing.commands import Ended, Workplace
from clerk_testing.simulated import SimulatedClerk

POLL_S = 0.05
BACKFILL = """\
name: plans
kind: metadata
target: users
list: users
public_metadata: {plan: '{user.public_metadata.plan|default:"free"|upper}', since: "{user.created_at|date}"}
"""
PHONES = """\
name: phones
kind: metadata
target: users
list: users
public_metadata: {phone: "{user.primary_phone_number_id?}"}
"""


def users(clerk: SimulatedClerk) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = clerk.perform("GET", "/users?limit=500&order_by=%2Bcreated_at")
    return found


def run(workplace: Workplace, *more: str) -> Ended:
    return workplace.run("run", "job.yaml", "--yes", "--json", *more)


def items(ended: Ended) -> dict[str, int]:
    assert ended.out, ended.err
    return {word: count for word, count in ended.json["items"].items() if count}


def results(ended: Ended) -> list[dict[str, str]]:
    with Path(ended.json["outputs"][0]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def seed(clerk: SimulatedClerk, user_id: str, **fields: Any) -> None:
    clerk.perform("PUT", f"/users/{user_id}/metadata", fields)


def test_a_backfill_over_a_list_with_expressions(start: Any) -> None:
    workplace, clerk = start("--users=120")
    known = users(clerk)
    seed(clerk, known[0]["id"], public_metadata={"plan": "pro", "kept": 1})
    workplace.write("job.yaml", BACKFILL)
    offline = workplace.run("plan", "job.yaml", "--offline")
    assert "how many rows there are is not known yet" in offline.out
    plan = workplace.run("plan", "job.yaml", "--json")
    assert (plan.code, items(plan)) == (0, {"total": 120, "pending": 120})
    assert clerk.effects("UpdateUserMetadata") == {}
    ended = run(workplace)
    assert (ended.code, items(ended)) == (0, {"total": 120, "done": 120})
    after = users(clerk)
    assert after[0]["public_metadata"].items() >= {"plan": "PRO", "kept": 1}.items()
    plans = [user["public_metadata"].get("plan", "free").upper() for user in known[1:]]
    assert [user["public_metadata"]["plan"] for user in after[1:]] == plans
    # In the order of the list, each with its id.
    assert [row["id"] for row in results(ended)] == [user["id"] for user in known]
    again = run(workplace)
    assert items(again) == {"total": 120, "skipped": 120}
    assert again.json["run"] != ended.json["run"]
    undone = workplace.run("undo", ended.json["run"], "--yes", "--json")
    assert items(undone) == {"total": 120, "done": 120}
    assert users(clerk)[0]["public_metadata"] == {"plan": "pro", "kept": 1}


def test_a_list_that_changes_a_tenth_costs_a_request_for_each_change_and_little_more(start: Any) -> None:
    """The bar of 11,100 requests for 100,000 users, a twentieth of its size: 555, and 1 % the second time."""
    workplace, clerk = start("--users=5000")
    with_phone = [user for user in _all_users(clerk) if user["primary_phone_number_id"]]
    for user in with_phone[500:]:
        seed(clerk, user["id"], public_metadata={"phone": user["primary_phone_number_id"]})
    workplace.write("job.yaml", PHONES)
    first = run(workplace)
    assert items(first) == {"total": 5000, "done": 500, "skipped": 4500}
    assert first.json["requests"] <= 555
    second = run(workplace)
    assert items(second) == {"total": 5000, "skipped": 5000}
    assert second.json["requests"] <= 50
    assert clerk.report()["throttled"] == 0


def _all_users(clerk: SimulatedClerk) -> list[dict[str, Any]]:
    pages = (clerk.perform("GET", f"/users?limit=500&offset={offset}") for offset in range(0, 5000, 500))
    return [user for page in pages for user in page]


def test_filters_choose_and_memberships_are_listed_too(start: Any) -> None:
    workplace, clerk = start("--users=40", "--organizations=3", "--members=4")
    for user in users(clerk)[:5]:
        clerk.perform("POST", f"/users/{user['id']}/ban")
    job = "name: b\nkind: operation\noperation: UnbanUser\nlist: users\nwhere: {banned: true}\n"
    workplace.write("job.yaml", job + 'path: {user_id: "{user.id}"}\n')
    ended = run(workplace)
    assert items(ended) == {"total": 5, "done": 5}
    assert not any(user["banned"] for user in users(clerk))
    # A run over a list begins anew each time; nobody is banned any more.
    assert (again := run(workplace)).json["run"] != ended.json["run"]
    assert (again.code, items(again)) == (0, {})
    job = "name: m\nkind: metadata\ntarget: memberships\nlist: organization_memberships\n"
    workplace.write("job.yaml", job + 'public_metadata: {was: "{organization_membership.role}"}\n')
    assert items(run(workplace)) == {"total": 12, "done": 12}
    assert items(run(workplace)) == {"total": 12, "skipped": 12}


def test_a_value_that_somebody_wrote_after_the_list_is_read_again_before_the_write(start: Any) -> None:
    """What the list showed only ever spares a write, and a list of yesterday not even that."""
    workplace, clerk = start("--users=3", "--latency=20ms")
    ids = [user["id"] for user in users(clerk)]
    export = "name: e\nkind: export\nlist: users\noutput: users.jsonl\n"
    workplace.write("export.yaml", export)
    assert workplace.run("run", "export.yaml").code == 0
    for user_id in ids:
        seed(clerk, user_id, public_metadata={"n": 2})
    workplace.write(
        "job.yaml",
        "name: f\nkind: metadata\ntarget: users\nlist: users\nsource: users.jsonl\npublic_metadata: {n: 2}\n",
    )
    assert items(run(workplace)) == {"total": 3, "skipped": 3}
    workplace.write(
        "job.yaml",
        "name: g\nkind: metadata\ntarget: users\nlist: users\nsource: users.jsonl\npublic_metadata: {n: null}\n",
    )
    # The export shows no n at all, so by it alone nothing would change.
    assert items(run(workplace)) == {"total": 3, "done": 3}


def test_a_killed_listing_goes_on_and_the_rows_stay_those_of_the_list(start: Any) -> None:
    workplace, clerk = start("--users=2000", "--latency=150ms")
    workplace.write("job.yaml", PHONES + "limits: {share: 0.01}\n")

    def asked(name: str) -> int:
        return sum(clerk.report()["requests"].get(name, {}).values())

    # Two kills while the list is walked, one while its rows are written.
    for name, more in (("GET /users", 2), ("GET /users", 4), ("PATCH /users/{user_id}/metadata", 5)):
        process, before = workplace.start("run", "job.yaml", "--yes", "--json", measured=False), asked(name)
        while asked(name) < before + more and process.poll() is None:
            with suppress(TimeoutExpired):
                process.wait(POLL_S)
        assert process.poll() is None
        process.kill()
        process.communicate()
    newcomer = clerk.perform("POST", "/users", {"email_address": ["late@example.com"]})["id"]
    ended = run(workplace, "--share=1.0")
    assert items(ended) == {"total": 2000, "done": 500, "skipped": 1500}
    # A write that the kill cut off may be repeated.
    assert {len(times) for times in clerk.effects("UpdateUserMetadata").values()} <= {1, 2}
    assert newcomer not in {row["id"] for row in results(ended)}
    assert len({row["id"] for row in results(ended)}) == 2000
    assert not (Path(ended.json["run_dir"]) / "spool").exists()
    assert items(run(workplace, "--share=1.0")) == {"total": 2001, "skipped": 2001}


def test_failed_objects_of_a_list_are_sent_again_as_they_were(start: Any) -> None:
    workplace, clerk = start("--users=4")
    gone, *_ = users(clerk)
    job = "name: l\nkind: operation\noperation: LockUser\nlist: users\nwhere: {query: user}\n"
    workplace.write("job.yaml", job + 'path: {user_id: "{user.external_id}"}\n')
    ended = run(workplace)
    found = items(ended)
    assert found["failed"] == 4
    failed = workplace.run("runs", "failed", ended.json["run"])
    assert gone["id"] in failed.out
    again = workplace.run("retry", ended.json["run"], "--yes", "--json")
    assert items(again) == {"total": 4, "failed": 4}
    assert again.json["parent"] == ended.json["run"]


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("list: userz", "did you mean users"),
        ("list: users\nwhere: {banne: true}", "did you mean banned"),
        ("list: users\nwhere: {limit: 5}", "is set by clerk-batch"),
        ("list: users\nsource: people.csv", "must be JSON Lines"),
        ("list: users\nsource: people.jsonl\nwhere: {banned: true}", "cannot filter objects that come from a file"),
        ("where: {banned: true}\nsource: people.csv", "filters a list, but the job has none"),
        ("name_of_nothing: 1", "source: is missing; name a file of rows"),
        ("list: organizations", "id: is missing; add id:, or list: users"),
        ('list: users\nprivate_metadata: {a: "{users.id}"}', "'users.id' is not a field of the listed user"),
        ('list: users\nprivate_metadata: {a: "{user.emial}"}', "'emial' is not a documented field"),
        ('list: users\nprivate_metadata: {a: "{public_metadata.a}"}', "write {user.public_metadata.a}"),
    ],
)
def test_faults_of_the_job_file_are_told_before_anything_is_sent(tmp_path: Path, job: str, said: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"name: n\nkind: metadata\ntarget: users\n{job}\npublic_metadata: {{a: 1}}\n", encoding="utf-8")
    with pytest.raises(JobFileError) as caught:
        load_job(path)
    assert said in str(caught.value)
