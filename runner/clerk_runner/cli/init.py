"""``clerk-batch init``: a commented job file and a sample to begin with."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from clerk_runner.cli.text import examples, say

__all__ = ["init"]

SCHEMA = "clerk-batch.schema.json"


def template_kinds() -> list[str]:
    """The kinds of job that there is a template for."""
    return sorted(path.name for path in _templates().iterdir() if path.is_dir() and not path.name.startswith("_"))


def _templates() -> Path:
    import clerk_jobs  # noqa: PLC0415  only here

    return Path(clerk_jobs.__file__).with_name("templates")


class _Kind(click.ParamType[str]):
    """A kind of job that has a template."""

    name = "kind"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is none, naming those that are."""
        kinds = template_kinds()
        if value not in kinds:
            self.fail(f"{value!r} is not a kind of job; there are {', '.join(kinds)}", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The kinds, for a shell."""
        del ctx, param
        return [CompletionItem(kind) for kind in template_kinds() if kind.startswith(incomplete)]


@click.command(epilog=examples("init invite", "init export nightly"))
@click.argument("kind", type=_Kind(), metavar="KIND")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".", metavar="[FOLDER]")
def init(kind: str, folder: Path) -> None:
    """Write a commented job file of KIND and a sample input into FOLDER, the current one by default.

    KIND is invite, metadata, export, create-users, operation or steps. The JSON Schema of job files is written beside
    them, for editors. Existing files are never replaced.
    """
    from clerk_runner.errors import UsageError  # noqa: PLC0415  heavy

    sources = sorted((_templates() / kind).iterdir(), key=lambda path: path.suffix != ".yaml")
    there = [path.name for path in sources if os.path.lexists(folder / path.name)]
    if there:
        raise UsageError(
            f"{folder / there[0]} already exists and is not replaced; nothing was written",
            code="file_exists",
            hint=f"move it away, or choose another folder: clerk-batch init {kind} FOLDER",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sources:
            _write_new(folder / path.name, path.read_bytes())
            say(f"wrote {folder / path.name}")
        if not os.path.lexists(folder / SCHEMA):
            from clerk_runner.cli.schema import schema_text  # noqa: PLC0415  heavy

            _write_new(folder / SCHEMA, schema_text())
            say(f"wrote {folder / SCHEMA}")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written to: {error.strerror}", code="folder", hint="choose another folder"
        ) from error
    say(f"next  clerk-batch plan {shlex.quote(str(folder / sources[0].name))} --offline")


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that must not be there: whoever made it meanwhile keeps it."""
    with path.open("xb") as file:
        file.write(content)
