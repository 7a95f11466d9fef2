"""A command on a terminal of its own, as a person has it."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest

from clerk_testing.commands import Workplace

__all__ = ["CTRL_C", "CTRL_D", "PATIENCE_S", "Terminal"]

PATIENCE_S = 60
LAUNCH = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes the terminal that of the new session: without it Ctrl-C would be a character like any other."""
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """A command on a terminal of its own, and everything that it wrote there."""

    def __init__(self, place: Workplace, *arguments: str, rows: int = 40, columns: int = 80) -> None:
        self._main, side = os.openpty()
        termios.tcsetwinsize(side, (rows, columns))
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *place.program, *arguments],
            cwd=place.folder,
            env={**place.environment, "TERM": place.variables.get("TERM", "xterm")},
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
        )
        os.close(side)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def wait_for(self, pattern: str) -> None:
        """Read until a pattern was written since the last such wait."""
        read, until_s = "", time.monotonic() + PATIENCE_S
        while not re.search(pattern, read):
            assert time.monotonic() < until_s, self.seen
            ready, _, _ = select.select([self._main], [], [], 1)
            if ready:
                try:
                    new = os.read(self._main, 65_536).decode(errors="replace")
                except OSError:
                    pytest.fail(f"ended without {pattern!r}: {self.seen}")
                read += new
                self.seen += new

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            ready, _, _ = select.select([self._main], [], [], 1)
            if ready:
                try:
                    new = os.read(self._main, 65_536)
                except OSError:
                    break
                if not new:
                    break
                self.seen += new.decode(errors="replace")
            elif self.process.poll() is not None:
                # Nobody can write there any more, whoever still holds the other end.
                break
            else:
                assert time.monotonic() < until_s, f"still there, {self._whereabouts()}: {self.seen}"
        return self.process.wait(PATIENCE_S)

    def _whereabouts(self) -> str:
        """What its threads wait for, and the signals that it has not seen, as far as the system tells."""
        folder, told = Path(f"/proc/{self.process.pid}"), []
        with suppress(OSError):
            lines = (folder / "status").read_text().splitlines()
            told += [line for line in lines if line.startswith(("State", "ShdPnd", "SigPnd", "SigCgt"))]
            told += [(task / "wchan").read_text() for task in (folder / "task").iterdir()]
        return ", ".join(told)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._main)
