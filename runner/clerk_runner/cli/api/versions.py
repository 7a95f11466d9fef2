"""``api versions`` and ``api update``: which API versions are at hand, and fetching newer ones."""

from __future__ import annotations

import os
import time

import click

from clerk_runner.cli.api.output import write_json, write_table
from clerk_runner.cli.api.state import ApiState
from clerk_runner.cli.text import examples

__all__ = ["update", "versions"]

SETTINGS = {"help_option_names": ["-h", "--help"]}
SOURCE_VARIABLE = "CLERK_BATCH_SPEC_SOURCE"


@click.command(context_settings=SETTINGS, epilog=examples("api versions"))
@click.option("--json", "as_json", is_flag=True, help="One JSON value on stdout.")
@click.pass_obj
def versions(state: ApiState, *, as_json: bool) -> None:
    """List the API versions known here and where each comes from; the newest is marked.

    `api` uses the newest; a job uses the newest of the package, frozen when its run begins.
    """
    entries = state.library.versions()
    if as_json:
        write_json(
            [
                {"version": e.version, "source": e.source, "operations": e.operations, "newest": e.newest}
                for e in entries
            ]
        )
    else:
        rows = [(e.version, str(e.operations), e.source, "newest" if e.newest else "") for e in entries]
        write_table(("version", "operations", "from", ""), rows)
        fetched = state.library.index().get("fetched_at")
        if isinstance(fetched, int):
            click.echo(f"last update: {time.strftime('%Y-%m-%d %H:%M', time.gmtime(fetched))} UTC", err=True)
    if state.library.warning:
        click.echo(state.library.warning, err=True)


@click.command(
    context_settings=SETTINGS, epilog=examples("api update", "api update --source https://documents.example.com/clerk")
)
@click.option(
    "--source",
    metavar="ADDRESS",
    help=f"Where DATE.yml and index.json are; else {SOURCE_VARIABLE}, else Clerk's public repository.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON value on stdout.")
@click.pass_obj
def update(state: ApiState, source: str | None, *, as_json: bool) -> None:
    """Fetch newer OpenAPI documents into the cache; jobs are not touched."""
    import asyncio  # noqa: PLC0415 (looking something up needs no network)

    from clerk_runner.explore.update import DEFAULT_SOURCE, Source  # noqa: PLC0415
    from clerk_runner.explore.update import update as fetch  # noqa: PLC0415

    address = source or os.environ.get(SOURCE_VARIABLE)
    chosen = Source.at(address) if address else DEFAULT_SOURCE
    report = asyncio.run(fetch(state.library, chosen))
    if as_json:
        write_json(
            {
                "source": chosen.documents,
                "versions": {one.version: one.outcome for one in report.versions},
                "note": report.note,
            }
        )
        return
    write_table(("version", ""), [(one.version, one.outcome) for one in report.versions])
    if report.note:
        click.echo(f"note: {report.note}", err=True)
