"""Compression and a digest on the way to a file descriptor; the same bytes are packed to the same bytes."""

from __future__ import annotations

import hashlib
import os
import zlib
from typing import Protocol

from clerk_jobs.export.form import Packing

__all__ = ["Packed"]

ZST_LEVEL = 3
GZ_LEVEL = 6


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Packed:
    """Writes bytes to a descriptor, packed or as they are.

    Args:
        handle: an open descriptor, which stays the caller's.

    Attributes:
        size: bytes that were written.
        sha256: their digest, taken on the way: who reads a large file again for it pays for every byte twice.
    """

    def __init__(self, handle: int, packing: Packing | None) -> None:
        """Write nothing yet."""
        self._handle = handle
        self._packer = _packer(packing)
        self.size = 0
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Write the next bytes."""
        self._put(data if self._packer is None else self._packer.compress(data))

    def finish(self) -> None:
        """Write what the packer still holds."""
        if self._packer is not None:
            self._put(self._packer.flush())

    def _put(self, data: bytes) -> None:
        self.sha256.update(data)
        self.size += len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._handle, rest) :]


def _packer(packing: Packing | None) -> _Packer | None:
    if packing is None:
        return None
    if packing == "gz":
        # Without a time and a name in its head.
        return zlib.compressobj(GZ_LEVEL, wbits=31)
    import zstandard  # noqa: PLC0415  an extra

    return zstandard.ZstdCompressor(level=ZST_LEVEL).compressobj()
