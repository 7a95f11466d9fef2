"""``clerk-batch doctor``: what is in order and what is not, and how to mend it."""

from __future__ import annotations

import click

from clerk_runner.cli.text import examples

__all__ = ["doctor"]

SIGNS = {"good": ("ok", "green"), "note": ("note", "yellow"), "bad": ("BAD", "red"), "left out": ("-", "white")}


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
    from clerk_runner.cli.terminal import show_lines  # noqa: PLC0415  heavy
    from clerk_runner.doctor import examine, here  # noqa: PLC0415  heavy

    checks = asyncio.run(examine(*here(), load().version, offline=offline))
    code = next((int(one.exit) for one in checks if one.verdict == "bad"), 0)
    if as_json:
        keys = ("name", "verdict", "told", "mend")
        told = [{key: getattr(one, key) for key in keys} for one in checks]
        click.echo(orjson.dumps({"exit": code, "checks": told}))
        return code
    for one in checks:
        sign, colour = SIGNS[one.verdict]
        click.secho(f"{sign:<5}", fg=colour, nl=False)
        show_lines([f"{one.name:<13} {one.told}"])
        if one.mend:
            show_lines([f"{'':<18} {one.mend}"])
    bad = sum(one.verdict == "bad" for one in checks)
    click.echo("everything is in order" if not bad else f"{bad} of {len(checks)} checks found a problem")
    return code
