"""kill -9 within each step of a job with steps: it ends as the rows say, and nothing is done twice.

What a kill leaves open of a create cannot be asked in general: it ends as unresolved, and rows that refer to it fail.
Everything else is done exactly once, by the ids of whatever was created.
"""

from __future__ import annotations

import csv
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
    assert len({one["slug"] for one in found}) == len(found)
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

        # Organizations: at most one of each, one of each that is done, and an unresolved one may have happened.
        assert {row["status"] for row in rows["organizations"]} == {"done", "unresolved"}
        ids = {slug: row["id"] for slug, row in zip(slugs, rows["organizations"], strict=True)}
        done = {slug for slug, one in ids.items() if one}
        assert all(made[ids[slug]]["slug"] == slug for slug in done)
        # Memberships: those of organizations that are done, once; the others say what they lack.
        named = [line.strip().partition(",")[2] for line in people]
        assert [row["code"] == "reference_missing" for row in rows["memberships"]] == [
            *(slug not in done for slug in named),
            True,
        ]
        joined = sum(row["status"] in ("done", "unresolved") for row in rows["memberships"])
        members = sum(one["members_count"] for one in made.values())
        unresolved = sum(row["status"] == "unresolved" for row in rows["memberships"])
        assert joined - unresolved <= members == count(clerk, "memberships") <= joined
        # Metadata: every organization that is done has its own.
        assert {one["slug"]: one["public_metadata"] for one in made.values() if one["slug"] in done} == {
            slug: {"plan": f"plan {slug}"} for slug in done
        }
        assert [row["code"] for row in rows["metadata"]] == [
            "" if slug in done else "reference_missing" for slug in slugs
        ]
