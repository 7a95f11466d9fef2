"""Many values in one list request: how many, and how long the request may get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote_plus

__all__ = ["READ_BATCH", "TOO_LONG", "URL_BYTES", "read_batches"]

READ_BATCH: Final = 100
"""Values in one array filter. Source: Clerk's OpenAPI document 2026-05-12, GetUserList, email_address."""
URL_BYTES: Final = 7_500
"""Longest query that we send: gateways commonly refuse request lines over 8 KiB."""
TOO_LONG: Final = (400, 414, 431)
"""Answers by which a server or a gateway says that a request line is too long for it."""


def read_batches(name: str, values: Sequence[str]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Array filters of at most 100 values and 7,500 bytes of query each."""
    batch: list[tuple[str, str]] = []
    size = 0
    for value in values:
        cost = len(name) + len(quote_plus(value)) + 2
        if batch and (len(batch) == READ_BATCH or size + cost > URL_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append((name, value))
        size += cost
    if batch:
        yield tuple(batch)
