"""Rows 15 to 33 of the fault matrix, for effects: what is sent again, and what never is."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from clerk_testing.commands import Ended, Workplace
from clerk_testing.hostile import IMPATIENT, HostileClerk, Say, answer

SEND = "POST /v1/invitations"
LOOK = "GET /v1/invitations"
JOB = """\
name: beta
kind: invite
source: people.csv
email: "{email}"
lanes: single
"""
RUN = ("run", "job.yaml", "--yes", "--json")
MADE = {"id": "inv_1", "object": "invitation", "email_address": "ada@example.com", "status": "pending"}
GOOD = answer(MADE)
GZIP = {"Content-Encoding": "gzip"}
OPENING = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def refusal(status: str, code: str, retry_after: str | None = None) -> Say:
    errors = [{"code": code, "message": f"no: {code}", "long_message": f"no: {code}"}]
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return answer({"errors": errors, "clerk_trace_id": "trace_1"}, status, headers=headers)


def rows(place: Workplace, *addresses: str) -> None:
    place.write("job.yaml", JOB)
    place.write("people.csv", "\n".join(("email", *addresses, "")))


def items(ended: Ended) -> dict[str, int]:
    assert ended.out, ended.err
    return {word: count for word, count in ended.json["items"].items() if count}


def outcome(place: Workplace) -> list[tuple[str, str]]:
    with (place.only_run() / "results.csv").open(encoding="utf-8", newline="") as file:
        return [(row["status"], row["code"]) for row in csv.DictReader(file)]


IN_DOUBT = {
    "row 15: reset before any byte of the answer": Say(b"", "reset"),
    "row 15: closed before any byte of the answer": Say(b"", "close"),
    "row 19: a head that drips": Say(OPENING * 99, drip_s=0.05),
    "row 19: a body that drips": Say(OPENING + b"Content-Length: 999\r\n\r\n" + b" " * 999, drip_s=0.05),
    "row 19: silence": Say(b"", "stall"),
    "row 20: HTML with 200": answer(b"<html>", kind="text/html"),
    "row 21: a redirect to the same host": Say(
        b"HTTP/1.1 307 No\r\nLocation: /v1/x\r\nContent-Length: 0\r\n\r\n", "keep"
    ),
    "row 27: 409": refusal("409 Conflict", "resource_locked"),
    "row 33: 524 of a gateway": answer(b"<html>", "524 Timeout", kind="text/html"),
}


def test_rows_15_to_33_what_may_have_happened_is_looked_for_and_only_then_sent_again(meet: Any) -> None:
    """Each answer is lost in a way of its own. Nothing is there after the quarantine, so each is sent once more."""
    addresses = [f"person{number}@example.com" for number in range(len(IN_DOUBT))]
    lost = dict(zip(addresses, IN_DOUBT.values(), strict=True))
    place, clerk = meet({})
    told: dict[str, int] = {}

    def say(arrived: Any) -> Say:
        if arrived.target == SEND:
            address = json.loads(arrived.body)["email_address"]
            told[address] = told.get(address, 0) + 1
            return lost[address] if told[address] == 1 else answer({**MADE, "email_address": address})
        return HostileClerk.say(clerk, arrived)

    clerk.judge = say
    rows(place, *addresses)
    ended = replace(place, program=IMPATIENT).run(*RUN)
    assert (ended.code, items(ended)) == (0, {"total": 9, "done": 9}), ended.err
    assert told == dict.fromkeys(addresses, 2)
    # Two looks for each between the first send and the second.
    for address in addresses:
        first, second = (
            n for n, one in enumerate(clerk.arrived) if one.target == SEND and address.encode() in one.body
        )
        between = clerk.arrived[first:second]
        looks = [one for one in between if one.target == LOOK and address in unquote(one.line)]
        assert len(looks) >= 2, address


HAPPENED = {
    "row 16: reset in the body": Say(OPENING + b"Content-Length: 99\r\n\r\n{", "reset"),
    "row 17: no length, and cut off": Say(OPENING + b'\r\n{"id": "inv', "close"),
    "row 18: cut gzip": answer(gzip.compress(json.dumps(MADE).encode())[:-30], headers=GZIP),
    "row 18: no gzip": answer(b"plain", headers=GZIP),
    "row 34: another shape": answer([1, None, {"id": []}]),
}


def test_rows_16_to_18_and_34_a_success_without_its_body_has_happened(meet: Any) -> None:
    """The status came, so the effect is there: it is done with an id that nobody knows, and not sent again."""
    place, clerk = meet({SEND: list(HAPPENED.values())})
    rows(place, *(f"person{number}@example.com" for number in range(len(HAPPENED))))
    ended = replace(place, program=IMPATIENT).run(*RUN)
    assert (ended.code, items(ended)) == (0, {"total": 5, "done": 5}), ended.err
    assert clerk.count(SEND) == 5


@pytest.mark.parametrize(
    ("row", "said", "code", "says"),
    [
        ("row 23", refusal("401 Unauthorized", "authentication_invalid"), 3, "Clerk refused the key"),
        ("row 24", refusal("402 Payment Required", "unsupported_subscription_plan_features"), 4, "plan"),
        ("row 24", refusal("403 Forbidden", "feature_not_enabled"), 4, "settings"),
    ],
)
def test_rows_23_and_24_what_refuses_everything_stops_all_and_can_go_on(
    meet: Any, row: str, said: Say, code: int, says: str
) -> None:
    del row
    place, clerk = meet({SEND: [GOOD, said]})
    rows(place, "ada@example.com", "bob@example.com", "eve@example.com")
    ended = place.run(*RUN)
    assert (ended.code, ended.json["error"]["exit"]) == (code, code)
    assert says in ended.json["error"]["message"]
    assert "trace_1" in ended.json["error"]["message"]
    assert clerk.count(SEND) == 2
    assert items(ended)["done"] == 1
    clerk.script[SEND] = [GOOD]
    again = place.run("resume", "last", "--yes", "--json")
    assert (again.code, items(again)) == (0, {"total": 3, "done": 3}), again.err


def test_rows_25_and_28_a_refusal_of_one_row_costs_that_row_alone(meet: Any) -> None:
    script = [refusal("404 Not Found", "resource_not_found"), refusal("422 No", "form_param_invalid"), GOOD]
    place, clerk = meet({SEND: script})
    rows(place, "ada@example.com", "bob@example.com", "eve@example.com")
    ended = place.run(*RUN)
    assert (ended.code, items(ended), clerk.count(SEND)) == (1, {"total": 3, "done": 1, "failed": 2}, 3)
    expected = [("failed", "resource_not_found"), ("failed", "form_param_invalid"), ("done", "")]
    assert sorted(outcome(place)) == sorted(expected)


NONSENSE = ["soon", "-5", "nan", "", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 4000]


def test_row_31_a_retry_after_that_makes_no_sense_is_a_wait_of_our_own(meet: Any) -> None:
    users = "GET /v1/users"
    place, clerk = meet({users: [*(refusal("429 Slow", "x", text) for text in NONSENSE), answer([])]})
    ended = place.run("api", "GET", "/users", "--max-wait", "60s")
    assert (ended.code, ended.out, clerk.count(users)) == (0, "[]\n", len(NONSENSE) + 1), ended.err


def test_row_31_a_block_that_is_far_away_is_left_and_remembered(meet: Any) -> None:
    """The next start does not ask before its end either."""
    users = "GET /v1/users"
    place, clerk = meet({users: [refusal("429 Slow", "x", "1000000000"), answer([])]})
    for _ in range(2):
        ended = place.run("api", "GET", "/users")
        assert (ended.code, ended.out, clerk.count(users)) == (5, "", 1), ended.err
        assert "allows the next call in" in ended.err
