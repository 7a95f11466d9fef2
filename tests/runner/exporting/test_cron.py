"""What cron wants of an export: old outputs pruned, health addresses asked, a metrics file, examples that work."""

from __future__ import annotations

import configparser
import http.server
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clerk_runner.errors import Exit
from clerk_testing.commands import Workplace
from clerk_testing.simulated import simulated_clerk

KEY = "--key=sk_live_x"
JOB = 'name: a\nkind: export\nlist: users\noutput: "{run}.jsonl"\nlimits: {share: 1.0}\n'
EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "exports"


class Health:
    """A health service that counts who asked for what."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200

    def address(self, port: int, word: str) -> str:
        return f"http://127.0.0.1:{port}/secret-token/{word}"


@pytest.fixture
def health() -> Iterator[tuple[Health, int]]:
    service = Health()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.asked.append(self.path.rpartition("/")[2])
            self.send_response(service.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield service, server.server_address[1]
        server.shutdown()
        thread.join()


def pings(port: int) -> str:
    address = f"http://127.0.0.1:{port}/secret-token"
    return f"ping: {{success: '{address}/success', failure: '{address}/failure'}}\n"


def test_only_the_newest_outputs_of_this_job_stay(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--users=5") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", JOB)
        workplace.write("mine.jsonl", "precious")
        outputs = [Path(workplace.run("run", "job.yaml", "--json").json["outputs"][0]) for _ in range(4)]
        outputs[1].write_text("changed by somebody")
        ended = workplace.run("run", "job.yaml", "--set", "keep_outputs=2", "--json")
    assert ended.code == 0, ended.err
    left = {path.name for path in tmp_path.glob("*.jsonl")}
    newest = Path(ended.json["outputs"][0])
    assert left == {"mine.jsonl", outputs[1].name, outputs[3].name, newest.name}
    assert set(ended.json["pruned"]) == {str(outputs[0]), str(outputs[2])}


def test_health_addresses_hear_how_it_ended_and_are_in_no_file(tmp_path: Path, health: tuple[Health, int]) -> None:
    service, port = health
    with simulated_clerk(KEY, "--users=5") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", JOB + pings(port))
        assert workplace.run("run", "job.yaml").code == 0
        assert service.asked == ["success"]
        refused = Workplace(tmp_path, {**clerk.environment, "CLERK_SECRET_KEY": "sk_live_other"})
        assert refused.run("run", "job.yaml").code == 3
        assert service.asked == ["success", "failure"]
        service.status = 500
        unheard = workplace.run("run", "job.yaml")
        assert unheard.code == 0
        assert "health address for success was not reached: it answered 500" in unheard.err
        assert "secret-token" not in unheard.err
        early = workplace.run("run", "job.yaml", "--max-time", "0s")
        assert (early.code, service.asked.count("failure")) == (5, 1)
    kept = b"".join(path.read_bytes() for path in workplace.state.rglob("*") if path.is_file())
    assert b"secret-token" not in kept


def test_a_health_service_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--users=5") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", JOB + "ping: {success: 'http://127.0.0.1:9/x'}\n")
        ended = workplace.run("run", "job.yaml")
    assert ended.code == 0
    assert "was not reached" in ended.err


def test_the_metrics_file_is_checked_first_and_written_last(tmp_path: Path) -> None:
    with simulated_clerk(KEY, "--users=5") as clerk:
        workplace = Workplace(tmp_path, clerk.environment)
        workplace.write("job.yaml", JOB)
        assert workplace.run("run", "job.yaml", "--metrics-file", "a.txt").code == 2
        assert clerk.report()["requests"] == {}
        assert workplace.run("run", "job.yaml", "--metrics-file", "a.prom").code == 0
    assert 'clerk_batch_items{job="a",kind="export"} 5' in (tmp_path / "a.prom").read_text()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("output: a.jsonl\nkeep_outputs: 3\n", "put {date} into output:"),
        ("output: a.jsonl\nping: {success: example.com}\n", "must be a full URL"),
        ("output: a.jsonl\nping: {sucess: https://example.com}\n", "did you mean success?"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, lines: str, said: str) -> None:
    workplace = Workplace(tmp_path)
    workplace.write("job.yaml", f"name: a\nkind: export\nlist: users\n{lines}")
    ended = workplace.run("run", "job.yaml")
    assert ended.code == 2
    assert said in ended.err, ended.err


def test_the_crontab_line_works(tmp_path: Path) -> None:
    (line,) = [line for line in (EXAMPLES / "crontab").read_text().splitlines() if not line.startswith("#")]
    command = line.split(None, 5)[5].replace("/srv/exports", shlex.quote(str(tmp_path)))
    command = command.replace("/var/lib/node_exporter", shlex.quote(str(tmp_path)))
    with simulated_clerk(KEY, "--users=5") as clerk:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        workplace = Workplace(tmp_path, {**clerk.environment, "PATH": path})
        workplace.write("users.yaml", (EXAMPLES / "users.yaml").read_text())
        ended = subprocess.run(["bash", "-c", command], env=workplace.environment, timeout=60, check=False)
    assert ended.returncode == 0, (tmp_path / "runs.log").read_text()
    assert '"state":"done"' in (tmp_path / "runs.jsonl").read_text()
    assert (tmp_path / "nightly-users.prom").exists()


def test_the_service_knows_the_exit_codes_that_are_no_failures() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser documents it
    unit.read(EXAMPLES / "clerk-export.service")
    service = unit["Service"]
    codes = {int(code) for code in service["SuccessExitStatus"].split()}
    assert codes == {Exit.LEFT_EARLY, Exit.HELD}
    words = shlex.split(service["ExecStart"])
    assert (EXAMPLES / words[2]).exists()
    timer = configparser.ConfigParser(interpolation=None)
    timer.read(EXAMPLES / "clerk-export.timer")
    assert timer["Timer"]["OnCalendar"]
