"""What it takes to believe Clerk about a call whose answer was lost: when something was made, and that it was not."""

from __future__ import annotations

from typing import Final

__all__ = ["CLOCK_MS", "LOOKS"]

LOOKS: Final = 2
"""Reads that must not find what a call makes before it counts as absent."""
CLOCK_MS: Final = 5_000
"""How far our clock may be from the server's: so much earlier than our intent may our own seem to have been made."""
