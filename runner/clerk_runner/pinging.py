"""Telling a health service how a run ended; that this fails never fails a run."""

from __future__ import annotations

import os
from typing import Final

import aiohttp

from clerk_jobs.jobfile.pings import Ping
from clerk_runner.errors import Exit
from clerk_runner.proxies import proxy_for

__all__ = ["ping"]

DEADLINE_S: Final = 10.0
TRIES: Final = 3
_SILENT: Final = frozenset({Exit.LEFT_EARLY, Exit.HELD, Exit.SIGINT, Exit.SIGTERM})
"""Ends that are neither: the run goes on later, or somebody ended it."""


async def ping(addresses: Ping, code: int) -> str:
    """Ask the address that goes with an exit code.

    Returns:
        What went wrong, for people, without the address, which may hold a token; empty where nothing did.
    """
    address = addresses.success if code == Exit.DONE else addresses.failure
    if address is None or code in _SILENT:
        return ""
    trouble = ""
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        for _ in range(TRIES):
            try:
                async with session.get(address, allow_redirects=False, proxy=proxy_for(address, os.environ)) as answer:
                    if answer.status < 400:
                        return ""
                    trouble = f"it answered {answer.status}"
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                trouble = type(error).__name__
    return f"the health address for {'success' if code == Exit.DONE else 'failure'} was not reached: {trouble}"
