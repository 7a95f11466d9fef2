"""Is everything in order: the machine, the key, the way to Clerk, what this program remembers.

Each check tells what it found and, where that is not good, how to mend it. Checks that need what an earlier one did not
find are left out and say so. Nothing is changed anywhere, and one request is sent: ``GET /instance``, under a permit of
the instance's own budget like any other.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from clerk_jobs.call import Call, Reply, Safety
from clerk_jobs.errors import ClerkBatchError
from clerk_limits.clock import LoopClock
from clerk_limits.gate import GateOptions
from clerk_runner.account import AccountOptions, open_account
from clerk_runner.amounts import duration
from clerk_runner.client import Client
from clerk_runner.credentials import Credentials, discover, state_home
from clerk_runner.errors import Exit, RunnerError, exit_of
from clerk_runner.folders import StateFolder
from clerk_runner.refusals import fatal_error

__all__ = ["Check", "Verdict", "examine"]

Verdict = Literal["good", "note", "bad", "left out"]

OLDEST_PYTHON: Final = (3, 11)
PATIENCE_S: Final = 15.0
SKEW_NOTED_S: Final = 5.0
SKEW_BAD_S: Final = 120.0
"""A clock so wrong reads invitations as older or younger than they are by more than a quarantine."""
UNREACHABLE: Final = frozenset({"unreachable", "no_answer"})
LEAST_ROOM_BYTES: Final = 100 * 1024 * 1024
SCOPES: Final = frozenset({"write", "delete"})


@dataclass(frozen=True, slots=True)
class Check:
    """What one look found.

    Attributes:
        verdict: ``note`` is worth knowing and nothing to mend now.
        told: what was found.
        mend: how to mend it; empty where there is nothing to mend.
        exit: the exit code where it is bad.
    """

    name: str
    verdict: Verdict
    told: str
    mend: str = ""
    exit: Exit = Exit.DONE


async def examine(environ: Mapping[str, str], cwd: Path, api_version: str, *, offline: bool) -> list[Check]:
    """Look at everything, in the order in which it is needed.

    Args:
        api_version: in which Clerk is asked.
        offline: ask nobody.
    """
    checks = [_python(), _terminal(environ)]
    state, folder = _state(environ)
    checks.append(folder)
    checks.append(_ledger(state))
    credentials, key = _key(environ, cwd)
    checks.append(key)
    if credentials is None:
        return checks + [_left_out(name, "there is no usable key") for name in ("scopes", "clerk")]
    checks.append(_scopes(credentials))
    if offline or state is None:
        return [*checks, _left_out("clerk", "nobody was asked (--offline)" if offline else "there is no state folder")]
    return checks + await _clerk(credentials, state, api_version)


def _left_out(name: str, why: str) -> Check:
    return Check(name, "left out", why)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    told = f"Python {version}, SQLite {sqlite3.sqlite_version}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "bad", told, "install Python 3.11 or newer", Exit.USAGE)
    return Check("python", "good", told)


def _terminal(environ: Mapping[str, str]) -> Check:
    columns, lines = shutil.get_terminal_size()
    encoding = (sys.stderr.encoding or "").lower()
    if not sys.stderr.isatty():
        return Check("terminal", "good", "stderr is not a terminal: progress comes as lines with date and time")
    if environ.get("TERM", "dumb") == "dumb":
        return Check("terminal", "note", "it cannot redraw (TERM=dumb): progress comes as lines")
    if not encoding.startswith("utf"):
        return Check(
            "terminal", "note", f"its encoding is {encoding}: some characters are shown as numbers", "set LANG=C.UTF-8"
        )
    colour = "without colour (NO_COLOR)" if environ.get("NO_COLOR") else "with colour"
    return Check("terminal", "good", f"{columns} columns, {lines} lines, {colour}")


def _state(environ: Mapping[str, str]) -> tuple[StateFolder | None, Check]:
    root = state_home(environ)
    try:
        folder = StateFolder(root)
        free = shutil.disk_usage(root).free
        runs = len(folder.list())
    except ClerkBatchError as error:
        return None, _bad("state folder", error)
    except OSError as error:
        return None, Check(
            "state folder",
            "bad",
            f"{root} cannot be used: {error.strerror}",
            "set CLERK_BATCH_HOME to a folder that you can write to",
            Exit.USAGE,
        )
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        # A file system that is mounted read-only says so to root too.
        mend = "make it writable for you, or set CLERK_BATCH_HOME to a folder that is"
        return None, Check("state folder", "bad", f"{root} cannot be written to", mend, Exit.USAGE)
    told = f"{root}, {runs:,} run{'' if runs == 1 else 's'}, {free / 1e9:.1f} GB free"
    if free < LEAST_ROOM_BYTES:
        return folder, Check(
            "state folder", "bad", told, "free some disk space: a run stops when the disk is full", Exit.STOPPED
        )
    return folder, Check("state folder", "good", told)


def _ledger(state: StateFolder | None) -> Check:
    if state is None:
        return _left_out("ledger", "there is no state folder")
    files = sorted(state.ledger.glob("*/*.db"))
    for path in files:
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
                sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        except sqlite3.Error as error:
            return Check("ledger", "bad", f"{path} cannot be read: {error}", _ledger_mend(path), Exit.STOPPED)
        if not sound:
            return Check("ledger", "bad", f"{path} is damaged", _ledger_mend(path), Exit.STOPPED)
    return Check("ledger", "good", f"{len(files):,} files of shared budgets, all readable" if files else "none yet")


def _ledger_mend(path: Path) -> str:
    return f"stop every clerk-batch process, then remove {path}; limits count as used up until their periods are over"


def _key(environ: Mapping[str, str], cwd: Path) -> tuple[Credentials | None, Check]:
    try:
        found = discover(environ, cwd)
    except RunnerError as error:
        return None, _bad("key", error)
    told = f"{found.key} ({found.key.kind}) from {found.found_in}, for {found.host}"
    if found.speed != 1.0:
        return found, Check("key", "note", f"{told}; a rehearsal, {found.speed:g} times as fast")
    path = Path(found.found_in)
    if path.is_file() and path.stat().st_mode & 0o077:
        return found, Check("key", "note", f"{told}, which others can read", f"chmod 600 {path}")
    return found, Check("key", "good", told)


def _scopes(credentials: Credentials) -> Check:
    scopes = credentials.scopes
    if unknown := scopes - SCOPES:
        told = f"CLERK_BAPI_SCOPES has {', '.join(sorted(unknown))}, which is not a scope"
        return Check("scopes", "note", told, "the scopes are write and delete, separated by a comma")
    if "write" not in scopes:
        mend = "export CLERK_BAPI_SCOPES=write, or pass --admin each time"
        return Check("scopes", "note", "reading only: every write is refused before it is sent", mend)
    return Check("scopes", "good", ", ".join(sorted(scopes, reverse=True)))


async def _clerk(credentials: Credentials, state: StateFolder, api_version: str) -> list[Check]:
    """Reachability, key, version, kind of the instance and clock, by one answer."""
    options = AccountOptions(gate=GateOptions(speed=credentials.speed), label="doctor", patience_s=PATIENCE_S)
    call = Call("GetInstance", "GET", "/instance", "/instance", Safety.READ)
    try:
        async with (
            asyncio.timeout(PATIENCE_S + 5),
            Client(credentials, api_version) as client,
            open_account(client, state, LoopClock(), options) as account,
        ):
            reply = await account.exchange.read(call, judge=False)
            latency_s, offset_s = account.exchange.latency_s, client.offset_s
    except TimeoutError:
        return [_silent(credentials, "")]
    except ClerkBatchError as error:
        unreachable = isinstance(error, RunnerError) and error.code in UNREACHABLE
        return [_silent(credentials, str(error).rpartition(": ")[2]) if unreachable else _bad("clerk", error)]
    except (OSError, sqlite3.Error) as error:
        return [
            Check(
                "clerk", "bad", f"the state folder fails: {error}", f"look at {state.root}: rights, disk", Exit.STOPPED
            )
        ]
    took = "" if latency_s is None else f" in {latency_s * 1000:.0f} ms"
    if (fatal := fatal_error(reply)) is not None:
        return [_bad("clerk", fatal)]
    return [
        Check("clerk", "good", f"{credentials.host} answers{took}, API version {api_version} is known"),
        _instance(credentials, reply),
        _clock(offset_s),
    ]


def _silent(credentials: Credentials, reason: str) -> Check:
    told = f"{credentials.host} gave no usable answer within {PATIENCE_S:.0f} s{reason and f': {reason}'}"
    return Check("clerk", "bad", told, "check the network, any proxy, and CLERK_API_URL", Exit.STOPPED)


def _instance(credentials: Credentials, reply: Reply) -> Check:
    if not reply.ok or not isinstance(reply.value, dict):
        told = (
            f"the key may not read which instance it opens ({reply.status} {reply.code}): limits are counted by the key"
        )
        return Check("instance", "note", told)
    name, kind = reply.value.get("id"), reply.value.get("environment_type")
    told = f"{name}, {kind or credentials.key.kind}"
    if kind in ("production", "development") and kind != credentials.key.kind:
        told = f"{name} is a {kind} instance, and the key says {credentials.key.kind}"
        return Check("instance", "bad", told, "look at the key again in the Clerk Dashboard", Exit.ACCESS)
    if credentials.key.kind == "production":
        return Check("instance", "note", f"{told}: what is written here is written for real people")
    return Check("instance", "good", told)


def _clock(offset_s: float) -> Check:
    told = f"this machine's clock is within {max(1.0, abs(offset_s)):.0f} s of Clerk's"
    if abs(offset_s) < SKEW_NOTED_S:
        return Check("clock", "good", told)
    told = f"this machine's clock is {duration(abs(offset_s))} {'behind' if offset_s > 0 else 'ahead of'} Clerk's"
    mend = "let the network set it (timedatectl set-ntp true)"
    if abs(offset_s) < SKEW_BAD_S:
        return Check("clock", "note", told, mend)
    return Check("clock", "bad", told, mend, Exit.USAGE)


def _bad(name: str, error: ClerkBatchError) -> Check:
    mend = getattr(error, "hint", "") or "see the message"
    return Check(name, "bad", getattr(error, "message", "") or str(error), mend, exit_of(error))


def here() -> tuple[Mapping[str, str], Path]:
    """The environment and the working directory of this process."""
    return os.environ, Path.cwd()
