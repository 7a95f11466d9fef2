"""A live application beside the client under test: it spends a part of the instance's window, from inside.

It reads `GET /users?limit=1` with the instance's first key at random times (a Poisson process), as people come to a
site. It never waits for room and never slows down after a 429: what it is refused, a visitor would have felt. The
report calls it `application`.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from random import Random

from .exchange import Answer, Incoming

CLIENT = "application"
"""Its name in the report."""

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(%?)")


def parse_part(text: str) -> float:
    """Read a part of the window, from 0 to 1.

    Raises:
        ValueError: when the text is none.

    Example:
        >>> parse_part("20%"), parse_part("0.2")
        (0.2, 0.2)
    """
    match = _PART.fullmatch(text.strip())
    part = float(match[1]) / (100 if match[2] else 1) if match else 2.0
    if part > 1:
        raise ValueError(f"application: {text!r} is not a share of the window; write 20% or 0.2")
    return part


class Application:
    """Sends requests to one stage until it is cancelled.

    Args:
        play: answers a request, as the server would have it answered.
        key: a secret key of the instance.
        per_s: requests in a second on average, above 0.
        seed: of the times at which they are sent.
    """

    def __init__(self, play: Callable[[Incoming], Awaitable[Answer]], key: str, per_s: float, seed: int) -> None:
        self._play = play
        self._headers = {"Authorization": f"Bearer {key}", "X-Simulator-Client": CLIENT}
        self._per_s = per_s
        self._random = Random(seed)  # noqa: S311  repeatable, not secret

    async def run(self) -> None:
        """Send for ever; an answer that takes long holds nobody else up."""
        clock = asyncio.get_running_loop().time
        next_s = clock()
        async with asyncio.TaskGroup() as visitors:
            while True:
                # Counted from the time before, not from now: a busy loop must not make the site less busy.
                next_s += self._random.expovariate(self._per_s)
                await asyncio.sleep(max(0.0, next_s - clock()))
                visitors.create_task(self._visit(clock()), name=CLIENT)

    async def _visit(self, at_s: float) -> None:
        incoming = Incoming(
            method="GET",
            path="/users",
            query_text="limit=1",
            headers=self._headers,
            body=b"",
            at_s=at_s,
            connected=lambda: True,
        )
        await self._play(incoming)
