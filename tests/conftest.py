"""What every test may use, and what none may do: speak to anything but this machine."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.abc import AbstractStreamWriter
from aioresponses import aioresponses
from hypothesis import settings

# A deadline would be a bound on wall-clock time, which a busy machine breaks.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


class MockedResponse(aiohttp.ClientResponse):
    """A response that aioresponses 0.7.9 can make: aiohttp from 3.14 on asks for a ``stream_writer``."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        named.setdefault("stream_writer", Mock(spec=AbstractStreamWriter, output_size=0))
        super().__init__(*arguments, **named)


class ClerkResponses:
    """Scripted answers for a client: ``answer("GET", "/users", status=200, payload=[])``."""

    def __init__(self, mocked: aioresponses, address: str) -> None:
        self.mocked = mocked
        self._address = address

    def answer(self, method: str, path: str, **given: Any) -> None:
        """Answer the next such request."""
        self.mocked.add(f"{self._address}/v1{path}", method, response_class=MockedResponse, **given)


@pytest.fixture
def clerk_responses() -> Iterator[ClerkResponses]:
    """Answers in place of the network, for clients of ``http://127.0.0.1:9``."""
    with aioresponses() as mocked:
        yield ClerkResponses(mocked, "http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a test wanted to connect to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
