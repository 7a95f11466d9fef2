"""``api call``: from words to one checked call."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from clerk_runner.cli.api.options import CallOptions, call_options, gather
from clerk_runner.cli.api.session import CallSession
from clerk_runner.cli.api.state import ApiState
from clerk_runner.cli.completing import complete_operations
from clerk_runner.cli.text import examples
from clerk_runner.explore.target import read_target

__all__ = ["call"]


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog=examples(
        "api call GET /users --limit 5",
        "api call CreateInvitation --field email_address=ada@example.com --dry-run",
        "api call DELETE /users/user_2abc --confirm user_2abc",
    ),
)
@click.argument("words", nargs=-1, required=True, metavar="METHOD PATH | OPERATION", shell_complete=complete_operations)
@call_options
@click.pass_obj
def call(state: ApiState, words: Sequence[str], options: CallOptions) -> int:
    """Call one operation: METHOD and PATH (a URL with a query works too), or its operationId.

    The call is checked against the documents of the same API version before it is sent. A write says first what will
    happen, and asks.
    """
    session = CallSession(state, options, os.environ)
    target = read_target(state.catalog, words, session.host)
    inputs = gather(target.operation, target.path, target.query, options)
    return session.perform(target.operation, inputs)
