"""The forecast of a run without quotas: the pace of its windows, however long it is."""

from __future__ import annotations

import pytest

from clerk_jobs.call import Lane, Safety
from clerk_jobs.invite.lanes import Invitations
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import GateOptions
from clerk_runner.planner import Course
from clerk_runner.steady import is_steady, steady_forecast

START_S = 1_800_000_000.0
WRITE = Lane("write", "UpdateUserMetadata", "/users/{user_id}/metadata", 1, "PATCH", Safety.IDEMPOTENT, 70)


def course(items: int, *, latency_s: float = 0.2, options: GateOptions | None = None) -> Course:
    return Course(
        lanes=(WRITE,),
        groups={"": items},
        alone=0,
        instance=InstanceKind.PRODUCTION,
        options=options or GateOptions(),
        latency_s=latency_s,
    )


@pytest.mark.parametrize("items", [1_900, 10_000, 1_000_000])
def test_a_run_takes_as_long_as_its_share_of_the_window(items: int) -> None:
    found = steady_forecast(course(items), START_S)
    # 700 in 10 s, and what the answers of a window take.
    assert found.ends_s == pytest.approx(items / 70, rel=0.05, abs=5)
    assert found.calls == {"user": items, "instance": items}
    assert found.lanes == {"write": items}
    assert found.quota_used is None
    assert any("700 of 1000" in line for line in found.limits)


def test_slow_answers_and_the_limits_of_the_job_are_slower() -> None:
    slow = steady_forecast(course(4_000, latency_s=4.0), START_S)
    assert slow.ends_s == pytest.approx(4_000 / 70 * 4, rel=0.1)
    own = steady_forecast(course(90, options=GateOptions(per_hour=30)), START_S)
    assert own.ends_s > 7_200


def test_nothing_to_do_takes_no_time() -> None:
    found = steady_forecast(course(0), START_S)
    assert (found.ends_s, found.calls) == (0.0, {})


def test_what_has_an_hourly_quota_is_not_steady() -> None:
    lanes = Invitations(organizations=False, lanes="single", on_existing="skip").lanes
    invitations = Course(
        lanes=lanes, groups={"": 5}, alone=0, instance=InstanceKind.PRODUCTION, options=GateOptions(), latency_s=0.2
    )
    assert not is_steady(invitations)
    assert is_steady(course(5))
