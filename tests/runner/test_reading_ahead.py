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


def test_wrong_guesses_are_not_held_for_ever() -> None:
    rows, feed = Rows(), Next([])

    async def main() -> int:
        ahead = ReadAhead(rows, feed)
        for start in range(1_000, 20_000, 1_000):
            feed.items = [opened(start + number) for number in range(ROWS_AHEAD)]
            await ahead.items([opened(start - 1)])
        return len(ahead._read)

    assert asyncio.run(main()) <= MOST_HELD + ROWS_AHEAD
