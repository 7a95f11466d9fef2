"""Formulas that stand for data: when the n-th object was made, and what the n-th address is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .latency import parse_duration

DAY_MS = 86_400_000
# A fixed end of history (2026-01-01T00:00:00Z), so that the same settings give the same bytes on every day.
HISTORY_END_MS = 1_767_225_600_000
HISTORY_MS = 3 * 365 * DAY_MS
_STIR = 2_654_435_761


@dataclass(frozen=True, slots=True)
class CreatedAt:
    """How the creation times of N objects are spread over the three years before 2026.

    - uniform: evenly, with a jitter that keeps them in order.
    - burst: 90 % of them within `burst_ms` in the middle, the rest evenly before and after (an import).
    - clumped: as uniform, but `clump` of them always share one millisecond.
    """

    shape: Literal["uniform", "burst", "clumped"] = "uniform"
    burst_ms: int = 4 * 3_600_000
    clump: int = 1

    @classmethod
    def parse(cls, text: str) -> "CreatedAt":
        """Read "uniform", "burst", "burst:4h", "clumped" or "clumped:5000".

        Raises:
            ValueError: when the text is none of these.
        """
        shape, _, value = text.partition(":")
        if shape == "uniform" and not value:
            return cls()
        if shape == "burst":
            return cls("burst", burst_ms=int(parse_duration(value or "4h") * 1000))
        if shape == "clumped" and (not value or value.isdigit()):
            return cls("clumped", clump=max(1, int(value or 5000)))
        raise ValueError(f"{text!r}: write uniform, burst:4h or clumped:5000")

    def formula(self, count: int) -> Callable[[int], int]:
        """The creation time in unix milliseconds of object 0 … count-1; it never decreases."""
        start_ms = HISTORY_END_MS - HISTORY_MS
        if self.shape != "burst":
            return _even(start_ms, HISTORY_MS, count, self.clump if self.shape == "clumped" else 1)
        edge = count // 20
        middle_ms = start_ms + (HISTORY_MS - self.burst_ms) // 2
        before = _even(start_ms, middle_ms - start_ms, edge, 1)
        within = _even(middle_ms, self.burst_ms, count - 2 * edge, 1)
        after = _even(middle_ms + self.burst_ms, HISTORY_END_MS - middle_ms - self.burst_ms, edge, 1)

        def created_at_ms(number: int) -> int:
            if number < edge:
                return before(number)
            return within(number - edge) if number < count - edge else after(number - count + edge)

        return created_at_ms


def _even(start_ms: int, length_ms: int, count: int, clump: int) -> Callable[[int], int]:
    """Times spread evenly over a length, each moved by less than the distance to the next."""
    count = max(1, count)
    jitter = max(1, length_ms * clump // count)

    def created_at_ms(number: int) -> int:
        number -= number % clump
        return start_ms + number * length_ms // count + number * _STIR % 4_294_967_296 % jitter

    return created_at_ms


class Pattern:
    """Texts with a number in them, such as `user{n}@example.com`, made and read back.

    Raises:
        ValueError: when `{n}` does not stand in the text exactly once, or a digit touches it.

    Example:
        >>> pattern = Pattern("user{n}@example.com")
        >>> pattern.make(7), pattern.number("user7@example.com"), pattern.number("user07@example.com")
        ('user7@example.com', 7, None)
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._before, mark, self._after = text.partition("{n}")
        if not mark or "{n}" in self._after or self._before[-1:].isdigit() or self._after[:1].isdigit():
            raise ValueError(f"{text!r}: the pattern must hold {{n}} once, with no digit beside it")

    def make(self, number: int) -> str:
        """The text of a number."""
        return f"{self._before}{number}{self._after}"

    def number(self, text: str) -> int | None:
        """The number in a text that `make` may have made, None for any other text."""
        if not (text.startswith(self._before) and text.endswith(self._after)):
            return None
        digits = text[len(self._before) : len(text) - len(self._after)]
        plain = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
        return int(digits) if plain else None

    def may_hold(self, part: str) -> bool:
        """Whether a text of this pattern could hold a part beside the one that is the part; false is certain.

        What begins with the pattern's fixed beginning stands in no other text; with none it might ("1@x" in
        "11@x").
        """
        name, at, host = part.rpartition("@")
        if not at:
            return True
        return host in self._after and (not name or not self._before or self.number(part) is None)
