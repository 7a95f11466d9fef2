"""One attempt at one call over aiohttp, and what its end proves.

``Client.attempt`` never raises for the network's sake. It ends in one of three ways, by what could have happened:

``Answered``  Clerk's whole answer arrived
``NotSent``   Clerk cannot have seen the request: refused connection, DNS, TLS
``Lost``      anything else: Clerk may have done what was asked

aiohttp re-sends GET, PUT and DELETE by itself when a kept connection drops, and follows redirects with the token: both
are switched off, because one permit is one request and the token is for one host.
"""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

import aiohttp
import orjson
from yarl import URL

from clerk_jobs.call import Call, Problem, Reply
from clerk_runner.credentials import Credentials
from clerk_runner.logs import redact

__all__ = ["DEADLINE_S", "Answered", "Attempt", "Client", "Decode", "Lost", "NotSent", "classify"]

DEADLINE_S = 60.0
"""Longest attempt, from the connection to the last byte; shorter than any quarantine by at least 20 s."""

CONNECT_S = 20.0
MAX_BODY = 64 * 1024 * 1024
LARGE_BODY = 256 * 1024
LARGE_BODIES = 24
"""Bodies that are large, or do not say, and are read at once; the others wait in their connections, not in memory."""
MAX_DATE_OFFSET_S = 86_400.0
MAX_CODE, MAX_MESSAGE = 100, 500
"""Characters of an error that are kept."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer, with the headers that the limits need.

    Attributes:
        parsed: whether the body was JSON to the last byte; a success may be believed without, a read may not.
    """

    reply: Reply
    parsed: bool = True
    retry_after: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Clerk cannot have seen the request.

    Attributes:
        fatal: trying again is no use and no good: the certificate is wrong.
    """

    reason: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody knows whether Clerk did what was asked."""

    reason: str


Attempt: TypeAlias = Answered | NotSent | Lost
Decode: TypeAlias = Callable[[bytes], Any]
"""Makes a success's body the reply's value; a ValueError says that it is not whole."""


class _Broken(Exception):  # noqa: N818  never leaves this module
    """aiohttp's error in a coat that its own re-sending does not recognise."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        super().__init__()
        self.error = error


async def _keep_errors(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Session middleware: aiohttp re-sends after errors that it sees, so it does not get to see them."""
    try:
        return await handler(request)
    except aiohttp.ClientError as error:
        raise _Broken(error) from error


@dataclass(slots=True)
class Client:
    """Sends calls to one host with one key and one API version.

    Use it as an async context manager.

    Args:
        credentials: key and address; the token goes to that host alone.
        api_version: sent with every request; what Clerk does without it is not documented.
        deadline_s: see ``DEADLINE_S``.
    """

    credentials: Credentials
    api_version: str
    deadline_s: float = DEADLINE_S
    offset_s: float = 0.0
    """How far the server's clock is ahead of ours, in seconds, by the last ``Date`` header."""
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)
    _date: tuple[str, int | None] = field(default=("", None), repr=False)
    """The last ``Date`` header, and what it says: it is the same for a second."""
    _large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_BODIES), repr=False)

    async def __aenter__(self) -> Self:
        """Open the session; connections are kept, and their number is bounded by the calls in flight alone."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_S),
            headers={
                "Authorization": f"Bearer {self.credentials.key.reveal()}",
                "Clerk-API-Version": self.api_version,
                "User-Agent": "clerk-batch",
                "Accept": "application/json",
            },
            middlewares=(_keep_errors,),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and its connections."""
        if self._session is not None:
            await self._session.close()

    async def attempt(self, call: Call, decode: Decode = orjson.loads) -> Attempt:
        """Send the call once, within the deadline; ``decode`` reads the body of a success.

        Raises:
            ValueError: the call's path leads elsewhere than its template; nothing was sent.
        """
        assert self._session is not None, "the client is used as an async context manager"
        url = self._url(call)
        data = None if call.body is None else orjson.dumps(call.body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            async with (
                asyncio.timeout(self.deadline_s),
                self._session.request(
                    call.method,
                    url,
                    params=list(call.query),
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                return await self._read(response, decode)
        except _Broken as broken:
            return classify(broken.error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return classify(error)

    def _url(self, call: Call) -> URL:
        """The call's address. An id such as ``..`` in a path would make it another operation: URLs resolve it."""
        url = URL(f"{self.credentials.api_url}/v1{call.path}")
        if url.raw_query_string or url.raw_fragment or url.raw_path.count("/") != call.path.count("/") + 1:
            raise ValueError(f"a path of {call.operation} is not the one of its template")
        return url

    async def _read(self, response: aiohttp.ClientResponse, decode: Decode) -> Answered | Lost:
        date = response.headers.get("Date")
        self._note_date(date)
        status = response.status
        retry_after = response.headers.get("Retry-After")
        if status < 400 and not 200 <= status < 300:
            # Whoever redirects is not Clerk; what else is said does not matter.
            return Answered(Reply(status), False, retry_after, date)
        is_json = "json" in response.headers.get("Content-Type", "").lower()
        trace_id = response.headers.get("cf-ray") or None
        try:
            size = response.content_length
            async with self._large if size is None or size > LARGE_BODY else nullcontext():
                body = await _bounded(response)
                read = decode if 200 <= status < 300 else orjson.loads
                value = read(body) if body and is_json else None
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            # A success whose status arrived has happened, whatever became of its body; a refusal has to be whole.
            if 200 <= status < 300 and is_json:
                return Answered(Reply(status, trace_id=trace_id), False, retry_after, date)
            unread, body, value = type(error).__name__, b"", None
        else:
            unread = "" if is_json or not body else "not JSON"
        if unread and status != 429:
            # The page of a gateway, whatever its status says. A 429 counts by its status: gateways send it too.
            return Lost(f"an unreadable answer ({status}, {unread})")
        return Answered(_reply(status, value, trace_id), bool(body) or status == 204, retry_after, date)

    def _note_date(self, header: str | None) -> None:
        if header is None:
            return
        if header != self._date[0]:
            self._date = header, _seconds(header)
        server_s = self._date[1]
        if server_s is None:
            return
        # The header counts whole seconds: its moment lies half a second later on average.
        offset_s = server_s + 0.5 - time.time()
        if abs(offset_s) < MAX_DATE_OFFSET_S:
            self.offset_s = offset_s


def _seconds(date: str) -> int | None:
    """Unix time of a ``Date`` header; None where it is none."""
    try:
        parts = email.utils.parsedate_tz(date)
        return None if parts is None else email.utils.mktime_tz(parts)
    except (ValueError, OverflowError):
        return None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, which may not grow without end."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY:
            raise ValueError("the body is too large")
        chunks.append(chunk)
    return b"".join(chunks)


def _reply(status: int, value: Any, trace_id: str | None) -> Reply:
    if status < 400:
        return Reply(status, value, trace_id=trace_id)
    listed = value.get("errors") if isinstance(value, Mapping) else None
    problems = [_problem(one) for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    if isinstance(value, Mapping) and isinstance(value.get("clerk_trace_id"), str):
        trace_id = value["clerk_trace_id"]
    fallback = Problem(f"http_{status}", f"Clerk answered {status}")
    return Reply(status, value, tuple(problems) or (fallback,), trace_id)


def _problem(one: Mapping[str, Any]) -> Problem:
    """An error for reports and logs: in one line, and without the addresses that Clerk repeats in some messages."""
    code, meta = one.get("code"), one.get("meta")
    message = one.get("long_message") or one.get("message") or ""
    return Problem(
        code[:MAX_CODE] if isinstance(code, str) and code else "unknown",
        redact(" ".join(str(message).split()))[:MAX_MESSAGE],
        meta if isinstance(meta, Mapping) else {},
    )


def classify(error: BaseException) -> NotSent | Lost:
    """What an error of aiohttp's or the system's proves; the one place where they are mapped.

    Only what ends before the first byte is written is known not to have been sent.
    """
    match error:
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return NotSent("the TLS connection cannot be trusted", fatal=True)
        case aiohttp.ClientConnectorDNSError():
            return NotSent("the host's name was not found")
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return NotSent("no connection")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return NotSent("the address is malformed", fatal=True)
        case TimeoutError():
            return Lost("no whole answer in time")
        case _:
            return Lost(f"the connection broke ({type(error).__name__})")
