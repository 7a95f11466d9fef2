"""``clerk-batch schema``: the JSON Schema of job files, for editors."""

from __future__ import annotations

import click

from clerk_runner.cli.text import examples

__all__ = ["schema", "schema_text"]


def schema_text() -> bytes:
    """The schema, indented."""
    import orjson  # noqa: PLC0415  heavy

    from clerk_jobs.jobfile import job_schema  # noqa: PLC0415  heavy

    return orjson.dumps(job_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


@click.command(epilog=examples("schema > clerk-batch.schema.json"))
def schema() -> None:
    """Print the JSON Schema of job files: editors complete and check with it.

    Editors that use yaml-language-server find it by the first line of a job file:
    # yaml-language-server: $schema=clerk-batch.schema.json
    """
    click.echo(schema_text(), nl=False)
