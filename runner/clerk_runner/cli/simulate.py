"""`clerk-batch simulate`: Clerk on your own machine, until it is interrupted."""

import os
from typing import TYPE_CHECKING, Any

import click
import orjson

from clerk_runner.cli.text import examples

if TYPE_CHECKING:
    from clerk_runner.simulator import Simulator

_KEY = "sk_test_simulator"


@click.command(
    "simulate",
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog=examples(
        "simulate",
        "simulate --speed 60 --users 300 --latency 0.1-0.8s",
        "simulate --fail 'POST /invitations:drop-after-effect:2%'",
    ),
)
@click.option("--port", default=0, help="TCP port on 127.0.0.1; 0 takes a free one.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    default=(_KEY,),
    help="A secret key to accept, sk_test_… (development) or sk_live_… (production). May be repeated: each"
    " opens the same instance and is a client of its own in the report.",
)
@click.option("--users", default=0, help="Users that exist; they are made by formula and take no memory.")
@click.option("--user-email", default="user{n}@example.com", help="Their addresses; {n} counts from 0.")
@click.option(
    "--user-created",
    default="uniform",
    metavar="SHAPE",
    help="How their creation is spread: uniform, burst:4h (90 % of them within four hours), clumped:5000 (so"
    " many share each millisecond).",
)
@click.option("--user-quota", type=int, help="Most users the instance holds.  [default: 100 with sk_test_]")
@click.option("--organizations", default=0, help="Organizations that exist.")
@click.option("--members", default=0, help="Members of each of them, taken from the users.")
@click.option("--role", "roles", multiple=True, default=("org:admin", "org:member"), help="Roles that exist.")
@click.option("--invitations", default=0, help="Pending invitations that exist.")
@click.option("--invitation-email", default="invited{n}@example.com", help="Their addresses; {n} counts from 0.")
@click.option(
    "--windows",
    type=click.Choice(["strict", "fixed"]),
    default="strict",
    help="How limits count: sliding windows, or fixed ones.",
)
@click.option("--count-refused", is_flag=True, help="Let refused requests count against the limits too.")
@click.option("--speed", default=1.0, help="Divides the periods of the limits; Retry-After stays in real seconds.")
@click.option(
    "--latency",
    default="0ms",
    metavar="TIME",
    help="How long answers take: 50ms, 0.1-0.8s (lognormal), 1-2s (uniform).",
)
@click.option(
    "--effect",
    type=click.Choice(["early", "late", "random"]),
    default="random",
    help="When within that time the effect happens.",
)
@click.option("--stall", metavar="LENGTH/PERIOD", help="Silence of the network: 1s/17s.")
@click.option(
    "--fail",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="'POST /invitations:drop-after-effect:2%'; kinds: drop-before-effect, drop-after-effect, timeout,"
    " timeout-before, 500-before, 500-after (any status), 429:retry=3, truncated-json, truncated-body, html,"
    " partial-bulk, slow:by=5s; options: 2%, every=10, first=3, skip=5, code=NAME. May be repeated.",
)
@click.option("--seed", default=0, help="Seed of all random choices.")
@click.option(
    "--bulk",
    type=click.Choice(["all-or-nothing", "partial", "partial-refused"]),
    default="all-or-nothing",
    help="What a bulk call with offenders does: nothing; the rest, answering 200; the rest, answering the error.",
)
@click.option(
    "--duplicate-lag",
    default="0s",
    metavar="TIME",
    help="How long a new invitation goes unnoticed by the check for duplicates.",
)
@click.option(
    "--created-at-bounds",
    type=click.Choice(["inclusive", "exclusive"]),
    default="inclusive",
    help="Whether created_at_before and created_at_after include the moment that they name.",
)
@click.option(
    "--deleted-cursor",
    type=click.Choice(["resolved", "refused", "empty"]),
    default="resolved",
    help="What starting_after does with the id of a deleted user.",
)
@click.option("--rows", default=3, help="Rows of every other list: operations it knows only by their shape.")
@click.option(
    "--application",
    default="0%",
    metavar="PART",
    help="A live application that spends this part of the instance's window beside you: 20%. The report tells its"
    " 429s apart from yours.",
)
@click.option("--pretty", is_flag=True, help="Indent answers over many lines.")
@click.option("--arrivals", default=0, help="How many of the newest arrivals to list in the report.")
@click.option("--json", "as_json", is_flag=True, help="Announce and report as one line of JSON each.")
def simulate(as_json: bool, **options: Any) -> None:
    """Play Clerk's Backend API on this machine, its limits included.

    Prints its address and key, serves until it is interrupted (Ctrl-C or SIGTERM), and then prints
    what it saw. While it runs, GET /simulator/report shows the same.
    """
    # The server and its library load only where they are needed: every other command starts without them.
    from clerk_runner.simulator import run  # noqa: PLC0415
    from clerk_runner.simulator.options import read_options  # noqa: PLC0415

    try:
        settings = read_options(options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error

    def announce(simulator: "Simulator") -> None:
        if as_json:
            line = {"address": simulator.address, "key": simulator.key, "pid": os.getpid()}
            click.echo(orjson.dumps(line))
        else:
            fast = f"export CLERK_BATCH_SPEED={settings.speed:g}\n" if settings.speed != 1 else ""
            click.echo(
                f"A simulated Clerk instance listens at {simulator.address}; Ctrl-C ends it.\n\n"
                f"export CLERK_API_URL={simulator.address}\nexport CLERK_SECRET_KEY={simulator.key}\n{fast}"
            )

    try:
        report = run(settings, announce)
    except OSError as error:
        raise click.ClickException(f"cannot listen on port {settings.port}: {error.strerror}") from error
    click.echo(orjson.dumps(report, option=0 if as_json else orjson.OPT_INDENT_2))
