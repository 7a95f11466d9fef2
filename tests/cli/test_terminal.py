"""What people see, line by line; nothing from a file or from Clerk moves their cursor."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import re
import time
from typing import Any

import msgspec
import pytest
from rich.console import Console

from clerk_limits.clock import run_virtual
from clerk_runner.cli import terminal
from clerk_runner.cli.bar import Bar
from clerk_runner.cli.terminal import TerminalView, preview_lines, show_lines, summary_lines
from clerk_runner.cli.text import clock_time
from clerk_runner.planner import Forecast, Wait
from clerk_runner.report import Items, Summary
from clerk_runner.view import Gauge, Preview, Progress

START_S = 1_800_000_000.0
HOSTILE = "\x1b[2J\x1b[1;1H\x07\r\x9b31m\u202eevil\nnext"

LIMIT = (
    "invitations-bulk: bucket 22, refill 22/h; window 22 of 25 per hour, the rest left to your application; "
    "limits: {quota_share: 1.0} takes all"
)

PREVIEW = Preview(
    job="beta",
    action="new",
    operation="POST /invitations/bulk and POST /invitations",
    host="api.clerk.com",
    key="production key from /home/me/site/.env.local",
    api_version="2026-05-12",
    scopes="write",
    source="people.csv",
    run="20260102-030405-abcd",
    items=Items(total=2431, pending=2400, failed=31),
    screened=True,
    problems=[(7, "invalid_email", "An email address must have an @-sign.")],
    problem_count=31,
    doubtful=0,
    organizations=0,
    mails=True,
    forecast=Forecast(
        calls={"invitations": 600, "invitations-bulk": 180, "instance": 780},
        lanes={"single": 600, "bulk": 180},
        quota_used=0.4,
        ends_s=24_180.0,
        waits=[
            Wait("bulk", 10.0 + 3600 * number, 3500.0, 305 * (number + 1), "invitations-bulk") for number in range(8)
        ],
        limits=[LIMIT],
    ),
    starts_at=START_S,
)

SUMMARY = Summary(
    run="20260102-030405-abcd",
    job="beta",
    kind="invite",
    state="failed",
    items=Items(total=10, done=7, failed=2, unresolved=1),
    requests=14,
    throttled=0,
    elapsed_s=75.0,
    outputs=[],
    run_dir="/home/me/.local/state/clerk-batch/runs/20260102-030405-abcd",
    exit=1,
)


def changed(**values: Any) -> str:
    return "\n".join(preview_lines(dataclasses.replace(PREVIEW, **values)))


def summed(**values: Any) -> str:
    return "\n".join(summary_lines(msgspec.structs.replace(SUMMARY, **values), []))


def test_a_preview_says_what_will_happen() -> None:
    text = changed()
    for part in (
        "run 'beta' (20260102-030405-abcd)",
        "  operation  POST /invitations/bulk and POST /invitations",
        "  host       api.clerk.com, API version 2026-05-12",
        "  key        production key from /home/me/site/.env.local",
        "  scopes     write",
        "  input      people.csv: 2,431 rows",
        "  rows       2,400 to invite, 31 failed",
        "  plan       2,400 rows: 180 bulk and 600 single calls, 6 h 43 min, done about ",
        "; by then 40 % of the hourly quota is used",
        "  calls      600 invitations, 180 invitations-bulk, 780 instance",
        " (bulk lane, for invitations-bulk; 305 of 2,400 sent)",
        "  wait       and 3 more",
        f"  limit      {LIMIT}",
        "  people.csv:7: invalid_email: An email address must have an @-sign.",
        "  … and 30 more failed rows",
        "  2,400 invitations will be created; each is an e-mail to a real person and cannot be unsent",
    ):
        assert part in text.splitlines() or part in text
    assert text.count("  wait ") == terminal.SHOWN_WAITS + 1


def test_a_preview_says_why_rows_are_skipped_and_counts_what_fails_beyond_the_rows_that_it_shows() -> None:
    reasons = [("failed", "invalid_email", "odd", 31), ("skipped", "duplicate_row", "the same as line 2", 1_200)]
    text = changed(items=Items(total=3631, pending=2400, failed=31, skipped=1_200), reasons=reasons).splitlines()
    place = text.index("  rows       2,400 to invite, 1,200 skipped, 31 failed")
    assert text[place + 1 : place + 3] == [
        "  failed     31 invalid_email: odd",
        "  skipped    1,200 duplicate_row: the same as line 2",
    ]
    assert "  failed  " not in changed(reasons=reasons, problem_count=1)
    step = dataclasses.replace(PREVIEW, step="first", reasons=reasons)
    assert "    skipped    1,200 duplicate_row: the same as line 2" in changed(steps=(step,), reasons=[])


def test_a_preview_names_what_is_special() -> None:
    assert changed(run="").startswith("plan of 'beta'")
    assert changed(action="continue").startswith("continue 'beta'")
    assert "continue, with changes, 'beta'" in changed(action="change")
    assert "Clerk was not asked" in changed(screened=False)
    assert "Clerk sends no e-mail for them" in changed(mails=False)
    assert "cannot be unsent" not in changed(mails=False)
    assert "to         3 organizations" in changed(organizations=3)
    doubtful = changed(items=Items(total=10, pending=4, done=1, unresolved=5), doubtful=3)
    assert "doubt      3 looked up" in doubtful
    assert "2 unresolved" in doubtful
    empty = changed(items=Items(), forecast=Forecast(), problems=[], problem_count=0)
    assert "nothing to do" in empty
    assert "will be created" not in empty


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({}, ["next   clerk-batch runs failed 20260102-030405-abcd", "on-unresolved"]),
        ({"state": "interrupted"}, ["next   clerk-batch resume 20260102-030405-abcd"]),
        ({"state": "waiting"}, ["next   clerk-batch resume"]),
        ({"state": "done", "items": Items(total=10, done=10)}, ["10 rows: 10 done, 0 failed"]),
        ({"repeated": True}, ["done already, nothing to do: run 20260102-030405-abcd of 'beta'"]),
        ({"error": {"message": "the disk is full", "hint": "make room"}}, ["  the disk is full", "  make room"]),
    ],
)
def test_a_summary_says_how_it_stands_and_what_is_next(values: dict[str, Any], lines: list[str]) -> None:
    text = summed(**values)
    assert [line for line in lines if line not in text] == []
    assert "14 requests, 0 throttled, 1 min 15 s" in text


def test_a_finished_run_names_its_report() -> None:
    lines = summed(state="done", items=Items(total=10, done=10)).splitlines()
    assert lines[-1] == "  next   clerk-batch runs report 20260102-030405-abcd --open"


MANY = [("failed", f"reason_{number}", "long words " * 12, 900 - number) for number in range(20)]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_summary_fits_a_screen_and_counts_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    error = {"message": "40 of the 100 items sent have failed", "hint": "read the failed rows"}
    summary = msgspec.structs.replace(SUMMARY, state="stopped", error=error)
    lines = summary_lines(summary, MANY, ["proof: 10 rows"], screen=(columns, 24))
    found = shown(monkeypatch, lines, columns)
    assert len(found) <= 23
    assert "reason_0" in " ".join(found)
    assert "more reasons: clerk-batch runs show 20260102-030405-abcd" in " ".join(" ".join(found).split())
    assert found[-1].endswith("20260102-030405-abcd")
    told = int(re.findall(r"and (\d+) more", " ".join(found))[0])
    assert sum("reason_" in line for line in lines) + told == len(MANY)
    assert lines[-1] == "  next   clerk-batch resume 20260102-030405-abcd"


class Screen(io.StringIO):
    """A terminal as wide as a punched card."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, lines: list[str], columns: int) -> list[str]:
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    show_lines(lines)
    return screen.getvalue().splitlines()


@pytest.mark.parametrize("columns", [80, 100, 132])
def test_lines_fit_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    outcomes = [("failed", "invalid_email", "An email address must have an @-sign, and this one has none at all.", 2)]
    found = shown(monkeypatch, [*preview_lines(PREVIEW), *summary_lines(SUMMARY, outcomes)], columns)
    assert max(map(len, found)) <= columns
    assert "".join(LIMIT.split()) in "".join("".join(found).split())
    below = next(line for number, line in enumerate(found) if found[number - 1].startswith("  limit"))
    assert below.startswith(" " * 13) or columns == 132


def test_what_goes_on_below_stands_below_its_text_and_a_path_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/home/somebody/{'state/' * 12}20260102-030405-abcd"
    reason = "        1 failed     cast_failed: column 'seats' is not a whole number, and that is what the job asks for"
    found = shown(monkeypatch, [reason, f"{'':<21}{'fix these rows ' * 6}", f"  files  {path}"], 80)
    assert f"  files  {path}" in found
    assert [len(line) - len(line.lstrip()) for line in found] == [8, 21, 21, 21, 2]
    narrow = shown(monkeypatch, [reason], 40)
    assert [len(line) - len(line.lstrip()) for line in narrow] == [8, 4, 4]


def test_lines_stay_whole_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_lines(preview_lines(PREVIEW))
    assert f"  limit      {LIMIT}" in capsys.readouterr().out.splitlines()


def test_a_terminal_of_no_width_shows_something(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(shown(monkeypatch, preview_lines(PREVIEW), 1)) < 100


def test_no_text_from_elsewhere_moves_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    preview = dataclasses.replace(PREVIEW, job=HOSTILE, source=HOSTILE, key=HOSTILE, problems=[(1, HOSTILE, HOSTILE)])
    error = {"message": HOSTILE, "hint": HOSTILE}
    summary = msgspec.structs.replace(SUMMARY, job=HOSTILE, run_dir=HOSTILE, error=error)
    lines = [*preview_lines(preview), *summary_lines(summary, [(HOSTILE, HOSTILE, HOSTILE, 1)])]
    for columns in (80, 200):
        assert all(line.isprintable() for line in shown(monkeypatch, lines, columns))
    assert len(shown(monkeypatch, lines, 10_000)) == len(lines)


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        began = asyncio.get_running_loop().time()

        def read() -> Progress:
            done = int(asyncio.get_running_loop().time() - began) // 25
            return Progress("inviting", done, 4, HOSTILE)

        async with asyncio.TaskGroup() as group:
            follower = group.create_task(TerminalView(bars=False).follow(read), name="follower")
            await asyncio.sleep(60)
            follower.cancel()

    run_virtual(scenario())
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert all(line.isprintable() for line in lines)
    told = [line.partition(" ")[2].partition(",")[0] for line in lines]
    assert told == [f"inviting: {done} of 4" for done in (0, 1, 2)]


def drawn(width: int, *snapshots: Progress) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    with Bar(console) as bar:
        for snapshot in snapshots:
            bar.show(snapshot)
    # The last drawing: before it the cursor went up to the first line of the one before.
    return re.sub(r"\x1b\[[0-9]*[KJA]", "", file.getvalue().rpartition("\r")[2])


def test_a_bar_has_room_for_what_is_worth_knowing() -> None:
    detail = "1,530 invited, 8 failed, checking 3 doubtful invitations at 14:02:10"
    bar, below = drawn(80, Progress("inviting", 1538, 2431, detail)).strip("\n").splitlines()[-2:]
    assert "1,538/2,431" in bar
    assert "inviting ━━━━━" in bar
    assert below.rstrip() == f"  {detail}"


def test_a_bar_is_cut_and_not_wrapped() -> None:
    text = drawn(60, Progress("inviting", 1, 2, "long " * 50))
    assert text.count("long") < 12
    assert "…" in text


def test_a_bar_shows_no_markup_and_moves_no_cursor() -> None:
    text = drawn(200, Progress("[red]x[/red]", 1, 2, HOSTILE))
    assert "[red]x[/red]" in text
    assert "\x07" not in text
    assert "\\x1b[2J" in text


def test_a_bar_is_followed_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Progress] = []

    class Collected:
        def __enter__(self) -> Collected:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def show(self, now: Progress, rate: float) -> None:
            seen.append(now)

    monkeypatch.setattr("clerk_runner.cli.bar.Bar", Collected)

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            numbers = iter(range(1000))
            view = TerminalView(bars=True)
            follower = group.create_task(view.follow(lambda: Progress("x", next(numbers), 9)), name="follower")
            await asyncio.sleep(1.1)
            follower.cancel()

    run_virtual(scenario())
    assert [now.done for now in seen] == list(range(7))


def test_a_bar_of_which_nothing_changes_is_drawn_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []

    class Collected:
        def __enter__(self) -> Collected:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def show(self, _: Progress, rate: float) -> None:
            drawn.append(asyncio.get_running_loop().time())

    monkeypatch.setattr("clerk_runner.cli.bar.Bar", Collected)

    async def scenario() -> None:
        follower = asyncio.ensure_future(TerminalView(bars=True).follow(lambda: Progress("x", 1, 9, "waiting")))
        await asyncio.sleep(3600)
        follower.cancel()
        await asyncio.wait([follower])

    run_virtual(scenario())
    assert 3500 < len(drawn) < 3700


def test_a_time_of_another_day_has_its_date() -> None:
    now = time.time()
    assert len(clock_time(now)) == 5
    assert clock_time(now + 3 * 86_400).startswith("20")


BUSY = Progress(
    "inviting",
    1538,
    2431,
    "waiting for the next permit until 14:02:10",
    parts=("1,530 invited", "8 failed"),
    requests=240,
    gauges=(Gauge("instance", 512, 700, 10.0), Gauge("invitations-bulk", 22, 22, 3600.0, closed_s=95.0)),
    ends_at=START_S,
)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_frame_tells_all_and_is_nowhere_wider_than_the_terminal(width: int) -> None:
    lines = drawn(width, BUSY).splitlines()
    assert max(map(len, lines)) < width
    text = "\n".join(lines)
    for part in ("1,538/2,431", "1,530 invited, 8 failed", "512 of 700 in 10 s", "22 of 22 an hour", "waiting for the"):
        assert part in text
    if width >= 80:
        assert "done about 2027-01-15" in text
        assert "closed by Clerk for 1 min 35 s" in text


def test_a_frame_leaves_out_what_a_low_terminal_has_no_room_for() -> None:
    file = io.StringIO()
    Bar(Console(file=file, width=80, height=4, force_terminal=True, color_system=None)).show(BUSY)
    assert file.getvalue().count("\n") == 3


def test_nothing_is_wiped_before_it_is_written_anew() -> None:
    file = io.StringIO()
    bar = Bar(Console(file=file, width=80, force_terminal=True, color_system=None))
    bar.show(BUSY)
    first = file.tell()
    bar.show(dataclasses.replace(BUSY, done=1539))
    again = file.getvalue()[first:]
    assert again.startswith("\r\x1b[5A")
    assert again.endswith("\x1b[J")
    assert "\x1b[J" not in again[:-3], "the rest of the screen is cleared last"
    assert "\x1b[2K" not in again, "no line is wiped as a whole"
    assert again.count("\x1b[K\n") == 5
    assert "\x1b[?25l" not in file.getvalue(), "a process that is killed leaves the cursor visible"


def test_what_is_said_meanwhile_stays_above_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = io.StringIO()
    made = Bar(Console(file=file, width=80, force_terminal=True, color_system=None))
    monkeypatch.setattr("clerk_runner.cli.bar.Bar", lambda: made)

    async def scenario() -> None:
        view = TerminalView(bars=True)
        follower = asyncio.ensure_future(view.follow(lambda: BUSY))
        await asyncio.sleep(0.5)
        view.stage("pages are slow")
        follower.cancel()
        await asyncio.wait([follower])
        view.stage("over")

    run_virtual(scenario())
    text = re.sub(r"\x1b\[[0-9]*[KJA]", "", file.getvalue())
    said = text.index("pages are slow")
    assert text.index("inviting", said) > said, "the bar is drawn again below it"
    assert "over" in capsys.readouterr().err, "and after the bar lines go where they always go"


def test_a_terminal_that_has_gone_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

    made = Bar(Console(file=Gone(), width=80, force_terminal=True, color_system=None))
    monkeypatch.setattr("clerk_runner.cli.bar.Bar", lambda: made)

    async def scenario() -> bool:
        view = TerminalView(bars=True)
        follower = asyncio.ensure_future(view.follow(lambda: BUSY))
        await asyncio.sleep(5)
        view.stage("nobody reads this")
        running = not follower.done()
        follower.cancel()
        await asyncio.wait([follower])
        return running and follower.cancelled()

    assert run_virtual(scenario())


def test_a_plain_line_tells_the_limits_in_use_and_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        follower = asyncio.ensure_future(TerminalView(bars=False).follow(lambda: BUSY))
        await asyncio.sleep(3600)
        follower.cancel()
        await asyncio.wait([follower])

    run_virtual(scenario())
    (line,) = capsys.readouterr().err.splitlines()
    stamp, _, told = line.partition(" ")
    assert time.strptime(stamp, "%Y-%m-%dT%H:%M:%S")
    assert told.startswith(
        "inviting: 1,538 of 2,431, waiting for the next permit until 14:02:10, 1,530 invited, 8 failed"
    )
    assert "instance 512 of 700 in 10 s" in told
    assert "invitations-bulk 22 of 22 an hour, closed by Clerk" in told
