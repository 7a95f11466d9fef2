"""kill -9 within each step of a job with steps: it ends as the rows say, and nothing is done twice.

An organization with a slug is found again. What a kill leaves open of a create that cannot be asked ends as unresolved,
and rows that refer to it fail, until somebody decides. Everything else is done exactly once, by the ids of whatever was
created.
"""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

SPEED = "60"
ORGANIZATIONS = 60
MEMBERS = 2
POLL_S = 0.05
STEPS = {
    "organizations": "CreateOrganization",
    "memberships": "CreateOrganizationMembership",
    "metadata": "MergeOrganizationMetadata",
}
JOB = """\
name: onboarding
steps:
  - name: organizations
    kind: operation
    operation: CreateOrganization
    source: orgs.csv
    key: "{slug}"
    body: {name: "{slug}", slug: "{slug}"}
  - name: memberships
    kind: operation
    operation: CreateOrganizationMembership
    source: people.csv
    path: {organization_id: "{steps.organizations[org].id}"}
    body: {user_id: "{user_id}", role: org:member}
  - name: metadata
    kind: metadata
    target: organizations
    source: orgs.csv
    id: "{steps.organizations[slug].id}"
    public_metadata: {plan: "{plan}"}
"""


def count(clerk: SimulatedClerk, step: str) -> int:
    return sum(len(times) for times in clerk.effects(STEPS[step]).values())


def killed_in(workplace: Workplace, clerk: SimulatedClerk, step: str, *command: str) -> None:
    """Start a command and kill it once a step has had its first effects."""
    process = workplace.start(*command, measured=False)
    while count(clerk, step) < 5 and process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()


def results(outputs: list[str]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {step: [] for step in STEPS}
    with Path(outputs[0]).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["step"]].append(row)
    return found


def organizations_of(clerk: SimulatedClerk) -> dict[str, dict[str, Any]]:
    found = clerk.perform("GET", "/organizations?limit=500&include_members_count=true")["data"]
    return {one["id"]: one for one in found}


def test_a_run_that_is_killed_in_every_step_ends_as_its_rows_say(tmp_path: Path) -> None:
    options = ("--key=sk_test_steps", f"--speed={SPEED}", f"--users={ORGANIZATIONS * MEMBERS}", "--latency=0.2s")
    with simulated_clerk(*options, "--user-quota=1000") as clerk:
        given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED}
        workplace = Workplace(tmp_path, given)
        workplace.write("job.yaml", JOB)
        slugs = [f"org-{number}" for number in range(ORGANIZATIONS)]
        workplace.write("orgs.csv", "slug,plan\n" + "".join(f"{slug},plan {slug}\n" for slug in slugs))
        users = [user["id"] for user in clerk.perform("GET", "/users?limit=500&order_by=%2Bcreated_at")]
        # One row refers to an organization that is in no file.
        people = [f"{user},{slugs[number % ORGANIZATIONS]}\n" for number, user in enumerate(users)]
        workplace.write("people.csv", "user_id,org\n" + "".join(people) + f"{users[0]},org-none\n")
        command = ("run", "job.yaml", "--yes", "--json")
        for step in STEPS:
            killed_in(workplace, clerk, step, *command)
        ended = workplace.run(*command)
        assert ended.code == 1, ended.err
        assert ended.json["items"]["pending"] == 0
        rows = results(ended.json["outputs"])
        made = organizations_of(clerk)

        # Organizations: one of each, also of those whose answer the kill took.
        assert {row["status"] for row in rows["organizations"]} == {"done"}
        assert "reconciled" in {row["code"] for row in rows["organizations"]}
        ids = {slug: row["id"] for slug, row in zip(slugs, rows["organizations"], strict=True)}
        assert {slug: one["id"] for one in made.values() for slug in (one["slug"],)} == ids
        # Memberships: once, but for one whose organization there is not.
        codes = [row["code"] for row in rows["memberships"]]
        assert [code == "reference_missing" for code in codes] == [*(False for _ in people), True]
        joined = sum(row["status"] in ("done", "unresolved") for row in rows["memberships"])
        members = sum(one["members_count"] for one in made.values())
        unresolved = sum(row["status"] == "unresolved" for row in rows["memberships"])
        assert joined - unresolved <= members == count(clerk, "memberships") <= joined
        assert {one["slug"]: one["public_metadata"] for one in made.values()} == {
            slug: {"plan": f"plan {slug}"} for slug in slugs
        }
        assert {row["status"] for row in rows["metadata"]} == {"done"}


def test_what_somebody_decides_about_an_unresolved_row_reaches_those_that_wait_for_it(tmp_path: Path) -> None:
    count = 30
    with simulated_clerk("--key=sk_test_steps", f"--speed={SPEED}", f"--users={count}", "--latency=0.2s") as clerk:
        given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED}
        workplace = Workplace(tmp_path, given)
        users = [user["id"] for user in clerk.perform("GET", "/users?limit=500")]
        # Without a slug nobody can ask whether an organization was made.
        job = JOB.partition("  - name: metadata")[0].replace(', slug: "{slug}"}', "}")
        workplace.write("job.yaml", job)
        workplace.write("orgs.csv", "slug\n" + "".join(f"org {number}\n" for number in range(count)))
        people = "".join(f"{user},org {number}\n" for number, user in enumerate(users))
        workplace.write("people.csv", "user_id,org\n" + people)
        command = ("run", "job.yaml", "--yes", "--json")
        killed_in(workplace, clerk, "organizations", *command)
        ended = workplace.run(*command)
        assert ended.code == 1, ended.err
        open_rows = ended.json["steps"][0]["items"]["unresolved"]
        assert open_rows > 0
        assert ended.json["steps"][1]["items"]["failed"] == open_rows
        decide = ("resume", ended.json["run"], "--yes", "--json", "--on-unresolved")

        # Skipped, they bring no id: who refers to them stays failed, and says why. Played in a copy of the state.
        shutil.copytree(workplace.state, tmp_path / "copy")
        copy = Workplace(tmp_path, {**given, "CLERK_BATCH_HOME": str(tmp_path / "copy")})
        effects = count_of(clerk)
        skipped = copy.run(*decide, "skip")
        rows = results(skipped.json["outputs"])
        assert (skipped.code, skipped.json["steps"][0]["items"]["skipped"]) == (1, open_rows), skipped.err
        waiting = [row for row in rows["memberships"] if row["status"] == "failed"]
        assert len(waiting) == open_rows
        assert all("was skipped" in row["message"] for row in waiting)
        assert count_of(clerk) == effects

        # Sent again, they bring one, and who waits for it is sent, too.
        again = workplace.run(*decide, "retry")
        assert (again.code, again.json["items"]["done"]) == (0, 2 * count), again.out + again.err
        made = results(again.json["outputs"])["organizations"]
        members = organizations_of(clerk)
        assert [members[row["id"]]["members_count"] for row in made] == [1] * count
        assert count_of(clerk) == (effects[0] + open_rows, count)


def count_of(clerk: SimulatedClerk) -> tuple[int, int]:
    """Organizations and memberships that were ever made."""
    return count(clerk, "organizations"), count(clerk, "memberships")
