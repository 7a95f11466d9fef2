"""Who need not be invited: reads of lists and users, with a scripted Clerk."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.call import Call, Item, ReadRefused, Reply, State
from clerk_jobs.invite import PendingPages, Screening
from clerk_jobs.reading import URL_BYTES, read_batches
from clerk_testing.model import ModelClerk, invitation, refusal, talk


def people(*addresses: str, group: str = "") -> list[Item]:
    return [Item(seq, {"email_address": address}, group) for seq, address in enumerate(addresses, 1)]


def screening(policy: Any = "skip", *, organizations: bool = False) -> Screening:
    return Screening(organizations=organizations, on_existing=policy)


def listed(clerk: ModelClerk, group: str = "") -> list[str]:
    pages = PendingPages(group)
    found: dict[str, None] = {}
    while not pages.done:
        found.update(dict.fromkeys(one.address for one in pages.read(clerk.answer(pages.call()))))
    return list(found)


@pytest.mark.parametrize("count", [0, 1, 489, 490, 499, 500, 501, 980, 990, 1_500])
@pytest.mark.parametrize("group", ["", "org_1"])
def test_every_pending_invitation_is_listed(count: int, group: str) -> None:
    clerk = ModelClerk()
    for number in range(count):
        clerk.now_ms += 1
        clerk.add(f"p{number}@example.com", group)
    assert listed(clerk, group) == [f"p{number}@example.com" for number in range(count)]


@pytest.mark.parametrize("value", [None, {}, {"data": {}}, [{"id": "inv_1"}], [7], "x"])
def test_a_page_that_cannot_be_read_is_refused(value: Any) -> None:
    pages = PendingPages()
    with pytest.raises(ReadRefused):
        pages.read(Reply(200, value))
    with pytest.raises(ReadRefused):
        talk(screening().ask(people("a@b.co")[0]), lambda _: Reply(200, value))


@pytest.mark.parametrize(
    ("policy", "state", "revoke"),
    [("skip", State.SKIPPED, None), ("fail", State.FAILED, None), ("reinvite", State.PENDING, "inv_0")],
)
def test_a_pending_invitation_by_policy(policy: Any, state: State, revoke: str | None) -> None:
    clerk = ModelClerk()
    clerk.add("Jane@Example.com")
    clerk.add("xjane@example.com")
    outcomes = talk(screening(policy).ask(people("jane@example.com")[0]), clerk.answer)
    assert [(one.state, one.revoke) for one in outcomes] == [(state, revoke)]
    assert talk(screening(policy).ask(people("ane@example.com")[0]), clerk.answer) == []


@pytest.mark.parametrize(
    ("policy", "state"), [("skip", State.SKIPPED), ("fail", State.FAILED), ("reinvite", State.SKIPPED)]
)
def test_users(policy: Any, state: State) -> None:
    clerk = ModelClerk(users={f"p{number}@example.com": f"user_{number}" for number in range(0, 100, 2)})
    sent = people(*(f"P{number}@example.com" for number in range(100)))
    outcomes = talk(screening(policy).members(sent), clerk.answer)
    assert {one.seq for one in outcomes} == set(range(1, 101, 2))
    assert {(one.state, one.code) for one in outcomes} == {(state, "already_a_user")}


def test_only_members_are_members() -> None:
    clerk = ModelClerk(
        users={"a@example.com": "user_a", "b@example.com": "user_b"}, members={("org_1", "user_a"), ("org_2", "user_b")}
    )
    sent = people("a@example.com", "b@example.com", "c@example.com", group="org_1")
    outcomes = talk(screening(organizations=True).members(sent), clerk.answer)
    assert [(one.seq, one.code) for one in outcomes] == [(1, "already_a_member")]
    assert talk(screening(organizations=True).members(people("c@example.com", group="org_1")), clerk.answer) == []


@pytest.mark.parametrize("status", [400, 414, 431])
def test_a_question_that_is_too_long_is_halved(status: int) -> None:
    clerk = ModelClerk(users={f"p{number}@example.com": f"user_{number}" for number in range(100)})
    sizes: list[int] = []

    def narrow(call: Call) -> Reply:
        size = sum(name == "email_address" for name, _ in call.query)
        sizes.append(size)
        return Reply(status) if size > 25 else clerk.answer(call)

    outcomes = talk(screening().members(people(*clerk.users)), narrow)
    assert len(outcomes) == 100
    assert sizes == [100, 50, 25, 25, 50, 25, 25]


@pytest.mark.parametrize("status", [414, 404, 422])
def test_a_question_that_is_refused_at_any_length_is_told(status: int) -> None:
    with pytest.raises(ReadRefused):
        talk(screening().members(people("a@b.co", "b@b.co")), lambda _: refusal(status, "no"))


@pytest.mark.parametrize(
    "value",
    [
        {},
        [7],
        [{"id": "user_1"}],
        [{"id": "user_1", "email_addresses": [{"email": "a@b.co"}]}],
        [{"email_addresses": []}],
    ],
)
def test_users_that_cannot_be_read_are_not_nobody(value: Any) -> None:
    with pytest.raises(ReadRefused):
        talk(screening().members(people("a@b.co")), lambda _: Reply(200, value))


def test_members_that_cannot_be_read_are_not_nobody() -> None:
    clerk = ModelClerk(users={"a@b.co": "user_a"})

    def odd(call: Call) -> Reply:
        return clerk.answer(call) if call.path == "/users" else Reply(200, {"data": [{"user": "user_a"}]})

    with pytest.raises(ReadRefused):
        talk(screening(organizations=True).members(people("a@b.co", group="org_1")), odd)


def test_a_seen_invitation_without_an_address_is_nobodys() -> None:
    assert PendingPages().read(Reply(200, [invitation(None)])) == []


@given(st.lists(st.text(max_size=300), max_size=400))
def test_batches_hold_everything_once_within_their_bounds(values: list[str]) -> None:
    batches = list(read_batches("email_address", values))
    assert [value for batch in batches for _, value in batch] == values
    for batch in batches:
        assert 1 <= len(batch) <= 100
        assert len(batch) == 1 or len(urlencode(batch)) <= URL_BYTES
