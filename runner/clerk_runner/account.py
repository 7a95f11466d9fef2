"""The budget of one instance as this process uses it: whose it is, its ledger, and the gate in front of both.

::

    <state>/ledger/
        keys/<digest>.json       which instance a key opens, so that it is asked once; by a hash of address and key
        keys/<digest>.lock       held while it is asked
        <digest>/                the ledger of one instance at one address and speed
            account.json         whose it is, for people
            windows.db           what is over in seconds
            quotas.db            what counts for an hour
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clerk_limits.clock import Clock, LoopClock, boot_id
from clerk_limits.documented import LimitKind, limits_for
from clerk_limits.gate import Gate, GateOptions
from clerk_limits.ledger import Charge, InUse, LedgerError, Lender, LenderOptions, read_in_use
from clerk_limits.window import DEFAULT_GUARD_S
from clerk_runner.any_budget import AnyBudget
from clerk_runner.client import Client
from clerk_runner.credentials import Credentials
from clerk_runner.exchange import Exchange
from clerk_runner.first_read import first_charges
from clerk_runner.folders import StateFolder, make_private, write_private
from clerk_runner.history import last_request_s, recorded
from clerk_runner.identity import NAMED_BY_KEY, identify
from clerk_runner.journal import Journal
from clerk_runner.logs import silent_log
from clerk_runner.reach import UNREACHABLE_S, duration_words
from clerk_runner.refusals import ledger_stop

__all__ = ["Account", "AccountOptions", "Owner", "ledger_folder", "open_account", "out_now", "owner_of"]

SHORT_PERIOD_S = 10.0
"""Period of the instance's window. Source: see ``clerk_limits.documented``."""


NOTE_S = 10.0
"""So often it is said what keeps Clerk from answering."""
LOOK_S = 0.05
"""So often it is looked whether the lock of a key is free."""


class Owner(msgspec.Struct, frozen=True):
    """Whose ledger a folder holds, for people."""

    host: str
    instance: str
    kind: str
    speed: float


class _Known(msgspec.Struct, frozen=True):
    """The instance that a key opens, and the API versions in which it was asked."""

    instance: str
    versions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AccountOptions:
    """How a command takes part.

    Attributes:
        gate: how much of the limits is its.
        label: what it does, shown by ``clerk-batch limits``.
        invites: paths of the invitation endpoints that it will use: what others spent of their quotas is asked first.
        patience_s: seconds in which Clerk must have said whose key it is.
        note: told when that takes long.
    """

    gate: GateOptions
    label: str
    invites: tuple[str, ...] = ()
    patience_s: float = UNREACHABLE_S
    note: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Account:
    """An instance whose budget is open.

    Attributes:
        instance: its id, or a name made from the key.
        exchange: sends calls through the gate.
        folder: of the ledger.
    """

    instance: str
    exchange: Exchange
    folder: Path
    _lender: Lender

    async def succeed(self, journal: Journal) -> None:
        """Take over from the process that worked on a run before: this one holds its lock, so that one is dead."""
        try:
            former = await journal.get("ledger")
            if former is not None:
                await self._lender.bury(former)
            await journal.put(ledger=await self._lender.badges())
        except LedgerError as error:
            raise ledger_stop(error) from error


@asynccontextmanager
async def open_account(
    client: Client, state: StateFolder, clock: Clock, options: AccountOptions
) -> AsyncIterator[Account]:
    """Find out whose budget it is, and take part in it until the block ends.

    Raises:
        AccessError, UsageError, StoppedError: as ``identify``.
        StoppedError: the ledger cannot be used.
    """
    credentials = client.credentials
    async with AsyncExitStack() as stack:
        async with _asking(state, credentials, clock) as known:
            instance, asked, is_counted = await _ask(client, state, clock, options, known)
            folder = ledger_folder(state, credentials, instance)
            _make(folder, Owner(credentials.host, instance, credentials.key.kind.value, credentials.speed))
            lender = Lender(_lender_options(folder, state, credentials, instance, options.label), clock)
            try:
                await stack.enter_async_context(lender)
                gate = Gate(credentials.key.kind, options.gate, clock, ledger=lender)
                for _ in range(0 if is_counted else asked.requests):
                    await lender.spend(gate.window_spec("instance"))
            except LedgerError as error:
                raise ledger_stop(error) from error
            exchange = Exchange(client, gate, clock, log=silent_log(), speed=credentials.speed)
            exchange.requests, exchange.throttled = asked.requests, asked.throttled
            if options.invites and await lender.needs_first_read():
                used = {one.scope: one.amount for one in out_now(folder)}
                await lender.first_read(await first_charges(exchange, options.invites, used))
        yield Account(instance, exchange, folder, lender)


def ledger_folder(state: StateFolder, credentials: Credentials, instance: str) -> Path:
    """Where the ledger of an instance is: budgets of other addresses, and of rehearsals, are others."""
    name = f"{credentials.api_url}\0{instance}\0{credentials.speed:g}"
    return state.ledger / _digest(name)


def owner_of(folder: Path) -> Owner | None:
    """Whose ledger a folder holds; None where it does not say."""
    try:
        return msgspec.json.decode((folder / "account.json").read_bytes(), type=Owner)
    except (OSError, msgspec.MsgspecError):
        return None


def out_now(folder: Path) -> list[InUse]:
    """What is out in a ledger, read without writing."""
    clock = LoopClock()
    return read_in_use(folder, boot_id(), steady_s=time.monotonic(), boot_s=clock.boot(), wall_s=clock.wall())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _key_file(state: StateFolder, credentials: Credentials) -> Path:
    digest = _digest(f"{credentials.api_url}\0{credentials.key.fingerprint}")
    return state.ledger / "keys" / f"{digest}.json"


@asynccontextmanager
async def _asking(state: StateFolder, credentials: Credentials, clock: Clock) -> AsyncIterator[Path]:
    """Hold the lock under which it is asked whose key this is; yields the file that remembers it."""
    path = _key_file(state, credentials)
    make_private(path.parent)
    flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path.with_suffix(".lock"), flags, 0o600)
    try:
        # Not a blocking lock: whoever holds it may wait for Clerk, and signals have to be answered meanwhile.
        while not _is_locked(handle):
            await clock.sleep(LOOK_S)
        yield path
    finally:
        os.close(handle)


def _is_locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _ask(
    client: Client, state: StateFolder, clock: Clock, options: AccountOptions, known: Path
) -> tuple[str, Exchange, bool]:
    """The instance's id, who asked for it, and whether the instance's ledger has counted what that took."""
    credentials, kind = client.credentials, client.credentials.key.kind
    async with AsyncExitStack() as stack:
        others: dict[str, Gate] = {}
        if not _is_known(_read(known), client.api_version):
            for folder in sorted(state.ledger.iterdir()):
                owner = owner_of(folder)
                if owner is None or owner != Owner(credentials.host, owner.instance, kind.value, credentials.speed):
                    continue
                part = _lender_options(folder, state, credentials, owner.instance, options.label)
                # Who cannot use a ledger gets no permit of it, and neither does anybody else.
                with suppress(LedgerError):
                    lender = await stack.enter_async_context(Lender(part, clock))
                    others[owner.instance] = Gate(kind, options.gate, clock, ledger=lender)
        asked = Exchange(
            client,
            AnyBudget(tuple(others.values()), kind, options.gate, clock),
            clock,
            log=silent_log(),
            speed=credentials.speed,
            patience_s=options.patience_s,
        )
        instance = await _told(_instance(asked, known), asked, options)
    return instance, asked, instance in others


async def _told(asking: Coroutine[None, None, str], exchange: Exchange, options: AccountOptions) -> str:
    """Say every ten seconds what keeps Clerk from answering, for as long as it does."""
    task = asyncio.ensure_future(asking)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=NOTE_S)
            if not task.done() and exchange.trouble:
                host, trying = exchange.client.credentials.host, duration_words(options.patience_s)
                options.note(f"{host} does not answer yet ({exchange.trouble}); trying for {trying}")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


async def _instance(exchange: Exchange, path: Path) -> str:
    """The instance's id, from the file or from Clerk; a name made from the key is not remembered."""
    version = exchange.client.api_version
    known = _read(path)
    if known is not None and _is_known(known, version):
        return known.instance
    instance = await identify(exchange, exchange.client.credentials)
    if not instance.startswith(NAMED_BY_KEY):
        versions = () if known is None or known.instance != instance else known.versions
        write_private(path, msgspec.json.encode(_Known(instance, (*versions, version))))
    return instance


def _is_known(known: _Known | None, version: str) -> bool:
    return known is not None and version in known.versions


def _read(path: Path) -> _Known | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Known)
    except (OSError, msgspec.MsgspecError):
        return None


def _make(folder: Path, owner: Owner) -> None:
    make_private(folder)
    if owner_of(folder) != owner:
        write_private(folder / "account.json", msgspec.json.encode(owner))


def _lender_options(
    folder: Path, state: StateFolder, credentials: Credentials, instance: str, label: str
) -> LenderOptions:
    speed, kind = credentials.speed, credentials.key.kind

    def past(now_s: float) -> Iterable[Charge]:
        for call in recorded(state, instance, now_s, speed=speed):
            for limit in limits_for(call.method, call.template, kind):
                if limit.kind is LimitKind.QUOTA:
                    yield Charge(limit.name, call.released_s, (limit.period_s + DEFAULT_GUARD_S) / speed)

    return LenderOptions(
        folder=folder,
        boot=boot_id(),
        pid=os.getpid(),
        label=label,
        speed=speed,
        past=past,
        used_at=lambda: last_request_s(state, instance),
        short_s=(SHORT_PERIOD_S + DEFAULT_GUARD_S) / speed,
    )
