"""Asking whoever sits at the terminal; elsewhere nobody is asked."""

from __future__ import annotations

import sys

import click

__all__ = ["ask_choice", "ask_hidden", "ask_text", "ask_yes", "interactive"]


def interactive() -> bool:
    """Whether somebody can be asked: questions go to stderr, answers come from stdin."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_yes(question: str) -> bool:
    """A question whose answer is no unless it is a plain yes."""
    return click.confirm(question, default=False, err=True)


def ask_text(label: str) -> str:
    """A line of text; empty is an answer."""
    return str(click.prompt(label, default="", show_default=False, err=True))


def ask_hidden(label: str) -> str:
    """A line that is not shown while it is typed."""
    return str(click.prompt(label, default="", show_default=False, hide_input=True, err=True))


def ask_choice(label: str, choices: list[str]) -> int | None:
    """One of several lines, by number; None for none of them."""
    for number, choice in enumerate(choices, 1):
        click.echo(f"  {number}  {choice}", err=True)
    answer = ask_text(f"{label} (1-{len(choices)}, empty for none)")
    return int(answer) - 1 if answer.isdecimal() and 0 < int(answer) <= len(choices) else None
