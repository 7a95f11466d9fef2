"""Pieces of HTML: text made harmless, tables, pictures with their axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from clerk_runner.plain import plain

__all__ = ["Html", "figure", "legend", "number", "table", "text"]

LONG: Final = 40
"""Characters from which on a cell may be broken into lines."""
Html = str
"""Text that was made harmless."""


def text(value: object) -> Html:
    """Any text, as text: no markup, nothing that turns the direction of writing."""
    return escape(plain(str(value)))


def number(value: float) -> str:
    """A number for people.

    Example:
        >>> number(1234567), number(0.25), number(0.0031), number(12.34), number(70.0)
        ('1,234,567', '0.25', '0.0031', '12.3', '70')
    """
    if value == int(value):
        return f"{int(value):,}"
    if value < 1:
        return f"{value:.2g}"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Html]], *, numbers: Sequence[int] = ()) -> Html:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        caption: what it shows, as text.
        head: the headings, as text.
        rows: cells, made harmless.
        numbers: which columns hold numbers.
    """

    def cell(tag: str, place: int, content: Html) -> Html:
        kind = (
            ' class="n"' if place in numbers else (' class="t"' if len(content) > LONG and "<" not in content else "")
        )
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{scope}{kind}>{content}</{tag}>"

    top = "".join(cell("th", place, text(name)) for place, name in enumerate(head))
    body = "".join(f"<tr>{''.join(cell('td', place, part) for place, part in enumerate(row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def figure(
    title: str, told: str, drawing: Html, *, y: Sequence[str], x: Sequence[str], below: Html, css: str = ""
) -> Html:
    """A picture with a title, a sentence, its axes as text, and what stands below it: a legend, the same as a table.

    Args:
        y: from the top down.
        x: from the left to the right.
    """
    upright = "".join(f"<span>{text(label)}</span>" for label in y)
    along = "".join(f"<span>{text(label)}</span>" for label in x)
    return (
        f'<figure class="{css}"><figcaption><h2>{text(title)}</h2><p>{text(told)}</p></figcaption>'
        f'<div class="plot"><div class="y" aria-hidden="true">{upright}</div>{drawing}'
        f'<div class="x" aria-hidden="true">{along}</div></div>{below}</figure>'
    )


def details(summary: str, content: Html) -> Html:
    """What is there for whoever asks."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def legend(entries: Iterable[tuple[str, str]]) -> Html:
    """What the lines of a picture are: (style, words)."""
    items = (
        f'<li><svg viewBox="0 0 32 10" aria-hidden="true"><path class="{style}" d="M0 5H32"/></svg>{text(words)}</li>'
        for style, words in entries
    )
    return f'<ul class="legend">{"".join(items)}</ul>'
