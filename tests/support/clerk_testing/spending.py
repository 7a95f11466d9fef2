"""Spenders as processes: started with a key each, ended together. See ``clerk_testing.spender``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clerk_testing.commands import CLEAN
from clerk_testing.spender import Spent, Task

__all__ = ["Spender", "spenders"]

PROGRAM = (sys.executable, "-m", "clerk_testing.spender")
SUPPORT = Path(__file__).parents[1]
END_S = 60


@dataclass(frozen=True, slots=True)
class Spender:
    """A process that spends.

    Attributes:
        process: itself; what it printed is read by ``end``.
    """

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, task: Task, variables: Mapping[str, str], program: Sequence[str] = PROGRAM) -> Spender:
        """Start one; it has not begun yet."""
        clean = {name: value for name, value in os.environ.items() if name not in CLEAN}
        process = subprocess.Popen(
            [*program, msgspec.json.encode(task).decode()],
            env={**clean, "PYTHONPATH": str(SUPPORT), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return cls(process)

    def begin(self) -> None:
        """Let it begin to send."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def ready(self) -> None:
        """Wait until it has opened its account."""
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise AssertionError(f"a spender did not start: exit {self.process.wait(END_S)}")

    def lives(self, for_s: float = 0.02) -> None:
        """Let a moment pass in which it must not end."""
        try:
            code = self.process.wait(for_s)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"a spender has ended: exit {code}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> Spent:
        """End it, and say what it did."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        spent = msgspec.json.decode(self.process.stdout.read(), type=Spent)
        self.process.wait(END_S)
        return spent

    def kill(self) -> None:
        """End it as a crash would; a no-op for one that has ended."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def spenders(
    count: int, task: Task, variables: Mapping[str, str], keys: Sequence[str] = (), program: Sequence[str] = PROGRAM
) -> Iterator[list[Spender]]:
    """So many spenders that have begun; those that still live at the end of the block are killed.

    Args:
        keys: a key for each; without them all use the one of ``variables``.
    """
    started: list[Spender] = []
    try:
        for number in range(count):
            own = {"CLERK_SECRET_KEY": keys[number]} if keys else {}
            started.append(Spender.start(task, {**variables, **own}, program))
        # Whose key it is has to be asked once for each, which no ledger can count before: so that comes first.
        for one in started:
            one.ready()
        for one in started:
            one.begin()
        yield started
    finally:
        for one in started:
            one.kill()
