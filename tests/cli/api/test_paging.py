"""Walking pages with scripted answers: cursors that die, offsets, and where a walk ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from clerk_jobs.call import Call, Problem, Reply
from clerk_jobs.catalog import Json, load
from clerk_jobs.catalog.prepare import Inputs, prepare
from clerk_runner.errors import StoppedError
from clerk_runner.explore.calling import Caller, PageRefused
from clerk_runner.explore.paging import Pager, more_hint

CATALOG = load()
USERS = CATALOG.operation("GetUserList")
Answer = Callable[[dict[str, str]], Reply]


def users(*numbers: int) -> Json:
    return [{"id": f"user_{number}"} for number in numbers]


def call(operation: str = "GetUserList", **query: str) -> Call:
    chosen = CATALOG.operation(operation)
    return prepare(chosen, Inputs(query=tuple(query.items())))


class Scripted(Caller):
    """A caller whose answers come from a function of the query."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[dict[str, str]] = []

    async def send(self, call: Call, *, bodyless: bool = False) -> Reply:
        self.asked.append(dict(call.query))
        return self._answer(dict(call.query))


def walk(answer: Answer, first: Call | None = None) -> tuple[list[str], list[dict[str, str]]]:
    caller = Scripted(answer)

    async def collect() -> list[str]:
        pages = caller.pages(USERS, first or call(limit="2"))
        return [cast(Any, row)["id"] async for page in pages for row in page]

    return asyncio.run(collect()), caller.asked


def clerk(alive: Sequence[int], dead: str) -> Answer:
    """Users in order, and what a cursor of somebody who is gone does: `empty` page, or `refused`."""

    def answer(query: dict[str, str]) -> Reply:
        if "user_id" in query:
            return Reply(200, users(*(n for n in alive if f"user_{n}" == query["user_id"])))
        cursor = query.get("starting_after")
        if cursor is not None and int(cursor[5:]) not in alive:
            refusal = Reply(404, None, (Problem("resource_not_found", "x"),))
            return refusal if dead == "refused" else Reply(200, [])
        place = 0 if cursor is None else alive.index(int(cursor[5:])) + 1
        return Reply(200, users(*alive[place : place + int(query["limit"])]))

    return answer


def test_a_cursor_walks_to_a_short_page_and_is_then_seen_to_be_alive() -> None:
    rows, asked = walk(clerk(range(5), "empty"))
    assert rows == [f"user_{n}" for n in range(5)]
    assert asked == [
        {"limit": "2"},
        {"limit": "2", "starting_after": "user_1"},
        {"limit": "2", "starting_after": "user_3"},
        {"user_id": "user_3", "limit": "1"},
    ]


@pytest.mark.parametrize("dead", ["empty", "refused"])
def test_a_cursor_that_died_ends_nothing(dead: str) -> None:
    everybody = clerk(range(6), dead)
    without = clerk([0, 2, 3, 4, 5], dead)
    turns = iter([everybody])

    def answer(query: dict[str, str]) -> Reply:
        return next(turns, without)(query)

    rows, asked = walk(answer)
    assert rows == [f"user_{n}" for n in range(6)]
    assert {"limit": "2", "starting_after": "user_0"} in asked


def test_without_any_cursor_that_lives_the_walk_ends() -> None:
    everybody = clerk(range(6), "refused")
    turns = iter([everybody])
    nobody = clerk([5], "refused")

    def answer(query: dict[str, str]) -> Reply:
        return next(turns, nobody)(query)

    rows, _ = walk(answer)
    assert rows == ["user_0", "user_1"]


def test_a_refusal_that_is_no_dead_cursor_is_told() -> None:
    refusal = Reply(500, None, (Problem("internal", "x"),))
    with pytest.raises(PageRefused):
        walk(lambda _: refusal)


def test_what_is_no_list_stops_the_walk() -> None:
    with pytest.raises(StoppedError, match="does not have the shape of a list"):
        walk(lambda _: Reply(200, {"object": "user"}))


def test_another_order_goes_by_offset() -> None:
    pager = Pager(USERS, call(order_by="username", limit="2", offset="4"))
    first = pager.first()
    assert dict(first.query) == {"order_by": "username", "limit": "2", "offset": "4"}
    second = pager.after([1, 2])
    assert second is not None
    assert dict(second.query) == {"order_by": "username", "limit": "2", "offset": "6"}
    assert pager.after([1]) is None
    assert pager.cursor_check() is None
    assert pager.after_dead_cursor() is None


def test_a_walk_begins_at_a_cursor_that_was_given() -> None:
    pager = Pager(USERS, call(starting_after="user_9"))
    assert dict(pager.first().query) == {"starting_after": "user_9", "limit": "500"}


def test_rows_without_ids_end_a_walk_by_cursor() -> None:
    pager = Pager(USERS, call(limit="1"))
    pager.first()
    assert pager.after(["no object"]) is None


def test_a_list_without_limit_is_one_page() -> None:
    pager = Pager(CATALOG.operation("ListDomains"), call("ListDomains"))
    assert pager.first().query == ()
    assert pager.after([1, 2, 3]) is None


@pytest.mark.parametrize(
    ("operation", "query", "shown", "hint"),
    [
        ("GetUserList", {}, 9, ""),
        ("GetUserList", {}, 10, "10 shown (limit 10); there may be more: --all, or --limit 500 --offset 10"),
        (
            "GetUserList",
            {"limit": "5", "offset": "5"},
            5,
            "5 shown (limit 5); there may be more: --all, or --limit 500 --offset 10",
        ),
        ("ListDomains", {}, 10, ""),
        (
            "getM2MTokens",
            {"subject": "mch_" + "a" * 27},
            10,
            "10 shown (limit 10); there may be more: --all, or --limit 100 --offset 10",
        ),
    ],
)  # fmt: skip
def test_what_is_said_below_a_full_page(operation: str, query: dict[str, str], shown: int, hint: str) -> None:
    assert more_hint(CATALOG.operation(operation), call(operation, **query), shown) == hint
