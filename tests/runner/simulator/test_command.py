import json
import os
import signal
import socket
import subprocess
import sys
from urllib.error import HTTPError

import pytest
from click.testing import CliRunner

from clerk_runner.cli.simulate import simulate
from clerk_testing.simulated import simulated_clerk

COMMAND = [sys.executable, "-m", "clerk_runner.simulator"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_announces_itself_and_reports_when_it_is_ended(number: signal.Signals) -> None:
    with subprocess.Popen([*COMMAND, "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        assert announced["pid"] == process.pid
        assert announced["address"].startswith("http://127.0.0.1:")
        process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(rest)["requests_total"] == 0


def test_people_get_lines_to_paste() -> None:
    with subprocess.Popen([*COMMAND, "--key", "sk_live_me"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.terminate()
        process.communicate(timeout=30)
    assert lines[2].startswith("export CLERK_API_URL=http://127.0.0.1:")
    assert lines[3] == "export CLERK_SECRET_KEY=sk_live_me\n"


def test_a_process_of_its_own_counts_for_those_who_die() -> None:
    with simulated_clerk("--users", "3", "--fail", "DELETE *:500-after") as clerk:
        assert os.getpid() != clerk.pid
        assert clerk.environment["CLERK_SECRET_KEY"] == "sk_test_simulator"
        users = clerk.perform("GET", "/users")
        assert clerk.perform("POST", "/users/ban", {"user_ids": [users[0]["id"]]})[0]["banned"]
        with pytest.raises(HTTPError, match="404"):
            clerk.perform("DELETE", "/users/user_x")
        assert clerk.report()["requests_total"] == 0
        assert clerk.effects("BanUser") == {}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--fail", "POST /x:explode"], "no fault is called 'explode'"),
        (["--latency", "soon"], "not a duration"),
        (["--user-created", "never"], "uniform, burst:4h"),
        (["--stall", "1s"], "not a stall"),
        (["--key", "sk_live_a", "--key", "sk_test_a"], "they open one instance"),
        (["--members", "-1"], "members"),
    ],
)
def test_an_option_that_makes_no_sense_is_a_usage_error(options: list[str], complaint: str) -> None:
    result = CliRunner().invoke(simulate, options)

    assert result.exit_code == 2
    assert complaint in result.output


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=30, check=False
        )

    assert result.returncode != 0
    assert f"port {port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_names_every_option() -> None:
    result = CliRunner().invoke(simulate, ["-h"])

    assert result.exit_code == 0
    for parameter in simulate.params:
        assert parameter.opts[-1] in result.output
