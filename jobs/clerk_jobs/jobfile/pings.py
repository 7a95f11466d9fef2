"""Health addresses: who is told how a run ended."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

__all__ = ["Ping"]


def _address() -> Meta:
    def check(text: str) -> tuple[str, str] | None:
        try:
            parts = urlsplit(text)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme in ("http", "https") and parts.hostname:
            return None
        return "must be a full URL", "begin with https://"

    return Meta(extra={"check": check})


_Address = Annotated[str, _address()]


class Ping(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Addresses that are asked (GET) when a run is over; an address that fails never fails the run.

    Attributes:
        success: when all was done.
        failure: when something failed, or the run stopped.
    """

    success: _Address | None = None
    failure: _Address | None = None
