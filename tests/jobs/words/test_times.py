"""Times in words, against a now in the middle of a month."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clerk_jobs.words.sentence import Sentence
from clerk_jobs.words.times import Span, take_length, take_span

NOW_MS = int(datetime(2026, 8, 15, 12, tzinfo=UTC).timestamp() * 1000)


def ms(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "after", "before", "left"),
    [
        ("users created in the last 7 days", "2026-08-08T12", None, "users created"),
        ("in the past hour", "2026-08-15T11", None, ""),
        ("over the past two weeks", "2026-08-01T12", None, ""),
        ("last month", "2026-07-16T12", None, ""),
        ("within a week", "2026-08-08T12", None, ""),
        ("since yesterday", "2026-08-14", None, ""),
        ("since 3 days ago", "2026-08-12T12", None, ""),
        ("since Jan 5 2026", "2026-01-05", None, ""),
        ("after 2026-01-01", "2026-01-01", None, ""),
        ("since 2026-01-01T10:30", "2026-01-01T10:30", None, ""),
        ("before 2026-01-01", None, "2026-01-01", ""),
        ("until now", None, "2026-08-15T12", ""),
        ("older than 30 days", None, "2026-07-16T12", ""),
        ("more than 2 years ago", None, "2024-08-15T12", ""),
        ("less than half an hour ago", "2026-08-15T11:30", None, ""),
        ("between 2026-01-01 and 2026-02-01", "2026-01-01", "2026-02-01", ""),
        ("from yesterday until today", "2026-08-14", "2026-08-15", ""),
        ("in March", "2026-03-01", "2026-04-01", ""),
        ("in december", "2025-12-01", "2026-01-01", ""),
        ("in march 2025", "2025-03-01", "2025-04-01", ""),
        ("on 5 May 2026", "2026-05-05", "2026-05-06", ""),
        ("on may 3rd, 2026", "2026-05-03", "2026-05-04", ""),
        ("in 2025", "2025-01-01", "2026-01-01", ""),
        ("on 2026-01-01", "2026-01-01", "2026-01-02", ""),
        ("today", "2026-08-15", None, ""),
        ("yesterday", "2026-08-14", "2026-08-15", ""),
        ("this week", "2026-08-10", None, ""),
        ("this month", "2026-08-01", None, ""),
        ("this year", "2026-01-01", None, ""),
        ("since last week", "2026-08-08T12", None, ""),
        ("before last year", None, "2025-01-01", ""),
        ("before last month", None, "2026-07-01", ""),
        ("before last week", None, "2026-08-03", ""),
        ("for over 90 days", "2026-05-17T12", None, ""),
    ],
)
def test_spans(text: str, after: str | None, before: str | None, left: str) -> None:
    sentence = Sentence.of(text)
    assert take_span(sentence, NOW_MS) == Span(ms(after), ms(before))
    assert sentence.text == left


@pytest.mark.parametrize("text", ["get user may", "from a@b.co", "last 20 users", "a word", "on user_1"])
def test_what_is_no_time_is_left_alone(text: str) -> None:
    sentence = Sentence.of(text)
    before = sentence.text
    assert take_span(sentence, NOW_MS) is None
    assert sentence.text == before


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("good for one hour", 3600),
        ("good for the 2 days", 172_800),
        ("good for a couple of weeks", 1_209_600),
        ("good", None),
    ],
)
def test_lengths(text: str, seconds: int | None) -> None:
    assert take_length(Sentence.of(text), "good for") == seconds
