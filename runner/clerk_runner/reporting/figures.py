"""The pictures of a report: requests against the limit, the use of every limit, rows, and latencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

from clerk_limits.documented import LimitScope
from clerk_runner.reporting.charts import bars, line, picture, round_top, steps
from clerk_runner.reporting.parts import Html, details, figure, legend, number, table, text
from clerk_runner.reporting.record import LONGEST_LOOK_S
from clerk_runner.reporting.series import Bucket, class_ends_s, percentile_s, summed
from clerk_runner.reporting.timeline import Timeline

__all__ = ["figures", "latency_text"]

FAR_ABOVE = 4.0
"""A limit so many times above the highest bar is told and not drawn: the bars would be a line at the bottom."""
MOST_LINES = 4
PERCENTILES = (0.5, 0.9, 0.95, 0.99)
INSTANCE = LimitScope.INSTANCE.value


def figures(time: Timeline, limits: Mapping[str, list[float]]) -> Iterator[Html]:
    """All of them, for a run of which something was noted."""
    yield _requests(time, limits)
    if any(stretch.most_used for stretch in time.stretches):
        yield _use(time, limits)
    if any(stretch.done or stretch.failed or stretch.skipped for stretch in time.stretches):
        yield _rows(time)
    whole = summed(time.stretches)
    if whole.latency:
        yield _latencies(whole)


def _requests(time: Timeline, limits: Mapping[str, list[float]]) -> Html:
    rates = [stretch.requests / time.width_s for stretch in time.stretches]
    refused = [stretch.throttled / time.width_s for stretch in time.stretches]
    permits, period_s = limits.get(INSTANCE, [0, 1])
    limit = permits / period_s
    drawn = limit if 0 < limit <= max(rates) * FAR_ABOVE else 0.0
    most = round_top(max(*rates, drawn))
    told = f"At most {number(max(rates))} a second, over stretches of {_length(time.width_s)}."
    if limit:
        told += f" The job's share of the instance's limit is {number(limit)} a second"
        told += ", the dashed line." if drawn else ", far above this picture."
    entries = [("limit", "the job's share of the instance's limit")] if drawn else []
    rows = (
        (
            text(coarse.moment(place)),
            number(one.requests),
            number(round(one.requests / coarse.width_s, 2)),
            number(one.throttled),
            number(one.lost),
            _seconds(percentile_s(one.latency, 0.5)),
            _seconds(percentile_s(one.latency, 0.95)),
        )
        for coarse in (time.coarser(),)
        for place, one in enumerate(coarse.stretches)
    )
    head = ("from", "requests", "a second", "429", "lost or 5xx", "median answer", "95 %")
    shapes = [bars(rates, most, "fill-main"), bars(refused, most, "fill-bad"), line(drawn, most, "limit")]
    return figure(
        "Requests a second",
        told,
        picture(text(told), shapes),
        y=(number(most), number(most / 2), "0"),
        x=time.labels(),
        below=legend(entries)
        + details("the same as a table", table("Requests over time", head, rows, numbers=range(1, 7))),
        css="whole",
    )


def _use(time: Timeline, limits: Mapping[str, list[float]]) -> Html:
    names = sorted({name for stretch in time.stretches for name in stretch.most_used})
    parts = {name: _parts(time, name, max(1.0, limits.get(name, [1.0])[0])) for name in names}
    names.sort(key=lambda name: -max(parts[name]))
    names = names[:MOST_LINES]
    shapes = [steps(parts[name], 1.0, f"line-{place}") for place, name in enumerate(names)]
    told = "Of what the job may take of each limit, by all processes of this machine: the most at once in each stretch."
    coarse = time.coarser()
    at_once = coarse.width_s // time.width_s
    rows = [
        (
            text(coarse.moment(place)),
            *(f"{max(parts[name][place * at_once : (place + 1) * at_once]):.0%}" for name in names),
        )
        for place in range(len(coarse.stretches))
    ]
    entries = [(f"line-{place}", f"{name}: {_window(limits.get(name))}") for place, name in enumerate(names)]
    shown = table("Use of the limits", ("from", *names), rows, numbers=range(1, len(names) + 1))
    return figure(
        "Use of the limits",
        told,
        picture(text(f"{told} {', '.join(names)}"), shapes),
        y=("100 %", "50 %", "0"),
        x=time.labels(),
        below=legend(entries) + details("the same as a table", shown),
        css="whole",
    )


def _parts(time: Timeline, name: str, allowed: float) -> list[float]:
    """How much of a limit was in use; between two looks it is what it was at the first."""
    parts, known, age_s = [], 0.0, 0
    for stretch in time.stretches:
        age_s += time.width_s
        if stretch.most_used:
            known, age_s = stretch.most_used.get(name, 0) / allowed, 0
        elif age_s > LONGEST_LOOK_S:
            known = 0.0
        parts.append(known)
    return parts


def _window(limit: list[float] | None) -> str:
    if limit is None:
        return "its size is not known"
    period = {3600.0: "an hour", 86_400.0: "a day"}.get(limit[1]) or f"in {_length(limit[1])}"
    return f"{number(limit[0])} {period}"


def _rows(time: Timeline) -> Html:
    done = list(accumulate(stretch.done + stretch.skipped for stretch in time.stretches))
    failed = list(accumulate(stretch.failed for stretch in time.stretches))
    most = (done[-1] + failed[-1]) or 1
    span_s = max(1, time.end_s - time.begin_s)
    pace = number(round(most / span_s * 60, 1))
    told = f"{number(most)} settled while it was watched, {pace} a minute over the whole time."
    coarse = time.coarser()
    rows = [
        (text(coarse.moment(place)), number(one.done), number(one.skipped), number(one.failed))
        for place, one in enumerate(coarse.stretches)
    ]
    together = [good + bad for good, bad in zip(done, failed, strict=True)]
    shapes = [bars(together, most, "fill-bad"), bars(done, most, "fill-good")] if failed[-1] else []
    return figure(
        "Rows over time",
        told,
        picture(text(told), shapes or [bars(done, most, "fill-good")]),
        y=(number(most), number(round(most / 2)), "0"),
        x=time.labels(),
        below=details(
            "the same as a table",
            table("Rows over time", ("from", "done", "skipped", "failed"), rows, numbers=(1, 2, 3)),
        ),
    )


def _latencies(whole: Bucket) -> Html:
    first, last = min(whole.latency), max(whole.latency)
    at_once = -(-(last - first + 1) // 30)
    starts = range(first, last + 1, at_once)
    counts = [sum(whole.latency.get(start + step, 0) for step in range(at_once)) for start in starts]
    told, most = latency_text(whole), round_top(max(counts))
    middle = starts[len(starts) // 2]
    ends = (class_ends_s(first)[0], class_ends_s(middle)[0], class_ends_s(starts[-1] + at_once - 1)[1])
    rows = [
        (
            f"{_seconds(class_ends_s(start)[0])} to {_seconds(class_ends_s(start + at_once - 1)[1])}",
            number(count),
        )
        for start, count in zip(starts, counts, strict=True)
        if count
    ]
    return figure(
        "How long answers took",
        told,
        picture(text(told), [bars(counts, most, "fill-main")]),
        y=(number(most), number(most / 2), "0"),
        x=tuple(_seconds(end) for end in ends),
        below=details("the same as a table", table("Answers by latency", ("latency", "answers"), rows, numbers=(1,))),
    )


def latency_text(whole: Bucket) -> str:
    """The percentiles in a sentence."""
    told = [(part, percentile_s(whole.latency, part)) for part in PERCENTILES]
    return "; ".join(f"{part * 100:.0f} % within {_seconds(value)}" for part, value in told) + "."


def _seconds(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.3g} s"


def _length(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 3600 else f"{seconds / 3600:.3g} h"
