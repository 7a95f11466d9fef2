"""Calls through the gate: permits, blocks after a 429, and repeats by safety class.

A READ is repeated until Clerk has been unreachable for ten minutes. An IDEMPOTENT call is repeated for a minute from
the first attempt that may have happened, as a later repeat could overwrite what the application wrote meanwhile. A
ONCE call is sent once, and its end is told.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal, Protocol, TypeVar

import orjson

from clerk_jobs.call import Call, Reply, Safety, Talk
from clerk_jobs.record import Record
from clerk_limits.clock import Clock
from clerk_limits.gate import Gate, Permit
from clerk_limits.ledger.errors import LedgerError
from clerk_runner.client import Answered, Attempt, Client, Decode, Depart, Lost, NotSent
from clerk_runner.errors import RunnerError, StoppedError
from clerk_runner.logs import Log
from clerk_runner.reach import UNREACHABLE_S, Reach, duration_words
from clerk_runner.refusals import UNPROVEN, fatal_error, is_definite, ledger_stop
from clerk_runner.telemetry import NO_TELEMETRY, Telemetry

__all__ = ["Exchange", "GaveUp", "Notes", "Sent"]

T = TypeVar("T")

REPEAT_IDEMPOTENT_S = 60.0
BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 30.0
LATENCY_WEIGHT = 0.1
MOST_MOVES = 3
"""So often in a row the same host may say that a GET is elsewhere."""


class Sent(Record, frozen=True):
    """How the one attempt at a ONCE call ended.

    Attributes:
        end: ``answered`` is definite; ``throttled`` and ``not_sent`` are known not to have happened; ``lost`` is doubt.
    """

    end: Literal["answered", "throttled", "not_sent", "lost"]
    reply: Reply | None = None
    reason: str = ""


class Notes(Protocol):
    """What is told of every permit and every request, see `clerk_runner.reporting.record`."""

    def waited(self, operation: str, waited_s: float, *, granted: bool) -> None:
        """A call has waited for its permit until now: until it came, or was not wanted any more."""

    def passed(self, operation: str) -> None:
        """A call had its permit at once."""

    def attempted(self, status: int | str, elapsed_s: float) -> None:
        """A request ended: with a status, or with the reason why there is none."""


class GaveUp(StoppedError):  # noqa: N818  a way to stop
    """An idempotent call was repeated for as long as that is safe."""


class Exchange:
    """Sends calls for one run.

    Args:
        gate: whose permits every request takes.
        clock: the gate's clock.
        log: told of every request at level debug, of every 429 at level warning.
        speed: divides the waits of ours (CLERK_BATCH_SPEED).
        patience_s: how long Clerk may be out of reach before nothing more is sent, before ``speed``.
    """

    def __init__(
        self,
        client: Client,
        gate: Gate,
        clock: Clock,
        *,
        log: Log,
        speed: float = 1.0,
        patience_s: float = UNREACHABLE_S,
    ) -> None:
        """Start with nothing sent."""
        self._reach = Reach(client, clock, patience_s=patience_s, speed=speed)
        self.client = client
        self.gate = gate
        self.clock = clock
        self.requests = 0
        self.throttled = 0
        self.latency_s: float | None = None
        """How long an answer takes, in seconds: a mean that forgets; None before the first one."""
        self.worst_s = 0.0
        """How long the slowest answer took, in seconds."""
        self._speed = speed
        self._log = log
        self._telemetry = NO_TELEMETRY
        self._is_far = False
        self._notes: Notes | None = None

    @property
    def stop(self) -> RunnerError | None:
        """Why nothing more can be sent: Clerk unreachable for ten minutes, or a certificate that is wrong."""
        return self._reach.stop

    @property
    def trouble(self) -> str:
        """What keeps Clerk from answering now, for the progress line; empty while all is well."""
        return self._reach.trouble

    def attach(self, log: Log, telemetry: Telemetry = NO_TELEMETRY, notes: Notes | None = None) -> None:
        """Belong to a run from now on: its log, whoever else is told of its requests, and its notes for the report."""
        self._log, self._notes = log, notes
        self._telemetry = telemetry

    async def permit(
        self, method: str, template: str, *, subject: str | None = None, items: int = 0, spare: int = 0
    ) -> Permit:
        """A permit of the gate, see ``Gate.acquire``.

        Raises:
            StoppedError: the ledger cannot be used any more.
        """
        asked_at, granted = self.clock.now(), False
        try:
            permit = await self.gate.acquire(method, template, subject=subject, items=items, spare=spare)
            granted = True
            return permit
        except LedgerError as error:
            raise ledger_stop(error) from error
        finally:
            if self._notes is not None:
                self._notes.waited(f"{method} {template}", self.clock.now() - asked_at, granted=granted)

    def permit_at_once(self, call: Call) -> Permit | None:
        """A permit for a call that need not wait for it, see ``Gate.acquire_at_once``.

        Raises:
            StoppedError: the ledger cannot be used any more.
        """
        try:
            permit = self.gate.acquire_at_once(call.method, call.template, subject=call.subject, items=call.items)
        except LedgerError as error:
            raise ledger_stop(error) from error
        if permit is not None and self._notes is not None:
            self._notes.passed(f"{call.method} {call.template}")
        return permit

    async def read(
        self, call: Call, *, judge: bool = True, permit: Permit | None = None, tells_429: bool = False
    ) -> Reply:
        """Send a READ or IDEMPOTENT call until a definite answer comes; a refusal is an answer.

        Args:
            judge: whether an answer that no other call could better (key, plan, version) ends the run.
            permit: of the first attempt, where it was taken before.
            tells_429: whether a 429 is an answer as long as nothing can have happened; else it is waited for.

        Raises:
            RunnerError: the run has to stop (key, plan, version, Clerk unreachable).
            GaveUp: an idempotent call got no definite answer for a minute.
        """
        assert call.safety is not Safety.ONCE
        failing_since: float | None = None
        tries = 0
        while True:
            if permit is None:
                permit = await self.permit(call.method, call.template, subject=call.subject, items=call.items)
            try:
                # Here, because the wait for the permit counts too: a block after a 429 can take an hour.
                self._give_up(call, failing_since)
            except GaveUp:
                permit.give_back()
                raise
            sent_at = self.clock.now()
            attempt, permit = await self._attempt(call, permit), None
            if isinstance(attempt, Answered) and is_definite(call, attempt):
                if judge and (error := fatal_error(attempt.reply)) is not None:
                    raise error
                return attempt.reply
            if self.stop is not None:
                raise self.stop
            if isinstance(attempt, Answered) and attempt.reply.status == 429:
                if tells_429 and failing_since is None:
                    return attempt.reply
                continue
            if failing_since is None and (call.safety is Safety.READ or not isinstance(attempt, NotSent)):
                failing_since = sent_at
            self._give_up(call, failing_since)
            tries += 1
            await self.pause(tries)

    async def ask(self, call: Call, decode: Decode) -> Reply | None:
        """Send a READ once; None where no definite answer came, so that the caller may ask for less.

        Args:
            decode: makes a success's body the reply's value.

        Raises:
            RunnerError: the run has to stop (key, plan, version, Clerk unreachable).
        """
        assert call.safety is Safety.READ
        permit = await self.permit(call.method, call.template, subject=call.subject, items=call.items)
        attempt = await self._attempt(call, permit, decode)
        if isinstance(attempt, Answered) and is_definite(call, attempt):
            if (error := fatal_error(attempt.reply)) is not None:
                raise error
            return attempt.reply
        if self.stop is not None:
            raise self.stop
        return None

    def _give_up(self, call: Call, failing_since: float | None) -> None:
        """End a call that has failed for as long as its safety class allows."""
        if failing_since is None:
            return
        horizon_s = REPEAT_IDEMPOTENT_S if call.safety is Safety.IDEMPOTENT else self._reach.patience_s
        if self.clock.now() - failing_since > horizon_s / self._speed:
            raise GaveUp(
                f"Clerk gave no usable answer to {call.operation} for {duration_words(horizon_s)}"
                f"{self.trouble and f': {self.trouble}'}",
                code="unreachable" if call.safety is Safety.READ else "no_answer",
                hint="run the same command again when Clerk answers",
            )

    async def converse(self, talk: Talk[T]) -> T:
        """Carry a conversation through: each call that it yields is read, each reply sent in."""
        try:
            call = next(talk)
            while True:
                call = talk.send(await self.read(call))
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            talk.close()

    async def once(
        self, call: Call, permit: Permit, decode: Decode = orjson.loads, *, is_sound: Depart = lambda: True
    ) -> Sent:
        """Send a call one time, under a permit that was taken before its intent was written.

        ``is_sound`` is asked directly before the first byte: what may not be sent any more is ``not_sent``.

        A read whose answer is not whole is lost; an effect has happened all the same. Never raises for the network's
        sake: the end has to be journalled. Look at ``stop`` afterwards.
        """
        attempt = await self._attempt(call, permit, decode, is_sound)
        match attempt:
            case NotSent(reason):
                return Sent("not_sent", reason=reason)
            case Lost(reason):
                return Sent("lost", reason=reason)
            case Answered(reply) if reply.status == 429:
                return Sent("throttled", reply)
            case Answered(reply) if reply.status in UNPROVEN or reply.status >= 500 or 300 <= reply.status < 400:
                return Sent("lost", reply, f"{reply.status} {reply.code}")
            case Answered(reply, False) if reply.ok and call.safety is Safety.READ:
                return Sent("lost", reply, f"an answer that cannot be read: {attempt.flaw or 'empty'}")
            case Answered(reply):
                return Sent("answered", reply)

    async def repeated(self, call: Call, permit: Permit) -> Sent:
        """Send an IDEMPOTENT call, the first time under a permit that was taken before, and repeat it for a minute.

        As ``once`` it never raises for the network's sake; a first 429 is told, as the wait for the next permit is the
        caller's; ``lost`` says that it may have happened all the same.
        """
        assert call.safety is Safety.IDEMPOTENT
        try:
            reply = await self.read(call, judge=False, permit=permit, tells_429=True)
        except RunnerError as error:
            return Sent("lost", reason=error.message)
        return Sent("throttled" if reply.status == 429 else "answered", reply)

    async def pause(self, tries: int) -> None:
        """Wait before another try: uniform between 0 and min(30, 0.5 · 2^tries) seconds, ``tries`` from 1."""
        bound = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** min(tries, 16)) / self._speed
        await self.clock.sleep(random.uniform(0, bound))  # noqa: S311  spreads load, guards nothing

    async def _attempt(
        self,
        call: Call,
        permit: Permit,
        decode: Decode = orjson.loads,
        is_sound: Depart = lambda: True,
        moves: int = 0,
    ) -> Attempt:
        """One request under one permit, whose end is told to the gate.

        Where the same host says that a GET is elsewhere, one more goes there, under a permit of its own.
        """
        sent_at = self.clock.now()

        def depart() -> bool:
            return is_sound() and permit.depart(self.clock.now())

        try:
            attempt = await self.client.attempt(call, decode, depart)
        except BaseException:
            # Cancelled mid-flight: the request may still arrive.
            self.requests += 1
            permit.lose()
            raise
        elapsed_s = self.clock.now() - sent_at
        status = self._ended(call, permit, attempt, elapsed_s)
        if self._notes is not None:
            self._notes.attempted(status, elapsed_s)
        self._log.debug("request", operation=call.operation, status=status, elapsed_s=round(elapsed_s, 3))
        self._telemetry.request(call, status, elapsed_s)
        if isinstance(attempt, Answered) and attempt.moved is not None and moves < MOST_MOVES:
            path, query = attempt.moved
            call = replace(call, path=path, query=query)
            permit = await self.permit(call.method, call.template, subject=call.subject, items=call.items)
            return await self._attempt(call, permit, decode, moves=moves + 1)
        return attempt

    def _ended(self, call: Call, permit: Permit, attempt: Attempt, elapsed_s: float) -> int | str:
        """Tell the gate, and remember, how a request ended; returns its status, or why there is none."""
        match attempt:
            case Answered(reply, _, retry_after, date):
                self.requests += 1
                permit.settle()
                self.worst_s = max(self.worst_s, elapsed_s)
                known_s = elapsed_s if self.latency_s is None else self.latency_s
                self.latency_s = known_s + (elapsed_s - known_s) * LATENCY_WEIGHT
                self._look_at_date()
                if reply.status == 429:
                    self._throttled(call, permit, retry_after, date)
                elif not is_definite(call, attempt):
                    what = attempt.flaw or reply.code or "without a body"
                    self._reach.failed(f"Clerk answers {reply.status} {what}")
                else:
                    self._reach.answered()
                return reply.status
            case NotSent(reason, fatal, held):
                permit.give_back()
                if not held:
                    self._reach.failed(reason, fatal=fatal)
                return reason
            case Lost(reason):
                self.requests += 1
                permit.lose()
                self._reach.failed(reason)
                return reason

    def _look_at_date(self) -> None:
        """Log a clock that is not believed, once for each time that it becomes so."""
        if self.client.is_far and not self._is_far:
            self._log.warning("date_ignored")
        self._is_far = self.client.is_far

    def _throttled(self, call: Call, permit: Permit, retry_after: str | None, date: str | None) -> None:
        self.throttled += 1
        self._reach.answered()
        wait_s = self.gate.throttled(call.method, call.template, retry_after=retry_after, date=date, permit=permit)
        self._log.warning("throttled", operation=call.operation, wait_s=round(wait_s, 1))
