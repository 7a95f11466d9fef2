"""Rows that are read back together, and what becomes of those whose turn has not come."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from clerk_jobs.call import Item
from clerk_runner.errors import StoppedError
from clerk_runner.journal import OpenItem
from clerk_runner.reading_ahead import MOST_HELD, ROWS_AHEAD, ReadAhead


def opened(seq: int) -> OpenItem:
    return OpenItem(seq, seq + 1, seq * 10, b"digest", "", False, 0, None, None, None)


class Rows:
    """Reads rows back, and says how many at a time; some have changed."""

    def __init__(self, changed: frozenset[int] = frozenset()) -> None:
        self.changed = changed
        self.reads: list[list[int]] = []

    def items(self, wanted: Sequence[OpenItem]) -> list[Item]:
        self.reads.append([one.seq for one in wanted])
        if changed := self.changed.intersection(one.seq for one in wanted):
            raise StoppedError(f"line {min(changed)} changed", code="input_changed", hint="mend it")
        return [Item(one.seq, {"revoke": one.revoke}, one.group) for one in wanted]


class Next:
    """A feed that only guesses."""

    def __init__(self, items: list[OpenItem]) -> None:
        self.items = items

    def ahead(self, count: int) -> list[OpenItem]:
        return self.items[:count]


def played(rows: Rows, feed: Any, turns: Sequence[list[OpenItem]]) -> list[list[int]]:
    async def main() -> list[list[int]]:
        ahead = ReadAhead(rows, feed)
        return [[item.seq for item in await ahead.items(turn)] for turn in turns]

    return asyncio.run(main())


def test_rows_are_read_many_at_a_time_and_each_once() -> None:
    items = [opened(seq) for seq in range(1, 201)]
    rows, feed = Rows(), Next(items)
    turns = []

    async def main() -> None:
        ahead = ReadAhead(rows, feed)
        while feed.items:
            turn = [feed.items.pop(0)]
            turns.append(await ahead.items(turn))

    feed.items = list(items)
    asyncio.run(main())
    assert [item.seq for turn in turns for item in turn] == [one.seq for one in items]
    assert len(rows.reads) <= 200 / ROWS_AHEAD + 1
    assert sorted(seq for read in rows.reads for seq in read) == [one.seq for one in items]


def test_a_row_that_changed_stops_nobody_before_its_turn() -> None:
    items = [opened(seq) for seq in range(1, 6)]
    rows = Rows(changed=frozenset({4}))
    assert played(rows, Next(items[1:]), [[items[0]], [items[1]]]) == [[1], [2]]
    with pytest.raises(StoppedError, match="line 4"):
        played(rows, Next(items[1:]), [[items[3]]])


def test_once_a_row_has_changed_each_is_read_when_its_turn_comes() -> None:
    """Nothing is read again and again for the sake of a row at which the run will stop."""
    items = [opened(seq) for seq in range(1, 51)]
    rows, feed = Rows(changed=frozenset({50})), Next(items)

    async def main() -> None:
        ahead = ReadAhead(rows, feed)
        while len(feed.items) > 1:
            await ahead.items([feed.items.pop(0)])
        with pytest.raises(StoppedError, match="line 50"):
            await ahead.items([feed.items.pop(0)])

    feed.items = list(items)
    asyncio.run(main())
    assert [len(read) for read in rows.reads] == [50, *(1 for _ in items)]


def test_an_item_that_was_pending_before_is_read_again() -> None:
    """It knows more now, such as which invitation has to be revoked first."""
    first = opened(2)
    again = dataclasses.replace(first, revoke="inv_1")

    async def main() -> Any:
        ahead = ReadAhead(rows, Next([first]))
        await ahead.items([opened(1)])
        return (await ahead.items([again]))[0].payload

    rows = Rows()
    assert asyncio.run(main()) == {"revoke": "inv_1"}


def test_those_who_come_while_others_are_read_need_one_more_reading_together() -> None:
    """A hundred callers come at once, and no guess knows what they have taken already."""
    items = [opened(seq) for seq in range(1, 101)]
    rows = Rows()

    async def main() -> list[list[Item]]:
        ahead = ReadAhead(rows, Next([]))
        return await asyncio.gather(*(ahead.items([one]) for one in items))

    assert [item.seq for (item,) in asyncio.run(main())] == [one.seq for one in items]
    assert [len(read) for read in rows.reads] == [1, 99]


def test_the_next_rows_are_read_before_anybody_waits_for_them() -> None:
    items = [opened(seq) for seq in range(1, 1_001)]
    rows, feed = Rows(), Next(items)
    missed = 0

    async def main() -> None:
        nonlocal missed
        ahead = ReadAhead(rows, feed)
        while feed.items:
            one = feed.items.pop(0)
            missed += one.seq not in ahead._read
            assert [item.seq for item in await ahead.items([one])] == [one.seq]

    feed.items = list(items)
    asyncio.run(main())
    assert missed == 1
    assert sorted(seq for read in rows.reads for seq in read) == [one.seq for one in items]


def test_a_row_that_changed_is_told_to_whom_it_belongs_however_early_it_was_read() -> None:
    items = [opened(seq) for seq in range(1, 6)]
    rows = Rows(changed=frozenset({4}))

    async def main() -> list[list[Item] | BaseException]:
        ahead = ReadAhead(rows, Next([]))
        return await asyncio.gather(*(ahead.items([one]) for one in items), return_exceptions=True)

    ends = asyncio.run(main())
    assert [one.seq for end in ends if not isinstance(end, BaseException) for one in end] == [1, 2, 3, 5]
    assert isinstance(ends[3], StoppedError)


def test_wrong_guesses_are_not_held_for_ever() -> None:
    rows, feed = Rows(), Next([])

    async def main() -> int:
        ahead = ReadAhead(rows, feed)
        for start in range(1_000, 20_000, 1_000):
            feed.items = [opened(start + number) for number in range(ROWS_AHEAD)]
            await ahead.items([opened(start - 1)])
        return len(ahead._read)

    assert asyncio.run(main()) <= MOST_HELD + ROWS_AHEAD
