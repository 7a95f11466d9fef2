"""The log: a JSON object a line, and nothing in it that is a secret or a person's."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from clerk_runner.logs import open_log, redact, silent_log

SECRET = "sk_live_c2VjcmV0LW9mLWEtdGVzdA"
URL = "https://accounts.example.com/v1/tickets/accept?ticket=eyJhbGciOiJIUzI1NiJ9"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jane@example.com", "***@***"),
        ("to <jane+x@example.com>, ok", "to <***@***>, ok"),
        ("o'hara@example.com, 'x@y.z'", "***@***, ***@***'"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        (f"used {SECRET}!", "used sk_live_***!"),
        ("pk_test_abc", "pk_test_***"),
        (f"at {URL} now", "at https://*** now"),
        ("nothing to hide: user_2abc, inv_1", "nothing to hide: user_2abc, inv_1"),
    ],
)
def test_what_is_hidden(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_a_long_text_is_read_in_no_time() -> None:
    began = time.process_time()
    assert redact("x" * 200_000).startswith("xxx")
    assert time.process_time() - began < 2


def test_a_line_is_an_object_with_its_facts(tmp_path: Path) -> None:
    log, file = open_log(tmp_path / "log.jsonl", run="r1")
    with file:
        log.debug("unseen")
        log.info("start", rows=3)
        log.warning("throttled", wait_s=1.5)
    first, second = lines(tmp_path / "log.jsonl")
    assert (first["run"], first["event"], first["level"], first["rows"]) == ("r1", "start", "info", 3)
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["wait_s"]) == ("throttled", 1.5)
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600


def test_secrets_are_hidden_however_deep(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log, file = open_log(path, owner="jane@example.com")
    with file:
        log.info(
            "jane@example.com",
            key=SECRET,
            listed=["jane@example.com", {"deep": (SECRET,)}],
            mapped={"jane@example.com": {"url": URL}},
            error=ValueError(f"Bearer {SECRET}"),
            path=Path("/home/jane@example.com"),
            raw=SECRET.encode(),
            group={"jane@example.com"},
        )
    written = path.read_text()
    assert "jane@" not in written
    assert "c2VjcmV0" not in written
    assert "eyJhbGci" not in written
    assert lines(path)[0]["listed"] == ["***@***", {"deep": ["sk_live_***"]}]


def test_lines_are_appended(tmp_path: Path) -> None:
    for number in (1, 2):
        log, file = open_log(tmp_path / "log.jsonl")
        with file:
            log.info("begun", number=number)
    assert [line["number"] for line in lines(tmp_path / "log.jsonl")] == [1, 2]


def test_a_log_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        open_log(tmp_path / "log.jsonl")


def test_a_full_disk_costs_the_line_and_not_the_run() -> None:
    log, file = open_log(Path("/dev/full"))
    with file:
        log.warning("throttled", wait_s=1)


def test_silence() -> None:
    silent_log().error("nothing", key=SECRET)
