"""Commands that are struck at a step, and what may be said of a state folder at any moment afterwards."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from clerk_testing.commands import Ended, Workplace
from clerk_testing.fail_points import PROGRAM, strike_at
from clerk_testing.simulated import SimulatedClerk

__all__ = [
    "FINAL",
    "SUPPORT",
    "check_files",
    "check_limits",
    "check_results",
    "let_go",
    "paused",
    "results_of",
    "run_struck",
    "striking",
]

SUPPORT = Path(__file__).parents[1]
DEADLINE_S = 240
FINAL = frozenset({"done", "skipped", "failed", "unresolved"})
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


def striking(workplace: Workplace, step: str, signals: str = "KILL", hit: int = 1) -> Workplace:
    """The same workplace, whose commands are struck at a step; what its program has before Python stays."""
    variables = {**workplace.variables, "PYTHONPATH": str(SUPPORT), **strike_at(step, signals, hit)}
    before = workplace.program[: workplace.program.index(sys.executable)]
    return Workplace(workplace.folder, variables, (*before, *PROGRAM))


def run_struck(workplace: Workplace, step: str, *arguments: str, signals: str = "KILL", hit: int = 1) -> Ended:
    """Run a command that is struck at a step; it must not end by itself before."""
    ended = striking(workplace, step, signals, hit).run(*arguments, measured=False)
    assert ended.code != 0, f"{step} was not reached: {ended.out}"
    assert "Traceback" not in ended.err, ended.err
    return ended


@contextmanager
def paused(workplace: Workplace, step: str, *arguments: str, hit: int = 1) -> Iterator[subprocess.Popen[str]]:
    """A command that has stopped itself at a step (SIGSTOP); whatever happens, it does not outlive the block."""
    process = striking(workplace, step, "STOP", hit).start(*arguments, measured=False)
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"{step} was not reached"
        yield process
    finally:
        process.kill()
        process.communicate()


def let_go(process: subprocess.Popen[str]) -> Ended:
    """Let a paused command go on to its end."""
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in err, err
    return Ended(process.returncode, out, err)


def check_files(state: Path) -> None:
    """Whatever happened: everything is for this user alone, and every journal is whole."""
    for path in (state, *state.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISSOCK(mode):
            continue
        wanted = PRIVATE_FOLDER if stat.S_ISDIR(mode) else PRIVATE_FILE
        assert stat.S_IMODE(mode) == wanted, f"{path} is {stat.S_IMODE(mode):o}"
    for journal in state.glob("runs/*/run.db"):
        check_whole(journal)


def check_whole(database: Path) -> None:
    """SQLite finds nothing wrong with a database; asked of a copy, so that its own next start recovers it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / database.name
        for suffix in ("", "-wal", "-journal"):
            side = database.with_name(database.name + suffix)
            if side.exists():
                shutil.copy(side, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], database


def check_limits(clerk: SimulatedClerk, allowed: dict[str, int]) -> None:
    """Nothing was refused by a limit, and no window ever held more than a job's share of it."""
    limits = clerk.report()["limits"]
    assert {name: one["refused"] for name, one in limits.items() if one["refused"]} == {}
    worst = {name: limits[name]["worst_window"] for name in allowed if name in limits}
    assert all(count <= allowed[name] for name, count in worst.items()), f"{worst} of {allowed}"


def results_of(ended: Ended) -> list[dict[str, str]]:
    """The lines of ``results.csv``."""
    with (Path(ended.json["run_dir"]) / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_results(ended: Ended, rows: int | Mapping[str, int]) -> dict[str, int]:
    """Every row, of every step, has one line, in one final state, and the lines add up to what the summary says."""
    lines = results_of(ended)
    by_step = {"": rows} if isinstance(rows, int) else rows
    found = [(line.get("step", ""), int(line["row"])) for line in lines]
    assert found == [(step, row) for step, count in by_step.items() for row in range(1, count + 1)]
    words: dict[str, int] = {}
    for line in lines:
        words[line["status"]] = words.get(line["status"], 0) + 1
    assert words.keys() <= FINAL, words
    items: dict[str, Any] = ended.json["items"]
    assert {word: count for word, count in items.items() if count and word != "total"} == words
    assert items["total"] == len(lines)
    return words
