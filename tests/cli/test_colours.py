"""Every word can be read on a black terminal and on a white one, in 256 colours, in sixteen, and in none."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from rich.console import Console

import clerk_runner
from clerk_runner.cli.bar import Bar
from clerk_runner.cli.colours import COLOURS, emphasised, painted
from clerk_runner.view import Gauge, Progress

CUBE = (0, 95, 135, 175, 215, 255)
LEAST_CONTRAST = 4.0
STYLES = frozenset({"", "bold", "reverse"})
"""What words may look like outside of the module of colours."""
BUSY = Progress(
    "inviting",
    5,
    9,
    "waiting for the next permit",
    parts=("5 invited",),
    gauges=(Gauge("instance", 512, 700, 10.0), Gauge("invitations", 90, 90, 3600.0)),
)


def luminance(number: int) -> float:
    """Of a colour of the cube, as WCAG 2 has it: 0 is black, 1 is white."""
    place = number - 16
    linear = (
        (part / 255 / 12.92) if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4
        for part in (CUBE[place // 36], CUBE[place // 6 % 6], CUBE[place % 6])
    )
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def drawn(color_system: Literal["256", "standard"] | None) -> str:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=color_system, no_color=False)
    with Bar(console) as bar:
        bar.show(BUSY)
    return file.getvalue()


def colours_in(text: str) -> set[str]:
    return set(re.findall(r"\x1b\[([0-9;]*)m", text)) - {"", "0", "1"}


def styles_in(tree: ast.AST) -> Iterator[str]:
    """What a module gives as a style or as a colour, where it is written down there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and re.fullmatch(r"fg|bg|colors?|(\w+_)?style", node.arg or ""):
            yield from (str(one.value) for one in ast.walk(node.value) if isinstance(one, ast.Constant) and one.value)


@pytest.mark.parametrize("number", COLOURS.values())
def test_a_colour_can_be_read_on_black_and_on_white(number: int) -> None:
    light = luminance(number)
    assert 16 <= number < 232, "outside of the cube a colour is what the terminal makes of it"
    assert (light + 0.05) / 0.05 >= LEAST_CONTRAST, "on black"
    assert 1.05 / (light + 0.05) >= LEAST_CONTRAST, "on white"


def test_no_other_colours_are_used() -> None:
    folder = Path(clerk_runner.__file__).parent
    used = {
        f"{path.relative_to(folder)}: {style!r}"
        for path in folder.rglob("*.py")
        if path.name != "colours.py" and path.parent.name != "reporting"
        for style in styles_in(ast.parse(path.read_text(encoding="utf-8")))
        if style not in STYLES
    }
    assert used == set()


def test_a_bar_is_drawn_in_those_of_the_cube_alone() -> None:
    allowed = {f"38;5;{number}" for number in COLOURS.values()}
    assert colours_in(drawn("256")) <= allowed
    assert f"38;5;{COLOURS['way']}" in drawn("256")
    assert f"38;5;{COLOURS['note']}" in drawn("256"), "a full window"
    assert colours_in(drawn("standard")) == colours_in(drawn(None)) == set()


def test_a_bar_says_without_colours_how_much_is_to_come() -> None:
    lines = drawn(None).splitlines()
    bar, gauge, full = (next(line for line in lines if word in line) for word in ("5/9", "512 of", "90 of"))
    assert re.search(r"━╾─+ ", bar) or re.search(r"━─+ ", bar)
    assert "━━━━━━━━━━━╾────" in gauge
    assert "━" * 16 in full


def test_what_a_terminal_of_sixteen_colours_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert (painted("BAD", "bad"), emphasised("Limits")) == ("BAD", "\x1b[1mLimits\x1b[0m")
    monkeypatch.setenv("TERM", "tmux-256color")
    assert painted("BAD", "bad") == f"\x1b[38;5;{COLOURS['bad']}mBAD\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert painted("BAD", "bad") == "BAD"
    monkeypatch.setenv("TERM", "dumb")
    assert emphasised("Limits") == "Limits"
