"""Which items a lane takes next."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.call import Draft, State
from clerk_runner.feed import AHEAD, Feed
from clerk_runner.journal import Journal, OpenItem, SourceRow


def item(seq: int, group: str = "", *, alone: bool = False) -> OpenItem:
    return OpenItem(seq, seq + 1, seq * 10, b"d", group, alone, 0, None, None)


class Pending:
    """A journal's pending items, by number."""

    def __init__(self, items: list[OpenItem]) -> None:
        self.items = items

    async def pending(self, after: int, limit: int) -> list[OpenItem]:
        return [one for one in self.items if one.seq > after][:limit]


def feed_of(items: list[OpenItem]) -> Feed:
    journal: Any = Pending(items)
    return Feed(journal, len(items))


async def filled(items: list[OpenItem]) -> Feed:
    feed = feed_of(items)
    await feed.fill()
    return feed


def seqs(items: list[OpenItem]) -> list[int]:
    return [one.seq for one in items]


def test_items_come_in_the_order_of_the_input() -> None:
    async def scenario() -> None:
        feed = await filled([item(seq) for seq in range(1, 26)])
        assert seqs(feed.take(10, alone=False)) == list(range(1, 11))
        assert seqs(feed.take(1, alone=True)) == [11]
        assert seqs(feed.take(10, alone=False)) == list(range(12, 22))
        assert feed.left == 4

    asyncio.run(scenario())


def test_a_call_is_of_one_group_and_whole_tens_go_first() -> None:
    async def scenario() -> None:
        feed = await filled([item(seq, "small" if seq <= 3 else "large") for seq in range(1, 16)])
        assert seqs(feed.take(10, alone=False)) == list(range(4, 14))
        # The lane of one takes from what is left over.
        assert seqs(feed.take(1, alone=True)) == [14]
        assert seqs(feed.take(10, alone=False)) == [1, 2, 3]
        assert seqs(feed.take(10, alone=False)) == [15]
        assert feed.take(10, alone=False) == []

    asyncio.run(scenario())


def test_what_goes_alone_is_not_for_a_lane_of_many() -> None:
    async def scenario() -> None:
        feed = await filled([item(1, alone=True)])
        assert not feed.has(alone=False)
        assert feed.take(10, alone=False) == []
        assert feed.urgent
        assert seqs(feed.take(10, alone=True)) == [1]
        assert feed.left == 0

    asyncio.run(scenario())


@given(
    groups=st.lists(st.sampled_from("abc"), max_size=60),
    takes=st.lists(st.tuples(st.sampled_from([1, 10]), st.booleans(), st.booleans()), max_size=60),
)
def test_nobody_is_taken_twice_and_nobody_is_dropped(groups: list[str], takes: list[tuple[int, bool, bool]]) -> None:
    async def scenario() -> None:
        feed = feed_of([item(seq, group) for seq, group in enumerate(groups, 1)])
        out: set[int] = set()
        for size, alone, back in [*takes, *[(10, True, False)] * len(groups)]:
            await feed.fill()
            taken = feed.take(size, alone=alone)
            assert len({one.group for one in taken}) <= 1
            assert out.isdisjoint(seqs(taken))
            if back:
                feed.give_back(taken)
            else:
                out.update(seqs(taken))
            assert feed.left == len(groups) - len(out)
        assert out == set(range(1, len(groups) + 1))

    asyncio.run(scenario())


def test_what_comes_back_from_beyond_the_read_part_is_not_read_again() -> None:
    async def scenario() -> None:
        count = 3 * AHEAD
        known = [item(seq) for seq in range(1, count + 1)]
        doubtful = count - 5
        journal: Any = Pending([one for one in known if one.seq != doubtful])
        feed = Feed(journal, count - 1)
        await feed.fill()
        journal.items = known
        feed.give_back([item(doubtful, alone=True)])
        out: list[int] = []
        while feed.left:
            await feed.fill()
            out += seqs(feed.take(10, alone=True))
        assert sorted(out) == list(range(1, count + 1))

    asyncio.run(scenario())


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path / "run.db", durable=False)
        rows = [SourceRow(seq, seq, seq, Draft(b"k%d" % seq, b"d")) for seq in range(1, 3 * AHEAD)]
        await journal.ingest(rows)
        feed = Feed(journal, (await journal.counts())[State.PENDING])
        for _ in range(3 * AHEAD):
            await feed.fill()
            assert feed._held <= AHEAD
            feed.take(10, alone=True)
        assert feed.left == 0
        journal.close()

    asyncio.run(scenario())


def test_what_the_next_call_carries_is_what_is_taken() -> None:
    async def scenario() -> None:
        feed = await filled([item(1, alone=True), *(item(seq, "a") for seq in range(2, 5)), item(5, "b"), item(6, "b")])
        for size, alone in ((10, False), (1, True), (1, True), (10, True)):
            carries = feed.carries(size, alone=alone)
            assert carries == len(feed.take(size, alone=alone)) > 0
        assert feed.carries(10, alone=True) == feed.carries(1, alone=True) == 0

    asyncio.run(scenario())
