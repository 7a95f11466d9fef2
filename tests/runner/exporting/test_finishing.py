"""kill -9 at every step between the last page and the end: the file is the one of an undisturbed run."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

JOB = "name: a\nkind: export\nlist: users\nlimits: {share: 1.0}\npage_size: 100\n"
STEPS = {
    "while it is written": ("write_phase", "write_partial", "before"),
    "when it is written": ("write_phase", "write_partial", "after"),
    "before it has its name": ("write_phase", "publish", "before"),
    "when it has its name": ("write_phase", "publish", "after"),
    "before it is told": ("phases", "TellPhase", "before"),
}
"""The function at whose call the process is killed, before or after it did its work."""
KILLED = """\
import os, signal, sys
from clerk_runner.exporting import {module} as module
real = module.{name}
def killed(*given, **named):
    if "{when}" == "after":
        real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
module.{name} = killed
from clerk_runner.cli import main
main()
"""


def pages_asked(clerk: SimulatedClerk) -> int:
    return sum(clerk.report()["requests"]["GET /users"].values())


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("output", ["users.jsonl", "users.sqlite"])
def test_a_kill_at_the_end_changes_no_byte_and_asks_for_no_page(tmp_path: Path, step: str, output: str) -> None:
    module, name, when = STEPS[step]
    with simulated_clerk("--key=sk_live_x", "--users=900") as clerk:
        whole = Workplace(tmp_path / "whole", clerk.environment)
        whole.write("job.yaml", f"{JOB}output: {output}\n")
        assert whole.run("run", "job.yaml").code == 0
        broken = Workplace(tmp_path / "broken", clerk.environment)
        broken.write("job.yaml", f"{JOB}output: {output}\n")
        program = (sys.executable, "-c", KILLED.format(module=module, name=name, when=when))
        killed = Workplace(broken.folder, clerk.environment, program).run("run", "job.yaml")
        assert killed.code == -signal.SIGKILL, killed.err
        asked = pages_asked(clerk)
        ended = broken.run("run", "job.yaml", "--json")
        assert ended.code == 0, ended.err
        assert pages_asked(clerk) == asked
    assert (broken.folder / output).read_bytes() == (whole.folder / output).read_bytes()
    assert ended.json["proof"]["rows"] == 900
    assert [path.name for path in broken.folder.glob(".*partial")] == []
    broken.only_run()
