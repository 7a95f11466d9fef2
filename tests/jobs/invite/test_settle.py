"""What a lost or refused call has really done: read by conversations with a scripted Clerk."""

from __future__ import annotations

from typing import Any

import pytest

from clerk_jobs.call import Call, Item, Problem, ReadRefused, Reply, State
from clerk_jobs.invite import Settling
from clerk_testing.model import ModelClerk, invitation, refusal, talk

SINCE = 1_800_000_000_000


def items(*addresses: str, group: str = "", since_ms: int | None = None) -> list[Item]:
    return [Item(seq, {"email_address": one}, group, None, since_ms) for seq, one in enumerate(addresses, 1)]


def settling(*, organizations: bool = False, policy: Any = "skip") -> Settling:
    return Settling(organizations=organizations, on_existing=policy)


def states(outcomes: Any) -> dict[int, tuple[str, str]]:
    return {one.seq: (one.state.name, one.code) for one in outcomes}


@pytest.mark.parametrize("count", [1, 2, 3, 10])
@pytest.mark.parametrize("organization", ["", "org_1"])
@pytest.mark.parametrize("status", ["pending", "accepted", "revoked", "expired"])
def test_what_was_made_is_found_whatever_its_status(count: int, organization: str, status: str) -> None:
    clerk = ModelClerk()
    sent = items(*(f"P{number}@Example.com" for number in range(count)), group=organization)
    clerk.now_ms = SINCE - 4_000
    made = clerk.add("p0@example.com", organization)
    made["status"] = status
    outcomes = talk(settling(organizations=bool(organization)).reconcile(sent, SINCE), clerk.answer)
    assert outcomes[0].state is State.DONE
    assert outcomes[0].resource_id == made["id"]
    assert [one.state for one in outcomes[1:]] == [State.PENDING] * (count - 1)
    assert all(one.alone for one in outcomes[1:])


@pytest.mark.parametrize("organization", ["", "org_1"])
def test_absence_takes_two_looks(organization: str) -> None:
    clerk = ModelClerk()
    sent = items("a@example.com", group=organization)
    asked: list[Call] = []

    def answer(call: Call) -> Reply:
        asked.append(call)
        if len(asked) == len(settling(organizations=bool(organization))._statuses) + 1:
            clerk.add("a@example.com", organization)
        return clerk.answer(call)

    outcomes = talk(settling(organizations=bool(organization)).reconcile(sent, SINCE), answer)
    assert [one.state for one in outcomes] == [State.DONE]


def test_an_older_pending_invitation_is_not_ours() -> None:
    clerk = ModelClerk(now_ms=SINCE - 5_001)
    clerk.add("a@example.com")
    outcomes = talk(settling().reconcile(items("a@example.com"), SINCE), clerk.answer)
    assert states(outcomes) == {1: ("SKIPPED", "already_invited")}
    outcomes = talk(settling(policy="fail").reconcile(items("a@example.com"), SINCE), clerk.answer)
    assert states(outcomes) == {1: ("FAILED", "already_invited")}


def test_parts_of_addresses_and_other_addresses_are_nobody_of_ours() -> None:
    clerk = ModelClerk()
    clerk.add("xa@example.com")
    clerk.add("a@example.com.au")
    outcomes = talk(settling().reconcile(items("a@example.com"), SINCE), clerk.answer)
    assert states(outcomes) == {1: ("PENDING", "")}


def test_the_one_among_five_hundred_partial_matches_is_found() -> None:
    clerk = ModelClerk()
    clerk.add("a@example.com")
    for number in range(700):
        clerk.add(f"{number}a@example.com")
    outcomes = talk(settling().reconcile(items("a@example.com"), SINCE), clerk.answer)
    assert states(outcomes) == {1: ("DONE", "reconciled")}


def test_a_walk_goes_on_over_pages_until_it_is_past_the_intent() -> None:
    clerk = ModelClerk()
    for number in range(1_700):
        clerk.now_ms = SINCE - 700_000 + 1_000 * number
        clerk.add(f"p{number}@example.com")
    sent = items("p696@example.com", "p1699@example.com", "nobody@example.com")
    outcomes = talk(settling().reconcile(sent, SINCE), clerk.answer)
    assert [one.state for one in outcomes] == [State.DONE, State.DONE, State.PENDING]


def test_a_short_page_does_not_end_a_walk() -> None:
    """A server may give fewer rows than asked for."""
    clerk = ModelClerk()
    for number in range(60):
        clerk.add(f"p{number}@example.com")

    def stingy(call: Call) -> Reply:
        short = tuple((name, "7" if name == "limit" else value) for name, value in call.query)
        return clerk.answer(Call(call.operation, call.method, call.template, call.path, call.safety, short))

    sent = items("p0@example.com", "p59@example.com", "p30@example.com")
    outcomes = talk(settling().reconcile(sent, SINCE), stingy)
    assert [one.state for one in outcomes] == [State.DONE] * 3


def test_a_list_out_of_order_is_read_to_its_end() -> None:
    clerk = ModelClerk()
    old = [invitation(f"old{number}@example.com", f"o{number}", created_at=SINCE - 900_000) for number in range(600)]
    rows = [*old, *(invitation(f"p{number}@example.com", f"i{number}", created_at=SINCE) for number in range(3))]

    def unordered(call: Call) -> Reply:
        clerk.calls.append(call)
        query = dict(call.query)
        offset = int(query["offset"])
        return Reply(200, rows[offset : offset + 500] if query.get("status") is None else [])

    # The page's last row decides nothing while the page is no walk from new to old.
    rows[0], rows[1] = rows[1] | {"created_at": 5}, rows[0] | {"created_at": 4}
    rows[2] = rows[2] | {"created_at": 10}
    sent = items(*(f"p{number}@example.com" for number in range(3)))
    outcomes = talk(settling().reconcile(sent, SINCE), unordered)
    assert [one.state for one in outcomes] == [State.DONE] * 3


def test_a_list_that_grows_while_it_is_read_has_an_end() -> None:
    """The other lane goes on inviting: every page further on repeats what was seen, and that is no refusal."""
    clerk = ModelClerk()
    for number in range(40):
        clerk.add(f"p{number}@example.com")
    made = 40

    def busy(call: Call) -> Reply:
        nonlocal made
        reply = clerk.answer(call)
        clerk.now_ms += 500
        for _ in range(11):
            clerk.add(f"p{made}@example.com")
            made += 1
        return reply

    sent = items("p1@example.com", "p39@example.com", "nobody@example.com")
    outcomes = talk(settling().reconcile(sent, SINCE), busy)
    assert [one.state for one in outcomes] == [State.DONE, State.DONE, State.PENDING]


def test_a_list_that_ignores_its_offset_proves_nothing() -> None:
    page = [invitation(f"p{number}@example.com", f"i{number}", created_at=SINCE) for number in range(500)]
    with pytest.raises(ReadRefused):
        talk(settling().reconcile(items("a@b.co", "b@b.co", "c@b.co"), SINCE), lambda _: Reply(200, page))


ODD: list[Any] = [
    None,
    {},
    "nobody",
    {"object": "list"},
    {"data": None},
    {"errors": []},
    [None],
    [{"id": "inv_1"}],
    [{"id": "inv_1", "email_address": "a@b.co"}],
    [{"id": "inv_1", "email": "a@b.co", "created_at": 0}],
    [{"id": 7, "email_address": "a@b.co", "created_at": 0}],
    [invitation("z@b.co"), {"id": "inv_1", "email_address": ["a@b.co"], "created_at": 0}],
]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("organization", ["", "org_1"])
def test_an_unexpected_shape_is_never_taken_for_nobody(value: Any, count: int, organization: str) -> None:
    sent = items(*(f"p{number}@b.co" for number in range(count)), group=organization)
    with pytest.raises(ReadRefused):
        talk(settling(organizations=bool(organization)).reconcile(sent, SINCE), lambda _: Reply(200, value))
    apart = settling(organizations=bool(organization)).after_refusal(sent, SINCE, refusal(400, "duplicate_record"))
    with pytest.raises(ReadRefused):
        talk(apart, lambda _: Reply(200, value))


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refused_look_proves_nothing(status: int) -> None:
    with pytest.raises(ReadRefused, match=str(status)):
        talk(settling().reconcile(items("a@b.co"), SINCE), lambda _: refusal(status, "some_code"))


def test_an_invitation_without_an_address_is_read_over() -> None:
    rows = [invitation(None, created_at=SINCE), invitation("a@b.co", "inv_2", created_at=float(SINCE))]
    outcomes = talk(settling().reconcile(items("a@b.co"), SINCE), lambda _: Reply(200, {"data": rows}))
    assert outcomes[0].resource_id == "inv_2"


# ------------------------------------------------------------------ refused bulk calls


def taken_apart(
    clerk: ModelClerk, sent: list[Item], reply: Reply, policy: Any = "skip"
) -> dict[int, tuple[str, str, bool]]:
    found = talk(settling(policy=policy).after_refusal(sent, SINCE, reply), clerk.answer)
    assert sorted(one.seq for one in found) == [item.seq for item in sent]
    return {one.seq: (one.state.name, one.code, one.alone) for one in found}


@pytest.mark.parametrize("named", [["B@example.com"], "B@example.com, x@example.com"])
def test_named_offenders_are_settled_and_the_rest_stays_together(named: Any) -> None:
    reply = refusal(400, "duplicate_record", meta={"email_addresses": named})
    sent = items("a@example.com", "b@example.com", "c@example.com")
    assert taken_apart(ModelClerk(), sent, reply) == {
        1: ("PENDING", "", False),
        2: ("SKIPPED", "already_invited", False),
        3: ("PENDING", "", False),
    }


def test_each_offender_is_told_its_own_error() -> None:
    problems = (
        Problem("duplicate_record", "", {"email_addresses": ["a@example.com"]}),
        Problem("form_identifier_exists", "", {"email_addresses": ["b@example.com"]}),
        Problem("form_param_format_invalid", "", {"email_addresses": ["c@example.com"]}),
    )
    sent = items("a@example.com", "b@example.com", "c@example.com", "d@example.com")
    assert taken_apart(ModelClerk(), sent, Reply(422, {}, problems), "fail") == {
        1: ("FAILED", "already_invited", False),
        2: ("FAILED", "already_a_user", False),
        3: ("PENDING", "", True),
        4: ("PENDING", "", False),
    }


@pytest.mark.parametrize("meta", [{}, {"email_addresses": [7]}, {"email_addresses": {"a": 1}}, {"email_addresses": []}])
def test_where_nobody_is_named_each_goes_alone(meta: Any) -> None:
    sent = items("a@example.com", "b@example.com")
    reply = refusal(400, "duplicate_record", meta=meta)
    assert taken_apart(ModelClerk(), sent, reply) == {1: ("PENDING", "", True), 2: ("PENDING", "", True)}


def test_who_was_made_by_a_refused_call_is_done() -> None:
    clerk = ModelClerk(now_ms=SINCE)
    clerk.add("a@example.com")
    reply = refusal(400, "duplicate_record", meta={"email_addresses": ["b@example.com"]})
    assert taken_apart(clerk, items("a@example.com", "b@example.com", "c@example.com"), reply) == {
        1: ("DONE", "reconciled", False),
        2: ("SKIPPED", "already_invited", False),
        3: ("PENDING", "", False),
    }


def test_a_call_of_one_that_is_refused_ends_its_item() -> None:
    """Else a job that sends in bulk alone would send it again for ever."""
    assert taken_apart(ModelClerk(), items("a@example.com"), refusal(422, "form_param_invalid")) == {
        1: ("FAILED", "form_param_invalid", False)
    }
    assert taken_apart(ModelClerk(), items("a@example.com"), refusal(422, "form_identifier_exists")) == {
        1: ("SKIPPED", "already_a_user", False)
    }


def test_a_duplicate_after_doubt_may_be_our_own() -> None:
    sent = items("a@example.com", since_ms=SINCE)
    clerk = ModelClerk(now_ms=SINCE + 100_000)
    duplicate = refusal(400, "duplicate_record")
    assert taken_apart(clerk, sent, duplicate) == {1: ("DOUBT", "", True)}
    clerk.add("a@example.com")
    assert taken_apart(clerk, sent, duplicate) == {1: ("DONE", "reconciled", False)}
    clerk.invitations[0]["created_at"] = SINCE - 60_000
    assert taken_apart(clerk, sent, duplicate) == {1: ("SKIPPED", "already_invited", False)}


def test_a_user_after_doubt_is_a_user() -> None:
    """Nothing is gained by sending it five times more."""
    sent = items("a@example.com", since_ms=SINCE)
    assert taken_apart(ModelClerk(), sent, refusal(422, "form_identifier_exists")) == {
        1: ("SKIPPED", "already_a_user", False)
    }


def test_what_is_read_says_whose_it_is() -> None:
    clerk = ModelClerk()
    talk(settling(organizations=True).reconcile(items("a@b.co", group="org/1"), SINCE), clerk.answer)
    assert {call.path for call in clerk.calls} == {"/organizations/org%2F1/invitations"}
    assert {dict(call.query)["status"] for call in clerk.calls} == {"pending", "accepted", "revoked", "expired"}
