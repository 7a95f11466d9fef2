from hypothesis import given, settings
from hypothesis import strategies as st

from clerk_runner.simulator.timeline import Timeline

COUNT = 40
changes = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 30)),
        st.tuples(st.just("discard"), st.integers(0, COUNT + 20)),
        st.tuples(st.just("move"), st.integers(0, COUNT - 1), st.integers(0, 30)),
    ),
    max_size=40,
)


def value(number: int) -> int:
    """A few objects share each value."""
    return number // 3


class Model:
    """The same list, kept the plain way."""

    def __init__(self) -> None:
        self.values = {number: value(number) for number in range(COUNT)}
        self.next = COUNT

    @property
    def keys(self) -> list[tuple[int, int]]:
        return sorted((at, number) for number, at in self.values.items())


def changed(steps: list[tuple[object, ...]]) -> tuple[Timeline, Model]:
    timeline, model = Timeline(COUNT, value), Model()
    for step in steps:
        number = step[1]
        assert isinstance(number, int)
        if step[0] == "add":
            timeline.add(model.next, number)
            model.values[model.next] = number
            model.next += 1
            continue
        before = model.values.pop(number, None)
        timeline.discard(number, value(number) if before is None else before)
        if step[0] == "move" and before is not None:
            after = step[2]
            assert isinstance(after, int)
            timeline.add(number, after)
            model.values[number] = after
    return timeline, model


@given(changes)
@settings(deadline=None)
def test_it_is_the_list_that_a_plain_sort_gives(steps: list[tuple[object, ...]]) -> None:
    timeline, model = changed(steps)
    keys = model.keys

    assert len(timeline) == len(keys)
    assert timeline.numbers(0, len(keys)) == [number for _, number in keys]
    for key in [*keys, (0, -1), (5, 1000), (99, 0)]:
        assert timeline.rank(key) == sum(other < key for other in keys)


@given(changes, st.integers(0, 60), st.integers(0, 20), st.booleans())
@settings(deadline=None)
def test_a_page_is_a_part_of_that_list(
    steps: list[tuple[object, ...]], offset: int, limit: int, descending: bool
) -> None:
    timeline, model = changed(steps)
    numbers = [number for _, number in model.keys]
    if descending:
        numbers.reverse()

    assert timeline.page(offset, limit, descending) == numbers[offset : offset + limit]


@given(changes)
@settings(deadline=None)
def test_it_knows_what_it_holds(steps: list[tuple[object, ...]]) -> None:
    timeline, model = changed(steps)
    for number in range(model.next):
        held = model.values.get(number)
        assert timeline.holds(number, value(number) if held is None else held) is (held is not None)


def test_a_million_objects_cost_nothing() -> None:
    timeline = Timeline(1_000_000, lambda number: number * 7)
    timeline.discard(500_000, 3_500_000)

    assert timeline.page(499_999, 3, descending=False) == [499_999, 500_001, 500_002]
    assert timeline.page(499_998, 2, descending=True) == [500_001, 499_999]
