"""Shares become numbers, and the numbers a line that can be checked against the documentation."""

import pytest

from clerk_limits.allowance import allowances
from clerk_limits.clock import LoopClock
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions

PRODUCTION, DEVELOPMENT = InstanceKind.PRODUCTION, InstanceKind.DEVELOPMENT


def lines(instance: InstanceKind, options: GateOptions) -> dict[str, str]:
    return {entry.name: entry.describe() for entry in allowances(instance, options)}


LEFT = "the rest left to your application; limits: "


@pytest.mark.parametrize(
    ("instance", "options", "name", "numbers", "rest"),
    [
        (
            PRODUCTION,
            GateOptions(),
            "instance",
            "bucket 175, refill 70/s; window 700 of 1000 per 10 s, ",
            LEFT + "{share: 1.0} takes all",
        ),
        (
            DEVELOPMENT,
            GateOptions(),
            "instance",
            "bucket 22, refill 9/s; window 90 of 100 per 10 s, ",
            LEFT + "{share: 1.0} takes all",
        ),
        (
            PRODUCTION,
            GateOptions(share=1.0),
            "instance",
            "bucket 250, refill 100/s; window 1000 of 1000 per 10 s, ",
            "nothing left to your application",
        ),
        (
            PRODUCTION,
            GateOptions(),
            "invitations-bulk",
            "bucket 22, refill 22/h; window 22 of 25 per hour, ",
            LEFT + "{quota_share: 1.0} takes all",
        ),
        (
            PRODUCTION,
            GateOptions(),
            "user",
            "bucket 7, refill 0.7/s; window 7 of 10 per 10 s for each user, ",
            LEFT + "{share: 1.0} takes all",
        ),
        (
            PRODUCTION,
            GateOptions(per_day=400),
            "per_day",
            "bucket 400, refill 400/day; window 400 items per day, ",
            "your own limits: {per_day: 400}",
        ),
    ],
)
def test_the_line_of_a_limit(instance: InstanceKind, options: GateOptions, name: str, numbers: str, rest: str) -> None:
    assert lines(instance, options)[name] == numbers + rest


def test_a_share_is_rounded_down_but_not_by_a_binary_fraction() -> None:
    allowed = {entry.name: entry.allowed for entry in allowances(DEVELOPMENT, GateOptions(share=0.29))}
    assert allowed["instance"] == 29
    assert allowed["user"] == 2


def test_the_smallest_share_still_lets_one_call_through() -> None:
    tiny = GateOptions(share=0.0001, quota_share=0.0001)
    assert {entry.allowed for entry in allowances(PRODUCTION, tiny)} == {1}


def test_the_gate_names_each_line() -> None:
    gate = Gate(PRODUCTION, GateOptions(per_hour=50), LoopClock())
    assert [line.partition(":")[0] for line in gate.describe()] == [
        "instance",
        "invitations",
        "invitations-bulk",
        "organization-invitations",
        "organization-invitations-bulk",
        "user",
        "organization",
        "membership",
        "per_hour",
    ]
    assert gate.describe(["per_hour"]) == [
        "per_hour: bucket 50, refill 50/h; window 50 items per hour, your own limits: {per_hour: 50}"
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("share", 0.0),
        ("share", 1.01),
        ("quota_share", -0.1),
        ("quota_share", float("nan")),
        ("per_hour", 0),
        ("per_day", -5),
        ("speed", 0.0),
        ("speed", float("inf")),
    ],
)
def test_options_out_of_range_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{field} must be"):
        GateOptions(**{field: value})  # type: ignore[arg-type]  # the table mixes int and float
