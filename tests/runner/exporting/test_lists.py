"""Exports of every list but users: all of them once, and the hard case, rows that come and go meanwhile."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from clerk_jobs.export.lists import lists_of
from clerk_testing.commands import Workplace
from clerk_testing.exports import export, rows_of
from clerk_testing.simulated import simulated_clerk

KEY = "--key=sk_live_x"
SUBJECT = "subject: mch_" + "a" * 27
NEEDS = {"sessions": "user_id: user_1", "api_keys": SUBJECT, "m2m_tokens": SUBJECT}
"""Filters without which Clerk refuses a list."""


@pytest.mark.parametrize("version", ["2024-10-01", "2026-05-12"])
def test_every_list_is_exported_whole(tmp_path: Path, version: str) -> None:
    with simulated_clerk(
        KEY, "--rows=23", "--organizations=23", "--users=23", "--members=1", "--invitations=23"
    ) as clerk:
        clerk.perform("POST", "/waitlist_entries/bulk", [{"email_address": f"w{n}@example.com"} for n in range(23)])
        for name in lists_of(version):
            where = {"where": f"{{{NEEDS[name]}}}"} if name in NEEDS else {}
            summary = export(tmp_path, clerk, name, page_size="10", api_version=version, **where)
            rows = rows_of(summary)
            expected = 0 if name == "organization_invitations" else 23
            assert (summary.proof is not None and summary.proof.distinct, len(rows)) == (expected, expected), name
            assert len({row["id"] for row in rows}) == expected, name
            assert summary.proof is not None
            assert summary.proof.missing == 0, name


def test_organizations_that_come_and_go_cost_nobody_else(tmp_path: Path) -> None:
    options = (KEY, "--organizations=1500", "--latency=50-100ms", "--users=2")
    with simulated_clerk(*options) as clerk:
        before = [
            row["id"]
            for page in range(3)
            for row in clerk.perform("GET", f"/organizations?limit=500&offset={page * 500}")["data"]
        ]
        gone = before[::5]
        worker = threading.Thread(
            target=lambda: [clerk.perform("DELETE", f"/organizations/{identifier}") for identifier in gone]
        )
        worker.start()
        try:
            rows = rows_of(export(tmp_path, clerk, "organizations", page_size="50"))
        finally:
            worker.join()
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert set(before) - set(gone) <= set(ids) <= set(before)


def test_an_interrupted_list_goes_on_where_it_stood(tmp_path: Path) -> None:
    job = "name: o\nkind: export\nlist: organizations\noutput: o.jsonl\npage_size: 20\nlimits: {share: 1.0}\n"
    with simulated_clerk(KEY, "--organizations=400", "--latency=50-100ms") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", job)
        early = workplace.run("run", "job.yaml", "--json", "--max-time", "1s")
        assert (early.code, early.json["state"]) == (5, "waiting")
        ended = workplace.run("run", "job.yaml", "--json")
        assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_bytes().splitlines()]
    assert ended.json["run"] == early.json["run"]
    assert len({row["id"] for row in rows}) == len(rows) == 400
    # 400 rows in pages of 20 that overlap by 10 are 40 pages; beside them the instance is asked once a start.
    assert ended.json["requests"] <= 44


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("list: organisations\noutput: a.jsonl\n", "did you mean organizations?"),
        ("list: memberships\noutput: a.jsonl\n", "for_each: organizations"),
        ("list: api_keys\noutput: a.jsonl\n", "where.subject"),
        (
            "list: api_keys\noutput: a.jsonl\nwhere: {subject: mch_aaaaaaaaaaaaaaaaaaaaaaaaaaa}\npage_size: 101\n",
            "at most 100",
        ),
        ("list: organizations\noutput: a.jsonl\nwhere: {status: x}\n", "where.status"),
        ("list: organizations\noutput: a.jsonl\napi_version: 2020-01-01\n", "api_version"),
    ],
)
def test_what_does_not_fit_is_told_before_the_first_request(tmp_path: Path, lines: str, said: str) -> None:
    with simulated_clerk(KEY) as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", f"name: a\nkind: export\n{lines}")
        ended = workplace.run("run", "job.yaml")
        assert clerk.report()["requests"] == {}
    assert ended.code == 2
    assert said in ended.err


def test_a_list_that_clerk_refuses_stops_with_what_to_look_at(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--fail=GET /billing*:422:code=billing_not_enabled") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", "name: a\nkind: export\nlist: billing/plans\noutput: a.jsonl\n")
        ended = workplace.run("run", "job.yaml", "--json")
    assert ended.code == 4, ended.err
    assert "billing/plans: 422" in ended.json["error"]["message"]
