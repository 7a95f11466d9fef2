"""The doctor finds what is amiss, says how to mend it, and ends with the exit code that goes with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clerk_runner.doctor import _clock, examine
from clerk_testing.commands import Workplace
from clerk_testing.simulated import SimulatedClerk, simulated_clerk

KEY = "sk_test_doctor"
ALL = ["python", "terminal", "state folder", "ledger", "key", "scopes", "clerk", "instance", "clock"]


@pytest.fixture(scope="module")
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk(f"--key={KEY}") as running:
        yield running


@pytest.fixture
def variables(tmp_path: Path, clerk: SimulatedClerk) -> dict[str, str]:
    home = str(tmp_path / "state")
    return {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_HOME": home, "HOME": str(tmp_path)}


def found(variables: dict[str, str], place: Path, *, offline: bool = False) -> dict[str, Any]:
    checks = asyncio.run(examine(variables, place, "2026-05-12", offline=offline))
    assert all(bool(one.mend) >= (one.verdict == "bad") for one in checks), "what is bad can be mended"
    assert all(KEY not in one.told + one.mend for one in checks)
    return {one.name: one for one in checks}


def test_a_machine_in_order(variables: dict[str, str], tmp_path: Path) -> None:
    checks = found(variables, tmp_path)
    assert list(checks) == ALL
    assert {one.verdict for one in checks.values()} <= {"good", "note"}
    assert "is known" in checks["clerk"].told
    assert checks["clock"].verdict == "good"


def test_the_command_prints_it_for_people_and_for_scripts(tmp_path: Path, clerk: SimulatedClerk) -> None:
    place = Workplace(tmp_path, {**clerk.environment, "CLERK_BAPI_SCOPES": "write"})
    told = place.run("doctor")
    assert (told.code, told.err) == (0, "")
    assert told.out.endswith("everything is in order\n")
    wrong = Workplace(tmp_path, {**place.variables, "CLERK_SECRET_KEY": "sk_test_wrong"}).run("doctor", "--json")
    assert wrong.code == wrong.json["exit"] == 3
    assert [one["verdict"] for one in wrong.json["checks"]][-1] == "bad"
    assert "CLERK_SECRET_KEY" in wrong.json["checks"][-1]["mend"]


def test_without_a_key_the_rest_is_left_out(variables: dict[str, str], tmp_path: Path) -> None:
    del variables["CLERK_SECRET_KEY"]
    (tmp_path / ".git").mkdir()
    checks = found(variables, tmp_path)
    assert (checks["key"].verdict, checks["key"].exit) == ("bad", 3)
    assert "export CLERK_SECRET_KEY" in checks["key"].mend
    assert checks["clerk"].verdict == checks["scopes"].verdict == "left out"


def test_a_version_that_clerk_does_not_know(variables: dict[str, str], tmp_path: Path) -> None:
    checks = {one.name: one for one in asyncio.run(examine(variables, tmp_path, "2019-01-01", offline=False))}
    assert (checks["clerk"].verdict, checks["clerk"].exit) == ("bad", 2)
    assert "2019-01-01" in checks["clerk"].told


def test_what_is_worth_knowing_is_no_fault(variables: dict[str, str], tmp_path: Path) -> None:
    scopes = {"": "--admin", "read": "write and delete", "delete,write": ""}
    for text, mend in scopes.items():
        check = found({**variables, "CLERK_BAPI_SCOPES": text}, tmp_path, offline=True)["scopes"]
        assert check.verdict == ("note" if mend else "good")
        assert mend in check.mend
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"CLERK_SECRET_KEY={KEY}\n", encoding="utf-8")
    dotenv.chmod(0o644)
    del variables["CLERK_SECRET_KEY"]
    check = found(variables, tmp_path, offline=True)["key"]
    assert (check.verdict, check.mend) == ("note", f"chmod 600 {dotenv}")


def test_a_state_folder_that_others_can_write_to(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    checks = found(variables, tmp_path)
    assert (checks["state folder"].verdict, checks["state folder"].exit) == ("bad", 2)
    assert "chmod 700" in checks["state folder"].mend
    assert checks["ledger"].verdict == checks["clerk"].verdict == "left out"


def test_a_state_folder_on_a_file_system_that_is_mounted_read_only(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "state"
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == root and mode & os.W_OK))
    checks = found(variables, tmp_path)
    assert (checks["state folder"].verdict, checks["state folder"].exit) == ("bad", 2)
    assert checks["state folder"].told == f"{root} cannot be written to"
    assert checks["ledger"].verdict == checks["clerk"].verdict == "left out"


def test_a_ledger_that_cannot_be_read(variables: dict[str, str], tmp_path: Path) -> None:
    found(variables, tmp_path)
    (path,) = (tmp_path / "state" / "ledger").glob("*/quotas.db")
    path.write_bytes(b"no database, whatever its name says" * 100)
    check = found(variables, tmp_path, offline=True)["ledger"]
    assert (check.verdict, check.exit) == ("bad", 4)
    assert str(path) in check.mend


def test_offline_asks_nobody(variables: dict[str, str], tmp_path: Path) -> None:
    nowhere = {**variables, "CLERK_API_URL": "http://127.0.0.1:9"}
    assert found(nowhere, tmp_path, offline=True)["clerk"].verdict == "left out"


@pytest.mark.parametrize(
    ("offset_s", "verdict", "told"),
    [(0.4, "good", "within 1 s"), (-30.0, "note", "30 s ahead of"), (600.0, "bad", "10 min behind")],
)
def test_a_clock_that_is_wrong(offset_s: float, verdict: str, told: str) -> None:
    check = _clock(offset_s)
    assert (check.verdict, told in check.told) == (verdict, True)
    assert bool(check.mend) == (verdict != "good")
