"""How a command ends that did not do its work: one message, one exit code, no key and no traceback."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from clerk_jobs.errors import ClerkBatchError, Fault, InputError, JobFileError
from clerk_runner.cli.ending import knowing, show_error
from clerk_runner.errors import AccessError, LeftEarly, RunnerError, StoppedError, UsageError

SECRET = "sk_live_c2VjcmV0LW9mLWEtdGVzdA"

TWO = JobFileError(
    [
        Fault("job.yaml", 3, 1, "emial", "is no key", "did you mean email?"),
        Fault("job.yaml", 7, 9, "limits.share", "is 2, and at most 1"),
    ]
)
ERRORS: list[tuple[BaseException, int, str]] = [
    (UsageError("the words are wrong", code="usage"), 2, "usage"),
    (AccessError("no key", code="key_missing", hint="export one"), 3, "key_missing"),
    (StoppedError("the disk is full", code="disk"), 4, "disk"),
    (LeftEarly("too long", code="max_wait", until="2026-01-02T03:04:05Z"), 5, "max_wait"),
    (InputError("people.csv", "is empty", line=1), 2, "input"),
    (TWO, 2, "job_file"),
    (ClerkBatchError("something"), 70, "error"),
    (click.UsageError("no such option"), 2, "usage"),
    (click.Abort(), 130, "interrupted"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (OSError(errno.ENOSPC, "No space left on device"), 4, "disk"),
    (RuntimeError("a bug"), 70, "fault"),
    (
        BaseExceptionGroup("tasks", [ExceptionGroup("more", [StoppedError("gone", code="unreachable")])]),
        4,
        "unreachable",
    ),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLERK_BATCH_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.mark.parametrize(("error", "code", "word"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_is_one_object(error: BaseException, code: int, word: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert show_error(error, as_json=True) == code
    out, err = capfd.readouterr()
    assert err == ""
    found = json.loads(out)["error"]
    assert {"exit", "code", "message", "file", "line", "column", "hint"} <= found.keys()
    assert (found["exit"], found["code"]) == (code, word)


@pytest.mark.parametrize(("error", "code", "word"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_is_a_line_on_stderr(
    error: BaseException, code: int, word: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert show_error(error, as_json=False) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(("clerk-batch: ", "job.yaml:3:1: ", "people.csv:1: "))
    assert "Traceback" not in err


@pytest.mark.parametrize("job", [{"job": "beta", "kind": "invite"}, {}])
def test_a_job_that_leaves_before_it_began_tells_when_to_come_again(
    job: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    until = "2026-01-02T03:04:05Z"
    left = LeftEarly("a list is closed", code="left_early", until=until)
    with pytest.raises(LeftEarly), knowing(**job):
        raise left
    assert show_error(left, as_json=True) == 5
    found = json.loads(capfd.readouterr().out)
    found.pop("error")
    assert found == ({**job, "state": "waiting", "next_permit": until} if job else {})


def test_every_fault_of_a_job_file_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    show_error(TWO, as_json=False)
    assert capfd.readouterr().err == (
        "job.yaml:3:1: emial: is no key\n  did you mean email?\njob.yaml:7:9: limits.share: is 2, and at most 1\n"
    )
    show_error(TWO, as_json=True)
    found = json.loads(capfd.readouterr().out)["error"]
    assert (found["line"], found["column"]) == (3, 1)
    assert [fault["line"] for fault in found["faults"]] == [3, 7]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("error", [click.exceptions.Exit(3), SystemExit(3)])
def test_what_has_nothing_to_say_says_nothing(
    error: BaseException, as_json: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    assert show_error(error, as_json=as_json) == 3
    assert capfd.readouterr() == ("", "")


def test_what_is_known_of_the_run_stands_beside_the_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunnerError) as caught, knowing(job="beta", kind="invite"), knowing(run="r1"):
        raise StoppedError("gone", code="unreachable")
    show_error(caught.value, as_json=True)
    found = json.loads(capfd.readouterr().out)
    assert (found["run"], found["job"], found["kind"]) == ("r1", "beta", "invite")


def test_a_fault_of_ours_leaves_a_trace_that_holds_no_secret(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise RuntimeError(f"{SECRET} of jane@example.com")

    with pytest.raises(RuntimeError) as caught:
        fails()
    assert show_error(caught.value, as_json=False) == 70
    err = capfd.readouterr().err
    kept = home / "last-fault.txt"
    assert str(kept) in err
    assert "RuntimeError in test_ending.py:" in err
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "RuntimeError" in kept.read_text()
    for text in (err, kept.read_text()):
        assert SECRET not in text
        assert "jane@" not in text


def test_text_from_elsewhere_moves_no_cursor(capfd: pytest.CaptureFixture[str]) -> None:
    show_error(UsageError("a\x1b[2J\x07b\u202ec\r", code="usage", hint="d\x9be"), as_json=False)
    err = capfd.readouterr().err
    assert err == "clerk-batch: a\\x1b[2J\\x07b\\u202ec\\r\n  d\\x9be\n"


def ended(arguments: str, redirect: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a shell, where its streams can lead anywhere."""
    line = f"{sys.executable} -m clerk_runner {arguments} {redirect}; exit $?"
    clean = {"PATH": "/usr/bin:/bin", **environment}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False, env=clean)


@pytest.mark.parametrize("arguments", ["limits", "limits --json", "--help", "api list"])
def test_a_reader_that_has_enough_is_no_fault(arguments: str, home: Path) -> None:
    found = ended(arguments, "| true; exit ${PIPESTATUS[0]}", CLERK_BATCH_HOME=str(home))
    assert (found.returncode, found.stderr) == (0, "")


def test_a_full_disk_below_stdout_is_told(home: Path) -> None:
    found = ended("limits", "> /dev/full", CLERK_BATCH_HOME=str(home))
    assert found.returncode == 4
    assert found.stderr.startswith("clerk-batch: the disk is full")


def test_a_terminal_that_knows_few_characters(home: Path) -> None:
    found = ended("run nowhere.yaml", "", CLERK_BATCH_HOME=str(home), PYTHONIOENCODING="ascii", LC_ALL="C")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    shown = ended("run --help", "", CLERK_BATCH_HOME=str(home), PYTHONIOENCODING="ascii")
    assert shown.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says", "advice"),
    [
        ("", "clerk-batch: a command is missing\n", "  Usage: clerk-batch [OPTIONS]"),
        ("runs", "clerk-batch: a command is missing\n", "  Usage: clerk-batch runs [OPTIONS]"),
        ("rnu", "clerk-batch: There is no command 'rnu'. Did you mean 'run'?\n", "  see: clerk-batch --help"),
        ("xyzzy", "clerk-batch: There is no command 'xyzzy'.", "  see: clerk-batch --help"),
        ("run", "clerk-batch: Missing argument 'JOB'.\n", "  see: clerk-batch run --help"),
        ("run a b", "clerk-batch: Got unexpected extra argument (b)\n", "  see: clerk-batch run --help"),
        ("--nope", "clerk-batch: No such option", "  see: clerk-batch --help"),
        ("run --nope", "clerk-batch: No such option", "  see: clerk-batch run --help"),
    ],
)
def test_wrong_words_are_told_with_the_help_that_helps(arguments: str, says: str, advice: str, home: Path) -> None:
    found = ended(arguments, "", CLERK_BATCH_HOME=str(home))
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(says)
    assert advice in found.stderr
    assert json.loads(ended(f"{arguments} --json", "", CLERK_BATCH_HOME=str(home)).stdout)["error"]["exit"] == 2


def test_a_shell_is_told_the_next_words(home: Path) -> None:
    asked = {"COMP_WORDS": "clerk-batch ru", "COMP_CWORD": "1", "_CLERK_BATCH_COMPLETE": "bash_complete"}
    assert ended("", "", **asked).stdout.split() == ["plain,run", "plain,runs"]


def test_on_a_narrow_terminal_no_word_is_cut_in_two(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    message, hint = "nothing was deleted: this run deletes 1 in all", f"look at {'x' * 50} before you go on"
    show_error(UsageError(message, code="usage", hint=hint), as_json=False)
    assert capfd.readouterr().err == f"clerk-batch: {message}\n  {hint}\n", "elsewhere a line stays one"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    show_error(UsageError(message, code="usage", hint=hint), as_json=False)
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if len(line) > 40] == [f"    {'x' * 50}"], "what is longer can be copied"
    assert " ".join(line.strip() for line in lines) == f"clerk-batch: {message} {hint}"
