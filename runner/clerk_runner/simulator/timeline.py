"""A list in order of time, most of which is a formula and takes no memory.

The objects 0 … count-1 exist by formula, with a value (a time) that never decreases with the number. Some of
them have been taken out (deleted, or their time changed), and others stand beside them in memory. A
`Timeline` gives both as one list, ordered by (value, number): which rank a key has, and the numbers at a
range of ranks. Each costs O(log n) and the length of the answer, so a page of a million objects costs the
same at any depth.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator

Key = tuple[int, int]
"""(value, number): the place of an object; numbers make equal values distinct."""


class Timeline:
    """An ordered list of numbers, by formula and by hand.

    Args:
        count: how many objects exist by formula.
        value: the value of a formula's object; it must not decrease.
    """

    def __init__(self, count: int, value: Callable[[int], int]) -> None:
        self._count = count
        self._value = value
        self._gone: list[int] = []
        self._side: list[Key] = []

    def __len__(self) -> int:
        return self._count - len(self._gone) + len(self._side)

    def add(self, number: int, value: int) -> None:
        """Put an object in by hand."""
        insort(self._side, (value, number))

    def discard(self, number: int, value: int) -> None:
        """Take an object out, `value` being its present one; nothing happens where it is not in the list."""
        place = bisect_left(self._side, (value, number))
        if place < len(self._side) and self._side[place] == (value, number):
            del self._side[place]
        elif number < self._count and self._value(number) == value:
            gone = bisect_left(self._gone, number)
            if gone == len(self._gone) or self._gone[gone] != number:
                self._gone.insert(gone, number)

    def holds(self, number: int, value: int) -> bool:
        """Whether an object with this value is in the list."""
        place = bisect_left(self._side, (value, number))
        if place < len(self._side) and self._side[place] == (value, number):
            return True
        if number >= self._count or self._value(number) != value:
            return False
        gone = bisect_left(self._gone, number)
        return gone == len(self._gone) or self._gone[gone] != number

    def rank(self, key: Key) -> int:
        """How many objects stand before this key, whether or not an object has it."""
        return self._formula_before(key) + bisect_left(self._side, key)

    def numbers(self, start: int, stop: int) -> list[int]:
        """The numbers at the ranks start … stop-1, in order; ranks outside the list are left out."""
        start, stop = max(start, 0), min(stop, len(self))
        if start >= stop:
            return []
        if not self._gone and not self._side:
            return list(range(start, stop))
        side = bisect_left(range(len(self._side)), start, key=self._rank_of_side)
        return list(self._merged(self._formula_at(start - side), side, stop - start))

    def page(self, offset: int, limit: int, descending: bool) -> list[int]:
        """So many numbers, after so many others, from the front or from the back."""
        if not descending:
            return self.numbers(offset, offset + limit)
        stop = len(self) - offset
        return self.numbers(stop - limit, stop)[::-1]

    def _merged(self, formula: int, side: int, length: int) -> Iterator[int]:
        """Both lists from these positions on, merged."""
        gone = bisect_left(self._gone, formula)
        for _ in range(length):
            while gone < len(self._gone) and self._gone[gone] == formula:
                formula, gone = formula + 1, gone + 1
            by_formula = formula < self._count
            if side < len(self._side) and (not by_formula or self._side[side] < (self._value(formula), formula)):
                yield self._side[side][1]
                side += 1
            else:
                yield formula
                formula += 1

    def _rank_of_side(self, place: int) -> int:
        return place + self._formula_before(self._side[place])

    def _formula_before(self, key: Key) -> int:
        """How many of the formula's objects that are left stand before a key."""
        numbers = range(self._count)
        first = bisect_left(numbers, key, key=lambda number: (self._value(number), number))
        return first - bisect_left(self._gone, first)

    def _formula_at(self, rank: int) -> int:
        """The number of the formula's object with this rank among those that are left."""
        if not self._gone:
            return rank
        return bisect_left(range(self._count), rank + 1, key=self._left_up_to)

    def _left_up_to(self, number: int) -> int:
        return number + 1 - bisect_right(self._gone, number)
