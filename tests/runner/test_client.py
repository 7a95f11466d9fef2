"""One attempt at one call: what its end proves."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from clerk_jobs.call import Call, Safety
from clerk_jobs.metadata.answers import reader_of
from clerk_jobs.metadata.numbers import spelling
from clerk_runner import body as module
from clerk_runner.client import Answered, Attempt, Client, Lost, NotSent, classify
from clerk_runner.credentials import Credentials, SecretKey

READ = Call("GetUserList", "GET", "/users", "/users", Safety.READ)
WRITE = Call("CreateInvitation", "POST", "/invitations", "/invitations", Safety.ONCE, body={"email_address": "a@b.co"})


def credentials(address: str = "http://127.0.0.1:9") -> Credentials:
    return Credentials(SecretKey("sk_test_abc"), address, frozenset(), "the test")


def attempt(call: Call = READ, address: str = "http://127.0.0.1:9", deadline_s: float = 5.0) -> tuple[Attempt, Client]:
    async def once() -> tuple[Attempt, Client]:
        async with Client(credentials(address), "2026-05-12", deadline_s=deadline_s) as client:
            return await client.attempt(call), client

    return asyncio.run(once())


def test_a_success_is_parsed_and_keeps_what_the_limits_need(clerk_responses: Any) -> None:
    date = formatdate(usegmt=True)
    clerk_responses.answer("GET", "/users", payload=[{"id": "user_1"}], headers={"Date": date, "Retry-After": "3"})
    found, client = attempt()
    assert isinstance(found, Answered)
    assert found.reply.ok
    assert found.reply.value == [{"id": "user_1"}]
    assert (found.retry_after, found.date) == ("3", date)
    assert abs(client.offset_s) < 5


def test_a_refusal_is_read_with_its_errors_and_trace(clerk_responses: Any) -> None:
    meta = {"email_addresses": ["a@b.co"]}
    errors = [{"code": "duplicate_record", "message": "short", "long_message": "long", "meta": meta}]
    clerk_responses.answer("POST", "/invitations", status=400, payload={"errors": errors, "clerk_trace_id": "t1"})
    found, _ = attempt(WRITE)
    assert isinstance(found, Answered)
    assert (found.reply.code, found.reply.trace_id) == ("duplicate_record", "t1")
    assert found.reply.problems[0].message == "long"
    assert found.reply.problems[0].meta == meta


def test_a_message_that_repeats_addresses_and_keys_is_kept_without_them(clerk_responses: Any) -> None:
    said = "jane@example.com\nis taken; see https://x.clerk.app/v1/tickets/accept?ticket=abc (sk_test_abc)"
    clerk_responses.answer("POST", "/invitations", status=422, payload={"errors": [{"code": "c", "message": said}]})
    found, _ = attempt(WRITE)
    assert isinstance(found, Answered)
    assert found.reply.problems[0].message == "***@*** is taken; see https://*** (sk_test_***)"


@pytest.mark.parametrize("payload", [{}, [], {"errors": []}, {"errors": "no"}, {"errors": [7]}, {"errors": [{}]}])
def test_a_refusal_of_any_shape_has_an_error(clerk_responses: Any, payload: Any) -> None:
    clerk_responses.answer("GET", "/users", status=418, payload=payload)
    found, _ = attempt()
    assert isinstance(found, Answered)
    assert found.reply.problems
    assert found.reply.code in ("http_418", "unknown")


@pytest.mark.parametrize("status", [200, 404, 502])
@pytest.mark.parametrize("body", ["<html>", '{"id": "inv_1"}'])
def test_a_page_that_is_not_json_is_no_answer(clerk_responses: Any, status: int, body: str) -> None:
    clerk_responses.answer("POST", "/invitations", status=status, body=body, content_type="text/html")
    assert isinstance(attempt(WRITE)[0], Lost)


@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
@pytest.mark.parametrize("body", ["", "<html>", '{"errors": ['])
def test_a_429_counts_by_its_status(clerk_responses: Any, body: str, content_type: str) -> None:
    """Gateways send it too, and whoever sends it says when to come back."""
    answer = {"status": 429, "body": body, "content_type": content_type, "headers": {"Retry-After": "7"}}
    clerk_responses.answer("POST", "/invitations", **answer)
    found, _ = attempt(WRITE)
    assert isinstance(found, Answered)
    assert (found.reply.status, found.reply.code, found.retry_after) == (429, "http_429", "7")


@pytest.mark.parametrize(("status", "parsed"), [(200, False), (204, True), (404, False)])
def test_an_answer_without_a_body(clerk_responses: Any, status: int, parsed: bool) -> None:
    clerk_responses.answer("DELETE", "/users/user_1", status=status, body="")
    found, _ = attempt(Call("DeleteUser", "DELETE", "/users/{user_id}", "/users/user_1", Safety.IDEMPOTENT))
    assert isinstance(found, Answered)
    assert (found.reply.status, found.reply.value, found.parsed) == (status, None, parsed)


def test_numbers_of_metadata_keep_their_spelling_both_ways(clerk_responses: Any) -> None:
    body = '[{"public_metadata":{"n":1e3,"long":12345678901234567890123}}]'
    clerk_responses.answer("GET", "/users", body=body)
    found, _ = attempt(dataclasses.replace(READ, reads=reader_of(("public_metadata",))))
    assert isinstance(found, Answered)
    assert spelling(found.reply.value).decode() == body
    assert found.reply.value[0]["public_metadata"]["n"] == 1000


@pytest.mark.parametrize("content_type", ["Application/JSON", "application/problem+json; charset=utf-8"])
def test_json_by_any_of_its_names(clerk_responses: Any, content_type: str) -> None:
    clerk_responses.answer("GET", "/users", body="[1]", content_type=content_type)
    found, _ = attempt()
    assert isinstance(found, Answered)
    assert found.reply.value == [1]


def test_the_trace_of_the_edge_stands_in_for_clerks(clerk_responses: Any) -> None:
    clerk_responses.answer("GET", "/users", status=404, payload={"errors": []}, headers={"cf-ray": "8f-FRA"})
    found, _ = attempt()
    assert isinstance(found, Answered)
    assert found.reply.trace_id == "8f-FRA"


def test_an_error_is_kept_within_bounds(clerk_responses: Any) -> None:
    errors = [{"code": "c" * 10_000, "message": "m" * 10_000, "meta": "no object"}]
    clerk_responses.answer("GET", "/users", status=404, payload={"errors": errors})
    found, _ = attempt()
    assert isinstance(found, Answered)
    problem = found.reply.problems[0]
    assert (len(problem.code), len(problem.message), problem.meta) == (100, 500, {})


def test_a_request_is_what_was_asked_for_and_nothing_else(clerk_responses: Any) -> None:
    query = (("email_address", "a+b@c.de"), ("email_address", "x y"), ("limit", "100"))
    call = Call("GetUserList", "GET", "/users", "/users", Safety.READ, query=query)
    path = "/users?email_address=a%2Bb@c.de&email_address=x+y&limit=100"
    clerk_responses.answer("GET", path, payload=[])
    found, _ = attempt(call)
    assert isinstance(found, Answered), found
    ((_, url),) = clerk_responses.mocked.requests
    assert url.raw_query_string.count("%2B") == 1


@pytest.mark.parametrize("whose", ["..", ".", "%2E%2E", "a/../b", "a?x=1", "a#x"])
def test_an_id_that_would_make_it_another_operation_is_refused(whose: str) -> None:
    path = f"/organizations/{whose}/invitations"
    with pytest.raises(ValueError, match="CreateOrganizationInvitation"):
        attempt(Call("CreateOrganizationInvitation", "POST", "/organizations/{id}/invitations", path, Safety.ONCE))


@pytest.mark.parametrize("whose", ["org_1", "a%2Fb", "%C3%A9", "a%20b", "a%3Fb", "..."])
def test_other_ids_stay_where_they_are(clerk_responses: Any, whose: str) -> None:
    clerk_responses.answer("GET", f"/users/{whose}", payload={})
    assert isinstance(attempt(Call("GetUser", "GET", "/users/{user_id}", f"/users/{whose}", Safety.READ))[0], Answered)


def test_a_success_with_a_broken_body_has_happened(clerk_responses: Any) -> None:
    clerk_responses.answer("POST", "/invitations", body='{"id": "inv_')
    found, _ = attempt(WRITE)
    assert isinstance(found, Answered)
    assert (found.reply.ok, found.reply.value, found.parsed) == (True, None, False)


def test_a_refusal_with_a_broken_body_proves_nothing(clerk_responses: Any) -> None:
    clerk_responses.answer("POST", "/invitations", status=400, body='{"errors": [')
    assert isinstance(attempt(WRITE)[0], Lost)


@pytest.mark.parametrize("date", [formatdate(0, usegmt=True), "", "soon", "Mon, 01 Jan 99999999 00:00:00 GMT", "-1"])
def test_a_date_that_cannot_be_is_not_believed(clerk_responses: Any, date: str) -> None:
    clerk_responses.answer("GET", "/users", payload=[], headers={"Date": date})
    assert attempt()[1].offset_s == 0.0


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_the_servers_clock_is_known_by_its_date(clerk_responses: Any, zone: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    date = formatdate(time.time() + 3600, usegmt=True).replace("GMT", zone)
    clerk_responses.answer("GET", "/users", payload=[], headers={"Date": date})
    offset_s = attempt()[1].offset_s
    monkeypatch.undo()
    time.tzset()
    assert 3590 < offset_s < 3610


NOT_SENT = {
    "ClientConnectorCertificateError": True,
    "ClientConnectorDNSError": False,
    "ClientConnectorError": False,
    "ClientConnectorSSLError": True,
    "ClientHttpProxyError": False,
    "ClientProxyConnectionError": False,
    "ClientSSLError": True,
    "ConnectionTimeoutError": False,
    "InvalidURL": True,
    "InvalidUrlClientError": True,
    "InvalidUrlRedirectClientError": True,
    "NonHttpUrlClientError": True,
    "NonHttpUrlRedirectClientError": True,
    "ServerFingerprintMismatch": True,
    "UnixClientConnectorError": False,
}
"""What ends before the first byte is written, and whether trying again is of no use."""

LOST = {
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientError",
    "ClientOSError",
    "ClientPayloadError",
    "ClientResponseError",
    "ContentTypeError",
    "RedirectClientError",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerTimeoutError",
    "SocketTimeoutError",
    "TooManyRedirects",
    "UploadAbortedError",
    "WSServerHandshakeError",
}
"""What may come after it."""

OTHERS = {
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "EofStream",
    "WSMessageTypeError",
    "WebSocketError",
}
"""Of multipart bodies, streams and web sockets, which nobody uses here."""


def exceptions_of_aiohttp() -> list[type[BaseException]]:
    found = {**vars(aiohttp.client_exceptions), **vars(aiohttp)}
    return [
        one
        for one in found.values()
        if inspect.isclass(one) and issubclass(one, BaseException) and one.__module__.startswith("aiohttp")
    ]


def test_every_error_of_aiohttp_is_mapped() -> None:
    """A new one of a new version has to be looked at by somebody: it may be doubt that passes for safe."""
    classes = {one.__name__: one for one in exceptions_of_aiohttp()}
    assert classes.keys() - NOT_SENT - LOST - OTHERS == set()
    for name, one in classes.items():
        if name not in OTHERS:
            assert issubclass(one, aiohttp.ClientError)
            found = classify(one.__new__(one))
            assert isinstance(found, NotSent if name in NOT_SENT else Lost), name
            assert getattr(found, "fatal", False) == NOT_SENT.get(name, False), name


@pytest.mark.parametrize("error", [TimeoutError(), OSError(), ConnectionResetError(), BrokenPipeError()])
def test_errors_of_the_system_prove_nothing(error: Exception) -> None:
    assert isinstance(classify(error), Lost)


@asynccontextmanager
async def served(handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Any:
    tasks: list[asyncio.Task[Any]] = []

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            await handle(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(handled, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def arrivals(method: str, send: Callable[[str], Awaitable[Any]]) -> int:
    """How often a request arrives at a server that answers one call and then drops the kept connection."""
    seen = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HEAD"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
        seen += head.startswith(method.encode())

    async with served(handle) as address:
        await send(address)
    return seen


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_dropped_connection_is_no_reason_to_send_again(method: str) -> None:
    call = Call("Any", method, "/users", "/users", Safety.READ)
    first = Call("Any", "HEAD", "/users", "/users", Safety.READ)

    async def ours(address: str) -> None:
        async with Client(credentials(address), "2026-05-12") as client:
            await client.attempt(first)
            assert isinstance(await client.attempt(call), Lost)

    async def plain(address: str) -> None:
        async with aiohttp.ClientSession(address) as session:
            async with session.head("/v1/users"):
                pass
            with pytest.raises(aiohttp.ClientError):
                await session.request(method, "/v1/users")

    assert asyncio.run(arrivals(method, ours)) == 1
    # What keeping its errors from it is for: aiohttp by itself asks twice.
    assert asyncio.run(arrivals(method, plain)) == 2


def test_nobody_listens() -> None:
    assert isinstance(attempt()[0], NotSent)


def test_the_deadline_covers_the_whole_attempt() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[")
        await writer.drain()
        await reader.read()

    async def scenario() -> Attempt:
        async with served(stall) as address, Client(credentials(address), "2026-05-12", deadline_s=0.3) as client:
            return await client.attempt(READ)

    found = asyncio.run(scenario())
    assert found == Lost("no complete answer in time")


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else() -> None:
    tokens: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.Response:
        tokens.append(request.headers.get("Authorization"))
        return web.json_response([])

    async def redirect(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/v1/elsewhere")

    async def scenario() -> Attempt:
        app = web.Application()
        app.router.add_get("/v1/users", redirect)
        app.router.add_get("/v1/elsewhere", elsewhere)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            host, port = runner.addresses[0][:2]
            async with Client(credentials(f"http://{host}:{port}"), "2026-05-12") as client:
                return await client.attempt(READ)
        finally:
            await runner.cleanup()

    found = asyncio.run(scenario())
    assert not tokens
    assert isinstance(found, Answered)
    assert (found.reply.status, found.reply.ok, found.parsed) == (302, False, False)


def test_a_body_without_end_is_given_up(clerk_responses: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY", 10)
    clerk_responses.answer("GET", "/users", body="[" + " " * 20 + "]")
    found, _ = attempt()
    assert isinstance(found, Answered)
    assert not found.parsed


def test_nothing_is_written_once_it_must_not_be_and_what_may_be_is_asked_first() -> None:
    arrived: list[str] = []
    asked: list[tuple[bool, int]] = []

    async def serve(request: web.Request) -> web.Response:
        arrived.append(await request.text())
        return web.json_response({"id": "inv_1"})

    async def scenario() -> list[Attempt]:
        server = web.Application()
        server.router.add_post("/v1/invitations", serve)
        runner = web.AppRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()

        def depart(answer: bool) -> bool:
            asked.append((answer, len(arrived)))
            return answer

        try:
            async with Client(credentials(site.name), "2026-05-12") as client:
                return [
                    await client.attempt(WRITE, depart=lambda answer=answer: depart(answer))  # type: ignore[misc]
                    for answer in (True, False, False, True)
                ]
        finally:
            await runner.cleanup()

    found = asyncio.run(scenario())
    assert [type(one) for one in found] == [Answered, NotSent, NotSent, Answered]
    assert [one.held for one in found if isinstance(one, NotSent)] == [True, True]
    assert len(arrived) == 2
    assert asked == [(True, 0), (False, 1), (False, 1), (True, 1)]
