"""Asking whoever sits at the terminal; elsewhere nobody is asked."""

from __future__ import annotations

import click

from clerk_runner.cli.asking import ask_hidden, ask_text, ask_yes, interactive

__all__ = ["ask_choice", "ask_hidden", "ask_text", "ask_yes", "interactive"]


def ask_choice(label: str, choices: list[str]) -> int | None:
    """One of several lines, by number; None for none of them."""
    for number, choice in enumerate(choices, 1):
        click.echo(f"  {number}  {choice}", err=True)
    answer = ask_text(f"{label} (1-{len(choices)}, empty for none)")
    return int(answer) - 1 if answer.isdecimal() and 0 < int(answer) <= len(choices) else None
