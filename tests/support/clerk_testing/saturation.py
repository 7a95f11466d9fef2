"""Callers that never have enough, a network that may stall, and a server that counts strictly: all in virtual time.

A request that is sent while the network stalls arrives when the stall is over. The server refuses what finds no room in
its sliding window of ten seconds, as Clerk would; a refusal costs nothing there, and is told to the gate.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from clerk_limits.gate import Gate

__all__ = ["LATENCY_S", "PERIOD_S", "Draw", "Server", "saturate"]

PERIOD_S = 10.0
STALL_S, STALL_EVERY_S = 1.0, 17.0

Draw = Callable[[Random], float]

LATENCY_S: dict[str, Draw] = {
    "50 ms": lambda _: 0.05,
    # 90 % of the answers between 0.1 and 0.8 s.
    "0.1-0.8 s": lambda random: random.lognormvariate(-1.263, 0.632),
    "1-2 s": lambda random: random.uniform(1.0, 2.0),
}


@dataclass
class Server:
    """Counts what arrives.

    Attributes:
        limit: arrivals in any ten seconds.
        accepted: (when, who) of those that found room.
        refused: how many did not.
    """

    limit: int
    accepted: list[tuple[float, int]] = field(default_factory=list)
    refused: int = 0
    _window: deque[float] = field(default_factory=deque)

    def arrive(self, now_s: float, who: int) -> bool:
        """Whether a request finds room."""
        while self._window and self._window[0] <= now_s - PERIOD_S:
            self._window.popleft()
        if len(self._window) >= self.limit:
            self.refused += 1
            return False
        self._window.append(now_s)
        self.accepted.append((now_s, who))
        return True

    def used(self, cycle_s: float, periods: int = 3) -> float:
        """Of the limit in so many periods: the mean over all that begin in the cycle after the first period."""
        starts = [PERIOD_S + cycle_s * number / 200 for number in range(200)]
        counts = [
            sum(start_s <= at_s < start_s + periods * PERIOD_S for at_s, _ in self.accepted) for start_s in starts
        ]
        return sum(counts) / len(counts) / periods / self.limit

    def between(self, from_s: float, to_s: float) -> int:
        """Accepted requests of a time."""
        return sum(from_s <= at_s < to_s for at_s, _ in self.accepted)

    def parts(self) -> list[float]:
        """What each client got, as a part of an equal part."""
        counts = Counter(who for _, who in self.accepted)
        return [count * len(counts) / counts.total() for count in counts.values()]


async def saturate(
    gates: Sequence[Gate], server: Server, draw: Draw, *, senders: int, lasts_s: float, stalls: bool = False
) -> None:
    """Let so many senders in front of each gate send for as long."""
    random, clock = Random(1), asyncio.get_running_loop().time

    async def sender(who: int, gate: Gate) -> None:
        while True:
            with await gate.acquire("GET", "/users") as permit:
                if stalls and clock() % STALL_EVERY_S >= STALL_EVERY_S - STALL_S:
                    await asyncio.sleep(STALL_EVERY_S - clock() % STALL_EVERY_S)
                welcome = server.arrive(clock(), who)
                await asyncio.sleep(draw(random))
                permit.settle()
                if not welcome:
                    gate.throttled("GET", "/users", retry_after="1", date=None, permit=permit)

    tasks = [asyncio.ensure_future(sender(who, gate)) for who, gate in enumerate(gates) for _ in range(senders)]
    await asyncio.sleep(lasts_s)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
