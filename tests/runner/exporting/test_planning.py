"""The plan of an export says what the run then does, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

KEY = "--key=sk_live_x"


def workplace_of(folder: Path, clerk: SimulatedClerk, lines: str) -> Workplace:
    workplace = Workplace(folder, clerk.environment)
    workplace.write("job.yaml", f"name: a\nkind: export\nlimits: {{share: 1.0}}\n{lines}")
    return workplace


@pytest.mark.parametrize(
    ("lines", "options", "operation"),
    [
        ("list: users\noutput: a.jsonl\npage_size: 100\n", "--users=4000", "GET /users"),
        ("list: organizations\noutput: a.csv\npage_size: 50\n", "--organizations=700", "GET /organizations"),
        ("list: domains\noutput: a.jsonl\n", "--rows=9", "GET /domains"),
    ],
)
def test_the_run_asks_about_as_often_as_the_plan_says(tmp_path: Path, lines: str, options: str, operation: str) -> None:
    with simulated_clerk(KEY, options, "--users=4000") as clerk:
        workplace = workplace_of(tmp_path, clerk, lines)
        plan = workplace.run("plan", "job.yaml", "--json")
        assert plan.code == 0, plan.err
        assert list(workplace.state.glob("runs/*")) == []
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("a.")] == []
        before = sum(clerk.report()["requests"].get(operation, {}).values())
        ended = workplace.run("run", "job.yaml", "--json")
        asked = sum(clerk.report()["requests"][operation].values()) - before
    assert plan.json["items"]["total"] == ended.json["items"]["total"]
    assert plan.json["calls"][operation] == pytest.approx(asked, rel=0.3, abs=2)
    assert plan.json["outputs"] == ended.json["outputs"]


def test_people_read_what_will_be_asked_and_no_address(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--users=20") as clerk:
        where = "where: {banned: true, email_address: [somebody@example.com]}\n"
        workplace = workplace_of(tmp_path, clerk, f"list: users\noutput: a.csv.gz\ncolumns: [id]\n{where}")
        plan = workplace.run("plan", "job.yaml")
    assert plan.code == 0, plan.err
    assert "at most 20 now" in plan.out
    assert "banned=true" in plan.out
    assert "csv as gz, 1 column" in plan.out
    assert "somebody" not in plan.out + plan.err


def test_offline_nothing_is_asked_and_the_rest_is_told(tmp_path: Path) -> None:
    with simulated_clerk(KEY) as clerk:
        workplace = workplace_of(tmp_path, clerk, "list: users\noutput: a.jsonl\n")
        plan = workplace.run("plan", "job.yaml", "--offline")
        as_json = workplace.run("plan", "job.yaml", "--offline", "--json").json
        assert clerk.report()["requests"] == {}
    assert plan.code == 0, plan.err
    assert "Clerk was not asked" in plan.out
    assert (as_json["calls"], as_json["ends_s"]) == ({}, None)


def test_what_would_stop_the_run_stops_the_plan(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--fail=GET /billing*:422:code=billing_not_enabled") as clerk:
        workplace = workplace_of(tmp_path, clerk, "list: billing/plans\noutput: a.jsonl\n")
        refused = workplace.run("plan", "job.yaml", "--json")
        workplace.write("a.jsonl", "precious")
        taken = workplace.run("plan", "job.yaml", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (4, "billing_not_enabled")
    assert (taken.code, taken.json["error"]["code"]) == (2, "output_exists")


def test_lists_below_parents_are_as_many_calls_at_least(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--organizations=300", "--users=20", "--members=2") as clerk:
        workplace = workplace_of(tmp_path, clerk, "for_each: organizations\nlist: memberships\noutput: a.jsonl\n")
        plan = workplace.run("plan", "job.yaml")
        as_json = workplace.run("plan", "job.yaml", "--json").json
        ended = workplace.run("run", "job.yaml", "--json")
    assert plan.code == 0, plan.err
    assert "below      300 organizations" in plan.out
    assert "at least 301 requests" in plan.out
    (calls,) = as_json["calls"].values()
    assert calls <= ended.json["requests"] <= calls + 3
