"""The simulator as an HTTP server on 127.0.0.1, in this loop or as the only thing a process does.

Below `/v1` it is Clerk. Below `/simulator` it is itself:

- `GET /simulator/report`: what it saw, see `Report.as_json`.
- `GET /simulator/effects?operation=CreateInvitation`: when each key was affected.
- `/simulator/v1/…`: any operation, performed at once by an unseen hand: no key, limit, latency, fault or report. So a
  test deletes a user in the middle of somebody else's export.
"""

import asyncio
import signal
from collections.abc import Callable
from urllib.parse import parse_qs

from aiohttp import web

from .application import Application
from .call import Reply
from .exchange import Answer, Incoming, Stage
from .report import Report
from .settings import SimulatorSettings

_HOST = "127.0.0.1"
_API = "/v1/"
_CONTROL = "/simulator/"
_BACKSTAGE = "/simulator/v1/"
_DEVELOPMENT_EMAILS = 100
_JSON = {"Content-Type": "application/json"}
_POLL_S = 0.05


class Simulator:
    """Clerk on your own machine.

    Example:
        async with Simulator(SimulatorSettings(users=1000)) as simulator:
            ...  # GET f"{simulator.address}/v1/users" with the key simulator.key
    """

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self._settings = settings or SimulatorSettings()
        quota = self._settings.email_quota
        if quota is None and not self._settings.production:
            quota = _DEVELOPMENT_EMAILS
        self._report = Report(self._settings.arrivals, quota)
        self._stage = Stage(self._settings, self._report)
        self._runner: web.ServerRunner | None = None
        self._application: asyncio.Task[None] | None = None
        self._started_s = 0.0
        self._address = ""

    @property
    def address(self) -> str:
        """Where it listens, such as `http://127.0.0.1:49152`; the API lies below `/v1`."""
        return self._address

    @property
    def key(self) -> str:
        """The first of its secret keys."""
        return self._settings.keys[0]

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: when the port is taken.
        """
        self._started_s = asyncio.get_running_loop().time()
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, self._settings.port, backlog=1024)
        await site.start()
        port: int = self._runner.addresses[0][1]
        self._address = f"http://{_HOST}:{port}"
        per_s = self._settings.application * self._stage.instance_per_s
        if per_s:
            visitors = Application(self._stage.play, self.key, per_s, self._settings.seed)
            self._application = asyncio.create_task(visitors.run(), name="application")

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._application is not None:
            self._application.cancel()
            await asyncio.wait([self._application])
            if not self._application.cancelled():
                # It never ends by itself, so this raises what ended it.
                self._application.result()
            self._application = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> "Simulator":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def report(self) -> dict[str, object]:
        """What it saw so far: requests, refusals, limits, effects; see `Report`."""
        return {"address": self._address, **self._report.as_json(), "limits": self._stage.limits_report()}

    def effects(self, operation: str) -> dict[str, list[int]]:
        """When an operation affected each key (an address, an id): unix milliseconds, oldest first.

        Operations are called as in Clerk's document: `CreateInvitation`, `DeleteUser`, ….
        """
        return self._report.effects(operation)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query_text = request.raw_path.partition("?")
        body = await request.read() if request.can_read_body else b""
        clock = asyncio.get_running_loop().time
        if path.startswith(_BACKSTAGE):
            incoming = _incoming(request, path.removeprefix(_BACKSTAGE), query_text, body, clock())
            return _response(await self._stage.play_backstage(incoming))
        if path.startswith(_CONTROL):
            return self._control(path.removeprefix(_CONTROL), query_text)
        if self._settings.stall is not None:
            await asyncio.sleep(self._settings.stall.wait_s(clock() - self._started_s))
        below = path.removeprefix(_API) if path.startswith(_API) else "(outside of v1)"
        incoming = _incoming(request, below, query_text, body, clock())
        return await self._send(request, await self._stage.play(incoming))

    async def _send(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        reply = answer.reply
        if answer.kind == "silence":
            # Nobody is told when a client leaves while its request is played, so this looks now and then.
            while _connected(request):  # noqa: ASYNC110  # aiohttp has no event for it
                await asyncio.sleep(_POLL_S)
        response = _response(reply)
        if answer.kind == "half":
            half = web.StreamResponse(status=reply.status, headers=_JSON)
            half.content_length = len(reply.body)
            await half.prepare(request)
            await half.write(reply.body[: len(reply.body) // 2])
            response = web.Response()
        if answer.kind != "whole" and request.transport is not None:
            request.transport.abort()
        return response

    def _control(self, path: str, query_text: str) -> web.Response:
        """The simulator's own address: `report`, and `effects?operation=NAME`."""
        if path == "report":
            return _response(Reply.json(self.report()))
        if path == "effects":
            operation = parse_qs(query_text).get("operation", [""])[0]
            return _response(Reply.json(self.effects(operation)))
        return web.Response(status=404)


def _incoming(request: web.BaseRequest, path: str, query_text: str, body: bytes, at_s: float) -> Incoming:
    return Incoming(
        method=request.method,
        path=f"/{path}",
        query_text=query_text,
        headers=request.headers,
        body=body,
        at_s=at_s,
        connected=lambda: _connected(request),
    )


def _response(reply: Reply) -> web.Response:
    return web.Response(body=reply.body, status=reply.status, headers={**_JSON, **reply.headers})


def _connected(request: web.BaseRequest) -> bool:
    transport = request.transport
    return transport is not None and not transport.is_closing()


def run(settings: SimulatorSettings, announce: Callable[[Simulator], None]) -> dict[str, object]:
    """`serve` in an event loop of its own."""
    return asyncio.run(serve(settings, announce))


async def serve(settings: SimulatorSettings, announce: Callable[[Simulator], None]) -> dict[str, object]:
    """Run a simulator until SIGINT or SIGTERM, and give back its last report.

    Args:
        settings: its settings.
        announce: called once it listens.

    Raises:
        OSError: when the port is taken.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with Simulator(settings) as simulator:
        announce(simulator)
        await ended.wait()
        return simulator.report()
