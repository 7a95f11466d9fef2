"""Whether Clerk can be reached: trouble is noted, and ten minutes of it without one good answer end the run."""

from __future__ import annotations

from clerk_limits.clock import Clock
from clerk_runner.client import Client
from clerk_runner.errors import AccessError, RunnerError, StoppedError

__all__ = ["UNREACHABLE_S", "Reach", "duration_words"]

UNREACHABLE_S = 600.0


class Reach:
    """How one host answers.

    Args:
        client: of that host, for messages.
        patience_s: how long it may be out of reach before nothing more is sent, before ``speed``.

    Attributes:
        stop: why nothing more can be sent: out of reach for ten minutes, or a certificate that is wrong.
        trouble: what keeps it from answering now, for the progress line; empty while all is well.
    """

    def __init__(self, client: Client, clock: Clock, *, patience_s: float, speed: float) -> None:
        """Start with no trouble."""
        self.stop: RunnerError | None = None
        self.trouble = ""
        self.patience_s = patience_s
        self._client = client
        self._clock = clock
        self._speed = speed
        self._down_since: float | None = None

    def answered(self) -> None:
        """A good answer came."""
        self._down_since, self.trouble = None, ""

    def failed(self, reason: str, *, fatal: bool = False) -> None:
        """None came.

        Args:
            fatal: trying again is no use and no good.
        """
        self.trouble = reason
        now = self._clock.now()
        if self._down_since is None:
            self._down_since = now
        if fatal:
            self.stop = AccessError(
                f"nothing can be sent to {self._client.credentials.host}: {reason}",
                code="tls",
                hint="check the machine's clock, its certificates and any proxy in between, then resume the run",
            )
        elif now - self._down_since > self.patience_s / self._speed:
            self.stop = StoppedError(
                f"{self._client.credentials.host} has not answered for {duration_words(self.patience_s)}: {reason}",
                code="unreachable",
                hint="run the same command again when Clerk answers",
            )


def duration_words(seconds: float) -> str:
    """So many seconds for people.

    Example:
        >>> duration_words(600.0), duration_words(5.0)
        ('10 minutes', '5 s')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes"
