"""JSON Lines: the rows as Clerk sent them."""

from __future__ import annotations

from clerk_runner.exporting.sinks.packing import Packed

__all__ = ["JsonLines"]


class JsonLines:
    """Passes the bytes on."""

    unfit = 0

    def __init__(self, out: Packed) -> None:
        """Write to ``out``."""
        self._out = out

    def take(self, data: bytes) -> None:
        """See `Sink`."""
        self._out.write(data)

    def finish(self) -> None:
        """See `Sink`."""
        self._out.finish()

    def abandon(self) -> None:
        """See `Sink`."""
