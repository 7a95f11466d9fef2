"""Sending single calls: through the same gate as jobs, repeated by safety class, and never a ONCE call twice.

An interactive call does not wait for long: a permit that is further away than ``max_wait_s`` ends it, and what cannot
be reached in three tries is said to be out of reach.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import orjson

from clerk_jobs.call import Call, Reply, Safety
from clerk_jobs.catalog import Json, ListShape, Operation
from clerk_limits.clock import Clock, LoopClock
from clerk_limits.gate import GateOptions, Permit
from clerk_runner.account import Account, AccountOptions, open_account
from clerk_runner.client import Client, Decode, json_or_text
from clerk_runner.credentials import Credentials
from clerk_runner.errors import Exit, LeftEarly, RunnerError, StoppedError
from clerk_runner.exchange import Exchange, Sent
from clerk_runner.explore.call_journal import CallJournal
from clerk_runner.explore.paging import Pager
from clerk_runner.folders import StateFolder

__all__ = ["MAX_WAIT_S", "Caller", "MayHaveHappened", "PageRefused", "open_caller"]

MAX_WAIT_S: Final = 30.0
"""Longest wait for a permit."""

TRIES: Final = 3

PATIENCE_S: Final = 5.0
"""Seconds in which Clerk must have said whose key it is."""

LOOK_S: Final = 0.25
"""So often it is looked whether a permit is too far away."""


class MayHaveHappened(RunnerError):  # noqa: N818 (it is no error: nobody knows)
    """A call that must not happen twice got no answer: it is not sent again."""

    exit = Exit.SOME_FAILED


class PageRefused(Exception):  # noqa: N818 (the reply says what went wrong)
    """A page in the middle of a walk was refused."""

    def __init__(self, reply: Reply) -> None:
        """Keep Clerk's answer."""
        super().__init__(reply.code)
        self.reply = reply


class Caller:
    """Sends calls, one at a time.

    Args:
        take_part: opens the instance's budget; called with the first call, so that a command that is refused sends
            nothing at all.
        max_wait_s: see ``MAX_WAIT_S``.
        state: the state folder, for the journal of ONCE calls.
    """

    def __init__(
        self, take_part: Callable[[], Awaitable[Account]], clock: Clock, state: Path, *, max_wait_s: float
    ) -> None:
        """Nothing is sent yet."""
        self._take_part = take_part
        self._account: Account | None = None
        self._clock = clock
        self._state = state
        self._max_wait_s = max_wait_s
        self.doubted = False
        """Whether an answer to the last call was lost before the one that came."""

    @property
    def requests(self) -> int:
        """Requests that were sent."""
        return 0 if self._account is None else self._account.exchange.requests

    @property
    def _exchange(self) -> Exchange:
        assert self._account is not None
        return self._account.exchange

    async def send(self, call: Call, *, bodyless: bool = False) -> Reply:
        """Send a call and return Clerk's answer, a refusal too.

        A DELETE that finds nothing, after an answer to it was lost, has been done: it returns as one without a body.

        Args:
            bodyless: no JSON is documented for the answer, so a read without one is whole, and text is an answer too.

        Raises:
            LeftEarly: the next permit is too far away.
            StoppedError: Clerk cannot be reached, or answers what cannot be read.
            MayHaveHappened: a ONCE call got no answer.
        """
        if self._account is None:
            self._account = await self._take_part()
        tries = 0
        self.doubted = False
        wait_s = self._max_wait_s
        while True:
            before_s = self._clock.now()
            permit = await self._permit(call, wait_s)
            wait_s -= self._clock.now() - before_s
            sent = await self._attempt(call, permit, json_or_text if bodyless else orjson.loads)
            if sent.end == "answered" and sent.reply is not None:
                gone = self.doubted and call.method == "DELETE" and sent.reply.status == 404
                return Reply(204, trace_id=sent.reply.trace_id) if gone else sent.reply
            if bodyless and sent.reply is not None and sent.reply.ok:
                return sent.reply
            if self._exchange.stop is not None:
                raise self._exchange.stop
            if sent.end == "throttled":
                continue  # the gate is closed now: the next permit waits, or is too far away
            if sent.end == "lost" and call.safety is Safety.ONCE:
                raise MayHaveHappened(
                    f"no answer came ({sent.reason}): {call.method} {call.template} may have happened",
                    code="may_have_happened",
                    hint="it is not sent again; look before you repeat it",
                )
            self.doubted |= sent.end == "lost" and call.safety is Safety.IDEMPOTENT
            tries += 1
            if tries < TRIES and not _redirects(sent):
                await self._exchange.pause(tries)
            else:
                return _last_answer(sent)

    async def pages(self, operation: Operation, call: Call) -> AsyncIterator[Sequence[Json]]:
        """The rows of every page of a list.

        Raises:
            PageRefused: Clerk refused a page.
            StoppedError: an answer does not have the shape of a list.
        """
        pager = Pager(operation, call)
        next_call: Call | None = pager.first()
        # A page that is asked for again after its cursor died brings rows of the two pages before it.
        recent: deque[set[str]] = deque(maxlen=2)
        while next_call is not None:
            reply = await self.send(next_call)
            if not reply.ok and not await self._dead(pager):
                raise PageRefused(reply)
            rows = _rows(operation, reply) if reply.ok else []
            yield [row for row in rows if not any(_id(row) in ids for ids in recent)]
            recent.append({name for row in rows if (name := _id(row)) is not None})
            next_call = pager.after(rows)
            if next_call is None and await self._dead(pager):
                next_call = pager.after_dead_cursor()

    async def _dead(self, pager: Pager) -> bool:
        """Whether the cursor's user is gone: then a short page, or a refusal, does not mean the end."""
        check = pager.cursor_check()
        if check is None:
            return False
        reply = await self.send(check)
        return reply.ok and reply.value == []

    async def _permit(self, call: Call, within_s: float) -> Permit:
        """A permit, unless it is known or turns out to be further away than ``within_s``."""
        subject, items = call.subject, call.items
        acquire = asyncio.ensure_future(self._exchange.permit(call.method, call.template, subject=subject, items=items))
        ends_s = self._clock.now() + within_s
        try:
            while True:
                await asyncio.wait([acquire], timeout=LOOK_S)
                if acquire.done():
                    return acquire.result()
                wait_s = self._exchange.gate.next_in(call.method, call.template, subject=subject)
                if self._clock.now() + (wait_s or 0.0) > ends_s:
                    break
        finally:
            if not acquire.done():
                acquire.cancel()
                await asyncio.wait([acquire])
        away = "" if wait_s is None else f" in {wait_s:.0f} s"
        raise LeftEarly(
            f"the limit of {call.method} {call.template} allows the next call{away}; nothing was done",
            code="limit_reached",
            hint="clerk-batch limits shows the limits; --max-wait waits for longer",
        )

    async def _attempt(self, call: Call, permit: Permit, decode: Decode) -> Sent:
        if call.safety is not Safety.ONCE:
            return await self._exchange.once(call, permit, decode)
        assert self._account is not None
        journal = CallJournal(self._state, self._account.instance)
        intent = await asyncio.to_thread(journal.begin, call, self._clock.wall())
        sent = Sent("lost", reason="interrupted")
        try:
            sent = await self._exchange.once(call, permit)
        finally:
            # Even when interrupted: without an end the attempt counts as one whose end nobody knows.
            journal.finish(intent, sent, self._clock.wall())
        return sent


@asynccontextmanager
async def open_caller(
    credentials: Credentials,
    api_version: str,
    state: Path,
    *,
    invites: tuple[str, ...] = (),
    max_wait_s: float = MAX_WAIT_S,
) -> AsyncIterator[Caller]:
    """A caller with a connection and a part of the instance's budget of its own, given up with the block.

    Args:
        invites: paths of the invitation endpoints among the calls.
    """
    clock = LoopClock()
    options = AccountOptions(
        gate=GateOptions(speed=credentials.speed), label="api call", invites=invites, patience_s=PATIENCE_S
    )
    async with Client(credentials, api_version) as client, AsyncExitStack() as stack:

        async def take_part() -> Account:
            return await stack.enter_async_context(open_account(client, StateFolder(state), clock, options))

        yield Caller(take_part, clock, state, max_wait_s=max_wait_s)


def _redirects(sent: Sent) -> bool:
    return sent.reply is not None and 300 <= sent.reply.status < 400


def _last_answer(sent: Sent) -> Reply:
    """The refusal that the last try brought.

    Raises:
        StoppedError: it brought nothing that could be shown.
    """
    if sent.reply is None or sent.reply.ok:
        raise StoppedError(
            f"Clerk gave no usable answer in {TRIES} tries: {sent.reason}", code="unreachable", hint="try again later"
        )
    if _redirects(sent):
        raise StoppedError(
            f"the server redirects elsewhere ({sent.reply.status}), and the key is for one host",
            code="redirected",
            hint="check CLERK_API_URL and any proxy in between",
        )
    return sent.reply


def _rows(operation: Operation, reply: Reply) -> Sequence[Json]:
    shape = operation.list_shape or ListShape.ARRAY
    rows = shape.rows(reply.value)
    if rows is None:
        raise StoppedError(
            f"the answer of {operation} does not have the shape of a list",
            code="answer_malformed",
            hint="run it without --all to see the answer",
        )
    return rows


def _id(row: Json) -> str | None:
    found = row.get("id") if isinstance(row, Mapping) else None
    return found if isinstance(found, str) else None
