"""The file for node_exporter: whole, readable by others, and the last success survives failures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clerk_runner.errors import UsageError
from clerk_runner.metrics import require_place, write_metrics
from clerk_runner.report import Items, Summary


def summary(code: int) -> Summary:
    return Summary(
        run="r",
        job="nightly",
        kind="export",
        state="done",
        items=Items(total=5, done=4, failed=1),
        requests=7,
        throttled=0,
        elapsed_s=1.5,
        outputs=[],
        run_dir="/nowhere",
        exit=code,
    )


def gauges(path: Path) -> dict[str, float]:
    found = re.findall(r'^(\w+)\{job="nightly",kind="export"\} (\S+)$', path.read_text(), re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_a_failure_keeps_the_time_of_the_last_success(tmp_path: Path) -> None:
    path = tmp_path / "a.prom"
    write_metrics(path, summary(1))
    assert "clerk_batch_success_timestamp_seconds" not in gauges(path)
    write_metrics(path, summary(0))
    succeeded = gauges(path)["clerk_batch_success_timestamp_seconds"]
    write_metrics(path, summary(4))
    now = gauges(path)
    assert now["clerk_batch_success_timestamp_seconds"] == succeeded
    assert (now["clerk_batch_exit_code"], now["clerk_batch_items"], now["clerk_batch_items_failed"]) == (4, 5, 1)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["a.prom"]


def test_every_gauge_is_described(tmp_path: Path) -> None:
    path = tmp_path / "a.prom"
    write_metrics(path, summary(0))
    text = path.read_text()
    for name in gauges(path):
        assert re.search(rf"^# HELP {name} .+\n# TYPE {name} gauge\n{name}\{{", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["a.txt", "missing/a.prom"])
def test_a_place_where_nobody_looks_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        require_place(tmp_path / name)
