"""`runs prune`: what is not needed goes, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

EXPORT = "name: all\nkind: export\nlist: users\noutput: users-{run}.jsonl\n"
INVITE = "name: beta\nkind: invite\nsource: people.csv\nemail: '{email}'\n"


@pytest.fixture(scope="module")
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk("--key=sk_live_prune", "--speed=60", "--users=3") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    workplace = Workplace(tmp_path, {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": "60"})
    workplace.write("export.yaml", EXPORT)
    workplace.write("invite.yaml", INVITE)
    return workplace


def ran(place: Workplace, job: str) -> str:
    ended = place.run("run", job, "--yes", "--json", "--fresh")
    assert ended.code == 0, ended.err
    return str(ended.json["run"])


def aged(place: Workplace, run: str, days: int) -> None:
    path = place.state / "runs" / run / "run.json"
    facts = json.loads(path.read_bytes())
    path.write_text(json.dumps(facts | {"created_ms": facts["created_ms"] - days * 86_400_000}))


def left(place: Workplace) -> set[str]:
    return {path.name for path in (place.state / "runs").iterdir()}


def test_old_exports_go_the_newest_and_what_invited_stay(place: Workplace) -> None:
    place.write("people.csv", "email\n")
    exports = [ran(place, "export.yaml") for _ in range(3)]
    invites = [ran(place, "invite.yaml") for _ in range(2)]
    for run in (*exports, *invites):
        aged(place, run, 100)
    asked = place.run("runs", "prune")
    assert asked.code == 3
    assert all(run in asked.out for run in exports[:2])
    assert "add --yes" in asked.err
    assert left(place) == {*exports, *invites}, "nothing goes before a yes"
    assert place.run("runs", "prune", "--yes", "--json").json == {"removed": exports[:2]}
    assert left(place) == {exports[2], *invites}
    assert place.run("runs", "prune", "--yes", "--every", "--json").json == {"removed": invites[:1]}
    assert place.run("runs", "prune", "--yes").out == "no run can be removed\n"


def test_what_is_young_unfinished_or_unreadable_stays(place: Workplace) -> None:
    exports = [ran(place, "export.yaml") for _ in range(3)]
    aged(place, exports[0], 100)
    (place.state / "runs" / exports[0] / "run.db").write_bytes(b"not a journal")
    assert place.run("runs", "prune", "--older", "1s", "--yes", "--json").json == {"removed": []}
    assert left(place) == set(exports)
