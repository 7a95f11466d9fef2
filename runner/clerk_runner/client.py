"""One attempt at one call over aiohttp, and what its end proves.

``Client.attempt`` never raises for the network's sake. It ends in one of three ways, by what could have happened:

``Answered``  Clerk's whole answer arrived
``NotSent``   Clerk cannot have seen the request: refused connection, DNS, TLS
``Lost``      anything else: Clerk may have done what was asked

aiohttp re-sends GET, PUT and DELETE by itself when a kept connection drops, and follows redirects with the token: both
are switched off, because one permit is one request and the token is for one host. Where the same host says that a GET
is elsewhere, the answer names the place, and whoever has a permit may go there.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

import aiohttp
import orjson
from aiohttp.connector import Connection
from yarl import URL

from clerk_jobs.call import Call, Problem, Reply
from clerk_jobs.metadata.numbers import spelling
from clerk_jobs.record import Record
from clerk_runner.body import MAX_BODY, STEP, Bodies, SmallSteps, TooLargeError
from clerk_runner.credentials import Credentials
from clerk_runner.deadlines import Deadlines
from clerk_runner.logs import redact
from clerk_runner.plain import plain

__all__ = [
    "DEADLINE_S",
    "Answered",
    "Attempt",
    "Client",
    "Decode",
    "Depart",
    "Lost",
    "NotSent",
    "classify",
    "json_or_text",
]

DEADLINE_S = 60.0
"""Longest attempt, from the connection to the last byte; shorter than any quarantine by at least 20 s."""

CONNECT_S = 20.0
MAX_DATE_OFFSET_S = 86_400.0
_ORDINARY = re.compile("[A-Za-z0-9_/-]+")
"""A path that means what it says, however it is read: nothing in it is a dot, packed, or the end of the path."""
MAX_CODE, MAX_MESSAGE = 100, 500
"""Characters of an error that are kept."""


class Answered(Record, frozen=True):
    """A whole answer, with the headers that the limits need.

    Attributes:
        parsed: whether the body was JSON to the last byte; a success may be believed without, a read may not.
        flaw: why it was not, for people.
        moved: where the same host says that a GET is: the path below ``/v1``, and the query.
    """

    reply: Reply
    parsed: bool = True
    retry_after: str | None = None
    date: str | None = None
    flaw: str = ""
    moved: tuple[str, tuple[tuple[str, str], ...]] | None = None


class NotSent(Record, frozen=True):
    """Clerk cannot have seen the request.

    Attributes:
        fatal: trying again is no use and no good: the certificate is wrong.
        held: we did not want to send it any more.
    """

    reason: str
    fatal: bool = False
    held: bool = False


class Lost(Record, frozen=True):
    """Nobody knows whether Clerk did what was asked."""

    reason: str


Attempt: TypeAlias = Answered | NotSent | Lost
Depart: TypeAlias = Callable[[], bool]
"""Asked directly before the first byte is written; False says that it must not be."""
Decode: TypeAlias = Callable[[memoryview], Any]
"""Makes a success's body the reply's value and keeps nothing of it; a ValueError says that it is not whole."""


def json_or_text(body: memoryview) -> Any:
    """The decoder for an operation whose answer is not JSON by contract: with it a page of text is an answer."""
    try:
        return orjson.loads(body)
    except ValueError:
        return str(body, errors="replace")


class _Broken(Exception):  # noqa: N818  never leaves this module
    """aiohttp's error in a coat that its own re-sending does not recognise."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        super().__init__()
        self.error = error


class _HeldError(Exception):
    """What stops a request before its first byte."""


_DEPART: ContextVar[Depart | None] = ContextVar("depart", default=None)
"""What the request that is being sent in this context has to ask."""


class _Asking(aiohttp.ClientRequest):
    """A request that asks before its first byte, and keeps its errors as `_Answer` does.

    aiohttp's tracing and its middlewares could, for three times as much of its time.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """The connection is there, and nothing is written yet."""
        depart = _DEPART.get()
        if depart is not None and not depart():
            raise _HeldError
        try:
            return await super().send(conn)
        except aiohttp.ClientError as error:
            raise _Broken(error) from error


class _Answer(aiohttp.ClientResponse):
    """An answer whose errors aiohttp does not get to see: it would send GET, PUT and DELETE again."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for its headers."""
        try:
            return await super().start(connection)
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
    is_far: bool = False
    """Whether the last ``Date`` header is more than a day away, and so is not believed."""
    offset_s: float = 0.0
    """How far the server's clock is ahead of ours, in seconds, by the last ``Date`` header."""
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)
    _deadlines: Deadlines = field(init=False, repr=False)
    _bodies: Bodies = field(default_factory=Bodies, repr=False)
    _base: URL = field(default_factory=URL, repr=False)
    """Where every path begins."""
    _date: tuple[str, int | None] = field(default=("", None), repr=False)
    """The last ``Date`` header, and what it says: it is the same for a second."""

    async def __aenter__(self) -> Self:
        """Open the session; connections are kept, and their number is bounded by the calls in flight alone."""
        self._base = URL(f"{self.credentials.api_url}/v1")
        self._deadlines = Deadlines(self.deadline_s)
        self._session = aiohttp.ClientSession(
            connector=SmallSteps(limit=0, limit_per_host=0),
            # A connection stops at the first step until its body is read.
            read_bufsize=STEP // 4,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_S),
            headers={
                "Authorization": f"Bearer {self.credentials.key.reveal()}",
                "Clerk-API-Version": self.api_version,
                "User-Agent": "clerk-batch",
                "Accept": "application/json",
            },
            request_class=_Asking,
            response_class=_Answer,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and its connections."""
        self._deadlines.close()
        if self._session is not None:
            await self._session.close()

    async def attempt(self, call: Call, decode: Decode = orjson.loads, depart: Depart | None = None) -> Attempt:
        """Send the call once, within the deadline; ``decode`` reads the body of a success.

        Args:
            depart: asked directly before the first byte is written, once there is a connection.

        Raises:
            ValueError: the call's path leads elsewhere than its template; nothing was sent.
        """
        assert self._session is not None, "the client is used as an async context manager"
        url = self._url(call)
        data = None if call.body is None else aiohttp.BytesPayload(spelling(call.body), content_type="application/json")
        decode = call.reads or decode
        asks = _DEPART.set(depart)
        try:
            with self._deadlines.wait():
                async with self._session.request(
                    call.method,
                    url,
                    params=list(call.query) or None,
                    data=data,
                    allow_redirects=False,
                    proxy=self.credentials.proxy,
                ) as response:
                    return await self._read(response, decode)
        except _HeldError:
            return NotSent("the process was paused for longer than its permit", held=True)
        except _Broken as broken:
            return classify(broken.error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return classify(error)
        finally:
            _DEPART.reset(asks)

    def _url(self, call: Call) -> URL:
        """The call's address. An id such as ``..`` in a path would make it another operation: URLs resolve it."""
        if _ORDINARY.fullmatch(call.path):
            return self._base.with_path(f"{self._base.raw_path}{call.path}", encoded=True)
        url = URL(f"{self._base}{call.path}")
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
            return Answered(Reply(status), False, retry_after, date, moved=_moved(response))
        kind = response.headers.get("Content-Type", "").lower()
        is_json, is_text = "json" in kind, decode is json_or_text and status < 300 and kind.startswith("text/")
        ray = response.headers.get("cf-ray")
        trace_id = (plain(ray)[:MAX_CODE] or None) if ray else None
        reads = is_json or is_text
        try:
            size, value = await self._body(response, (decode if status < 300 else orjson.loads) if reads else None)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            flaw = _flaw(error)
            # A success whose status arrived has happened, whatever became of its body; a refusal has to be whole.
            if status < 300 and reads:
                return Answered(Reply(status, trace_id=trace_id), False, retry_after, date, flaw)
            unread, size, value = flaw, 0, None
        else:
            unread = "" if reads or not size else "not JSON"
        if unread and status != 429:
            # The page of a gateway, whatever its status says. A 429 counts by its status: gateways send it too.
            return Lost(f"an unreadable answer ({status}, {unread})")
        return Answered(_reply(status, value, trace_id), size > 0 or status == 204, retry_after, date)

    async def _body(self, response: aiohttp.ClientResponse, read: Decode | None) -> tuple[int, Any]:
        """The body's size and, where it is to be read and not empty, its value."""
        size = response.content_length
        if size is not None and size <= STEP and "Content-Encoding" not in response.headers:
            # It arrives in a piece or two, and says how long it is: nothing has to be bounded, and no memory kept.
            whole = memoryview(await response.read())
            return len(whole), read(whole) if read is not None and whole else None
        async with self._bodies.read(response) as body:
            return len(body), read(body) if read is not None and body else None

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
        self.is_far = abs(offset_s) >= MAX_DATE_OFFSET_S
        if not self.is_far:
            self.offset_s = offset_s


def _seconds(date: str) -> int | None:
    """Unix time of a ``Date`` header; None where it is none."""
    try:
        parts = email.utils.parsedate_tz(date)
        return None if parts is None else email.utils.mktime_tz(parts)
    except (ValueError, OverflowError):
        return None


def _flaw(error: Exception) -> str:
    """Why a body cannot be used, for people."""
    match error:
        case TooLargeError():
            return f"larger than {MAX_BODY // 2**20} MB"
        case TimeoutError():
            return "no complete answer in time"
        case aiohttp.ContentTypeError() | aiohttp.ClientPayloadError():
            return "cut off, or wrongly compressed"
        case ValueError():
            return "incomplete JSON"
        case _:
            return type(error).__name__


def _moved(response: aiohttp.ClientResponse) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """Where a redirected GET is, if it is at the same address; None for anything else."""
    if response.method != "GET" or response.status not in (301, 302, 303, 307, 308):
        return None
    try:
        place = response.url.join(URL(response.headers.get("Location", "")))
    except ValueError:
        return None
    if place.origin() != response.url.origin() or place.user is not None or not place.raw_path.startswith("/v1/"):
        return None
    return place.raw_path.removeprefix("/v1"), tuple(place.query.items())


def _reply(status: int, value: Any, trace_id: str | None) -> Reply:
    if status < 400:
        return Reply(status, value, trace_id=trace_id)
    listed = value.get("errors") if isinstance(value, Mapping) else None
    problems = [_problem(one) for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    if isinstance(value, Mapping) and isinstance(value.get("clerk_trace_id"), str):
        trace_id = plain(value["clerk_trace_id"])[:MAX_CODE]
    fallback = Problem(f"http_{status}", f"Clerk answered {status}")
    return Reply(status, value, tuple(problems) or (fallback,), trace_id)


def _problem(one: Mapping[str, Any]) -> Problem:
    """An error for reports and logs: one plain line, without the addresses that Clerk repeats in some messages."""
    code, meta = one.get("code"), one.get("meta")
    message = one.get("long_message") or one.get("message") or ""
    return Problem(
        plain(code)[:MAX_CODE] if isinstance(code, str) and code else "unknown",
        plain(redact(" ".join(str(message).split())))[:MAX_MESSAGE],
        meta if isinstance(meta, Mapping) else {},
    )


_BEFORE_THE_SEND: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, bool], ...] = (
    ((aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch), "the TLS connection cannot be trusted", True),
    (aiohttp.ClientConnectorDNSError, "the host name was not found", False),
    (aiohttp.ClientProxyConnectionError, "no connection to the proxy", False),
    ((aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError), "no connection", False),
    # Raised by a proxy's answer to CONNECT alone: without a tunnel there is nothing to send through.
    (aiohttp.ClientHttpProxyError, "the proxy refuses to connect", False),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), "the address is malformed", True),
)
"""What ends before the first byte is written: the reason, and whether trying again is of no use."""


def classify(error: BaseException) -> NotSent | Lost:
    """What an error of aiohttp's or the system's proves; the one place where they are mapped.

    Only what ends before the first byte is written is known not to have been sent.
    """
    for kinds, reason, fatal in _BEFORE_THE_SEND:
        if isinstance(error, kinds):
            status = getattr(error, "status", None) if isinstance(error, aiohttp.ClientHttpProxyError) else None
            return NotSent(f"{reason} ({status})" if status else reason, fatal)
    if isinstance(error, TimeoutError):
        return Lost("no complete answer in time")
    return Lost(f"the connection broke ({type(error).__name__})")
