"""``clerk-batch doctor``: what is in order and what is not, and how to mend it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from clerk_runner.cli.colours import Tone, painted
from clerk_runner.cli.text import columns_of, examples, plain, wrapped

if TYPE_CHECKING:
    from clerk_runner.doctor import Check, Verdict

__all__ = ["doctor"]

SIGNS: Final[dict[Verdict, tuple[str, Tone | None]]] = {
    "good": ("ok", "good"),
    "note": ("note", "note"),
    "bad": ("BAD", "bad"),
    "left out": ("-", None),
}
SIGN, NAME = 5, 14
"""Columns of a verdict, and of what was looked at."""


@click.command(epilog=examples("doctor", "doctor --offline", "doctor --json"))
@click.option("--offline", is_flag=True, help="Ask Clerk nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, offline: bool, as_json: bool) -> int:
    """Check Python, the terminal, the state folder, the ledger, the key, its scopes, and Clerk.

    Clerk is asked once (GET /instance): whether it answers, takes the key, knows the API version, and what time it is
    there. Exit code 0 means that nothing is wrong; otherwise it says what the first problem is: 2 this machine, 3 the
    key, 4 Clerk, the disk or the shared limits.
    """
    import asyncio  # noqa: PLC0415  heavy

    import orjson  # noqa: PLC0415  heavy

    from clerk_jobs.catalog import load  # noqa: PLC0415  heavy
    from clerk_runner.doctor import examine, here  # noqa: PLC0415  heavy

    checks = asyncio.run(examine(*here(), load().version, offline=offline))
    code = next((int(one.exit) for one in checks if one.verdict == "bad"), 0)
    if as_json:
        keys = ("name", "verdict", "told", "mend")
        told = [{key: getattr(one, key) for key in keys} for one in checks]
        click.echo(orjson.dumps({"exit": code, "checks": told}))
        return code
    for one in checks:
        _show(one)
    bad = sum(one.verdict == "bad" for one in checks)
    click.echo("everything is in order" if not bad else f"{bad} of {len(checks)} checks found a problem")
    return code


def _show(one: Check) -> None:
    """What was found, and below it how to mend it; on a terminal in lines that are no longer than it is wide."""
    sign, tone = SIGNS[one.verdict]
    width = columns_of(sys.stdout)
    below = " " * (SIGN + NAME if not width or width >= 3 * (SIGN + NAME) else SIGN)
    head = f"{sign:<{SIGN}}{one.name:<{NAME}}"
    lines = [f"{head}{plain(one.told)}", *([f"{below}{plain(one.mend)}"] if one.mend else ())]
    if width:
        lines = [piece for line in lines for piece in wrapped(line, width, below)]
    for number, line in enumerate(lines):
        mark = painted(line[:SIGN], tone) if tone and not number else line[:SIGN]
        click.echo(f"{mark}{line[SIGN:]}")
