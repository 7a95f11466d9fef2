"""Every run leaves a report: for this user alone, without people's data, and never at the price of the run."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace, write_people
from clerk_testing.simulated import SimulatedClerk

Start = Callable[..., tuple[Workplace, SimulatedClerk]]

JOB = 'name: beta\nkind: invite\nsource: people.csv\nemail: "{email}"\npublic_metadata: {cohort: "{cohort}"}\n'
EXPORT = "name: everybody\nkind: export\nlist: users\noutput: users.jsonl\n"
PEOPLE = ["zoe.unseen@example.com", "not(at)example.com", "lukasz.unseen@example.org"]


def test_a_run_leaves_a_report_that_can_be_passed_on(start: Start) -> None:
    place, _ = start("--users=40")
    write_people(place.folder / "people.csv", PEOPLE)
    place.write("job.yaml", JOB)
    ended = place.run("run", "job.yaml", "--yes")
    assert ended.code == 1, ended.err
    path = place.only_run() / "report.html"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    page = path.read_text(encoding="utf-8")
    for told in ("invalid_email", "Requests a second", "people.csv", "clerk-batch 0.", ">n…<"):
        assert told in page, told
    for hidden in ("unseen", "(at)", "sk_live_tests"):
        assert hidden not in page, hidden

    shown = place.run("runs", "report", "last", "--unmasked")
    assert (shown.code, shown.err) == (0, "")
    unmasked = place.only_run() / "report-unmasked.html"
    assert shown.out.strip() == str(unmasked)
    assert stat.S_IMODE(unmasked.stat().st_mode) == 0o600
    assert "not(at)example.com" in unmasked.read_text(encoding="utf-8")

    # The input is gone: what became of its rows is told all the same.
    (place.folder / "people.csv").unlink()
    again = place.run("runs", "report", "last")
    assert again.code == 0, again.err
    assert "invalid_email" in path.read_text(encoding="utf-8")


def test_an_export_leaves_one_too(start: Start) -> None:
    place, _ = start("--users=40")
    place.write("export.yaml", EXPORT)
    ended = place.run("run", "export.yaml")
    assert ended.code == 0, ended.err
    page = (place.only_run() / "report.html").read_text(encoding="utf-8")
    for told in ("everybody", "Rows over time", "<h2>Proof</h2>", "How long answers took"):
        assert told in page, told


@pytest.mark.parametrize("name", ["job.yaml", "export.yaml"])
def test_a_report_that_cannot_be_written_fails_no_run(start: Start, name: str) -> None:
    place, _ = start("--users=40")
    write_people(place.folder / "people.csv", PEOPLE[:1])
    place.write("job.yaml", JOB)
    place.write("export.yaml", EXPORT)
    # A folder in the place of the file: renaming a file to it fails, even for root.
    program = place.program
    code = (
        "import runpy, sys; from clerk_runner.folders import RunFolder; hold = RunFolder.hold\n"
        "def held(run):\n"
        "    hold(run); (run.path / 'report.html').mkdir(exist_ok=True)\n"
        "RunFolder.hold = held; sys.argv[0] = 'clerk-batch'; runpy.run_module('clerk_runner', run_name='__main__')"
    )
    broken = type(place)(place.folder, place.variables, (program[0], "-c", code))
    ended = broken.run("run", name, "--yes")
    assert ended.code == 0, ended.err
    assert (place.only_run() / "report.html").is_dir()
    assert '"report"' in (place.only_run() / "log.jsonl").read_text(encoding="utf-8")
    assert place.run("runs", "list").out.count(" done ") == 1


def test_a_report_opens_in_the_browser_of_the_environment_and_is_named_without_one(
    start: Start, tmp_path: Path
) -> None:
    place, _ = start("--users=40")
    place.write("export.yaml", EXPORT)
    assert place.run("run", "export.yaml").code == 0
    report = place.only_run() / "report.html"
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "$1 ${CLERK_SECRET_KEY:-no key}" >"$0.log"\n', encoding="utf-8")
    browser.chmod(0o700)
    # The search path makes sure that no other browser is found.
    alone = {**place.variables, "PATH": str(tmp_path / "nothing"), "DISPLAY": "", "WAYLAND_DISPLAY": ""}

    for word in ("none-of-this-name", "  ", "never ' closed %s", str(browser)):
        shown = Workplace(place.folder, {**alone, "BROWSER": word}).run("runs", "report", "last", "--open")
        assert (shown.code, shown.out.strip()) == (0, str(report)), word
        assert ("no browser could be started here; copy the file" in shown.err) == (word != str(browser)), word
    assert (tmp_path / "browser.log").read_text(encoding="utf-8") == f"{report.as_uri()} no key\n"
