"""The page of a report: harmless whatever it tells, complete without its pictures, and readable in a browser."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from clerk_runner.folders import RunFacts
from clerk_runner.report import Items
from clerk_runner.reporting.page import page_of
from clerk_runner.reporting.record import Pause
from clerk_runner.reporting.series import Bucket, Series, latency_class
from clerk_runner.reporting.story import FailedRow, FailedRows, Start, Story
from clerk_runner.reporting.style import DARK, LIGHT
from clerk_testing.browser import CHROMIUM, open_page, shades

START_S = 1_800_000_000
HOSTILE = "<script>alert(1)</script><img src=http://127.0.0.1/x onerror=alert(1)>'\"\x1b[2J\u202e"
LONG = "invitation_of_somebody_with_a_very_long_name_" * 6


def noted(seconds: int) -> Series:
    series = Series()
    for second in range(0, seconds, 3):
        rate = int(40 + 30 * math.sin(second / 40))
        used = {"instance": rate * 10, "invitations": min(90, second // 4), "invitations-bulk": min(22, second // 9)}
        latency = {latency_class(0.1 + 0.02 * (number % 17)): 1 + number for number in range(9)}
        series.at(START_S + second).add(
            Bucket(rate, 1 if second % 60 == 0 else 0, 0, latency, rate, second % 2, second % 7 == 0, used)
        )
    return series


FACTS = RunFacts(
    id="20260102-030405-abcd",
    job="beta-invites",
    kind="invite",
    job_file=f"/srv/{LONG}.yaml",
    overrides=(("limits.share", "1.0"),),
    identity="i",
    fingerprint="f" * 64,
    source="people.csv",
    instance="ins_1",
    instance_kind="production",
    host="api.clerk.com",
    api_version="2026-05-12",
    created_ms=START_S * 1000,
)
STORY = Story(
    facts=FACTS,
    state="stopped",
    items=Items(total=2_431, done=2_000, skipped=100, failed=31, pending=300),
    summary={"requests": 900, "throttled": 3, "error": {"message": "too much failed", "hint": "mend the cause"}},
    outcomes=[("failed", "invalid_email", "An email address must have an @-sign.", 30), ("failed", LONG, LONG, 1)],
    failed=[
        FailedRows(
            "",
            ("email", "cohort", LONG),
            [FailedRow(7 + n, "failed", "invalid_email", LONG, "trace_1", ("j…", LONG, "3")) for n in range(31)],
        )
    ],
    series=noted(1800),
    pauses=[Pause(START_S + 100.0, START_S + 900.0, "POST /invitations/bulk")],
    limits={"instance": [700, 10.0], "invitations": [90, 3600.0], "invitations-bulk": [22, 3600.0]},
    starts=[Start(START_S * 1000, None, {"python": "3.11.7"}), Start(START_S * 1000, 1_800_001_800_000, {})],
    is_masked=True,
)


class Elements(HTMLParser):
    """Tags and attributes of a page, and whether they nest."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser.found


def hostile(value: Any) -> Any:
    """The same with a hostile text in the place of each."""
    match value:
        case str():
            return HOSTILE
        case list() | tuple() if not dataclasses.is_dataclass(value):
            return [hostile(one) for one in value]
        case dict():
            return {key: hostile(one) for key, one in value.items()}
        case _:
            return value


def test_no_text_from_elsewhere_becomes_markup() -> None:
    import msgspec  # noqa: PLC0415

    facts = msgspec.structs.replace(FACTS, job=HOSTILE, job_file=HOSTILE, source=HOSTILE, host=HOSTILE, parent=HOSTILE)
    story = dataclasses.replace(
        STORY,
        facts=facts,
        summary=hostile(STORY.summary) | {"requests": 1, "throttled": 0, "proof": {"output": HOSTILE}},
        outcomes=[("failed", HOSTILE, HOSTILE, 1)],
        failed=[FailedRows(HOSTILE, (HOSTILE,), [FailedRow(1, HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,))])],
        limits={HOSTILE: [1.0, 1.0]},
        series=Series(1, {START_S: Bucket(1, most_used={HOSTILE: 1})}),
        starts=[Start(0, None, {HOSTILE: HOSTILE})],
    )
    page = page_of(story)
    found = elements(page)
    assert {"script", "img", "iframe", "link", "a", "form"}.isdisjoint(tag for tag, _ in found)
    named = {name for _, attributes in found for name in attributes}
    assert {"src", "href", "onerror", "onload", "style"}.isdisjoint(named)
    assert page.count("&lt;script&gt;alert(1)") >= 10
    assert all(sign not in page for sign in ("\x1b", "\u202e"))
    policy = next(given["content"] for tag, given in found if given.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_every_picture_has_a_title_and_a_table() -> None:
    found = elements(page_of(STORY))
    figures = sum(tag == "figure" for tag, _ in found)
    pictures = [given for tag, given in found if tag == "svg" and given.get("role") == "img"]
    assert figures == len(pictures) == 4
    assert all(given["aria-label"] for given in pictures)
    assert sum(tag == "details" for tag, _ in found) == figures
    tables = sum(tag == "table" for tag, _ in found)
    assert tables == sum(tag == "caption" for tag, _ in found) >= figures + 4
    assert all(given.get("scope") == "col" for tag, given in found if tag == "th")


def test_it_tells_what_is_worth_knowing() -> None:
    page = page_of(STORY)
    for part in (
        "beta-invites",
        "too much failed",
        "mend the cause",
        "limits.share=1.0",
        "invitations-bulk: 22 an hour",
        "did not end normally",
        "13 min 20 s",
        "people&#x27;s data" if not STORY.is_masked else "Values are masked",
        "clerk-batch runs failed 20260102-030405-abcd",
    ):
        assert part in page, part


def test_failed_rows_of_steps_stand_under_the_name_of_their_step() -> None:
    row = FailedRow(2, "failed", "reference_missing", "it failed", "", ("acme",))
    steps = [{"name": name, "items": {"failed": many, "unresolved": 1}} for name, many in (("orgs", 4), ("people", 7))]
    failed = [FailedRows("orgs", ("slug",), [row]), FailedRows("people", (), [row])]
    page = page_of(dataclasses.replace(STORY, summary={**STORY.summary, "steps": steps}, failed=failed))
    assert "Step orgs: The first 1 of 5 rows, with the input&#x27;s own columns." in page.replace("'", "&#x27;")
    assert "Step people: The first 1 of 8 rows." in page
    for name in ("orgs", "people"):
        assert f"runs failed 20260102-030405-abcd --step {name}<" in page
    assert "<h2>Steps</h2>" in page


def test_a_run_of_which_nothing_was_noted_has_a_report_too() -> None:
    bare = dataclasses.replace(
        STORY, series=Series(), pauses=[], limits={}, starts=[], outcomes=[], failed=[], summary={}
    )
    assert "Nothing was sent that could be drawn." in page_of(bare)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_of_text_has_contrast(scheme: dict[str, str]) -> None:
    """At least 4.5 to 1, as WCAG 2.2 asks of text (level AA)."""
    for name in ("ink", "quiet", "main", "good", "bad", "warn", "other"):
        for ground in ("paper", "card"):
            low, high = sorted((luminance(scheme[name]), luminance(scheme[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ground)
    assert set(LIGHT) == set(DARK)


NARROW, WIDE = 400, 1600


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_a_browser_shows_it_narrow_and_wide_in_both_schemes(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page_of(STORY), encoding="utf-8")

    async def scenario() -> None:
        async with open_page(tmp_path) as page:
            await page.show(tmp_path / "report.html")
            grounds = set()
            for width in (NARROW, WIDE):
                for scheme in ("light", "dark"):
                    await page.look(width, scheme)
                    assert await page.value("innerWidth") == width
                    assert await page.value("document.documentElement.scrollWidth") <= width
                    smallest = "Math.min(...[...document.querySelectorAll('p,td,th,dt,dd,span,li')].map(e => "
                    assert await page.value(f"{smallest}parseFloat(getComputedStyle(e).fontSize)))") >= 12
                    high = "Math.min(...[...document.querySelectorAll('.plot svg')].map(e => e.clientHeight))"
                    assert await page.value(high) >= 100
                    captions = "Math.max(...[...document.querySelectorAll('section caption')].map(e => e.clientWidth))"
                    assert await page.value(captions) <= width, "a table scrolls, what it shows is read without"
                    grounds.add(await page.value("getComputedStyle(document.body).backgroundColor"))
                    picture = await page.picture()
                    assert shades(picture) > 100, "a blank page has a handful"
                    if kept := os.environ.get("KEEP_PICTURES"):
                        Path(kept, f"report-{width}-{scheme}.png").write_bytes(picture)  # noqa: ASYNC240  by hand
            assert len(grounds) == 2, "each scheme has a ground of its own"
            assert page.complaints == []
            assert [url for url in page.requested if not url.startswith("file:")] == []

    asyncio.run(scenario())


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_the_browser_would_tell_of_what_is_wrong(tmp_path: Path) -> None:
    wide = '<!doctype html><body><p style="width:2000px">x</p><script>console.error("oh"); nothing()</script>'
    (tmp_path / "wrong.html").write_text(wide, encoding="utf-8")

    async def scenario() -> None:
        async with open_page(tmp_path) as page:
            await page.show(tmp_path / "wrong.html")
            await page.look(NARROW, "light")
            assert await page.value("document.documentElement.scrollWidth") > NARROW
            assert len(page.complaints) >= 2
            assert shades(await page.picture()) < 100

    asyncio.run(scenario())


def test_the_style_names_only_colours_that_there_are() -> None:
    page = page_of(STORY)
    assert set(re.findall(r"var\(--([a-z]+)\)", page)) <= set(LIGHT)
