"""Answers after which no other call can succeed: each ends a run at once, whatever its kind, and it can be resumed."""

from __future__ import annotations

from typing import Any

import pytest

USERS = 60
APART = 12
"""Requests from one such answer to the next: more than the calls that are in flight when it comes."""
KINDS = {
    "operation": ("LockUser", "POST /users/*/lock", 'operation: LockUser\npath: {user_id: "{id}"}\n'),
    "metadata": (
        "UpdateUserMetadata",
        "PATCH /users/*/metadata",
        'target: users\nid: "{id}"\npublic_metadata: {plan: "{plan}"}\n',
    ),
}
ANSWERS = (
    ("401:code=authentication_invalid", 3, "check CLERK_SECRET_KEY"),
    ("402:code=subscription_required", 4, "raise the quota or switch the feature on"),
    ("403:code=user_quota_exceeded", 4, "raise the quota or switch the feature on"),
    ("400:code=api_version_invalid", 4, "set api_version in the job file"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fatal_answer_stops_the_run_at_once_and_it_can_be_resumed(start: Any, kind: str) -> None:
    operation, pattern, job = KINDS[kind]
    faults = [
        f"--fail={pattern}:{answer}:skip={2 + place * APART}:first=1" for place, (answer, _, _) in enumerate(ANSWERS)
    ]
    workplace, clerk = start(f"--users={USERS}", *faults, key="sk_test_tests")
    ids = [user["id"] for user in clerk.perform("GET", f"/users?limit={USERS}")]
    workplace.write("job.yaml", f"name: fatal\nkind: {kind}\nsource: rows.csv\n{job}")
    workplace.write("rows.csv", "id,plan\n" + "".join(f"{user},fatal\n" for user in ids))
    command = ("run", "job.yaml", "--yes", "--json")
    for place, (answer, code, hint) in enumerate(ANSWERS, 1):
        stopped = workplace.run(*command)
        assert (stopped.code, stopped.json["state"], stopped.json["exit"]) == (code, "stopped", code), stopped.err
        assert stopped.json["error"]["code"] == answer.partition("code=")[2]
        assert hint in stopped.json["error"]["hint"]
        items = {word: many for word, many in stopped.json["items"].items() if many}
        assert set(items) == {"total", "done", "pending"}, items
        assert items["pending"] >= USERS - place * APART
        command = ("resume", stopped.json["run"], "--yes", "--json")
    ended = workplace.run(*command)
    assert (ended.code, ended.json["items"]["done"]) == (0, USERS), ended.err
    # What was refused so had no effect, and what was done was not done again.
    assert {user: len(times) for user, times in clerk.effects(operation).items()} == dict.fromkeys(ids, 1)
