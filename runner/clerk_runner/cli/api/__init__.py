"""``clerk-batch api``: explore the Backend API, and call it.

The group reads free-form words (``clerk_runner.explore.entry``) and loads a subcommand's module when it is
run, so that looking something up costs no more than the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import click

from clerk_jobs.catalog import Catalog, UnknownOperationError, UnknownVersionError
from clerk_jobs.errors import ClerkBatchError
from clerk_runner.cli.api.state import ApiState
from clerk_runner.errors import UsageError

__all__ = ["ApiGroup", "api"]

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "tags": ("look", "tags"),
    "list": ("look", "list_operations"),
    "show": ("look", "show"),
    "call": ("call", "call"),
    "ask": ("ask", "ask"),
    "browse": ("browse", "browse"),
    "diff": ("look", "diff"),
    "versions": ("versions", "versions"),
    "update": ("versions", "update"),
}
"""Subcommand, and the module and name of its command."""


class ApiGroup(click.Group):
    """A group whose words need not begin with a subcommand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn whatever was written into a subcommand and its arguments."""
        from clerk_runner.explore.entry import read_words, take_version  # noqa: PLC0415 (nobody else needs it)

        state = ctx.obj = ApiState.of(ctx.obj)
        state.version, words = take_version(args)
        try:
            catalog = state.catalog
        except UnknownVersionError as error:
            raise _usage(error) from error
        arguments = read_words(words, COMMANDS, catalog.tag, _operation_of(catalog))
        return super().parse_args(ctx, list(arguments))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a name that the catalogue does not know is the user's to mend."""
        try:
            return super().invoke(ctx)
        except (UnknownOperationError, UnknownVersionError) as error:
            raise _usage(error) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """The subcommands, in the order of the usage text."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command = getattr(import_module(f"clerk_runner.cli.api.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the fixed usage text."""
        from clerk_runner.explore.usage import USAGE  # noqa: PLC0415

        formatter.write(USAGE)


def _operation_of(catalog: Catalog) -> Callable[[str], str | None]:
    def find(text: str) -> str | None:
        return next((name for name in catalog.operation_ids if name.lower() == text.lower()), None)

    return find


def _usage(error: ClerkBatchError) -> UsageError:
    hint = "clerk-batch api list WORDS finds operations"
    if isinstance(error, UnknownVersionError):
        hint = "clerk-batch api versions shows where they come from, clerk-batch api update fetches newer ones"
    return UsageError(str(error), code="unknown_name", hint=hint)


@click.command("api", cls=ApiGroup, invoke_without_command=True, add_help_option=False)
@click.pass_context
def api(ctx: click.Context) -> None:
    """Explore Clerk's Backend API, and call any operation safely."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
