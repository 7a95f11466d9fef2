"""Crash torture: every kind of job is struck again and again, resumed each time, and judged when it has ended.

A round is one job of one kind with a simulator of its own. Which kind, how often it is struck, how, where and when is
drawn before it begins from the seed and the round's number alone, so the same seed makes the same choices, and a
single round can be played again: ``python -m clerk_testing.torture --seed 7 --round 12``.

A strike is SIGKILL, SIGTERM, or SIGINT twice, at a named step (see ``fail_points``) or at a random moment. After each
one the whole state folder is looked at; after the end so are the effects that the simulator saw.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from clerk_testing.commands import Ended, Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.struck import check_files, check_limits, check_results, striking
from clerk_testing.torture_kind import Kind, Prepared
from clerk_testing.torture_kinds import KINDS

__all__ = ["Round", "Strike", "Tally", "drawn", "main", "play"]

HANGS_S = 240
ROUND_KILLS = (2, 5)
SIGNALS = ("KILL", "KILL", "KILL", "TERM", "INT+INT")
HITS = (1, 1, 1, 2, 2, 3, 5)
EXITS = {"KILL": {-signal.SIGKILL}, "TERM": {143, -signal.SIGTERM}, "INT+INT": {130, -signal.SIGINT}}
"""How a struck command ends; by the bare signal where it came before Python had begun."""
PROMISED = {0, 1}
"""Exit codes of a command that ended before it was struck."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One blow.

    Attributes:
        step: where; None for a random moment.
        hit: the how many-th time that the step is reached.
        after_s: when, for a random moment.
    """

    signals: str
    step: str | None
    hit: int
    after_s: float

    def __str__(self) -> str:
        where = f"after {self.after_s:.2f} s" if self.step is None else f"at {self.step}, time {self.hit}"
        return f"{self.signals} {where}"


@dataclass(frozen=True, slots=True)
class Round:
    """What will be done to one job."""

    seed: int
    number: int
    kind: str
    strikes: tuple[Strike, ...]


@dataclass(slots=True)
class Tally:
    """What was done: strikes by where and how they fell, and commands that ended before theirs."""

    rounds: int = 0
    fell: Counter[str] = field(default_factory=Counter)
    missed: int = 0

    @property
    def strikes(self) -> int:
        """How many fell."""
        return self.fell.total()


def drawn(seed: int, number: int, kinds: Sequence[str] = tuple(KINDS)) -> Round:
    """The round of this number: the same for the same seed."""
    draw = random.Random(f"{seed} {number}")
    name = kinds[number % len(kinds)]
    kind = KINDS[name]
    # Every step has its turn: the first strike of a kind's rounds goes through them in their order.
    first = kind.steps[number // len(kinds) % len(kind.steps)]
    strikes = [Strike(draw.choice(SIGNALS), first, draw.choice(HITS[:3]), 0.0)]
    for _ in range(draw.randint(*ROUND_KILLS) - 1):
        step = draw.choice(kind.steps) if draw.random() < 0.7 else None
        strikes.append(Strike(draw.choice(SIGNALS), step, draw.choice(HITS), draw.uniform(0.1, kind.longest_s)))
    return Round(seed, number, name, tuple(strikes))


def play(folder: Path, one: Round, tally: Tally, lock: threading.Lock) -> None:
    """Play a round.

    Raises:
        AssertionError: a promise was broken.
    """
    kind = KINDS[one.kind]
    options = (*kind.simulator, f"--speed={kind.speed}", f"--seed={one.number}")
    with simulated_clerk(*options) as clerk:
        given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write,delete", "CLERK_BATCH_SPEED": str(kind.speed)}
        place = Workplace(folder, given)
        folder.mkdir(parents=True)
        prepared = kind.prepare(place, clerk)
        for strike in one.strikes:
            code = _struck(place, prepared, strike)
            with lock:
                if code in PROMISED:
                    tally.missed += 1
                else:
                    tally.fell[f"{strike.signals} {strike.step or 'at a random moment'}"] += 1
            check_files(place.state)
            check_limits(clerk, dict(kind.allowed))
            if code in PROMISED:
                break
        _judge(place, clerk, kind, prepared)
    with lock:
        tally.rounds += 1


def _struck(place: Workplace, prepared: Prepared, strike: Strike) -> int:
    """Run the job's command and strike it; its exit code."""
    target = place if strike.step is None else striking(place, strike.step, strike.signals, strike.hit)
    process = target.start(*prepared.arguments, measured=False)
    try:
        if strike.step is None:
            _strike_later(process, strike)
        out, err = process.communicate(timeout=HANGS_S)
    finally:
        process.kill()
        process.wait()
    assert not _has_trace(out + err), err
    assert process.returncode in EXITS[strike.signals] | PROMISED, f"exit {process.returncode}: {out} {err}"
    return process.returncode


def _has_trace(text: str) -> bool:
    """Whether a trace was shown, other than one of Python's own beginning, before any software could prevent it."""
    frames = re.findall(r'^  File "([^"]+)"', text, re.MULTILINE)
    own = all(file.startswith("<frozen ") or file.endswith("/clerk_runner/__main__.py") for file in frames)
    return "Traceback" in text and not (own and text.rstrip().endswith("KeyboardInterrupt"))


def _strike_later(process: subprocess.Popen[str], strike: Strike) -> None:
    try:
        process.wait(strike.after_s)
    except subprocess.TimeoutExpired:
        for name in strike.signals.split("+"):
            process.send_signal(signal.Signals[f"SIG{name}"])


def _judge(place: Workplace, clerk: SimulatedClerk, kind: Kind, prepared: Prepared) -> Ended:
    ended = place.run(*prepared.arguments, measured=False)
    assert ended.code in PROMISED, f"exit {ended.code}: {ended.out} {ended.err}"
    if prepared.rows is not None:
        check_results(ended, prepared.rows)
    prepared.judge(ended)
    check_files(place.state)
    check_limits(clerk, dict(kind.allowed))
    return ended


def rounds(seed: int, kinds: Sequence[str], tally: Tally, kills: int, ends_at: float) -> Generator[Round, None, None]:
    """Rounds until so many strikes fell, or the time is over."""
    for number in itertools.count():
        if tally.strikes >= kills or time.monotonic() >= ends_at:
            return
        yield drawn(seed, number, kinds)


def torture(folder: Path, seed: int, kinds: Sequence[str], kills: int, seconds: float, workers: int) -> Tally:
    """Play rounds, some at once; the first broken promise ends it.

    Raises:
        AssertionError: a promise was broken; the message says which round shows it again.
    """
    tally, lock = Tally(), threading.Lock()
    todo = rounds(seed, kinds, tally, kills, time.monotonic() + seconds)

    def work() -> None:
        while True:
            with lock:
                one = next(todo, None)
            if one is None:
                return
            try:
                play(folder / str(one.number), one, tally, lock)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                todo.close()
                strikes = "\n".join(f"  {strike}" for strike in one.strikes)
                again = f"--seed {seed} --kinds {','.join(kinds)} --round {one.number}"
                raise AssertionError(
                    f"{error}\n{one.kind}, in {folder / str(one.number)}:\n{strikes}\nagain with: {again}"
                ) from error

    with ThreadPoolExecutor(workers) as threads:
        for ended in [threads.submit(work) for _ in range(workers)]:
            ended.result()
    return tally


def told(tally: Tally, seed: int, elapsed_s: float) -> str:
    """The tally in lines."""
    lines = [f"seed {seed}: {tally.strikes} strikes in {tally.rounds} rounds, {tally.missed} came too late"]
    lines += [f"  {count:4} {where}" for where, count in sorted(tally.fell.items())]
    return "\n".join([*lines, f"every promise held; {elapsed_s:.0f} s"])


def main(arguments: Sequence[str] | None = None) -> int:
    """``make torture``."""
    parser = argparse.ArgumentParser(description="Strike every kind of job, and resume it, until it has ended.")
    parser.add_argument("--kills", type=int, default=300, help="strikes at least, if the time is enough")
    parser.add_argument("--seconds", type=float, default=1800, help="no new round after so long")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--kinds", default=",".join(KINDS), help="by name, in this order")
    parser.add_argument("--workers", type=int, default=4, help="rounds at once")
    parser.add_argument("--round", type=int, help="this round alone")
    given = parser.parse_args(arguments)
    kinds = given.kinds.split(",")
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    print(f"seed {given.seed}, files in {folder}", flush=True)
    try:
        if given.round is not None:
            tally = Tally()
            one = drawn(given.seed, given.round, kinds)
            print(one.kind, *one.strikes, sep="\n  ", flush=True)
            play(folder / str(given.round), one, tally, threading.Lock())
        else:
            tally = torture(folder, given.seed, kinds, given.kills, given.seconds, given.workers)
    except AssertionError as error:
        print(f"a promise was broken: {error}", file=sys.stderr)
        return 1
    print(told(tally, given.seed, time.monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
