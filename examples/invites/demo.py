"""The demo of ``make demo``: plan, run, kill and resume the example invitations, against a simulated Clerk.

Nothing leaves this machine: no account, no key and no network are needed. Everything that the demo starts or writes
is ended and removed when it ends, however it ends.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.request import ProxyHandler, build_opener

HERE = Path(__file__).resolve().parent
PROGRAM = (sys.executable, "-m", "clerk_runner")
JOB = "job.yaml"

SPEED = 60
"""An hour of Clerk's quota passes in a minute; the quarantine of doubtful invitations shrinks with it."""
SIMULATOR = (
    *("--speed", str(SPEED)),
    *("--latency", "0.2-0.8s"),
    *("--users", "30", "--user-email", "member{n}@example.com"),
    *("--invitations", "10", "--invitation-email", "invited{n}@example.com"),
    *("--fail", "POST /invitations*:drop-after-effect:2%"),
)
KILL_AFTER = 120
"""Invitations that exist when the run is killed."""
POLL_S = 0.1
END_S = 10.0

OUR_VARIABLES = ("CLERK_API_URL", "CLERK_REST_API_URL", "CLERK_SECRET_KEY")


class DemoError(Exception):
    """The demo saw something that it promised would not happen."""


class Teller:
    """Tells the reader what is about to be seen; bold only where the terminal can."""

    def __init__(self, stream: IO[str]) -> None:
        """Look at the stream once."""
        self._stream = stream
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
        self._bold = stream.isatty() and not plain

    def chapter(self, title: str, text: str) -> None:
        """Begin a part of the demo."""
        self._write(f"\n{self._strong(title)}\n{self._wrapped(text)}\n")

    def command(self, arguments: Sequence[str]) -> None:
        """Show a command as somebody would type it."""
        self._write(f"\n{self._strong('$ ' + ' '.join(arguments))}\n")

    def line(self, text: str) -> None:
        """Tell one thing."""
        self._write(f"{text}\n")

    def show_cursor(self) -> None:
        """Give the cursor back that a killed progress display had hidden."""
        if self._stream.isatty():
            self._write("\x1b[?25h\n")

    def _strong(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self._bold else text

    def _wrapped(self, text: str) -> str:
        return textwrap.fill(" ".join(text.split()), width=min(100, shutil.get_terminal_size().columns))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Simulator:
    """The simulated Clerk: its address, and what it saw."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wait until it says where it listens."""
        assert process.stdout is not None
        announced = process.stdout.readline()
        if not announced:
            raise DemoError(f"the simulator did not start (exit {process.wait(END_S)})")
        found = json.loads(announced)
        self.address: str = found["address"]
        self.key: str = found["key"]
        # Without the environment's proxies: it is on this machine.
        self._opener = build_opener(ProxyHandler({}))

    def ask(self, path: str) -> Any:
        """Read what it saw; no trace of the question remains in the answer."""
        with self._opener.open(f"{self.address}/simulator/{path}", timeout=END_S) as answer:
            return json.load(answer)

    def invitations(self) -> dict[str, list[int]]:
        """When each address was invited: unix milliseconds."""
        value: dict[str, list[int]] = self.ask("effects?operation=CreateInvitation")
        return value


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process with the block: politely, then at once."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def simulator() -> Iterator[Simulator]:
    """Run the simulator in a session of its own, so that Ctrl-C reaches the demo, which then ends it."""
    command = [*PROGRAM, "simulate", "--json", *SIMULATOR]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    with ended(started) as process:
        yield Simulator(process)


class Demo:
    """The chapters, in order."""

    def __init__(self, clerk: Simulator, folder: Path, teller: Teller) -> None:
        """Nothing happens yet."""
        self._clerk = clerk
        self._teller = teller
        others = {name: value for name, value in os.environ.items() if name not in OUR_VARIABLES}
        self._environment: Mapping[str, str] = {
            **others,
            "CLERK_API_URL": clerk.address,
            "CLERK_SECRET_KEY": clerk.key,
            "CLERK_BAPI_SCOPES": "write",
            "CLERK_BATCH_HOME": str(folder / "state"),
            # Whoever is ended in the middle of a plan leaves its drafts here, to be removed with the rest.
            "TMPDIR": str(folder),
            "CLERK_BATCH_SPEED": str(SPEED),
        }

    def tell(self) -> None:
        """Tell them all."""
        self._plan()
        self._run_and_kill()
        self._run_again()
        self._failed_rows()
        self._what_clerk_saw()

    def _plan(self) -> None:
        self._teller.chapter(
            "1. The plan",
            """A plan sends no invitation. It checks every row of the CSV, asks who is already a user or invited, and
            plays the run through the limits: calls, waits, the end. Some rows of this file are wrong on purpose:
            they are named by line, and do not stop the others. (Exit code 1 means that there are such rows.)""",
        )
        self._expect(self._finish("plan", JOB), 1)

    def _run_and_kill(self) -> None:
        self._teller.chapter(
            "2. The run, killed",
            f"""Now the invitations are sent, one by one and in calls of ten at the same time, because Clerk counts the
            two separately. In 2 % of the calls the simulator does its work and then drops the connection, as real
            networks do. After {KILL_AFTER} invitations the run is killed (SIGKILL: it gets no chance to tidy up).""",
        )
        with ended(self._start("run", JOB, "--yes")) as process:
            while len(self._clerk.invitations()) < KILL_AFTER:
                if process.poll() is not None:
                    raise DemoError(f"the run ended before it was killed (exit {process.returncode})")
                time.sleep(POLL_S)
            process.kill()
            process.wait()
        self._teller.show_cursor()
        self._teller.line(f"Killed, after {len(self._clerk.invitations())} invitations, with calls on their way.")

    def _run_again(self) -> None:
        self._teller.chapter(
            "3. The same command again",
            """It continues the unfinished run. Calls whose answer was lost, by the kill or by the network, are in
            doubt: were these people invited or not? Asking at once would prove nothing, because a request may still
            be under way. So they wait (two minutes, here two seconds), then Clerk's list of invitations is read, and
            only those who are not on it are invited again. Later the hour's quota is used up, and the run says
            until when it waits for the next permit. An hour lasts a minute here.""",
        )
        self._expect(self._finish("run", JOB, "--yes"), 1)

    def _failed_rows(self) -> None:
        self._teller.chapter(
            "4. The rows that failed",
            """They keep their own columns, with the reason beside them. Once they are fixed, the file can be the next
            run's source: the columns that begin with _ are ignored on input.""",
        )
        self._expect(self._finish("runs", "failed", "last"), 0)

    def _what_clerk_saw(self) -> None:
        self._teller.chapter("5. What the simulated Clerk saw", "It counts for itself, with code of its own.")
        report, invited = self._clerk.ask("report"), self._clerk.invitations()
        twice = [address for address, times in invited.items() if len(times) > 1]
        tell = self._teller.line
        tell(f"  {report['requests_total']:>5,} requests arrived")
        tell(f"  {report['throttled']:>5,} of them were refused for coming too fast (429)")
        tell(f"  {sum(report['faults'].values()):>5,} lost their answer on purpose")
        for name, limit in report["limits"].items():
            told = f"{limit['worst_window']:>5,} of {limit['limit']:,} is the most in any {limit['period_s']:.2g} s"
            tell(f"  {told}: {name}")
        tell(f"  {len(invited):>5,} people were invited")
        tell(f"  {len(twice):>5,} of them more than once")
        if twice or report["throttled"]:
            raise DemoError("somebody was invited twice, or a limit was broken")

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command whose output goes where the demo's own goes."""
        self._teller.command(("clerk-batch", *arguments))
        return subprocess.Popen(
            [*PROGRAM, *arguments], cwd=HERE, env=self._environment, stdin=subprocess.DEVNULL, text=True
        )

    def _finish(self, *arguments: str) -> int:
        """Run a command to its end."""
        with ended(self._start(*arguments)) as process:
            return process.wait()

    def _expect(self, code: int, expected: int) -> None:
        if code != expected:
            raise DemoError(f"exit {code}, where {expected} belongs")


def hang_up(number: int, _frame: object) -> None:
    """End as an error would, so that whatever runs is ended too."""
    sys.exit(128 + number)


def main() -> int:
    """Tell the demo; returns its exit code."""
    signal.signal(signal.SIGTERM, hang_up)
    signal.signal(signal.SIGHUP, hang_up)
    teller = Teller(sys.stdout)
    with (HERE / "people.csv").open(newline="", encoding="utf-8") as people:
        rows = sum(1 for _ in csv.reader(people)) - 1
    teller.chapter(
        f"clerk-batch: {rows} rows become invitations",
        f"""This takes about a minute and a half. A simulated Clerk runs on this machine and enforces Clerk's limits:
        100 invitations an hour, and 25 calls an hour that carry up to ten. Its hours last a minute (--speed {SPEED}).
        The job is {Path("examples/invites") / JOB}; everybody in it is invented.""",
    )
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="clerk-batch-demo-") as folder, simulator() as clerk:
            Demo(clerk, Path(folder), teller).tell()
    except DemoError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        teller.show_cursor()
        sys.stderr.write("demo: interrupted; what it started was ended\n")
        return 130
    teller.line(f"\nDone in {time.monotonic() - began:.0f} s. README.md says how to do this with your own instance.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
