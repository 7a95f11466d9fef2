"""What it costs to start: CPU time of whole processes, each in turn with ``python -c 'import click'``.

``make bench`` runs it and writes its table to RESULTS.md. The bounds are the project's own: help may cost 1.8 times the
import of click alone, looking an operation up 3 times.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from clerk_testing.results import machine, write_part

RESULTS = Path(__file__).with_name("RESULTS.md")
PAIRS = 25
PROGRAM = str(Path(sys.executable).with_name("clerk-batch"))
BASE = (sys.executable, "-c", "import click")
CASES = (
    ("clerk-batch --help", (PROGRAM, "--help"), 1.8),
    ("clerk-batch run --help", (PROGRAM, "run", "--help"), None),
    ("clerk-batch api show GetUserList", (PROGRAM, "api", "show", "GetUserList"), 3.0),
    ("clerk-batch api list invitations", (PROGRAM, "api", "list", "invitations"), None),
    ("clerk-batch runs list", (PROGRAM, "runs", "list"), None),
)
"""What is typed, the command, and how many times the base it may cost."""


def cpu_s(command: tuple[str, ...]) -> float:
    """Seconds of CPU, the system's included, of one process from its start to its end."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return used.ru_utime + used.ru_stime


def pairs(command: tuple[str, ...]) -> tuple[float, float]:
    """The median CPU seconds of a command, and the median ratio to the base that ran beside it."""
    cpu_s(command), cpu_s(BASE)
    taken = [(cpu_s(command), cpu_s(BASE)) for _ in range(PAIRS)]
    return statistics.median(own for own, _ in taken), statistics.median(own / base for own, base in taken)


def tables() -> list[str]:
    """The table, as Markdown."""
    lines = ["## Starting a command", "", "| command | CPU | times `import click` | bound |", "|-|-|-|-|"]
    for typed, command, most in CASES:
        own_s, ratio = pairs(command)
        lines.append(f"| `{typed}` | {own_s * 1000:.0f} ms | {ratio:.2f} | {most or ''} |")
    return [*lines, "", f"Medians of {PAIRS} pairs of processes. {machine()}."]


def main() -> None:
    """Measure, write, and show."""
    lines = tables()
    write_part(RESULTS, "startup", lines)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
