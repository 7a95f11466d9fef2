"""``clerk-batch limits``: the documented limits, their sources, and what a job takes of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from clerk_runner.cli.limit_options import limit_options
from clerk_runner.cli.text import duration, examples

if TYPE_CHECKING:
    from clerk_limits.allowance import Allowance
    from clerk_limits.documented import DocumentedLimit
    from clerk_runner.use import InstanceUse

__all__ = ["limits"]

SHOWN_LISTS = 6

Uses = dict[str, "Allowance"]
"""What a job takes of one limit, by kind of instance."""


@click.command(epilog=examples("limits", "limits --share 1.0 --json"))
@limit_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def limits(as_json: bool, **given: Any) -> None:
    """Show Clerk's documented limits, and how a job keeps to each of them.

    The numbers are those of a job without limits: of its own, changed by the options given here.
    """
    import orjson  # noqa: PLC0415  heavy

    from clerk_jobs.catalog import load  # noqa: PLC0415  heavy
    from clerk_limits.allowance import own_allowances  # noqa: PLC0415  heavy
    from clerk_limits.documented import FRONTEND_LIMITS, LIMITS  # noqa: PLC0415  heavy
    from clerk_runner.cli.terminal import show_lines  # noqa: PLC0415  heavy
    from clerk_runner.credentials import state_home  # noqa: PLC0415  heavy
    from clerk_runner.explore.page_limits import ADVICE, page_maxima  # noqa: PLC0415  heavy
    from clerk_runner.use import in_use  # noqa: PLC0415  heavy

    options = _options(given)
    uses = [_uses(limit, options) for limit in LIMITS]
    own, pages = own_allowances(options), page_maxima(load())
    now = in_use(state_home(os.environ))
    if as_json:
        backend = [_as_json(limit) | {"uses": _numbers(use)} for limit, use in zip(LIMITS, uses, strict=True)]
        whole = {
            "backend": backend,
            "own": _numbers({entry.name: entry for entry in own}),
            "frontend": [_as_json(limit) for limit in FRONTEND_LIMITS],
            "page_maxima": pages,
            "advice": ADVICE,
            "in_use": [_use_as_json(one) for one in now],
        }
        click.echo(orjson.dumps(whole))
        return
    lines = ["Backend API, per instance:"]
    for limit, use in zip(LIMITS, uses, strict=True):
        lines += [f"  {_stated(limit)}", *(f"    {line}" for line in _taken(use))]
    if own:
        lines += ["Your own, for one job:", *(f"  {entry.name}: {entry.describe()}" for entry in own)]
    lines += _use_lines(now)
    lines.append("Frontend API, for your application's own visitors; jobs never call it:")
    lines += [f"  {_stated(limit)}" for limit in FRONTEND_LIMITS]
    lines += ["Rows of a page at most:", *(f"  {line}" for line in _page_lines(pages)), ADVICE]
    lines += _source_lines((*LIMITS, *FRONTEND_LIMITS))
    show_lines(lines)


def _options(given: dict[str, Any]) -> Any:
    """The options of a gate, from those of the command line; what is not given has the gate's own default."""
    from clerk_limits.options import GateOptions  # noqa: PLC0415  heavy

    values = {name: value for name, value in given.items() if value is not None}
    if "early_release" in values:
        values["early_release_s"] = values.pop("early_release")
    try:
        return GateOptions(**values)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _uses(limit: DocumentedLimit, options: Any) -> Uses:
    from clerk_limits.allowance import allowance  # noqa: PLC0415  heavy
    from clerk_limits.documented import InstanceKind  # noqa: PLC0415  heavy

    kinds = [limit.instance] if limit.instance is not None else list(InstanceKind)
    return {kind.value: allowance(limit, kind, options) for kind in kinds}


def _taken(uses: Uses) -> Iterator[str]:
    """The bucket and the window; once where they are the same for every kind of instance."""
    lines = {kind: entry.describe() for kind, entry in uses.items()}
    if len(set(lines.values())) == 1:
        yield next(iter(lines.values()))
    else:
        yield from (f"{kind}: {line}" for kind, line in lines.items())


def _stated(limit: DocumentedLimit) -> str:
    """What the documentation says."""
    what = "all operations" if limit.operations == ("*",) else ", ".join(limit.operations)
    if limit.exceptions:
        what += f" except {', '.join(limit.exceptions)}"
    kind = f" ({limit.instance.value})" if limit.instance is not None else ""
    scope = "" if limit.scope.value in ("instance", "endpoint") else f" for each {limit.scope.value}"
    period = "hour" if limit.period_s == 3600 else f"{limit.period_s:g} s"
    return f"{limit.name}{kind}: {limit.permits:,} per {period}{scope}: {what}"


def _use_lines(now: list[InstanceUse]) -> Iterator[str]:
    """What is in use now, by which process; the ledgers of this machine and user alone."""
    yield "In use now, by the processes of this machine:" if now else "Nothing is in use now by this machine."
    for one in now:
        speed = f", {one.owner.speed:g} times as fast" if one.owner.speed != 1 else ""
        yield f"  {one.owner.instance} ({one.owner.kind}) at {one.owner.host}{speed}"
        for use in one.limits:
            period = "hour" if use.period_s == 3600 else f"{use.period_s:g} s"
            busiest = f" by the busiest of {use.subjects:,}" if use.subjects else ""
            back = "" if use.first_back_s is None else f", the next is free again in {duration(use.first_back_s)}"
            yield f"    {use.limit}: {use.used:,} of {use.permits:,} per {period}{busiest}{back}"
            for (pid, label), amount in use.processes.items():
                yield f"      {amount:,} by {f'{label} (pid {pid})' if pid else 'others, before the ledger began'}"


def _use_as_json(one: InstanceUse) -> dict[str, Any]:
    owner = one.owner
    return {
        "host": owner.host,
        "instance": owner.instance,
        "kind": owner.kind,
        "speed": owner.speed,
        "limits": [
            {
                "name": use.limit,
                "used": use.used,
                "permits": use.permits,
                "period_s": use.period_s,
                "subjects": use.subjects,
                "first_back_s": use.first_back_s,
                "processes": [
                    {"pid": pid, "label": label, "permits": amount} for (pid, label), amount in use.processes.items()
                ],
            }
            for use in one.limits
        ],
    }


def _page_lines(pages: dict[str, list[str]]) -> Iterator[str]:
    for most, paths in sorted(pages.items()):
        more = f" and {len(paths) - SHOWN_LISTS} more lists" if len(paths) > SHOWN_LISTS else ""
        yield f"{most}: {', '.join(paths[:SHOWN_LISTS])}{more}"


def _source_lines(rows: Iterable[DocumentedLimit]) -> list[str]:
    """Every page that states a limit, once."""
    return [f"Source: {source}, read {read}" for source, read in dict.fromkeys((row.source, row.read) for row in rows)]


def _numbers(uses: Uses) -> dict[str, Any]:
    return {
        name: {
            "window": entry.allowed,
            "left": None if entry.permits is None else entry.permits - entry.allowed,
            "bucket": entry.capacity,
            "refill_per_s": entry.rate_per_s,
            "text": entry.describe(),
        }
        for name, entry in uses.items()
    }


def _as_json(limit: DocumentedLimit) -> dict[str, Any]:
    return {
        "name": limit.name,
        "permits": limit.permits,
        "period_s": limit.period_s,
        "scope": limit.scope.value,
        "kind": limit.kind.value,
        "operations": list(limit.operations),
        "exceptions": list(limit.exceptions),
        "instance": None if limit.instance is None else limit.instance.value,
        "source": limit.source,
        "read": limit.read,
    }
