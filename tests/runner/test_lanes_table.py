"""Both lanes together are never later than the better one alone: by a table in the README, and for any job."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerk_jobs.invite import Invitations
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.cli.text import duration
from clerk_runner.planner import Course, forecast

README = Path(__file__).resolve().parents[2] / "README.md"
START_S = 1_800_000_000.0
SIZES = (1, 90, 250, 350, 1000, 10_000)
LATENCY_S = 0.2

Lanes = Literal["single", "bulk", "both"]
LANES: tuple[Lanes, ...] = ("single", "bulk", "both")
WHOLE = GateOptions(quota_share=1.0)


def ends(
    groups: Mapping[str, int],
    lanes: Lanes,
    options: GateOptions = WHOLE,
    *,
    latency_s: float = LATENCY_S,
    spent: Mapping[str, list[float]] | None = None,
) -> float:
    work = Invitations(organizations=any(groups), lanes=lanes, on_existing="skip")
    course = Course(
        lanes=work.lanes,
        groups=groups,
        alone=0,
        instance=InstanceKind.PRODUCTION,
        options=options,
        latency_s=latency_s,
    )

    def charge(gate: Gate) -> None:
        for name, ago_s in (spent or {}).items():
            gate.charge(name, [START_S - moment_s for moment_s in ago_s])

    return forecast(course, START_S, charge).ends_s


def row(count: int) -> str:
    cells = [f"{count:,}"]
    for group in ("", "org_a"):
        times = {lanes: ends({group: count}, lanes) for lanes in LANES}
        assert times["both"] <= min(times["single"], times["bulk"])
        cells += [duration(times[lanes]) for lanes in LANES]
    return f"| {' | '.join(cells)} |"


def test_the_table_of_the_readme_is_what_the_plan_says() -> None:
    """Where this fails, the table below is the one to put there."""
    table = "\n".join(
        [
            "| rows | single | bulk | both | organizations: single | bulk | both |",
            "|-|-|-|-|-|-|-|",
            *(row(count) for count in SIZES),
        ]
    )
    found = re.search(r"^\| rows \| single.*?(?=\n\n)", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert found[0] == table


@pytest.mark.parametrize(("group", "an_hour"), [("", 350), ("org_a", 750)])
def test_what_a_cold_hour_carries(group: str, an_hour: int) -> None:
    assert ends({group: an_hour}, "both") < 3600 <= ends({group: an_hour + 1}, "both")


AGES = st.lists(st.floats(0, 3600), max_size=25)


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 120), min_size=1, max_size=12),
    organizations=st.booleans(),
    quota_share=st.sampled_from([1.0, 0.9, 0.5]),
    latency_s=st.sampled_from([0.05, 0.8, 2.0]),
    single=AGES,
    bulk=AGES,
)
def test_both_lanes_are_never_later_than_one(
    counts: list[int], organizations: bool, quota_share: float, latency_s: float, single: list[float], bulk: list[float]
) -> None:
    groups = {f"org_{place}": count for place, count in enumerate(counts)} if organizations else {"": sum(counts)}
    name = "organization-invitations" if organizations else "invitations"
    options = GateOptions(share=1.0, quota_share=quota_share)
    times = {
        lanes: ends(groups, lanes, options, latency_s=latency_s, spent={name: single, f"{name}-bulk": bulk})
        for lanes in LANES
    }
    # The last calls of two lanes end side by side, so by an answer or two one may come after the other's.
    assert times["both"] <= min(times["single"], times["bulk"]) + 2 * latency_s + 0.1


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    organizations=st.booleans(),
    per_hour=st.sampled_from([3, 9, 10, 25, 50, 105, 200]),
    per_day=st.sampled_from([None, 40, 400]),
)
def test_nor_where_the_job_has_limits_of_its_own(
    counts: list[int], organizations: bool, per_hour: int, per_day: int | None
) -> None:
    groups = {f"org_{place}": count for place, count in enumerate(counts)} if organizations else {"": sum(counts)}
    options = GateOptions(share=1.0, quota_share=1.0, per_hour=per_hour, per_day=per_day)
    times = {lanes: ends(groups, lanes, options) for lanes in LANES}
    # Within an hour's burst the lanes take turns; hours and days must be the same.
    assert times["both"] <= min(times["single"], times["bulk"]) + 120
