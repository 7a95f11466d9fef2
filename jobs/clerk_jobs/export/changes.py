"""What changed since a moment, and what a former snapshot becomes by it.

Users are walked by ``-updated_at`` down to a mark, and the mark is a little before the former export's start: what was
written while that one ran is seen again, and replaces itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from clerk_jobs.export.page import Page

__all__ = ["MARGIN_MS", "NEWEST_CHANGE_FIRST", "STALE", "changed_since", "merged", "updated_ms"]

MARGIN_MS: Final = 300_000
"""How long before an export's start the next one begins to look: clocks differ, and answers may come from replicas."""
NEWEST_CHANGE_FIRST: Final = (("order_by", "-updated_at"),)
STALE: Final = ("deleted users", "last_active_at", "last_sign_in_at")
"""What a change of updated_at may not tell: deletions never, and no document says that signing in does."""


class _Head(msgspec.Struct, gc=False):
    id: str
    created_at: int


class _Change(msgspec.Struct, gc=False):
    updated_at: int | None = None


_HEAD = msgspec.json.Decoder(_Head)
_CHANGE = msgspec.json.Decoder(_Change)

Key = tuple[int, str]


def updated_ms(page: Page) -> Sequence[int]:
    """When each row of a page was changed: unix milliseconds, its creation where it does not say.

    Raises:
        msgspec.ValidationError: such a time is no whole number.
    """
    found = [_CHANGE.decode(line).updated_at for line in page.split()]
    return [created if changed is None else changed for changed, created in zip(found, page.created_ms, strict=True)]


def changed_since(line: bytes, since_ms: int) -> bool:
    """Whether a row was changed at a moment or later; what does not say so counts as changed."""
    changed = _CHANGE.decode(line).updated_at
    return changed is None or changed >= since_ms


def merged(former: Iterable[bytes], changes: Iterable[bytes]) -> Iterator[bytes]:
    r"""A snapshot with its changes: both are lines in the order (created_at, id), and a change replaces its row.

    Raises:
        ValueError: the former snapshot is not in this order, so it is not one of ours.

    Example:
        >>> old = [b'{"id":"a","created_at":1}', b'{"id":"b","created_at":2}']
        >>> list(merged(old, [b'{"id":"b","created_at":2,"new":1}', b'{"id":"c","created_at":2}']))[1:]
        [b'{"id":"b","created_at":2,"new":1}', b'{"id":"c","created_at":2}']
    """
    waiting = iter(changes)
    change = next(waiting, None)
    change_key = None if change is None else _key(change)
    last: Key = (-1, "")
    for line in former:
        key = _key(line)
        if key <= last:
            raise ValueError("the previous snapshot is not sorted as an export writes it")
        last = key
        while change is not None and change_key is not None and change_key < key:
            yield change
            change = next(waiting, None)
            change_key = None if change is None else _key(change)
        if change is not None and change_key == key:
            yield change
            change = next(waiting, None)
            change_key = None if change is None else _key(change)
        else:
            yield line
    if change is not None:
        yield change
    yield from waiting


def _key(line: bytes) -> Key:
    head = _HEAD.decode(line)
    return head.created_at, head.id
