"""``clerk-batch limits``: every documented limit with its source, and what a job makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clerk_limits.documented import FRONTEND_LIMITS, LIMITS
from clerk_runner.cli import cli


@pytest.fixture(autouse=True)
def _nothing_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have jobs of their own under way."""
    monkeypatch.setenv("CLERK_BATCH_HOME", str(tmp_path))


def shown(*options: str) -> str:
    ended = CliRunner().invoke(cli, ["limits", *options])
    assert ended.exit_code == 0, ended.output
    return ended.output


def listed(*options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown("--json", *options))
    return found


def test_every_documented_limit_has_its_bucket_its_window_and_its_source() -> None:
    text, found = shown(), listed()
    assert [row["name"] for row in found["backend"]] == [limit.name for limit in LIMITS]
    for row in found["backend"]:
        assert row["source"].startswith("https://clerk.com/docs/")
        assert row["source"] in text
        kinds = {"production", "development"} if row["instance"] is None else {row["instance"]}
        assert row["uses"].keys() == kinds
        for use in row["uses"].values():
            assert 1 <= use["bucket"] <= use["window"] <= row["permits"]
            assert use["left"] == row["permits"] - use["window"]
            assert use["refill_per_s"] == pytest.approx(use["window"] / row["period_s"])
            assert use["text"] in text


def test_a_limit_of_both_kinds_of_instance_says_what_differs() -> None:
    lines = shown().splitlines()
    user = lines.index(next(line for line in lines if line.startswith("  user: ")))
    assert lines[user + 1].startswith("    production: bucket 7, refill 0.7/s; window 7 of 10 per 10 s for each user")
    assert lines[user + 2].startswith("    development: bucket 9, refill 0.9/s; window 9 of 10 per 10 s for each user")
    bulk = lines.index(next(line for line in lines if line.startswith("  invitations-bulk: ")))
    assert lines[bulk + 1].startswith("    bucket 22, refill 22/h; window 22 of 25 per hour")


def test_the_frontends_limits_are_told_as_information() -> None:
    text, found = shown(), listed()
    assert [row["name"] for row in found["frontend"]] == [limit.name for limit in FRONTEND_LIMITS]
    assert {(row["name"], row["permits"]) for row in found["frontend"]} == {
        ("sign-in creation", 5),
        ("sign-in attempts", 3),
        ("sign-up creation", 5),
        ("sign-up attempts", 3),
    }
    assert "jobs never call it" in text
    assert all("uses" not in row for row in found["frontend"])


def test_it_says_what_spends_from_the_same_budget_and_how_large_pages_are() -> None:
    text, found = shown(), listed()
    assert "currentUser()" in found["advice"]
    assert "auth()" in found["advice"]
    assert found["advice"] in text
    assert "/users" in found["page_maxima"]["500"]
    assert found["page_maxima"]["100"] == ["/api_keys", "/m2m_tokens"]


def test_the_options_of_a_job_change_the_numbers() -> None:
    found = listed("--share", "1.0", "--quota-share", "0.5", "--per-hour", "50", "--per-day", "400")
    by_name = {row["name"]: row["uses"] for row in found["backend"] if row["instance"] != "development"}
    assert by_name["instance"]["production"]["window"] == 1000
    assert by_name["invitations"]["production"]["window"] == 50
    assert {name: own["window"] for name, own in found["own"].items()} == {"per_hour": 50, "per_day": 400}
    text = shown("--per-hour", "50")
    assert "window 50 items per hour, your own limits: {per_hour: 50}" in text
    assert "Of your own" not in shown()


@pytest.mark.parametrize(
    "options", [("--share", "0"), ("--quota-share", "1.1"), ("--per-hour", "0"), ("--early-release", "11s")]
)
def test_a_number_that_makes_no_sense_is_a_usage_error(options: tuple[str, ...]) -> None:
    assert CliRunner().invoke(cli, ["limits", *options]).exit_code == 2
