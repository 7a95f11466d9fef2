"""Torture of what stands on other jobs: a job with steps, and the undo of each kind that can be taken back."""

from __future__ import annotations

import json
from typing import Any

from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk
from clerk_testing.struck import check_results
from clerk_testing.torture_kind import CALLING, ENDING, PLANNING, PRODUCTION, Kind, Prepared, once, users

__all__ = ["COMPOUND"]

LISTING = ("in-append", "before-positions", "after-positions", "before-listed")
KEEPING = ("before-mapped", "before-backup", "after-backup")
RUN = ("run", "job.yaml", "--yes", "--json")
STEPS = """\
name: torture
steps:
  - name: users
    kind: create-users
    source: rows.csv
    key: "{id}"
    external_id: "{id}"
    email_address: "{id}@example.com"
    mapping: ids.csv
  - name: plans
    kind: metadata
    target: users
    list: users
    where: {query: "old-"}
    public_metadata: {plan: "{user.external_id}", self: "{steps.users[user.external_id].id}"}
  - name: leavers
    kind: operation
    operation: DeleteUser
    source: leavers.csv
    path: {user_id: "{steps.users[id].id}"}
    backup: "leavers-{run}.jsonl"
"""


def _steps(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    """Users are made, all of them are listed and described, and some are saved and deleted by the ids that they got."""
    names = [f"old-{number}" for number in range(24)]
    leavers = names[:10]
    place.write("job.yaml", STEPS)
    place.write("rows.csv", "id\n" + "".join(f"{name}\n" for name in names))
    place.write("leavers.csv", "id\n" + "".join(f"{name}\n" for name in leavers))

    def judge(ended: Ended) -> None:
        assert ended.code == 0, ended.json
        rows = {step["name"]: step["items"]["total"] for step in ended.json["steps"]}
        # A command that comes when the run is done begins another one, which lists those who are left.
        assert rows in [{"users": 24, "plans": listed, "leavers": 10} for listed in (24, 14)], rows
        check_results(ended, rows)
        lines = (place.folder / "ids.csv").read_text(encoding="utf-8").splitlines()[1:]
        ids = dict(line.split(",") for line in lines)
        assert (len(lines), set(ids)) == (len(names), set(names)), "the mapping is not whole"
        left = {user["external_id"]: user for user in users(clerk).values() if user["external_id"] in ids}
        assert {name: user["id"] for name, user in left.items()} == {name: ids[name] for name in names[10:]}
        once(clerk, "CreateUser", [*clerk.effects("CreateUser")])
        assert len(clerk.effects("CreateUser")) == len(names)
        once(clerk, "DeleteUser", [ids[name] for name in leavers])
        backups = place.folder.glob("leavers-*.jsonl")
        saved = [json.loads(line) for one in backups for line in one.read_bytes().splitlines()]
        assert sorted(one["id"] for one in saved) == sorted(ids[name] for name in leavers), "the backup is not whole"
        for user in (*left.values(), *saved):
            wanted = {"plan": user["external_id"], "self": user["id"]}
            assert user["public_metadata"].items() >= wanted.items(), user["public_metadata"]
        assert not list(place.folder.glob(".*partial"))

    return Prepared((*RUN, "--confirm-count", str(len(leavers))), None, judge)


def _done(place: Workplace, job: str, rows: str) -> dict[str, Any]:
    """Run a job undisturbed; what it printed."""
    place.write("job.yaml", f"name: torture\nsource: rows.csv\n{job}")
    place.write("rows.csv", rows)
    ended = place.run(*RUN, measured=False)
    assert ended.code == 0, ended.out + ended.err
    return ended.json


def _undo_metadata(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    before = users(clerk)
    rows = "".join(f"{user},p{number % 3}\n" for number, user in enumerate(before))
    job = 'kind: metadata\ntarget: users\nid: "{id}"\npublic_metadata: {plan: "{plan}", role: null}\n'
    done = _done(place, job, f"id,plan\n{rows}")
    assert done["items"]["done"] == len(before)

    def judge(ended: Ended) -> None:
        now = {user: row["public_metadata"] for user, row in users(clerk).items()}
        differs = [user for user, row in before.items() if now[user] != row["public_metadata"]]
        assert not differs, f"not as it was: {differs}"
        assert ended.code == 0, ended.json

    return Prepared(("undo", done["run"], "--yes", "--json"), len(before), judge)


def _undo_imports(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    """Those who were created are deleted; an existing user, who was changed, is put back."""
    before = users(clerk)
    names = [f"new-{number}" for number in range(25)]
    job = 'kind: create-users\non_existing: update\nexternal_id: "{id}"\nemail_address: "{mail}"\nfirst_name: "{id}"\n'
    rows = [f"{name},{name}@example.com\n" for name in names]
    known = next(iter(before.values()))
    rows.append(f"{known['external_id']},{known['email_addresses'][0]['email_address']}\n")
    done = _done(place, job, "id,mail\n" + "".join(rows))
    made = [user for user in users(clerk) if user not in before]
    assert len(made) == len(names)

    def judge(ended: Ended) -> None:
        now = {user: row["first_name"] for user, row in users(clerk).items()}
        assert now == {user: row["first_name"] for user, row in before.items()}, "not as it was"
        once(clerk, "DeleteUser", made)
        assert ended.code == 0, ended.json

    arguments = ("undo", done["run"], "--yes", "--json", "--confirm-count", str(len(names)))
    return Prepared(arguments, len(names) + 1, judge)


def _undo_invitations(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    people = [f"person{number}@example.com" for number in range(30)]
    write_people(place.folder / "rows.csv", people)
    rows = (place.folder / "rows.csv").read_text(encoding="utf-8")
    done = _done(place, 'kind: invite\nemail: "{email}"\n', rows)

    def judge(ended: Ended) -> None:
        once(clerk, "CreateInvitation", people)
        revoked = clerk.perform("GET", "/invitations?status=revoked&limit=500")
        assert sorted(one["email_address"] for one in revoked) == sorted(people), "not all of them are revoked"
        assert ended.code == 0, ended.json

    return Prepared(("undo", done["run"], "--yes", "--json"), len(people), judge)


def _kind(prepare: Any, simulator: tuple[str, ...], *steps: str) -> Kind:
    return Kind(
        simulator=("--key=sk_live_torture", "--latency=20-60ms", *simulator),
        speed=60,
        steps=(*steps, *PLANNING, *CALLING, "before-settle", *ENDING),
        allowed=PRODUCTION,
        longest_s=3.0,
        prepare=prepare,
    )


COMPOUND = {
    "steps": _kind(
        _steps,
        ("--users=5", "--fail=POST /users:drop-after-effect:3%", "--fail=PATCH *:500-before:2%"),
        *KEEPING,
        *LISTING,
        "in-reconcile",
    ),
    "undo-metadata": _kind(_undo_metadata, ("--users=80", "--fail=PATCH *:drop-after-effect:3%")),
    "undo-imports": _kind(_undo_imports, ("--users=5", "--fail=DELETE *:drop-after-effect:3%")),
    "undo-invitations": _kind(_undo_invitations, ("--fail=POST *revoke:drop-after-effect:3%",)),
}
"""By name; see `clerk_testing.torture_kinds.KINDS`."""
