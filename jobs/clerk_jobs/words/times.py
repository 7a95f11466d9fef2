"""Times and lengths of time in words: "in the last 7 days", "since yesterday", "before 2026-01-01", "for one hour".

Days begin at midnight UTC. Months have 30 days and years 365 where they are counted back from now.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from clerk_jobs.words.sentence import VALUE, Sentence

__all__ = ["Span", "take_length", "take_span"]

_SECONDS: Final = {
    "second": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "h": 3600, "day": 86_400, "d": 86_400,
    "week": 604_800, "fortnight": 1_209_600, "month": 2_592_000, "quarter": 7_776_000, "year": 31_536_000,
}  # fmt: skip
_NUMBERS: Final = {
    "a": 1, "an": 1, "one": 1, "two": 2, "couple of": 2, "a couple of": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "fourteen": 14, "twenty": 20, "thirty": 30,
    "half an": 0,
}  # fmt: skip
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH: Final = "|".join(f"{month[:3]}(?:{month[3:]})?" if month != "may" else "may" for month in _MONTHS)
_COUNT: Final = r"\d+|" + "|".join(sorted(_NUMBERS, key=len, reverse=True))
_UNIT: Final = "(?:" + "|".join(sorted(_SECONDS, key=len, reverse=True)) + ")s?"
LENGTH: Final = rf"(?:{_COUNT})[ -]?{_UNIT}"
"""A length of time."""

_MOMENT: Final = (
    rf"{VALUE}|yesterday|today|now|{LENGTH} ago|(?:the )?(?:start of )?(?:this|last) (?:week|month|year)"
    rf"|(?:{_MONTH})(?: \d{{1,2}}(?:st|nd|rd|th)?)?(?: ,)?(?: \d{{4}})?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)? (?:{_MONTH})(?: \d{{4}})?"
    r"|(?:19|20)\d{2}"
)
_AGO: Final = r"(?:more than|over|at least|longer than)"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in unix milliseconds; None where it is open."""

    after_ms: int | None = None
    before_ms: int | None = None


def take_span(sentence: Sentence, now_ms: int) -> Span | None:
    """Take the stretch of time out of a sentence, if one is named.

    Example:
        >>> sentence = Sentence.of("users created in the last 7 days")
        >>> take_span(sentence, 1_000_000_000), sentence.text
        (Span(after_ms=395200000, before_ms=None), 'users created')
    """
    moment = _Moments(sentence, now_ms)
    for pattern, read in _PHRASES:
        found = sentence.search(pattern)
        if found is not None and moment.readable(found):
            sentence.take(pattern)
            return read(moment, found)
    return None


def take_length(sentence: Sentence, introduced_by: str) -> int | None:
    """Take a length of time, in seconds, that some words introduce: "expires in 7 days", "good for one hour".

    Example:
        >>> take_length(Sentence.of("good for one hour"), "good for")
        3600
    """
    found = sentence.take(rf"(?:{introduced_by})(?: \w+)? ({_COUNT})[ -]?({_UNIT})")
    return None if found is None else _length_ms(found[1], found[2]) // 1000


def _length_ms(count: str, unit: str) -> int:
    word = unit.lower()
    seconds = _SECONDS.get(word) or _SECONDS[word.removesuffix("s")]
    number = int(count) if count.isdecimal() else _NUMBERS[count.lower()]
    return (number * seconds if number else seconds // 2) * 1000


class _Moments:
    """Reads moments against one now."""

    def __init__(self, sentence: Sentence, now_ms: int) -> None:
        self._sentence = sentence
        self._now_ms = now_ms
        self._now = datetime.fromtimestamp(now_ms / 1000, UTC)

    def readable(self, found: re.Match[str]) -> bool:
        """Whether the values in a phrase are dates; an e-mail address after "from" is none."""
        marks = re.findall(VALUE, found[0])
        return all(self._sentence.token(mark).kind == "date" for mark in marks)

    def back(self, found: re.Match[str]) -> int:
        """So long ago."""
        return self._now_ms - _length_ms(found[1] or "1", found[2])

    def of(self, text: str) -> int:
        """The moment at which something begins."""
        return self._begin_and_end(text)[0]

    def whole(self, text: str) -> Span:
        """From the beginning to the end of a day, a month or a year; what has not ended has no end."""
        begin, end = self._begin_and_end(text)
        return Span(begin, end if end <= self._now_ms else None)

    def _begin_and_end(self, text: str) -> tuple[int, int]:
        lower = text.lower()
        midnight = self._now.replace(hour=0, minute=0, second=0, microsecond=0)
        day = timedelta(days=1)
        if text.startswith("<"):
            return _of_date(self._sentence.token(text).text)
        if ago := re.fullmatch(rf"({_COUNT})[ -]?({_UNIT}) ago", lower):
            moment = self._now_ms - _length_ms(ago[1], ago[2])
            return moment, self._now_ms
        if lower in ("today", "now", "yesterday"):
            begin = midnight - day if lower == "yesterday" else midnight
            return (self._now_ms, self._now_ms) if lower == "now" else (_ms(begin), _ms(begin + day))
        if period := re.fullmatch(r"(?:the )?(?:start of )?(this|last) (week|month|year)", lower):
            return self._period(midnight, period[1] == "last", period[2])
        return self._calendar(lower)

    @staticmethod
    def _period(midnight: datetime, before: bool, unit: str) -> tuple[int, int]:
        if unit == "week":
            begin = midnight - timedelta(days=midnight.weekday() + (7 if before else 0))
            return _ms(begin), _ms(begin + timedelta(days=7))
        begin = midnight.replace(day=1) if unit == "month" else midnight.replace(day=1, month=1)
        if before:
            begin = _month_before(begin) if unit == "month" else begin.replace(year=begin.year - 1)
        end = _month_after(begin) if unit == "month" else begin.replace(year=begin.year + 1)
        return _ms(begin), _ms(end)

    def _calendar(self, text: str) -> tuple[int, int]:
        """A year, a month, or a day in words; a month without a year is the last one that has begun."""
        year = int(found[0]) if (found := re.search(r"(?:19|20)\d{2}", text)) else None
        month = next((n for n, name in enumerate(_MONTHS, 1) if re.search(rf"\b{name[:3]}", text)), None)
        number = re.search(r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?(?!\d)", text)
        if month is None:
            assert year is not None
            begin = datetime(year, 1, 1, tzinfo=UTC)
            return _ms(begin), _ms(begin.replace(year=year + 1))
        if year is None:
            year = self._now.year if month <= self._now.month else self._now.year - 1
        begin = datetime(year, month, 1, tzinfo=UTC)
        if number is None:
            return _ms(begin), _ms(_month_after(begin))
        begin += timedelta(days=int(number[1]) - 1)
        return _ms(begin), _ms(begin + timedelta(days=1))


def _of_date(text: str) -> tuple[int, int]:
    moment = datetime.fromisoformat(text.replace(" ", "T"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    length = timedelta(days=1) if len(text) == len("2026-01-01") else timedelta()
    return _ms(moment), _ms(moment + length)


def _month_after(begin: datetime) -> datetime:
    return begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)


def _month_before(begin: datetime) -> datetime:
    return begin.replace(year=begin.year - (begin.month == 1), month=(begin.month - 2) % 12 + 1)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


_Read: TypeAlias = Callable[[_Moments, re.Match[str]], Span]
_PHRASES: Final[tuple[tuple[str, _Read], ...]] = (
    (rf"between ({_MOMENT}) and ({_MOMENT})", lambda m, found: Span(m.of(found[1]), m.of(found[2]))),
    (rf"from ({_MOMENT}) (?:to|until|till) ({_MOMENT})", lambda m, found: Span(m.of(found[1]), m.of(found[2]))),
    (
        rf"(?:before|until|till|up to|prior to|earlier than|older than) ({_MOMENT})",
        lambda m, found: Span(None, m.of(found[1])),
    ),
    (rf"for (?:over |more than |at least )?({_COUNT})[ -]?({_UNIT})", lambda m, found: Span(m.back(found))),
    (
        rf"(?:in|within|during|over|from|for|since)? ?(?:the )?(?:last|past|previous) ({_COUNT})?[ -]?({_UNIT})",
        lambda m, found: Span(m.back(found)),
    ),
    (rf"(?:{_AGO}|older than) ({_COUNT})[ -]?({_UNIT})(?: ago| old)?", lambda m, found: Span(None, m.back(found))),
    (
        rf"(?:less than|within|newer than|under|younger than) ({_COUNT})[ -]?({_UNIT})(?: ago| old)?",
        lambda m, found: Span(m.back(found)),
    ),
    (rf"(?:since|after|from|later than|newer than|starting) ({_MOMENT})", lambda m, found: Span(m.of(found[1]))),
    (rf"(?:on|in|during) ({_MOMENT})", lambda m, found: m.whole(found[1])),
    (rf"({VALUE}|today|yesterday|(?:this|last) (?:week|month|year))", lambda m, found: m.whole(found[1])),
)
"""Phrases, the most telling first, and what each says."""
