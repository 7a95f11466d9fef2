"""The page of a report: one file that needs no other, no network and no script."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping
from typing import Any

from clerk_jobs.remedies import remedy_of
from clerk_limits.documented import InstanceKind, limits_for
from clerk_runner.amounts import count, duration
from clerk_runner.reporting.figures import figures
from clerk_runner.reporting.parts import Html, number, table, text
from clerk_runner.reporting.record import Pause
from clerk_runner.reporting.series import percentile_s, summed
from clerk_runner.reporting.story import FailedRows, Start, Story
from clerk_runner.reporting.style import STYLE
from clerk_runner.reporting.timeline import timeline

__all__ = ["page_of"]

SHOWN_PAUSES = 12
SHOWN_STARTS = 20
MOODS = {"done": "good", "failed": "bad", "stopped": "bad", "killed": "bad"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is fetched and nothing is executed, whatever a text from elsewhere would like."""


def page_of(story: Story) -> str:
    """A report as HTML."""
    title = f"{text(story.facts.job)}: {text(story.state)}, clerk-batch"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>{''.join(_body(story))}</main></body></html>\n"
    )


def _body(story: Story) -> Iterator[Html]:
    yield _heading(story)
    yield _tiles(story)
    yield '<div class="cards">'
    yield from _error(story.summary)
    over_time = timeline(story.series)
    if over_time is None:
        nothing = "Nothing was sent that could be drawn."
        yield f'<section class="whole"><h2>Over time</h2><p class="quiet">{nothing}</p></section>'
    else:
        yield from figures(over_time, story.limits)
    yield from _outcomes(story)
    yield from _steps(story.summary)
    narrow = [*_pauses(story.pauses, story.facts.instance_kind), *_proof(story.summary)]
    yield from narrow
    # Two of them share a line; who has none to share with fills it.
    yield _facts(story, "" if len(narrow) % 2 else ' class="whole"')
    yield _starts(story.starts)
    # The last, because it may be long.
    yield from _failed(story)
    yield "</div>"


def _heading(story: Story) -> Html:
    mood = MOODS.get(story.state, "warn")
    written = datetime.datetime.now().astimezone()
    masked = "" if story.is_masked else ' <strong class="bad">With people\'s data, unmasked.</strong>'
    return (
        f'<header><h1>{text(story.facts.job)} <span class="state {mood}">{text(story.state)}</span></h1>'
        f'<p class="quiet">Run <code>{text(story.facts.id)}</code>, {text(story.facts.kind)}, begun '
        f"{_moment(story.facts.created_ms)}; this report was written "
        f"{written:%Y-%m-%d %H:%M:%S %Z}.{masked}</p></header>"
    )


def _tiles(story: Story) -> Html:
    items, summary, whole = story.items, story.summary, summed(story.series.buckets.values())
    median = percentile_s(whole.latency, 0.5)
    tiles = [("rows", number(items.total), "")]
    tiles += [
        (word, number(value), mood)
        for word, value, mood in (
            ("done", items.done, "good"),
            ("skipped", items.skipped, ""),
            ("failed", items.failed, "bad" if items.failed else ""),
            ("unresolved", items.unresolved, "warn"),
            ("pending", items.pending, ""),
        )
        if value or word in ("done", "failed")
    ]
    # A process that was killed is not in the last summary.
    requests, throttled = (max(summary.get(name, 0), getattr(whole, name)) for name in ("requests", "throttled"))
    tiles.append(("requests", number(requests), ""))
    tiles.append(("throttled (429)", number(throttled), "warn" if throttled else ""))
    tiles.append(("time at work", duration(_worked_s(story)), ""))
    if median is not None:
        tiles.append(("median answer", f"{median * 1000:.0f} ms", ""))
    told = (
        f'<div class="tile"><dt>{text(name)}</dt><dd class="{mood}">{text(value)}</dd></div>'
        for name, value, mood in tiles
    )
    return f'<dl class="tiles">{"".join(told)}</dl>'


def _worked_s(story: Story) -> float:
    """Seconds of all starts that ended; of the last one, if it did not, up to now where it is still at work."""
    ended = sum(one.ended_ms - one.begun_ms for one in story.starts if one.ended_ms is not None) / 1000
    if story.state == "at work":
        ended += time.time() - story.starts[-1].begun_ms / 1000
    return ended or float(story.summary.get("elapsed_s", 0.0))


def _error(summary: Mapping[str, object]) -> Iterator[Html]:
    error = summary.get("error")
    if isinstance(error, dict):
        hint = f"<p>{text(error['hint'])}</p>" if error.get("hint") else ""
        why = f"<p>{text(error.get('message', ''))}</p>{hint}"
        yield f'<section class="whole"><h2>Why it ended early</h2>{why}</section>'


def _outcomes(story: Story) -> Iterator[Html]:
    if not story.outcomes:
        return
    rows = [
        (
            number(many),
            text(state),
            f"<code>{text(code)}</code>",
            text(message),
            text(remedy_of(code) or "") if state in ("failed", "unresolved") else "",
        )
        for state, code, message, many in story.outcomes
    ]
    head = ("rows", "became", "code", "message", "what to do")
    told = table("Reasons, most rows first", head, rows, numbers=(0,))
    yield f'<section class="whole"><h2>Outcomes by code</h2>{told}</section>'


def _steps(summary: Mapping[str, Any]) -> Iterator[Html]:
    """How the rows of each step stand."""
    steps = summary.get("steps", ())
    if steps:
        words = ("total", "done", "skipped", "failed", "unresolved", "pending")
        rows = [(text(one["name"]), *(number(one["items"].get(word, 0)) for word in words)) for one in steps]
        told = table("In the order in which they ran", ("step", "rows", *words[1:]), rows, numbers=range(1, 7))
        yield f'<section class="whole"><h2>Steps</h2>{told}</section>'


def _failed(story: Story) -> Iterator[Html]:
    if not story.failed_count:
        return
    told = "".join(_failed_table(story, one) for one in story.failed)
    steps = [f" --step {text(one.step)}" if one.step else "" for one in story.failed] or [""]
    commands = "<br>".join(f"<code>clerk-batch runs failed {text(story.facts.id)}{step}</code>" for step in steps)
    again = f"<p class='quiet'>All of them, to fix and feed back:<br>{commands}</p>"
    yield f'<section class="whole"><h2>Failed rows</h2>{told}{again}</section>'


def _failed_table(story: Story, failed: FailedRows) -> Html:
    """The failed rows of a run, or of one of its steps, which has columns of its own."""
    rows = [
        (
            number(row.line) if row.line else "",
            text(row.state),
            f"<code>{text(row.code)}</code>",
            text(row.message),
            *(text(cell) for cell in row.cells),
            f"<code>{text(row.trace)}</code>" if row.trace else "",
        )
        for row in failed.rows
    ]
    head = ("line", "status", "code", "message", *failed.columns, "trace")
    items = _items_of(story, failed.step)
    shown = count(items, "row") if len(rows) == items else f"The first {number(len(rows))} of {count(items, 'row')}"
    own = ", with the input's own columns" if failed.columns else ""
    hidden = " Values are masked: clerk-batch runs report RUN --unmasked shows them." if story.is_masked else ""
    where = f"Step {text(failed.step)}: " if failed.step else ""
    return table(f"{where}{shown}{own}.{hidden}", head, rows, numbers=(0,))


def _items_of(story: Story, step: str) -> int:
    """Failed and unresolved rows, of a step or of the whole run."""
    for each in story.summary.get("steps", ()) if step else ():
        if each["name"] == step:
            return int(each["items"]["failed"] + each["items"]["unresolved"])
    return story.failed_count


def _pauses(pauses: list[Pause], instance_kind: str) -> Iterator[Html]:
    if not pauses:
        return
    longest = sorted(pauses, key=lambda one: one.begin_s - one.end_s)[:SHOWN_PAUSES]
    rows = [
        (
            text(_moment(int(one.begin_s * 1000))),
            text(duration(one.end_s - one.begin_s)),
            f"<code>{text(one.operation)}</code>",
            text(_limit_of(one.operation, instance_kind)),
        )
        for one in sorted(longest)
    ]
    told = table("The longest times in which no call got a permit", ("from", "for", "operation", "limit"), rows)
    yield f"<section><h2>Waits</h2>{told}</section>"


def _limit_of(operation: str, instance_kind: str) -> str:
    """The narrowest limit that an operation counts against."""
    method, _, template = operation.partition(" ")
    return limits_for(method, template, InstanceKind(instance_kind))[-1].name


def _proof(summary: Mapping[str, object]) -> Iterator[Html]:
    proof = summary.get("proof")
    if isinstance(proof, dict):
        known = {name.replace("_", " "): value for name, value in proof.items() if value is not None}
        told = "".join(
            f"<dt>{text(name)}</dt><dd>{text(number(value) if isinstance(value, int) else value)}</dd>"
            for name, value in known.items()
        )
        yield f'<section><h2>Proof</h2><dl class="facts">{told}</dl></section>'


def _facts(story: Story, css: str) -> Html:
    facts = story.facts
    told = {
        "job file": facts.job_file,
        "input": f"{facts.source}{f', SHA-256 {facts.fingerprint}' if facts.fingerprint else ''}",
        "instance": f"{facts.instance} ({facts.instance_kind})",
        "host": facts.host,
        "API version": facts.api_version,
        "changed by options": ", ".join(f"{key}={value}" for key, value in facts.overrides),
        "follows from": facts.parent or "",
    }
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in told.items() if value)
    if outputs := [text(path) for path in story.summary.get("outputs", ())]:
        rows += f"<dt>outputs</dt><dd>{'<br>'.join(outputs)}</dd>"
    return f'<section{css}><h2>What ran</h2><dl class="facts">{rows}</dl></section>'


def _starts(starts: list[Start]) -> Html:
    rows = []
    for one in starts[-SHOWN_STARTS:]:
        lasted = "did not end normally" if one.ended_ms is None else duration((one.ended_ms - one.begun_ms) / 1000)
        versions = ", ".join(f"{name} {value}" for name, value in one.versions.items())
        rows.append((text(_moment(one.begun_ms)), text(lasted), text(versions)))
    more = (
        f"The last {SHOWN_STARTS} of {len(starts)} starts" if len(starts) > SHOWN_STARTS else "Every start of this run"
    )
    told = table(more, ("begun", "lasted", "versions"), rows) if rows else '<p class="quiet">None was recorded.</p>'
    return f"<section class='whole'><h2>Starts and versions</h2>{told}</section>"


def _moment(wall_ms: int) -> str:
    return f"{datetime.datetime.fromtimestamp(wall_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
