"""The kinds of job that are tortured: how each is prepared, and what must be true when it has ended.

A kind is one entry of `KINDS`. Its ``prepare`` writes the job and says what must be true of the simulator and of the
files at the end; what holds for every kind (one line a row, limits, modes, whole journals) is checked by the torture.
"""

from __future__ import annotations

import json
from collections import Counter

from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk
from clerk_testing.torture_compound import COMPOUND
from clerk_testing.torture_kind import (
    CALLING,
    DEVELOPMENT,
    ENDING,
    PLANNING,
    PRODUCTION,
    Kind,
    Prepared,
    effects,
    once,
    users,
)

__all__ = ["KINDS"]


def _invite(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    people = [f"person{number}@example.com" for number in range(60)]
    place.write("job.yaml", 'name: torture\nkind: invite\nsource: people.csv\nemail: "{email}"\n')
    # The last ones are there already: they are skipped.
    write_people(place.folder / "people.csv", [*people, *people[:3], "invited0@example.com"])

    def judge(ended: Ended) -> None:
        once(clerk, "CreateInvitation", people)
        assert (ended.code, ended.json["items"]["done"]) == (0, len(people)), ended.json

    return Prepared(("run", "job.yaml", "--yes", "--json"), len(people) + 4, judge)


def _metadata(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    before = users(clerk)
    job = 'name: torture\nkind: metadata\ntarget: users\nsource: rows.csv\nid: "{id}"\n'
    place.write("job.yaml", job + 'public_metadata: {plan: "{plan}", gone: null}\n')
    plans = {user: f"p{number % 3}" for number, user in enumerate(before)}
    place.write("rows.csv", "id,plan\n" + "".join(f"{user},{plan}\n" for user, plan in plans.items()))
    wanted = {
        user: {**{key: value for key, value in row["public_metadata"].items() if key != "gone"}, "plan": plans[user]}
        for user, row in before.items()
    }

    def judge(ended: Ended) -> None:
        differs = [user for user, row in users(clerk).items() if row["public_metadata"] != wanted[user]]
        assert not differs, f"not as the model says: {differs}"
        assert set(effects(clerk, "UpdateUserMetadata")) <= set(before)
        assert ended.code == 0, ended.json

    return Prepared(("run", "job.yaml", "--yes", "--json"), len(plans), judge)


def _deletions(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    leavers = list(users(clerk))[:40]
    place.write(
        "job.yaml", 'name: torture\nkind: operation\noperation: DeleteUser\nsource: rows.csv\npath: {user_id: "{id}"}\n'
    )
    place.write("rows.csv", "id\n" + "".join(f"{user}\n" for user in leavers))
    stay = set(users(clerk)) - set(leavers)

    def judge(ended: Ended) -> None:
        assert set(users(clerk)) == stay, "others were deleted"
        once(clerk, "DeleteUser", leavers)
        assert (ended.code, ended.json["items"]["done"]) == (0, len(leavers)), ended.json

    arguments = ("run", "job.yaml", "--yes", "--json", "--admin", "--confirm-count", str(len(leavers)))
    return Prepared(arguments, len(leavers), judge)


def _imports(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    """Users are made once; a lost answer is settled by their external id."""
    names = [f"old-{number}" for number in range(40)]
    job = (
        'name: torture\nkind: create-users\nsource: rows.csv\nexternal_id: "{id}"\nemail_address: "{id}@example.com"\n'
    )
    place.write("job.yaml", job + "mapping: ids.csv\n")
    # The last two are there already: they are mapped, and not made.
    place.write("rows.csv", "id\n" + "".join(f"{name}\n" for name in (*names, "ext-0", "ext-1")))

    def judge(ended: Ended) -> None:
        made = Counter(user["external_id"] for user in users(clerk).values())
        assert made == Counter([*names, *(f"ext-{number}" for number in range(5))]), made
        lines = (place.folder / "ids.csv").read_text(encoding="utf-8").splitlines()[1:]
        mapped = dict(line.split(",") for line in lines)
        wanted = {user["external_id"]: user["id"] for user in users(clerk).values()}
        assert mapped == {name: wanted[name] for name in (*names, "ext-0", "ext-1")}, "the mapping is not whole"
        assert len(lines) == len(mapped), "an old id is mapped twice"
        assert (ended.code, ended.json["items"]["done"]) == (0, len(names)), ended.json

    return Prepared(("run", "job.yaml", "--yes", "--json"), len(names) + 2, judge)


def _creates(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    """Calls that happen once and cannot be looked up: what a kill left in doubt stays unresolved, and is never sent."""
    names = [f"Team {number}" for number in range(30)]
    job = "name: torture\nkind: operation\noperation: POST /organizations\nsource: rows.csv\n"
    place.write("job.yaml", job + 'body: {name: "{name}"}\n')
    place.write("rows.csv", "name\n" + "".join(f"{name}\n" for name in names))

    def judge(ended: Ended) -> None:
        answer = clerk.perform("GET", "/organizations?limit=500")
        made = Counter(one["name"] for one in answer["data"])
        assert set(made) <= set(names), made
        assert set(made.values()) <= {1}, made
        items = ended.json["items"]
        assert items["done"] + items["unresolved"] == len(names), items
        # Whoever is done is there; of the unresolved ones some may not be.
        assert items["done"] <= len(made) <= items["done"] + items["unresolved"]
        assert ended.code == (1 if items["unresolved"] else 0), ended.json

    return Prepared(("run", "job.yaml", "--yes", "--json"), len(names), judge)


def _export(place: Workplace, clerk: SimulatedClerk) -> Prepared:
    job = "name: torture\nkind: export\nlist: users\noutput: users.jsonl\npage_size: 20\nlimits: {share: 0.9}\n"
    whole = Workplace(place.folder / "undisturbed", place.variables)
    for one in (whole, place):
        one.write("job.yaml", job)
    undisturbed = whole.run("run", "job.yaml", "--json")
    assert undisturbed.code == 0, undisturbed.err
    expected = (whole.folder / "users.jsonl").read_bytes()

    def judge(ended: Ended) -> None:
        assert (place.folder / "users.jsonl").read_bytes() == expected, "the export has other bytes"
        ids = [json.loads(line)["id"] for line in expected.splitlines()]
        assert len(set(ids)) == len(ids) == ended.json["items"]["done"] == ended.json["proof"]["rows"]
        assert not list(place.folder.glob(".*partial"))
        assert ended.code == 0, ended.json

    return Prepared(("run", "job.yaml", "--json"), None, judge)


KINDS = {
    "invite": Kind(
        simulator=(
            "--key=sk_live_torture",
            "--latency=20-60ms",
            "--invitations=1",
            "--duplicate-lag=600s",
            "--fail=POST /invitations*:drop-after-effect:5%",
        ),
        speed=40,
        steps=(*PLANNING, *CALLING, "in-reconcile", "before-settle", "after-settle", *ENDING),
        allowed=PRODUCTION,
        longest_s=4.0,
        prepare=_invite,
    ),
    "metadata": Kind(
        simulator=(
            "--key=sk_live_torture",
            "--latency=20-60ms",
            "--users=200",
            "--fail=PATCH *:drop-after-effect:2%",
            "--fail=PATCH *:500-before:2%",
        ),
        speed=60,
        steps=(*PLANNING, *CALLING, "before-settle", "after-settle", *ENDING),
        allowed=PRODUCTION,
        longest_s=2.0,
        prepare=_metadata,
    ),
    "deletions": Kind(
        simulator=(
            "--key=sk_live_torture",
            "--latency=20-60ms",
            "--users=60",
            "--fail=DELETE *:drop-after-effect:3%",
        ),
        speed=60,
        steps=(*PLANNING, *CALLING, *ENDING),
        allowed=PRODUCTION,
        longest_s=2.0,
        prepare=_deletions,
    ),
    "imports": Kind(
        simulator=(
            "--key=sk_live_torture",
            "--latency=20-60ms",
            "--users=5",
            "--fail=POST /users:drop-after-effect:3%",
        ),
        speed=60,
        steps=(*PLANNING, *CALLING, "in-reconcile", "before-settle", *ENDING),
        allowed=PRODUCTION,
        longest_s=2.0,
        prepare=_imports,
    ),
    "creates": Kind(
        simulator=("--key=sk_live_torture", "--latency=20-60ms"),
        speed=60,
        steps=(*PLANNING, *CALLING, "in-reconcile", *ENDING),
        allowed=PRODUCTION,
        longest_s=2.0,
        prepare=_creates,
    ),
    "export": Kind(
        simulator=("--key=sk_test_torture", "--users=1500", "--user-quota=2000", "--latency=20-60ms"),
        speed=20,
        steps=(
            "in-append",
            "before-sync",
            "before-positions",
            "after-positions",
            "in-tail",
            "before-recovered",
            "after-recovered",
            "before-output",
            "before-rename",
            "after-rename",
            "in-ledger",
        ),
        allowed=DEVELOPMENT,
        longest_s=3.0,
        prepare=_export,
    ),
    **COMPOUND,
}
"""Every kind of job. A new one is one entry more: the short torture of CI and ``make torture`` take it up."""
