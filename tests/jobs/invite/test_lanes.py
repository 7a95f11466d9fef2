"""What is sent, and what each answer means for each item."""

from __future__ import annotations

from typing import Any

import pytest

from clerk_jobs.call import Item, Reply, Safety, State
from clerk_jobs.invite import Invitations
from clerk_testing.model import invitation, refusal

BULK, SINGLE = Invitations(organizations=False, lanes="both", on_existing="skip").lanes


def work(policy: Any = "skip", *, organizations: bool = False) -> Invitations:
    return Invitations(organizations=organizations, lanes="both", on_existing=policy)


def people(count: int, **more: Any) -> list[Item]:
    return [Item(seq, {"email_address": f"p{seq}@example.com"}, **more) for seq in range(1, count + 1)]


@pytest.mark.parametrize(("lanes", "names"), [("both", ["bulk", "single"]), ("single", ["single"]), ("bulk", ["bulk"])])
def test_lanes(lanes: Any, names: list[str]) -> None:
    assert [lane.name for lane in Invitations(organizations=False, lanes=lanes, on_existing="skip").lanes] == names


def test_calls_to_the_instance() -> None:
    one = work().call(SINGLE, people(1))
    assert (one.operation, one.method, one.path, one.safety) == (
        "CreateInvitation",
        "POST",
        "/invitations",
        Safety.ONCE,
    )
    assert one.body == {"email_address": "p1@example.com"}
    assert one.items == 1
    ten = work().call(BULK, people(10))
    assert ten.path == "/invitations/bulk"
    assert [body["email_address"] for body in ten.body] == [f"p{seq}@example.com" for seq in range(1, 11)]
    assert ten.items == 10


def test_calls_to_an_organization_quote_its_id() -> None:
    invitations = work(organizations=True)
    bulk, single = invitations.lanes
    one = invitations.call(single, people(1, group="a/b"))
    assert one.path == "/organizations/a%2Fb/invitations"
    assert one.template == "/organizations/{organization_id}/invitations"
    assert invitations.call(bulk, people(2, group="a/b")).path == "/organizations/a%2Fb/invitations/bulk"
    back = invitations.revoke(Item(1, {}, "a/b", revoke="inv/1"))
    assert back.path == "/organizations/a%2Fb/invitations/inv%2F1/revoke"
    assert back.safety is Safety.IDEMPOTENT


def test_a_call_does_not_show_its_people() -> None:
    assert "@" not in repr(work().call(SINGLE, people(1)))


@pytest.mark.parametrize("value", [None, {}, [], "yes", {"id": 7}])
def test_a_single_success_is_done_whatever_its_body(value: Any) -> None:
    outcomes = work().settle(SINGLE, people(1), Reply(200, value))
    assert outcomes is not None
    assert [(one.state, one.resource_id) for one in outcomes] == [(State.DONE, None)]


def test_a_single_success_has_its_id() -> None:
    outcomes = work().settle(SINGLE, people(1), Reply(200, invitation("p1@example.com", "inv_9")))
    assert outcomes is not None
    assert outcomes[0].resource_id == "inv_9"


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("duplicate_record", "already_invited"),
        ("organization_invitation_not_unique", "already_invited"),
        ("form_identifier_exists", "already_a_user"),
        ("already_a_member_in_organization", "already_a_member"),
    ],
)
@pytest.mark.parametrize(
    ("policy", "state"), [("skip", State.SKIPPED), ("fail", State.FAILED), ("reinvite", State.SKIPPED)]
)
@pytest.mark.parametrize("status", [400, 422])
def test_what_is_there_already(code: str, ours: str, policy: Any, state: State, status: int) -> None:
    outcomes = work(policy).settle(SINGLE, people(1), refusal(status, code))
    assert outcomes is not None
    assert [(one.state, one.code) for one in outcomes] == [(state, ours)]


def test_a_duplicate_after_doubt_has_to_be_read() -> None:
    assert work().settle(SINGLE, people(1, since_ms=5), refusal(400, "duplicate_record")) is None


@pytest.mark.parametrize("status", [400, 404, 405, 410, 413, 422])
def test_a_refusal_fails_its_item_with_clerks_word(status: int) -> None:
    outcomes = work().settle(SINGLE, people(1), refusal(status, "some_code"))
    assert outcomes is not None
    assert [(one.state, one.code, one.message, one.trace_id) for one in outcomes] == [
        (State.FAILED, "some_code", "refused: some_code", "trace_1")
    ]


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refused_bulk_call_has_to_be_read(status: int) -> None:
    assert work().settle(BULK, people(10), refusal(status, "some_code")) is None


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"data": rows, "total_count": len(rows)}])
def test_whoever_a_bulk_answer_misses_is_in_doubt(wrap: Any) -> None:
    sent = people(10)
    rows = [invitation(item.payload["email_address"].upper(), f"inv_{item.seq}") for item in sent if item.seq != 7]
    outcomes = work().settle(BULK, sent, Reply(200, wrap([*rows, None, {"id": "x"}, "p7@example.com"])))
    assert outcomes is not None
    assert [one.seq for one in outcomes] == list(range(1, 11))
    assert {one.seq: one.resource_id for one in outcomes if one.state is State.DONE} == {
        seq: f"inv_{seq}" for seq in range(1, 11) if seq != 7
    }
    assert outcomes[6].state is State.DOUBT


@pytest.mark.parametrize("value", [None, {}, {"data": None}, "done", [], [None]])
def test_a_bulk_success_that_cannot_be_read_is_doubt(value: Any) -> None:
    outcomes = work().settle(BULK, people(3), Reply(200, value))
    assert outcomes is not None
    assert [one.state for one in outcomes] == [State.DOUBT] * 3
