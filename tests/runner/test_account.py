"""Whose budget it is, and taking part in it. All in virtual time, with a client that answers from memory."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
import pytest

from clerk_jobs.call import Call, Problem, Reply
from clerk_limits.clock import VirtualClock, run_virtual
from clerk_limits.gate import GateOptions
from clerk_runner.account import Account, AccountOptions, ledger_folder, open_account, owner_of
from clerk_runner.client import Answered, Attempt, Client, NotSent
from clerk_runner.credentials import Credentials, SecretKey
from clerk_runner.errors import StoppedError, UsageError
from clerk_runner.folders import StateFolder

START_S = 1_800_000_000.0
VERSION = "2026-05-12"
CREDENTIALS = Credentials(SecretKey("sk_test_abc"), "http://127.0.0.1:9", frozenset(), "the test")


class Clerk(Client):
    """Answers from memory, a tenth of a second after it was asked."""

    def __init__(self, version: str = VERSION) -> None:
        super().__init__(CREDENTIALS, version)
        self.instance: Reply | None = Reply(200, {"id": "ins_1"})
        self.invited_ms: list[float] = []
        self.asked: list[str] = []

    async def attempt(self, call: Call, decode: Any = orjson.loads, _depart: Any = None) -> Attempt:
        self.asked.append(call.path)
        await asyncio.sleep(0.1)
        if self.instance is None:
            return NotSent("no connection")
        if call.path == "/instance":
            return Answered(self.instance)
        return Answered(Reply(200, [{"id": f"inv_{time_ms}", "created_at": time_ms} for time_ms in self.invited_ms]))


def options(**more: Any) -> AccountOptions:
    return AccountOptions(gate=GateOptions(share=1.0, quota_share=1.0), label="test", **more)


def opened(
    state: Path,
    clerk: Clerk,
    scenario: Callable[[Account], Coroutine[Any, Any, Any]],
    wanted: AccountOptions | None = None,
) -> Any:
    async def main() -> Any:
        clock = VirtualClock(START_S)
        async with open_account(clerk, StateFolder(state), clock, wanted or options()) as account:
            return await scenario(account)

    return run_virtual(main())


async def instance(account: Account) -> str:
    return account.instance


def test_whose_key_it_is_is_asked_once(tmp_path: Path) -> None:
    clerk = Clerk()
    assert not ledger_folder(StateFolder(tmp_path), CREDENTIALS, "ins_1").exists()
    assert [opened(tmp_path, clerk, instance) for _ in range(3)] == ["ins_1"] * 3
    assert clerk.asked == ["/instance"]
    folder = ledger_folder(StateFolder(tmp_path), CREDENTIALS, "ins_1")
    owner = owner_of(folder)
    assert owner is not None
    assert (owner.host, owner.instance, owner.kind) == ("127.0.0.1:9", "ins_1", "development")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "ledger").rglob("*") if path.is_file()} == {0o600}


def test_a_version_that_was_not_used_before_is_asked_for(tmp_path: Path) -> None:
    opened(tmp_path, Clerk(), instance)
    other = Clerk("2025-11-10")
    assert opened(tmp_path, other, instance) == "ins_1"
    opened(tmp_path, other, instance)
    assert other.asked == ["/instance"]
    assert opened(tmp_path, again := Clerk(), instance) == "ins_1"
    assert again.asked == []


def test_a_key_that_may_not_read_its_instance_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    clerk = Clerk()
    clerk.instance = Reply(403, {}, (Problem("authorization_invalid", "said"),))
    names = {opened(tmp_path, clerk, instance) for _ in range(2)}
    assert names == {f"key-{CREDENTIALS.key.fingerprint}"}
    assert clerk.asked == ["/instance"] * 2


def test_the_request_that_asked_is_the_first_of_the_window(tmp_path: Path) -> None:
    async def used(account: Account) -> int:
        (await account.exchange.permit("GET", "/users")).settle()
        return account.exchange.gate.usage()[0].used

    assert opened(tmp_path, Clerk(), used) >= 2


def test_a_key_that_was_never_used_waits_for_the_window_that_may_be_its_own(tmp_path: Path) -> None:
    """Two keys can open one instance: the second one's first request finds the window full."""

    class Second(Clerk):
        asked_at_s = 0.0

        async def attempt(self, call: Call, decode: Any = orjson.loads, _depart: Any = None) -> Attempt:
            self.asked_at_s = asyncio.get_running_loop().time()
            return await super().attempt(call, decode)

    async def main() -> tuple[float, int]:
        clock, state = VirtualClock(START_S), StateFolder(tmp_path)
        async with open_account(Clerk(), state, clock, options()) as account:
            for _ in range(99):
                (await account.exchange.permit("GET", "/users")).settle()
            full_at_s = clock.now()
        second = Second()
        second.credentials = Credentials(SecretKey("sk_test_other"), "http://127.0.0.1:9", frozenset(), "the test")
        async with open_account(second, state, clock, options()) as account:
            assert account.instance == "ins_1"
            (await account.exchange.permit("GET", "/users")).settle()
            return second.asked_at_s - full_at_s, account.exchange.gate.usage()[0].used

    waited_s, used = run_virtual(main())
    assert waited_s > 1.0
    assert used <= 100


def test_silence_is_told_while_it_lasts(tmp_path: Path) -> None:
    clerk, notes = Clerk(), list[str]()
    clerk.instance = None
    with pytest.raises(StoppedError) as caught:
        opened(tmp_path, clerk, instance, options(patience_s=45.0, note=notes.append))
    assert caught.value.code == "unreachable"
    assert set(notes) == {"127.0.0.1:9 does not answer yet (no connection); trying for 45 s"}
    assert 3 <= len(notes) <= 8


def test_what_others_invited_within_the_hour_counts_once(tmp_path: Path) -> None:
    clerk = Clerk()
    clerk.invited_ms = [(START_S - age_s) * 1000 for age_s in (*range(60), 4000, 5000)]
    wanted = options(invites=("/invitations", "/invitations/bulk", "/nowhere"))

    async def used(account: Account) -> dict[str, int]:
        for path in ("/invitations", "/invitations/bulk"):
            (await account.exchange.permit("POST", path)).settle()
        return {row.name: row.used for row in account.exchange.gate.usage()}

    for _ in range(2):
        found = opened(tmp_path, clerk, used, wanted)
    assert (found["invitations"], found["invitations-bulk"]) == (62, 8)
    assert clerk.asked == ["/instance", "/invitations"]


def test_a_list_that_is_refused_charges_nothing(tmp_path: Path) -> None:
    class Refusing(Clerk):
        async def attempt(self, call: Call, decode: Any = orjson.loads, _depart: Any = None) -> Attempt:
            answer = await super().attempt(call, decode)
            refused = Answered(Reply(404, {}, (Problem("resource_not_found", "said"),)))
            return refused if call.path == "/invitations" else answer

    assert opened(tmp_path, Refusing(), instance, options(invites=("/invitations",))) == "ins_1"


def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path, Clerk(), instance)
    folder = ledger_folder(StateFolder(tmp_path), CREDENTIALS, "ins_1")
    with sqlite3.connect(folder / "quotas.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(UsageError) as caught:
        opened(tmp_path, Clerk(), instance)
    assert caught.value.code == "ledger_version"
    assert "newer version" in caught.value.message


def test_a_ledger_that_cannot_be_used_stops_before_anything_is_sent(tmp_path: Path) -> None:
    opened(tmp_path, Clerk(), instance)
    folder = ledger_folder(StateFolder(tmp_path), CREDENTIALS, "ins_1")
    (folder / "windows.db").unlink()
    (folder / "windows.db").mkdir()
    clerk = Clerk()
    with pytest.raises(StoppedError) as caught:
        opened(tmp_path, clerk, instance)
    assert caught.value.code == "ledger"
    assert clerk.asked == []


def test_a_folder_that_does_not_say_whose_it_is(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None
