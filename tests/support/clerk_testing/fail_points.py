"""The command line as it is, but for one named step at which it is struck: killed, stopped, or out of memory.

The steps are found from outside, by wrapping functions of the software by their names, so that the software itself
carries no switch that could be thrown by accident. A name that is gone is an error at the start, never a step that is
silently left out.

``CLERK_TESTING_STRIKE=after-intent:2:KILL`` strikes when the step is reached for the second time. The last part names
signals that the process sends to itself, joined by ``+`` (``INT+INT``), or is ``MEMORY``: the step raises MemoryError.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal, NamedTuple, TypeAlias

__all__ = ["PROGRAM", "STEPS", "VARIABLE", "main", "strike_at"]

VARIABLE = "CLERK_TESTING_STRIKE"
PROGRAM = (sys.executable, "-m", "clerk_testing.fail_points")
"""What is run instead of the command line itself."""
TURNS = 20
"""Turns of the loop in which what was ordered to be written is written."""

Strike: TypeAlias = Callable[[], None]


class Step(NamedTuple):
    """A place in the software.

    Attributes:
        owner: where the function is looked up when it is called: ``module`` or ``module:Class``.
        when: before or after the function did its work, or somewhere in it (see ``INSIDE``).
    """

    owner: str
    function: str
    when: Literal["before", "after", "inside"]


_JOURNAL = "clerk_runner.journal:Journal"
_SPOOL = "clerk_runner.exporting.spool:Spool"
_STORES = "clerk_runner.exporting.stores"
_WRITE = "clerk_runner.exporting.write_phase"
_FINISHING = "clerk_runner.finishing"
_LEDGER = "clerk_limits.ledger.storage:Storage"

STEPS = {
    "after-intake": Step(_JOURNAL, "ingest", "after"),
    "before-preview": Step("clerk_runner.batch", "previewed", "before"),
    "before-intent": Step(_JOURNAL, "begin", "before"),
    "after-intent": Step(_JOURNAL, "begin", "after"),
    "after-send": Step("aiohttp:ClientResponse", "start", "inside"),
    "after-answer": Step(_JOURNAL, "finish", "before"),
    "after-finish": Step(_JOURNAL, "finish", "after"),
    "before-settle": Step(_JOURNAL, "settle", "before"),
    "after-settle": Step(_JOURNAL, "settle", "after"),
    "in-reconcile": Step("clerk_runner.exchange:Exchange", "converse", "inside"),
    "before-reports": Step(_FINISHING, "write_results", "before"),
    "before-summary": Step(_FINISHING, "write_private", "before"),
    "after-summary": Step(_FINISHING, "write_private", "after"),
    "in-append": Step(_SPOOL, "_write", "inside"),
    "before-sync": Step(_SPOOL, "sync", "before"),
    "before-positions": Step(_STORES, "save_positions", "before"),
    "after-positions": Step(_STORES, "save_positions", "after"),
    "in-tail": Step("clerk_runner.exporting.tail:Tail", "write", "inside"),
    "before-recovered": Step("clerk_runner.exporting.tail", "save_standing", "before"),
    "after-recovered": Step("clerk_runner.exporting.tail", "save_standing", "after"),
    "before-output": Step(_WRITE, "write_partial", "before"),
    "before-rename": Step(_WRITE, "publish", "before"),
    "after-rename": Step(_WRITE, "publish", "after"),
    "before-listed": Step("clerk_runner.listing", "publish", "before"),
    "before-mapped": Step("clerk_runner.mapping", "_sync", "before"),
    "before-backup": Step("clerk_runner.backing_up", "publish", "before"),
    "after-backup": Step("clerk_runner.backing_up", "publish", "after"),
    "in-ledger": Step(_LEDGER, "transaction", "inside"),
    "in-plan": Step("clerk_runner.planning", "previewed", "before"),
}


def strike_at(step: str, signals: str = "KILL", hit: int = 1) -> dict[str, str]:
    """The variable that makes a command strike itself at the ``hit``-th time that it reaches a step."""
    assert step in STEPS, step
    return {VARIABLE: f"{step}:{hit}:{signals}"}


def main() -> None:
    """The command line, with the step that the environment names."""
    if given := os.environ.get(VARIABLE):
        name, hit, signals = given.split(":")
        _install(STEPS[name], _striking(int(hit), signals))
    from clerk_runner.cli import main as command_line  # noqa: PLC0415  after its parts were wrapped

    command_line()


def _striking(hit: int, signals: str) -> Strike:
    """A function that does nothing until it is called for the ``hit``-th time, and then strikes once."""
    calls = itertools.count(1)

    def strike() -> None:
        if next(calls) != hit:
            return
        if signals == "MEMORY":
            raise MemoryError
        for name in signals.split("+"):
            os.kill(os.getpid(), signal.Signals[f"SIG{name}"])

    return strike


def _install(step: Step, strike: Strike) -> None:
    module, _, cls = step.owner.partition(":")
    owner: Any = import_module(module)
    if cls:
        owner = getattr(owner, cls)
    real = getattr(owner, step.function)
    wrap = INSIDE[step.function] if step.when == "inside" else functools.partial(_around, when=step.when)
    setattr(owner, step.function, functools.wraps(real)(wrap(real, strike)))


def _around(real: Any, strike: Strike, *, when: str) -> Any:
    def sync(*given: Any, **named: Any) -> Any:
        if when == "before":
            strike()
        result = real(*given, **named)
        if when == "after":
            strike()
        return result

    async def awaited(*given: Any, **named: Any) -> Any:
        if when == "before":
            strike()
        result = await real(*given, **named)
        if when == "after":
            strike()
        return result

    return awaited if inspect.iscoroutinefunction(real) else sync


def _after_send(real: Any, strike: Strike) -> Any:
    """Between a write's last byte and the first one of its answer; reads are not counted."""

    async def start(response: Any, connection: Any) -> Any:
        if response.method != "GET":
            for _ in range(TURNS):
                await asyncio.sleep(0)
            strike()
        return await real(response, connection)

    return start


def _in_append(real: Any, strike: Strike) -> Any:
    """When half of a page is in the file."""

    def write(spool: Any, data: bytes, offset: int) -> None:
        half = len(data) // 2
        real(spool, data[:half], offset)
        strike()
        real(spool, data[half:], offset + half)

    return write


def _in_tail(real: Any, strike: Strike) -> Any:
    """When half of a line is in the file."""

    def write(tail: Any, line: bytes) -> None:
        half = len(line) // 2
        os.write(tail._file, line[:half])
        strike()
        real(tail, line[half:])

    return write


def _in_reconcile(real: Any, strike: Strike) -> Any:
    """When Clerk has been asked what became of a lost call, and nothing is written down yet."""

    def told(talk: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        result = yield from talk
        strike()
        return result

    async def converse(exchange: Any, talk: Any) -> Any:
        return await real(exchange, told(talk) if talk.__name__ == "reconcile" else talk)

    return converse


def _in_ledger(real: Any, strike: Strike) -> Any:
    """When a transaction of the ledger is done and not committed."""

    @contextmanager
    def transaction(storage: Any) -> Iterator[Any]:
        with real(storage) as connection:
            yield connection
            strike()

    return transaction


INSIDE: dict[str, Callable[[Any, Strike], Any]] = {
    "start": _after_send,
    "_write": _in_append,
    "write": _in_tail,
    "converse": _in_reconcile,
    "transaction": _in_ledger,
}

if __name__ == "__main__":
    main()
