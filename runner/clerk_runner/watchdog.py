"""Telling that the loop stood still: a process that was stopped, a machine that slept, work that should not be there.

Limits hold all the same, as each request counts from its answer; what is late is worth knowing at 3 a.m.
"""

from __future__ import annotations

import asyncio

from clerk_runner.logs import Log

__all__ = ["watch_loop"]

LOOK_S = 0.25
LATE_S = 1.0


async def watch_loop(log: Log) -> None:
    """Log each time that the loop came later than a second, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + LOOK_S
        await asyncio.sleep(LOOK_S)
        late_s = loop.time() - due_s
        if late_s > LATE_S:
            log.warning("stood_still", late_s=round(late_s, 1))
