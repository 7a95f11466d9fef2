"""Walks through slices of time, against a model of Clerk's list: every user who stays is found exactly once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerk_jobs.export.page import Page
from clerk_jobs.export.sharing import Sharing
from clerk_jobs.export.slices import DisorderError, Slice

END_MS = 1000
PAGE = 25


@dataclass
class Model:
    """GET /users in memory: users in an order of ties of its own, and everything that is not documented."""

    users: list[tuple[int, str]]
    inclusive: bool
    dead: str
    order: dict[str, int] = field(default_factory=dict)
    ever: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.order = {identifier: crc32(identifier.encode()) for _, identifier in self.users}
        self.ever = {identifier: (time, identifier) for time, identifier in self.users}
        self.users.sort(key=self._key)

    def _key(self, user: tuple[int, str]) -> tuple[int, int, str]:
        return (user[0], self.order.setdefault(user[1], crc32(user[1].encode())), user[1])

    def insert(self, time: int, identifier: str) -> None:
        self.users.append((time, identifier))
        self.ever[identifier] = (time, identifier)
        self.users.sort(key=self._key)

    def delete(self, place: int) -> str:
        return self.users.pop(place % len(self.users))[1]

    def alive(self, identifier: str) -> bool:
        return any(identifier == other for _, other in self.users)

    def page(self, query: Sequence[tuple[str, str]], limit: int) -> Page | None:
        asked = dict(query)
        assert asked["limit"] == str(limit)
        assert asked["order_by"] == "+created_at"
        after, before = int(asked["created_at_after"]), int(asked["created_at_before"])
        if not self.inclusive:
            after, before = after + 1, before - 1
        cursor = asked.get("starting_after")
        rows = [user for user in self.users if after <= user[0] <= before]
        if cursor is not None:
            if not self.alive(cursor) and self.dead != "resolved":
                return None if self.dead == "refused" else Page([], [], b"")
            rows = [user for user in rows if self._key(user) > self._key(self.ever[cursor])]
        skip = int(asked.get("offset", 0))
        rows = rows[skip : skip + limit]
        return Page([one[1] for one in rows], [one[0] for one in rows], b"{}\n" * len(rows))


def step(model: Model, one: Slice, found: Counter[str]) -> None:
    page = model.page(one.query(PAGE), PAGE)
    if page is None:
        one.cursor_refused()
        return
    taken = one.take(page)
    found.update(page.ids[place] for place in taken.rows)


def check(model: Model, one: Slice) -> None:
    assert one.cursor is not None
    if model.alive(one.cursor):
        one.cursor_alive()
    else:
        one.cursor_refused()


times = st.one_of(st.integers(0, END_MS - 1), st.sampled_from([0, 1, 500, 501, 502, END_MS - 1]))


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    created=st.lists(times, max_size=60),
    clumps=st.lists(st.tuples(times, st.integers(0, 120)), max_size=3),
    inclusive=st.booleans(),
    dead=st.sampled_from(["resolved", "refused", "empty"]),
    by_cursor=st.booleans(),
    parts=st.integers(1, 6),
    churn=st.booleans(),
)
def test_every_user_who_stays_is_found_once(
    data: st.DataObject,
    created: list[int],
    clumps: list[tuple[int, int]],
    inclusive: bool,
    dead: str,
    by_cursor: bool,
    parts: int,
    churn: bool,
) -> None:
    every = created + [time for time, many in clumps for _ in range(many)]
    model = Model([(time, f"user_{number}") for number, time in enumerate(every)], inclusive, dead)
    stay = {identifier for _, identifier in model.users}
    sharing = Sharing.cut(0, END_MS, parts, page_size=PAGE, total=len(every), by_cursor=by_cursor)
    found: Counter[str] = Counter()
    steps = 0
    while not sharing.finished:
        steps += 1
        assert steps < 3000, "the walk does not end"
        opened = sharing.open()
        for one in sharing.to_check():
            check(model, one)
        if opened:
            step(model, opened[data.draw(st.integers(0, len(opened) - 1))], found)
        event = data.draw(st.sampled_from(["none", "share", "insert", "delete"])) if churn and steps < 40 else "share"
        if event == "share":
            sharing.take_part()
        elif event == "insert":
            model.insert(data.draw(times), f"late_{steps}")
        elif event == "delete" and model.users:
            stay.discard(model.delete(data.draw(st.integers(0, 1000))))
    assert not {identifier: count for identifier, count in found.items() if count != 1}
    assert stay <= set(found), sorted(stay - set(found))[:5]
    assert set(found) <= set(model.ever)
    edges = sorted((one.low_ms, one.high_ms) for one in sharing.slices.values())
    assert edges[0][0] == 0
    assert edges[-1][1] == END_MS
    assert all(one[1] == other[0] for one, other in itertools.pairwise(edges))


def page_of(*users: tuple[str, int]) -> Page:
    return Page([user[0] for user in users], [user[1] for user in users], b"{}\n" * len(users))


def test_the_bounds_stay_while_the_cursor_walks() -> None:
    one = Slice(0, 100, 200)
    first = dict(one.query(2))
    assert (first["created_at_after"], first["created_at_before"]) == ("99", "200")
    one.take(page_of(("a", 110), ("b", 120)))
    one.give(150, 1, None)
    second = dict(one.query(2))
    assert second == {**first, "starting_after": "b"}


def test_a_dead_cursor_is_replaced_by_time_and_nobody_comes_twice() -> None:
    one = Slice(0, 100, 200)
    one.query(2)
    one.take(page_of(("a", 110), ("b", 120)))
    assert not one.take(page_of()).rows
    assert str(one.state) == "check"
    one.cursor_refused()
    assert dict(one.query(5))["created_at_after"] == "119"
    assert one.take(page_of(("x", 119), ("b", 120), ("c", 120))).rows == [2]
    assert one.state == "closed"


@pytest.mark.parametrize(
    "users",
    [[("a", 120), ("b", 110)], [("a", 50), ("b", 110)]],
    ids=["not ordered", "before the bounds"],
)
def test_pages_that_contradict_the_question_stop_the_walk(users: list[tuple[str, int]]) -> None:
    one = Slice(0, 100, 200)
    one.query(5)
    with pytest.raises(DisorderError):
        one.take(page_of(*users))


def test_a_cursor_that_comes_back_stops_the_walk() -> None:
    one = Slice(0, 100, 200)
    one.query(2)
    one.take(page_of(("a", 110), ("b", 110)))
    with pytest.raises(DisorderError, match="repeat"):
        one.take(page_of(("a", 110), ("b", 110)))


def test_another_page_size_begins_anew_because_a_cursor_demands_the_same_question() -> None:
    one = Slice(0, 100, 200)
    one.query(2)
    one.take(page_of(("a", 110), ("b", 120)))
    asked = dict(one.query(4))
    assert (asked["limit"], asked["created_at_after"], "starting_after" in asked) == ("4", "119", False)


def walk(model: Model, one: Slice) -> Counter[str]:
    """Walk one slice to its end."""
    found: Counter[str] = Counter()
    for _ in range(200):
        if one.state == "check":
            check(model, one)
        if one.state == "closed":
            return found
        step(model, one, found)
    raise AssertionError("the walk does not end")


@pytest.mark.parametrize("by_cursor", [True, False], ids=["cursor", "offset"])
@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("low", [500, 501])
def test_neighbouring_milliseconds_of_many_pages_each(by_cursor: bool, inclusive: bool, low: int) -> None:
    """The page before the slice, or before the position, fills pages of its own that bring nothing new."""
    users = [(500 + number // 120, f"user_{number}") for number in range(360)]
    one = Slice(0, low, END_MS, by_cursor)
    found = walk(Model(users, inclusive, "resolved"), one)
    assert found == dict.fromkeys((name for time, name in users if time >= low), 1)


def test_cursors_that_are_always_refused_are_given_up() -> None:
    users = [(500 + number // 120, f"user_{number}") for number in range(360)]
    model = Model(users, True, "refused")
    found: Counter[str] = Counter()
    one = Slice(0, 0, END_MS)
    for _ in range(200):
        if one.state != "open":
            break
        if one.cursor is not None:
            one.cursor_refused()
        step(model, one, found)
    assert one.state == "closed"
    assert found == dict.fromkeys((name for _, name in users), 1)


def test_an_offset_behind_deleted_users_steps_back() -> None:
    """What is deleted moves the rest forward: an empty page by offset is no end of the list."""
    model = Model([(500, f"user_{number}") for number in range(200)], True, "resolved")
    found: Counter[str] = Counter()
    one = Slice(0, 0, END_MS, by_cursor=False)
    while one.kept < 150:
        step(model, one, found)
    for _ in range(100):
        model.delete(0)
    stay = {name for _, name in model.users}
    found.update(walk(model, one))
    assert stay <= set(found)
    assert set(found.values()) == {1}


def test_a_page_that_is_believed_to_be_the_last_needs_no_proof() -> None:
    """Asked for by time, a short page ends its slice: no cursor can have been deleted meanwhile."""
    one = Slice(0, 0, 40)
    one.query(PAGE)
    one.take(Page([str(each) for each in range(PAGE)], list(range(PAGE)), b"{}\n" * PAGE))
    assert dict(one.query(PAGE)).get("starting_after") is None
    rows = one.take(Page([str(each) for each in range(24, 40)], list(range(24, 40)), b"{}\n" * 16)).rows
    assert list(rows) == list(range(1, 16))
    assert one.state == "closed"


def test_a_walk_far_from_its_end_or_within_one_millisecond_goes_on_by_cursor() -> None:
    far = Slice(0, 0, 1_000)
    far.query(PAGE)
    far.take(Page([str(each) for each in range(PAGE)], list(range(PAGE)), b"{}\n" * PAGE))
    assert dict(far.query(PAGE))["starting_after"] == "24"
    # By time, these 20 would come again.
    dense = Slice(0, 0, 40)
    dense.query(PAGE)
    times = [0] * (PAGE - 20) + [30] * 20
    dense.take(Page([str(each) for each in range(PAGE)], times, b"{}\n" * PAGE))
    assert dict(dense.query(PAGE))["starting_after"] == "24"
