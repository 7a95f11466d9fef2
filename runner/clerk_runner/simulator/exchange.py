"""Playing one request: its arrival, its latency, its effect, its fault and its answer."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal
from urllib.parse import unquote

import orjson

from .admission import Admission
from .call import Call, EffectRecorder, Reply
from .errors import RefusalError, injected, not_found, refusal
from .faults import Fault, FaultBook, FaultKind
from .generic import GenericOperations
from .instance import Instance
from .latency import effect_share
from .report import Report
from .routes import Route, Router
from .settings import SimulatorSettings
from .throttle import INSTANCE_DEVELOPMENT, INSTANCE_PRODUCTION, Limit, Throttle

AnswerKind = Literal["whole", "half", "cut", "silence"]
_ENDINGS_BEFORE: dict[FaultKind, AnswerKind] = {"drop-before-effect": "cut", "timeout-before": "silence"}
_ENDINGS: dict[FaultKind, AnswerKind] = {
    "drop-after-effect": "cut",
    "timeout": "silence",
    "truncated-body": "half",
}
_HTML = b"<html><body><h1>Something went wrong</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as the server read it.

    Attributes:
        method, path, query_text: path is below /v1 and still encoded.
        headers: its headers, names in any case.
        body: its whole body.
        at_s: when it arrived, on the loop's clock.
        connected: tells whether its client is still there.
    """

    method: str
    path: str
    query_text: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float
    connected: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do with the connection.

    Attributes:
        reply: the answer.
        kind: "whole" sends it; "half" sends its first half and cuts the connection; "cut" only cuts it;
            "silence" waits until the client leaves.
    """

    reply: Reply
    kind: AnswerKind = "whole"


class Stage:
    """Plays requests against one instance."""

    def __init__(self, settings: SimulatorSettings, report: Report) -> None:
        self._settings = settings
        self._report = report
        self._instance = Instance(settings)
        self._router = Router(self._instance.routes())
        self._generic = GenericOperations(settings.rows)
        self._admission = Admission(settings.keys)
        self._throttle = Throttle(settings.windows, settings.speed, settings.count_refused)
        self._faults = FaultBook(settings.faults, settings.seed)
        self._random = Random(settings.seed)  # noqa: S311  # repeatable, not secret
        self._instance_limit: Limit = INSTANCE_PRODUCTION if settings.production else INSTANCE_DEVELOPMENT
        self._traces = 0

    @property
    def instance_per_s(self) -> float:
        """Requests in a second that the instance's window carries for ever, all clients together."""
        limit = self._instance_limit
        return limit.count / limit.period_s * self._settings.speed

    def limits_report(self) -> dict[str, object]:
        """What each limit saw."""
        return self._throttle.report()

    async def play(self, incoming: Incoming) -> Answer:
        """Answer a request; whatever happens, it is in the report."""
        route, params, known = self._find(incoming)
        operation = route.name if route is not None else f"{incoming.method} (unknown)"
        client = self._admission.client(incoming.headers)
        self._report.arrive(operation, client, _wall_ms())
        status = 0
        try:
            version = self._admit(incoming, operation, route, params)
            if route is None:
                raise _unknown(known)
            answer = await self._perform(incoming, route, params, version)
            status = answer.reply.status if answer.kind in {"whole", "half"} else 0
        except RefusalError as refused:
            answer = Answer(self._refused(refused))
            status = refused.status
        finally:
            self._report.answer(operation, client, status)
        return answer

    async def play_backstage(self, incoming: Incoming) -> Reply:
        """Perform an operation at once: without key, limits, latency, faults or a trace in the report."""
        route, params, known = self._find(incoming)
        try:
            if route is None:
                raise _unknown(known)
            version = self._admission.version(incoming.headers, incoming.query_text)
            return await route.handle(_call(incoming, params, version, _forget))
        except RefusalError as refused:
            return self._refused(refused)

    def _find(self, incoming: Incoming) -> tuple[Route | None, Mapping[str, str], bool]:
        """The operation that is meant: one that was written down, else one that the catalogue knows."""
        route, params, known = self._router.find(incoming.method, incoming.path)
        if route is not None:
            return route, params, True
        version = self._admission.version_to_play(incoming.headers, incoming.query_text)
        generic, params, known_too = self._generic.find(incoming.method, unquote(incoming.path), version)
        if generic is not None and generic.name not in self._router.names:
            return generic, params, True
        return None, {}, known or known_too

    def _admit(self, incoming: Incoming, operation: str, route: Route | None, params: Mapping[str, str]) -> str:
        """Check key, version and limits; the version."""
        self._admission.check_key(incoming.headers)
        version = self._admission.version(incoming.headers, incoming.query_text)
        limits: tuple[Limit, ...] = (self._instance_limit,)
        if route is not None:
            limits = () if route.exempt else (self._instance_limit, *route.limits)
        retry_after = self._throttle.admit(operation, limits, params, incoming.at_s)
        if retry_after is not None:
            raise injected(429, None, str(retry_after))
        return version

    async def _perform(self, incoming: Incoming, route: Route, params: Mapping[str, str], version: str) -> Answer:
        fault = self._faults.choose(incoming.method, unquote(incoming.path))
        latency_s = self._settings.latency.draw(self._random)
        before_s = latency_s * effect_share(self._settings.effect, self._random)
        await _pass(before_s)
        if fault is not None:
            self._report.fault(fault.text)
            await _pass(fault.by.draw(self._random))
            early = self._instead(fault, route, incoming.at_s)
            if early is not None:
                return early
        reply = await self._effect(incoming, route, params, version, fault)
        await _pass(latency_s - before_s)
        return Answer(reply) if fault is None else self._spoiled(fault, reply)

    def _instead(self, fault: Fault, route: Route, now_s: float) -> Answer | None:
        """The answer of a fault that happens instead of the effect, None for the other kinds."""
        if fault.kind in _ENDINGS_BEFORE:
            return Answer(Reply(), _ENDINGS_BEFORE[fault.kind])
        if fault.kind != "status-before":
            return None
        if fault.status == 429 and (fault.retry_after or "").isdecimal():
            self._throttle.close(route.name, float(fault.retry_after or 0), now_s)
        raise injected(fault.status, fault.code, fault.retry_after)

    async def _effect(
        self, incoming: Incoming, route: Route, params: Mapping[str, str], version: str, fault: Fault | None
    ) -> Reply:
        def record(operation: str, key: str, email: bool) -> None:
            self._report.effect(operation, key, call.now_ms, email, incoming.connected())

        call = _call(incoming, params, version, record)
        call.leave_out = fault is not None and fault.kind == "partial-bulk"
        try:
            reply = await route.handle(call)
        except RefusalError as refused:
            return self._refused(refused)
        if self._settings.pretty:
            reply.body = orjson.dumps(orjson.loads(reply.body), option=orjson.OPT_INDENT_2)
        return reply

    def _spoiled(self, fault: Fault, reply: Reply) -> Answer:
        """What becomes of an answer after the effect."""
        if fault.kind in _ENDINGS:
            return Answer(reply, _ENDINGS[fault.kind])
        if fault.kind == "status-after":
            reply = self._refused(injected(fault.status, fault.code, fault.retry_after))
        elif fault.kind == "truncated-json":
            reply = Reply(reply.body[: len(reply.body) // 2], reply.status, reply.headers)
        elif fault.kind == "html":
            reply = Reply(_HTML, 200, {"Content-Type": "text/html"})
        return Answer(reply)

    def _refused(self, refused: RefusalError) -> Reply:
        self._traces += 1
        trace_id = f"{self._settings.seed:08x}{self._traces:024x}"
        return Reply(refused.body(trace_id), refused.status, {**refused.headers, "cf-ray": trace_id[-16:]})


def _call(incoming: Incoming, params: Mapping[str, str], version: str, record: EffectRecorder) -> Call:
    return Call(params, incoming.query_text, incoming.body, version, _wall_ms(), record)


def _forget(operation: str, key: str, email: bool) -> None:
    """Record no effect."""


def _unknown(known: bool) -> RefusalError:
    if known:
        return refusal(405, "method_not_allowed", "wrong method", "this path does not take this method")
    return not_found("such path")


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


async def _pass(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
