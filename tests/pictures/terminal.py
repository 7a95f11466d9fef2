"""Draw the README's picture of a terminal from a real run: `make picture` writes docs/terminal.svg.

A run of invitations is played against the simulator on a terminal of its own. What it wrote goes through a terminal
emulator, so the picture is what a person sees there, and nothing in it is drawn by hand.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from clerk_testing.commands import Workplace, write_people
from clerk_testing.simulated import simulated_clerk
from clerk_testing.terminal import Terminal

ROWS: Final = 36
COLUMNS: Final = 110
PEOPLE: Final = 300
KEY: Final = "sk_live_picture"
JOB: Final = "name: beta-invites\nkind: invite\nsource: people.csv\nemail: '{email}'\n"
THEME: Final = TerminalTheme(
    (22, 24, 29),
    (214, 217, 224),
    [
        (60, 64, 72),
        (240, 113, 120),
        (140, 200, 120),
        (240, 190, 100),
        (110, 165, 245),
        (200, 140, 230),
        (95, 200, 205),
        (214, 217, 224),
    ],
)
TITLE: Final = "clerk-batch invites people: what it will do, and how far it is"
SHAPE: Final = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="TITLE">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""As rich draws it, without the font that its own shape loads from elsewhere."""


def seen_in_the_middle() -> str:
    """All that a terminal got until half of the people are invited."""
    with (
        tempfile.TemporaryDirectory(prefix="clerk-batch-picture-") as folder,
        simulated_clerk(f"--key={KEY}", "--speed=10", "--latency=0.1-0.3s", "--users=20") as clerk,
    ):
        write_people(Path(folder, "people.csv"), [f"person{number}@example.com" for number in range(PEOPLE)])
        Path(folder, "job.yaml").write_text(JOB, encoding="utf-8")
        variables = {
            **clerk.environment,
            "CLERK_BAPI_SCOPES": "write",
            "CLERK_BATCH_SPEED": "10",
            "TERM": "xterm-256color",
        }
        terminal = Terminal(Workplace(Path(folder), variables), "run", "job.yaml", rows=ROWS, columns=COLUMNS)
        try:
            terminal.wait_for(r"\[y/N\]: ")
            terminal.type("y\n")
            terminal.wait_for(r"\b(2[0-9]{2}|19[0-9]) (of|invited)")
            return f"$ clerk-batch run job.yaml\r\n{terminal.seen}"
        finally:
            terminal.close()


def screen_of(seen: str) -> list[Text]:
    """What a terminal shows that got these bytes, line by line."""
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.Stream(screen).feed(re.sub(r"(?<!\r)\n", "\r\n", seen))
    lines = [_line(screen.buffer[row]) for row in range(ROWS)]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    return lines


def _line(cells: Any) -> Text:
    line = Text(no_wrap=True)
    for column in range(COLUMNS):
        cell = cells[column]
        style = Style(color=_colour(cell.fg), bold=cell.bold, reverse=cell.reverse)
        line.append(cell.data, style)
    line.rstrip()
    return line


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    return f"#{name}" if re.fullmatch(r"[0-9a-f]{6}", name) else {"brown": "yellow"}.get(name, name)


def main() -> None:
    """Write the picture into the file that is named."""
    console = Console(record=True, width=COLUMNS, file=Path("/dev/null").open("w", encoding="utf-8"))  # noqa: SIM115
    for line in screen_of(seen_in_the_middle()):
        console.print(line, highlight=False, soft_wrap=True)
    shape = SHAPE.replace("TITLE", TITLE)
    drawn = console.export_svg(title="", theme=THEME, code_format=shape, unique_id="terminal")
    Path(sys.argv[1]).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
