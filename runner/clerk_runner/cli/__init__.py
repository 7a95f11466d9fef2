"""The command line: ``clerk-batch``.

Commands live in modules of their own that are imported when they are called, so that ``--help`` stays cheap. Whatever
goes wrong ends here: one message, one exit code, never a traceback.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper

import click

from clerk_runner.interruption import ignore_signals, listen_for_interrupts

__all__ = ["cli", "main"]

PROGRAM = "clerk-batch"
COMPLETE = "_CLERK_BATCH_COMPLETE"
"""By which a shell asks for the words that may come next."""
COLLECT_EVERY = 20_000
"""New objects after which the collector looks for rings among them."""

COMMANDS = {
    "run": ("clerk_runner.cli.run:run", "Run a job file, or continue its unfinished run."),
    "plan": ("clerk_runner.cli.plan:plan", "Check every row and show what a run would do; sends nothing."),
    "resume": ("clerk_runner.cli.run:resume", "Continue an unfinished run by its id."),
    "retry": ("clerk_runner.cli.retry:retry", "Send the failed rows of a run again, as they are."),
    "undo": ("clerk_runner.cli.undo:undo", "Put back what a metadata run changed; revoke what an invitation run sent."),
    "runs": ("clerk_runner.cli.runs:runs", "List runs, show one, print its failed rows, write its report."),
    "limits": ("clerk_runner.cli.limits:limits", "Show Clerk's documented limits with their sources."),
    "api": ("clerk_runner.cli.api:api", "Explore and call every operation of Clerk's Backend API."),
    "init": ("clerk_runner.cli.init:init", "Write a commented job file and a sample input to begin with."),
    "doctor": (
        "clerk_runner.cli.doctor:doctor",
        "Check this machine, the key and Clerk, and say how to fix what is wrong.",
    ),
    "schema": ("clerk_runner.cli.schema:schema", "Print the JSON Schema of job files, for editors."),
    "completion": ("clerk_runner.cli.completion:completion", "Print the completion script for a shell."),
    "simulate": ("clerk_runner.cli.simulate:simulate", "Simulate Clerk on your own machine, for rehearsals."),
}
"""Name, where the command lives, and its line in the list: the list is shown without importing any of them."""


class _LazyGroup(click.Group):
    """A group that imports a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one that is called."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        place, line = COMMANDS[cmd_name]
        module, _, name = place.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        # A shell shows it beside the name; click's own would be the help's first sentence, cut off.
        command.short_help = line
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for one that does not exist; never run it."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            import difflib  # noqa: PLC0415  only for a mistake

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            advice = f" Did you mean {near[0]!r}?" if near else " clerk-batch --help lists the commands."
            ctx.fail(f"There is no command {name!r}.{advice}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 all done, 1 some items failed, 2 usage or input, 3 key, scope or confirmation, 4 stopped, "
    "5 left early, 70 a bug in clerk-batch, 75 held by another process, 130/143 interrupted.",
)
@click.version_option(
    package_name="clerk-batch",
    prog_name="clerk-batch",
    message="%(prog)s %(version)s, for Clerk's API version 2026-05-12",
)
def cli() -> None:
    """Big, slow, irreversible work against a Clerk instance, made boring.

    Start with the simulator (clerk-batch simulate) and a job file (clerk-batch init invite), look at a plan
    (clerk-batch plan JOB.yaml), then run it (clerk-batch run JOB.yaml). clerk-batch doctor says what is wrong.
    """


def _open_closed_streams() -> None:
    """A stream that whoever started us had closed leads nowhere, and no file or connection takes its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  for the process's life


def _leave_no_core() -> None:
    """Let a crash of the interpreter write no image of this memory: the key is in it."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # A run makes millions of objects that live as long as one call. To look for rings among them after every 700th, as
    # Python does by itself, took 8 % of a backfill's CPU.
    gc.set_threshold(COLLECT_EVERY)
    listen_for_interrupts()
    _leave_no_core()
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that does not know a character gets its number: no message may end in a fault of its own.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete  # noqa: PLC0415  asked for by a shell alone

        try:
            completed = shell_complete(cli, {}, PROGRAM, COMPLETE, instruction)
        except Exception:  # noqa: BLE001  somebody is typing: nothing to complete is better than a trace in the line
            completed = 1
        sys.exit(completed)
    try:
        # Not ``cli.main``: it ends with 1, which means failed items, when the reader of our output leaves.
        with cli.make_context(PROGRAM, sys.argv[1:]) as context:
            code = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except BaseException as error:  # noqa: BLE001  the one place where everything ends
        from clerk_runner.cli.ending import show_error  # noqa: PLC0415  heavy, and only for an error

        code = show_error(error, as_json="--json" in sys.argv)
    ignore_signals()
    sys.exit(code if isinstance(code, int) else 0)
