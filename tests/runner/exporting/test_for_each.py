"""Lists below every organization or user: whole, in order, and whatever happens to the parents meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.exports import export, rows_of
from clerk_testing.simulated import simulated_clerk

KEY = "--key=sk_live_x"
MEMBERS = "name: m\nkind: export\nfor_each: organizations\nlist: memberships\noutput: m.jsonl\nlimits: {share: 1.0}\n"


def test_every_member_of_every_organization_in_the_order_of_the_organizations(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--organizations=40", "--users=60", "--members=25") as clerk:
        organizations = rows_of(export(tmp_path, clerk, "organizations"))
        summary = export(tmp_path, clerk, "memberships", for_each="organizations", page_size="10")
    rows = rows_of(summary)
    assert len({row["id"] for row in rows}) == len(rows) == 40 * 25
    found = list(dict.fromkeys(row["organization"]["id"] for row in rows))
    assert found == [row["id"] for row in organizations]
    assert summary.proof is not None
    assert (summary.proof.parents, summary.proof.count_after, summary.proof.missing) == (40, 1000, 0)


def test_the_memberships_of_every_user(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--organizations=4", "--users=700", "--members=3") as clerk:
        summary = export(tmp_path, clerk, "organization_memberships", for_each="users")
    rows = rows_of(summary)
    assert len({(row["organization"]["id"], row["public_user_data"]["user_id"]) for row in rows}) == len(rows) == 12
    assert summary.proof is not None
    assert summary.proof.parents == 700


def test_lists_that_come_at_once_and_filters_of_the_list(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--organizations=3", "--users=8", "--members=4", "--rows=5") as clerk:
        devices = export(tmp_path, clerk, "trusted_devices", for_each="users")
        admins = export(
            tmp_path, clerk, "memberships", for_each="organizations", where="{role: ['org:admin']}", output="a.csv"
        )
    assert devices.items.total == 8 * 5
    assert 0 < admins.items.total < 12
    assert "org:admin" in Path(admins.outputs[0]).read_text()


def test_a_parent_that_is_deleted_meanwhile_has_no_rows(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--organizations=30", "--users=10", "--members=2", "--latency=50-100ms") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", MEMBERS.replace("share: 1.0", "share: 0.02"))
        process = workplace.start("run", "job.yaml", "--json")
        while "GET /organizations/{organization_id}/memberships" not in clerk.report()["requests"]:
            assert process.poll() is None, process.communicate()
        last = clerk.perform("GET", "/organizations?order_by=-created_at&limit=1")["data"][0]["id"]
        clerk.perform("DELETE", f"/organizations/{last}")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["proof"]["parents"] == 30
    rows = [json.loads(line) for line in (tmp_path / "m.jsonl").read_bytes().splitlines()]
    assert len(rows) == 29 * 2


def test_it_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--organizations=600", "--users=10", "--members=2", "--latency=0.1-0.3s") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", MEMBERS)
        early = workplace.run("run", "job.yaml", "--json", "--max-time", "2s")
        assert early.code == 5
        ended = workplace.run("run", "job.yaml", "--json")
    assert ended.code == 0, ended.err
    assert (ended.json["run"], ended.json["items"]["total"]) == (early.json["run"], 1200)
    # 600 lists, the organizations, and the instance at each start; an interrupted walk takes what is under way.
    assert ended.json["requests"] <= 610


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("for_each: organizations\nlist: members\n", "did you mean memberships?"),
        ("for_each: organizations\nlist: machines\n", "remove for_each: organizations"),
        ("for_each: teams\nlist: memberships\n", "must be one of organizations, users"),
        ("for_each: organizations\nlist: memberships\nwhere: {rolle: x}\n", "did you mean role"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, lines: str, said: str) -> None:
    workplace = Workplace(tmp_path)
    workplace.write("job.yaml", f"name: a\nkind: export\noutput: a.jsonl\n{lines}")
    ended = workplace.run("run", "job.yaml")
    assert ended.code == 2
    assert said in ended.err, ended.err
