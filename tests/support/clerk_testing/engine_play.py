"""The engine on a virtual-time loop, before a scripted client: what it sends, and how it ends.

The journal is a real one, on disk, and has its thread where a test asks for it; Clerk and time are made up.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from clerk_jobs.call import Call, Draft, Item, Reply, Safety, State
from clerk_jobs.invite import InviteWork
from clerk_jobs.jobfile import InviteJob, load_job
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.documented import InstanceKind
from clerk_limits.gate import Gate, GateOptions
from clerk_runner.client import Answered, Attempt, Lost, NotSent
from clerk_runner.credentials import Credentials, SecretKey
from clerk_runner.engine import Engine, EngineOptions
from clerk_runner.exchange import Exchange
from clerk_runner.journal import Journal, OpenItem, SourceRow
from clerk_runner.logs import silent_log
from clerk_runner.writer import SqliteWriter, _answer, _fail, _Order
from clerk_testing.model import ModelClerk

__all__ = ["START_S", "Ending", "InlineWriter", "Play", "ScriptedClient", "address"]

T = TypeVar("T")
R = TypeVar("R")

START_S = 1_800_000_000.0

STANDS_STILL_S = 600.0

Ending = Literal[
    "answer", "late", "lost", "lost-before", "not-sent", "stands-still", "429", "500", "500-after", "502-late"
]
"""How a call ends: whether it has its effect, when, and what the client hears of it."""


def address(seq: int) -> str:
    """The address of an item."""
    return f"p{seq}@example.com"


class Source:
    """Payloads by number."""

    def items(self, opened: Sequence[OpenItem]) -> list[Item]:
        return [
            Item(one.seq, {"email_address": address(one.seq)}, one.group, one.revoke, one.since_ms) for one in opened
        ]


class InlineWriter(SqliteWriter):
    """Does each piece of work in a transaction of its own, at once, and tells it a turn of the loop later."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=OFF")

    def run(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """See ``SqliteWriter.run``."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        order = _Order(future, work)
        try:
            results = self._commit([order])
        except sqlite3.Error as error:
            _fail(order, error)
        else:
            _answer([order], results)
        return future

    def together(self, work: Callable[[sqlite3.Connection, Sequence[T]], Sequence[R]], piece: T) -> asyncio.Future[R]:
        """See ``SqliteWriter.together``."""
        return self.run(lambda db: work(db, [piece])[0])

    def close(self) -> None:
        """Close."""
        self._connection.close()


CREDENTIALS = Credentials(SecretKey("sk_test_engine"), "http://127.0.0.1:9", frozenset(), "the test")


@dataclass
class ScriptedClient:
    """A client whose Clerk is a model, and whose network does what the script says.

    Attributes:
        endings: how the next ONCE calls end, in order; afterwards all is well.
        before: awaited before each ONCE call is answered.
        seen: (time, call) of everything that was sent.
    """

    clerk: ModelClerk
    clock: VirtualClock
    endings: list[Ending] = field(default_factory=list)
    latency_s: float = 0.5
    late_s: float = 40.0
    before: Callable[[Call], Coroutine[Any, Any, None]] | None = None
    offset_s: float = 0.0
    is_far: bool = False
    seen: list[tuple[float, Call]] = field(default_factory=list)
    retry_after: str | None = "30"
    held: int = 0
    api_version: str = "2026-05-12"
    credentials: Credentials = CREDENTIALS
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def reached(self, count: int) -> None:
        """Wait until so many calls were seen."""
        while len(self.seen) < count:
            self._more.clear()
            await self._more.wait()

    async def attempt(self, call: Call, _decode: object = None, depart: Callable[[], bool] = lambda: True) -> Attempt:
        """One attempt, as ``Client.attempt`` ends it."""
        self.seen.append((self.clock.now(), call))
        self._more.set()
        if call.safety is not Safety.ONCE:
            await self.clock.sleep(self.latency_s)
            return Answered(self._effect(call))
        if self.before is not None:
            await self.before(call)
        ending = self.endings.pop(0) if self.endings else "answer"
        if ending == "not-sent":
            return NotSent("no connection")
        if ending == "stands-still":
            await self.clock.sleep(STANDS_STILL_S)
        if not depart():
            self.held += 1
            return NotSent("stood still", held=True)
        reply = self._effect(call) if ending in ("answer", "lost", "500-after") else Reply(500)
        if "late" in ending:
            self.clock.call_at(self.clock.now() + self.late_s, lambda: self._effect(call))
        await self.clock.sleep(self.latency_s)
        if ending in ("lost", "lost-before", "late"):
            return Lost("broken")
        if ending == "429":
            return Answered(Reply(429), retry_after=self.retry_after)
        return Answered(reply if ending == "answer" else Reply(int(ending[:3])))

    def _effect(self, call: Call) -> Reply:
        self.clerk.now_ms = int(self.clock.wall() * 1000)
        return self.clerk.answer(call)

    @property
    def sent(self) -> list[Call]:
        """The ONCE calls in their order."""
        return [call for _, call in self.seen if call.safety is Safety.ONCE]


@dataclass
class Play:
    """One engine over one journal; may be played several times, as a run is resumed.

    Attributes:
        groups: the group of each item; "" is the instance.
        threads: whether the journal has its thread, for which virtual time has to wait at every jump.
    """

    folder: Path
    groups: Sequence[str]
    clerk: ModelClerk = field(default_factory=ModelClerk)
    job: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    limits: GateOptions = field(default_factory=lambda: GateOptions(share=1.0, quota_share=1.0))
    endings: list[Ending] = field(default_factory=list)
    engine: Engine = field(init=False)
    client: ScriptedClient = field(init=False)
    journal: Journal = field(init=False)
    in_journal: Counter[State] = field(init=False)
    start_s: float = START_S
    threads: bool = False

    def run(self, during: Callable[[Play], Coroutine[Any, Any, None]] | None = None) -> Engine:
        """Play to the end; ``during`` runs beside the engine."""
        return run_virtual(self._play(during), threads=self.threads)

    async def _play(self, during: Callable[[Play], Coroutine[Any, Any, None]] | None) -> Engine:
        clock = VirtualClock(self.start_s)
        self.journal = Journal(self.folder / "run.db", durable=False)
        if not self.threads:
            self.journal._writer.close()
            self.journal._writer = InlineWriter(self.folder / "run.db")
        try:
            if not sum((await self.journal.counts()).values()):
                await self.journal.ingest([self.row(seq, group) for seq, group in enumerate(self.groups, 1)])
            await self.journal.recover()
            self.client = ScriptedClient(self.clerk, clock, self.endings)
            gate = Gate(InstanceKind.PRODUCTION, self.limits, clock, jitter=lambda: 0.0)
            client: Any = self.client
            exchange = Exchange(client, gate, clock, log=silent_log())
            self.engine = Engine(
                journal=self.journal,
                exchange=exchange,
                work=self._work(),
                payloads=Source(),
                counts=await self.journal.counts(),
                options=EngineOptions(**self.options),
                log=silent_log(),
            )
            async with asyncio.TaskGroup() as group:
                beside = group.create_task(during(self)) if during is not None else None
                await self.engine.run()
                if beside is not None:
                    await beside
            self.in_journal = await self.journal.counts()
            self.start_s = clock.wall()
        finally:
            self.journal.close()
        return self.engine

    def row(self, seq: int, group: str) -> SourceRow:
        return SourceRow(seq, seq + 1, seq * 10, Draft(b"key%d" % seq, b"digest%d" % seq, group))

    def _work(self) -> InviteWork:
        path = self.folder / "job.yaml"
        organization = 'organization: "{o}"\nrole: org:member\n' if any(self.groups) else ""
        path.write_text(f'name: play\nkind: invite\nsource: p.csv\nemail: "{{e}}"\n{organization}{self.job}')
        job = load_job(path)
        assert isinstance(job, InviteJob)
        return InviteWork(job)

    @property
    def states(self) -> dict[State, int]:
        """How many items the engine says stand where, without zeros."""
        return {state: count for state, count in self.engine.counts.items() if count}
