"""Words on their way to a terminal."""

from __future__ import annotations

import click
import pytest

from clerk_runner.cli.text import DURATION, count, duration, plain


@pytest.mark.parametrize("number", [*range(9), *range(10, 32), 127, *range(128, 160), 0x2028, 0x202E, 0x061C, 0xDC80])
def test_no_character_that_a_terminal_obeys_is_left(number: int) -> None:
    shown = plain(f"a{chr(number)}b")
    assert shown.isprintable()
    assert shown[0] + shown[-1] == "ab"


@pytest.mark.parametrize("text", ["Grüße, 東京, עברית, 👩‍👩‍👧", "a\tb"])
def test_words_of_any_language_stay(text: str) -> None:
    assert plain(text) == text


def test_lines_stay_where_they_are_ours() -> None:
    assert plain("a\nb\t", keep="\n") == "a\nb\\t"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "under a second"),
        (0.999, "under a second"),
        (1, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (86_399.9, "1 d"),
        (100 * 86_400, "100 d"),
    ],
)
def test_a_length_of_time(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("60s", 60), ("1.5m", 90), ("2h", 7200), ("1d", 86_400), ("500ms", 0.5), ("0", 0)],
)
def test_a_length_of_time_on_the_command_line(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["soon", "-1s", "1y", "", "1 m 2", "1e3", "٣s"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match="60s, 10m or 1h"):
        DURATION.convert(text, None, None)


def test_counted_nouns() -> None:
    assert [count(number, "row") for number in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]
