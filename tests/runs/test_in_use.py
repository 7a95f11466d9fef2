"""What of each limit is in use, and by whom, as `clerk-batch limits` tells it."""

from __future__ import annotations

import json
from typing import Any

from clerk_testing.commands import Workplace, write_people

JOB = """\
name: beta
kind: invite
source: people.csv
email: "{email}"
lanes: bulk
"""


def limits(workplace: Workplace) -> Any:
    return json.loads(workplace.run("limits", "--json").out)["in_use"]


def test_what_a_job_spent_is_told_with_its_name(start: Any) -> None:
    workplace, clerk = start(CLERK_BATCH_SPEED="1")
    workplace.write("job.yaml", JOB)
    write_people(workplace.folder / "people.csv", (f"p{number}@example.com" for number in range(20)))
    assert limits(workplace) == []
    assert "Nothing is in use now" in workplace.run("limits").out
    ended = workplace.run("run", "job.yaml", "--yes", "--json")
    (one,) = limits(workplace)
    assert (one["kind"], one["host"], one["speed"]) == ("production", clerk.address.removeprefix("http://"), 1.0)
    by_name = {use["name"]: use for use in one["limits"]}
    bulk = by_name["invitations-bulk"]
    assert (bulk["used"], bulk["permits"]) == (2, 25)
    assert [process["label"] for process in bulk["processes"]] == ["job beta"]
    assert 3500 < bulk["first_back_s"] <= 3700
    assert by_name["instance"]["used"] == ended.json["requests"]
    shown = workplace.run("limits").out
    assert "invitations-bulk: 2 of 25 per hour, the next is free again in" in shown
    assert "2 by job beta (pid " in shown


def test_whose_key_it_is_is_asked_once(start: Any) -> None:
    workplace, clerk = start()
    for _ in range(2):
        assert workplace.run("api", "GET", "/users").code == 0
    asked = [arrival for arrival in clerk.report()["arrivals"] if "/instance" in str(arrival)]
    assert len(asked) <= 1
    assert clerk.report()["requests_total"] == 3
