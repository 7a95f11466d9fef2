"""``clerk-batch completion``: what a shell needs to complete this program's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from clerk_runner.cli.text import examples

__all__ = ["completion"]

PROGRAM, COMPLETE = "clerk-batch", "_CLERK_BATCH_COMPLETE"

PLACES = {
    "bash": 'eval "$(clerk-batch completion bash)"  in ~/.bashrc',
    "zsh": 'eval "$(clerk-batch completion zsh)"  in ~/.zshrc, after compinit',
    "fish": "clerk-batch completion fish > ~/.config/fish/completions/clerk-batch.fish",
}


FISH = """\
function _clerk_batch_completion
    for offer in (env {complete}=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) {program})
        set -l parts (string split --max 1 "," -- $offer)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                printf "%s\\n" $parts[2]
        end
    end
end

complete --command {program} --no-files --keep-order --arguments "(_clerk_batch_completion)"
"""
"""click's own ends a description at its first comma, and sorts the runs, of which the newest are wanted."""


@click.command(
    epilog="\n".join(("\b", "Where it goes:", *(f"  {line}" for line in PLACES.values())))
    + "\n\n"
    + examples("completion bash", "completion fish > ~/.config/fish/completions/clerk-batch.fish")
)
@click.argument("shell", type=click.Choice(list(PLACES)), metavar="SHELL")
def completion(shell: str) -> None:
    """Print the script that lets SHELL (bash, zsh or fish) complete clerk-batch.

    It completes commands, options, job files, runs, and the operations and tags of Clerk's API.
    """
    from clerk_runner.cli import cli  # noqa: PLC0415  it imports this module by name

    if shell == "fish":
        click.echo(FISH.format(program=PROGRAM, complete=COMPLETE), nl=False)
        return
    found = get_completion_class(shell)
    assert found is not None
    # Not its source(): that starts a bash to ask for its version, and complains where none is installed.
    instance = found(cli, {}, PROGRAM, COMPLETE)
    click.echo(instance.source_template % instance.source_vars())
