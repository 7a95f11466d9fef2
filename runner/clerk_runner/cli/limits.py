"""``clerk-batch limits``: the documented limits, their sources, and what a job takes of them."""

from __future__ import annotations

from typing import Any

import click

from clerk_runner.cli.text import examples

__all__ = ["limits"]


@click.command(epilog=examples("limits", "limits --share 1.0 --json"))
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), help="Show buckets and windows for this share.")
@click.option("--quota-share", type=click.FloatRange(0, 1, min_open=True), help="The same for hourly quotas.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def limits(share: float | None, quota_share: float | None, as_json: bool) -> None:
    """Show Clerk's documented limits, and the token bucket and window that a job makes of each."""
    import orjson  # noqa: PLC0415  heavy

    from clerk_jobs.catalog import load  # noqa: PLC0415  heavy
    from clerk_limits.documented import FRONTEND_LIMITS, LIMITS  # noqa: PLC0415  heavy
    from clerk_runner.explore.page_limits import ADVICE, page_maxima  # noqa: PLC0415  heavy

    described = _described(share, quota_share)
    pages = page_maxima(load())
    if as_json:
        found = [_as_json(limit) | {"uses": described.get((limit.name, limit.instance))} for limit in LIMITS]
        frontend = [_as_json(limit) for limit in FRONTEND_LIMITS]
        whole = {"backend": found, "frontend": frontend, "page_maxima": pages, "advice": ADVICE}
        click.echo(orjson.dumps(whole))
        return
    click.echo("Backend API, per instance:")
    for limit in LIMITS:
        _show(limit)
        for kind in ("production", "development"):
            line = described.get((limit.name, kind))
            if line is not None and limit.instance in (None, kind):
                click.echo(f"    {kind}: {line}" if limit.instance is None else f"    {line}")
                if limit.instance is None:
                    break
    click.echo("Frontend API, for your application's own visitors; jobs never call it:")
    for limit in FRONTEND_LIMITS:
        _show(limit)
    click.echo("Rows of a page at most:")
    for most, paths in sorted(pages.items()):
        click.echo(f"  {most}: {', '.join(paths[:6])}{f' and {len(paths) - 6} more lists' if len(paths) > 6 else ''}")
    click.echo(ADVICE)
    click.echo(f"Source: {LIMITS[0].source}, read {LIMITS[0].read}")


def _show(limit: Any) -> None:
    what = "all operations" if limit.operations == ("*",) else ", ".join(limit.operations)
    if limit.exceptions:
        what += f" except {', '.join(limit.exceptions)}"
    kind = f" ({limit.instance.value})" if limit.instance is not None else ""
    scope = "" if limit.scope.value in ("instance", "endpoint") else f" for each {limit.scope.value}"
    period = "hour" if limit.period_s == 3600 else f"{limit.period_s:g} s"
    click.echo(f"  {limit.name}{kind}: {limit.permits:,} per {period}{scope}: {what}")


def _described(share: float | None, quota_share: float | None) -> dict[tuple[str, Any], str]:
    """What a job takes, by limit and kind of instance; limits of both kinds stand under each."""
    from clerk_limits.clock import LoopClock  # noqa: PLC0415  heavy
    from clerk_limits.documented import InstanceKind  # noqa: PLC0415  heavy
    from clerk_limits.gate import Gate, GateOptions  # noqa: PLC0415  heavy

    options = GateOptions(share=share) if quota_share is None else GateOptions(share=share, quota_share=quota_share)
    found: dict[tuple[str, Any], str] = {}
    for kind in InstanceKind:
        for line in Gate(kind, options, LoopClock()).describe():
            name, _, text = line.partition(": ")
            found[name, kind] = text
            found.setdefault((name, None), text)
    return found


def _as_json(limit: Any) -> dict[str, Any]:
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
