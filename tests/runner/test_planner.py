"""The forecast is the run: the same windows, the same lanes, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from clerk_jobs.invite import Invitations
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.planner import Course, Forecast, forecast, most_items
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


@pytest.mark.parametrize(("count", "hours"), [(1, 0), (340, 0), (700, 1), (1_000, 2), (10_000, 28)])
def test_the_hours_that_a_job_takes(count: int, hours: int) -> None:
    assert forecast_of({"": count}).ends_s // 3600 == hours


@pytest.mark.parametrize("lanes", ["both", "single", "bulk"])
@pytest.mark.parametrize("groups", [{"": 800}, {"org_a": 500, "org_b": 7, "org_c": 400}])
def test_the_run_ends_when_the_plan_said(tmp_path: Path, lanes: str, groups: dict[str, int]) -> None:
    play = Play(tmp_path, [name for name, count in groups.items() for _ in range(count)], job=f"lanes: {lanes}\n")
    play.run()
    planned = forecast_of(groups, lanes=lanes)
    assert play.start_s - START_S == pytest.approx(planned.ends_s, rel=0.02, abs=15)
    assert sum(planned.calls.values()) == pytest.approx(len(play.client.sent), abs=3)


def test_the_jobs_own_limit_below_ten() -> None:
    options = GateOptions(share=1.0, quota_share=1.0, per_hour=4)
    assert most_items(options) == 4
    planned = forecast_of({"": 9}, options=options)
    assert planned.ends_s // 3600 == 2


def test_waits_are_told_in_their_order() -> None:
    planned = forecast_of({"": 2_000})
    assert planned.waits
    assert [wait.at_s for wait in planned.waits] == sorted(wait.at_s for wait in planned.waits)
    assert planned.limits


def test_what_goes_alone_goes_by_the_single_lane() -> None:
    planned = forecast_of({"": 0}, alone=12)
    assert planned.calls == {"invitations": 12}


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
