"""The forecast is the run: the same windows, the same lanes, in virtual time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from clerk_jobs.invite import Invitations
from clerk_limits import allowance, documented
from clerk_limits.documented import LIMITS, InstanceKind, limits_for
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.planner import Course, Forecast, forecast
from clerk_testing.engine_play import START_S, Play

WHOLE = GateOptions(share=1.0, quota_share=1.0)


def forecast_of(
    groups: dict[str, int], *, lanes: str = "both", alone: int = 0, options: GateOptions = WHOLE, latency_s: float = 0.5
) -> Forecast:
    organizations = any(groups)
    work = Invitations(organizations=organizations, lanes=lanes, on_existing="skip")  # type: ignore[arg-type]
    course = Course(
        lanes=work.lanes,
        groups=groups,
        alone=alone,
        instance=InstanceKind.PRODUCTION,
        options=options,
        latency_s=latency_s,
    )
    return forecast(course, START_S)


@pytest.mark.parametrize(("count", "hours"), [(1, 0), (350, 0), (690, 1), (1_000, 2), (10_000, 28)])
def test_the_hours_that_a_job_takes(count: int, hours: int) -> None:
    assert forecast_of({"": count}).ends_s // 3600 == hours


@pytest.mark.parametrize("lanes", ["both", "single", "bulk"])
@pytest.mark.parametrize("groups", [{"": 800}, {"org_a": 500, "org_b": 7, "org_c": 400}])
def test_the_run_ends_when_the_plan_said(tmp_path: Path, lanes: str, groups: dict[str, int]) -> None:
    play = Play(tmp_path, [name for name, count in groups.items() for _ in range(count)], job=f"lanes: {lanes}\n")
    play.run()
    planned = forecast_of(groups, lanes=lanes)
    assert play.start_s - START_S == pytest.approx(planned.ends_s, rel=0.02, abs=15)
    assert sum(planned.lanes.values()) == pytest.approx(len(play.client.sent), abs=3)


def test_the_jobs_own_limit_below_ten() -> None:
    options = GateOptions(share=1.0, quota_share=1.0, per_hour=4)
    planned = forecast_of({"": 9}, options=options)
    assert planned.ends_s // 3600 == 2


def test_waits_are_told_in_their_order() -> None:
    planned = forecast_of({"": 2_000})
    assert planned.waits
    assert [wait.at_s for wait in planned.waits] == sorted(wait.at_s for wait in planned.waits)
    assert planned.limits


def test_what_goes_alone_goes_by_the_single_lane() -> None:
    planned = forecast_of({"": 0}, alone=12)
    assert planned.calls == {"invitations": 12, "instance": 12}


def test_what_was_spent_delays_the_plan() -> None:
    work = Invitations(organizations=False, lanes="bulk", on_existing="skip")
    course = Course(lanes=work.lanes, groups={"": 10}, alone=0, instance=InstanceKind.PRODUCTION, options=WHOLE)

    def charge(gate: Gate) -> None:
        gate.charge("invitations-bulk", [START_S - 60] * 25)

    assert 3500 < forecast(course, START_S, charge).ends_s < 3600


def test_nothing_to_do_takes_no_time() -> None:
    planned = forecast_of({})
    assert planned.ends_s == 0
    assert planned.calls == {}


def test_a_plan_says_how_full_the_last_hour_is() -> None:
    planned = forecast_of({"": 90})
    assert planned.lanes == {"bulk": 9, "single": 8}
    assert planned.quota_used == pytest.approx((9 * 10 + 8) / 350)
    assert forecast_of({"": 350}).quota_used == 1.0
    # The bulk lane ends here while the other one waits for a permit that comes an hour later.
    assert forecast_of({"": 695}).quota_used == pytest.approx(1.0, abs=0.02)


def test_a_plan_counts_the_calls_of_every_limit() -> None:
    planned = forecast_of({"org_a": 95})
    assert planned.calls["instance"] == sum(planned.lanes.values())
    assert planned.calls["organization-invitations"] == planned.lanes["single"]
    assert planned.calls["organization-invitations-bulk"] == planned.lanes["bulk"]


@pytest.mark.parametrize(
    ("lanes", "options", "limit"),
    [
        ("bulk", WHOLE, "invitations-bulk"),
        ("single", WHOLE, "invitations"),
        ("single", GateOptions(quota_share=1.0, per_hour=30), "per_hour"),
        ("single", GateOptions(quota_share=1.0, per_day=30), "per_day"),
        ("bulk", GateOptions(quota_share=1.0, per_hour=250), "invitations-bulk and per_hour"),
    ],
)
def test_a_wait_names_the_limit_that_makes_it(lanes: str, options: GateOptions, limit: str) -> None:
    waits = forecast_of({"": 600}, lanes=lanes, options=options).waits
    assert waits[0].limit == limit
    assert waits[0].for_s > 3500


def test_whatever_limits_a_job_moves_its_plan() -> None:
    """In the direction in which it must: less of a limit or of the lanes is never sooner."""
    least = forecast_of({"": 690}).ends_s
    for other in (
        forecast_of({"": 690}, options=GateOptions(share=1.0, quota_share=0.5)),
        forecast_of({"": 690}, options=GateOptions(share=1.0, quota_share=1.0, per_hour=200)),
        forecast_of({"": 690}, options=GateOptions(share=1.0, quota_share=1.0, per_day=400)),
        forecast_of({"": 690}, lanes="single"),
        forecast_of({"": 690}, lanes="bulk"),
    ):
        assert other.ends_s >= least + 3500
    # Within seconds the share of the instance decides.
    slow = forecast_of({"": 90}, options=GateOptions(share=0.001, quota_share=1.0), latency_s=0.01).ends_s
    assert slow > forecast_of({"": 90}, latency_s=0.01).ends_s + 60


def test_changing_a_documented_limit_moves_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    before = forecast_of({"": 1_000}, lanes="bulk").ends_s
    changed = tuple(
        dataclasses.replace(limit, permits=50) if limit.name == "invitations-bulk" else limit for limit in LIMITS
    )
    for module in (documented, allowance):
        monkeypatch.setattr(module, "LIMITS", changed)
    limits_for.cache_clear()
    try:
        assert before // 3600 == 3
        assert forecast_of({"": 1_000}, lanes="bulk").ends_s // 3600 == 1
    finally:
        limits_for.cache_clear()


def test_ten_thousand_organizations_are_planned_as_one_list_is() -> None:
    """What that costs is measured by ``make bench``."""
    for groups in ({"": 10_000}, {f"org_{number}": 1 for number in range(10_000)}):
        assert forecast_of(groups).ends_s > 20 * 3600
