"""Values of which several are made for each call; as frozen dataclasses they would take eight times as long to make."""

from __future__ import annotations

import msgspec

__all__ = ["Record"]


class Record(msgspec.Struct, frozen=True):
    """A value: its fields by name or in their order, equal to another of its class with the same ones."""
