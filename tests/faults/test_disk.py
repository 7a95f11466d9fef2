"""Rows 37 and 38 of the fault matrix: a disk that is full, read-only, or whose files are taken away midway."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from clerk_runner.schema import damaged
from clerk_testing.commands import Ended, Workplace, write_people
from clerk_testing.simulated import SimulatedClerk, simulated_clerk
from clerk_testing.struck import check_files, check_results, let_go, paused, run_struck

SPEED = "60"
PEOPLE = 40
INVITE = 'name: x\nkind: invite\nsource: people.csv\nemail: "{email}"\n'
EXPORT = "name: everybody\nkind: export\nlist: users\noutput: out/users.jsonl\npage_size: 50\nlimits: {share: 1.0}\n"
RUN = ("run", "job.yaml", "--yes", "--json")
ROOT = os.geteuid() == 0
# File modes mean nothing to root; without these two capabilities they do.
OBEDIENT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if ROOT else ()

obeys_modes = pytest.mark.skipif(
    ROOT and shutil.which("setpriv") is None, reason="root writes where modes forbid it, and setpriv is not there"
)


@pytest.fixture
def clerk() -> Iterator[SimulatedClerk]:
    with simulated_clerk(
        "--key=sk_live_x", f"--speed={SPEED}", "--users=600", "--latency=20ms", "--duplicate-lag=600s"
    ) as started:
        yield started


@pytest.fixture
def place(tmp_path: Path, clerk: SimulatedClerk) -> Workplace:
    given = {**clerk.environment, "CLERK_BAPI_SCOPES": "write", "CLERK_BATCH_SPEED": SPEED}
    workplace = Workplace(tmp_path / "place", given, (*OBEDIENT, sys.executable, "-m", "clerk_runner"))
    workplace.write("job.yaml", INVITE)
    write_people(workplace.folder / "people.csv", (f"person{number}@example.com" for number in range(PEOPLE)))
    return workplace


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir()
    mount = shutil.which("mount")
    if not ROOT or mount is None:
        pytest.skip("only root can mount a small file system")
    done = subprocess.run(
        [mount, "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def told(ended: Ended, exit_code: int, code: str) -> str:
    """The message of a refusal, which has a hint and no trace."""
    assert "Traceback" not in ended.err
    error = ended.json["error"]
    assert (ended.code, error["code"]) == (exit_code, code), (ended.out, ended.err)
    assert error["hint"]
    return f"{error['message']}; {error['hint']}"


def sent(clerk: SimulatedClerk) -> int:
    return sum(len(times) for times in clerk.effects("CreateInvitation").values())


def goes_on(workplace: Workplace, clerk: SimulatedClerk) -> None:
    """The run to its end: everybody once."""
    ended = workplace.run(*RUN)
    assert ended.code == 0, (ended.out, ended.err)
    assert check_results(ended, PEOPLE)["done"] == PEOPLE
    effects = {address: len(times) for address, times in clerk.effects("CreateInvitation").items()}
    assert effects == {f"person{number}@example.com": 1 for number in range(PEOPLE)}
    check_files(Path(workplace.environment["CLERK_BATCH_HOME"]))


def test_row_37_a_full_disk_stops_before_the_next_intent(
    tmp_path: Path, place: Workplace, clerk: SimulatedClerk
) -> None:
    """Filled by somebody else when the run is about to send; it goes on where there is room again."""
    with mounted(tmp_path / "small", "-o", "size=1m,mode=0700") as small:
        full = Workplace(place.folder, {**place.variables, "CLERK_BATCH_HOME": str(small / "state")}, place.program)
        with paused(full, "before-intent", *RUN, hit=2) as process:
            filler = fill(small)
            before = sent(clerk)
            assert "disk space" in told(let_go(process), 4, "disk")
        # What was under way when the disk filled up may have landed: one call of either lane.
        assert sent(clerk) <= before + 11
        filler.unlink()
        goes_on(full, clerk)


def fill(folder: Path) -> Path:
    """Take all the room that a file system has left."""
    filler = folder / "filler"
    handle = os.open(filler, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        with suppress(OSError):
            while True:
                os.write(handle, bytes(4096))
    finally:
        os.close(handle)
    return filler


@obeys_modes
def test_row_38_a_state_folder_that_is_read_only_is_told_before_anything_is_asked(
    place: Workplace, clerk: SimulatedClerk
) -> None:
    place.state.mkdir(mode=0o500)
    assert "CLERK_BATCH_HOME" in told(place.run(*RUN), 2, "state_folder")
    assert clerk.report()["requests_total"] == 0
    place.state.chmod(0o700)
    goes_on(place, clerk)


def test_row_38_a_read_only_file_system_is_told_before_anything_is_asked(
    tmp_path: Path, place: Workplace, clerk: SimulatedClerk
) -> None:
    with mounted(tmp_path / "fixed", "-o", "ro") as fixed:
        other = Workplace(place.folder, {**place.variables, "CLERK_BATCH_HOME": str(fixed / "state")}, place.program)
        assert "Read-only file system" in told(other.run(*RUN), 2, "state_folder")
        place.write("job.yaml", EXPORT.replace("out/users", "fixed/users"))
        (place.folder / "fixed").symlink_to(fixed)
        told(place.run(*RUN, "--allow-outside"), 2, "output")
    assert clerk.report()["requests_total"] == 0


@obeys_modes
def test_row_38_permission_that_is_lost_between_two_starts(place: Workplace, clerk: SimulatedClerk) -> None:
    assert run_struck(place, "after-finish", *RUN, signals="TERM", hit=2).code == 143
    before = sent(clerk)
    for taken in ("run.db", "run.json", "run.lock", "."):
        path = place.only_run() / taken
        mode = path.stat().st_mode
        path.chmod(0o000)
        ended = place.run(*RUN)
        path.chmod(mode)
        assert ended.code in (2, 4), ended.out
        assert path.name in told(ended, ended.code, ended.json["error"]["code"])
    assert sent(clerk) == before
    goes_on(place, clerk)


@obeys_modes
def test_row_38_permission_that_is_lost_while_a_run_works(place: Workplace, clerk: SimulatedClerk) -> None:
    """What is open stays writable; the reports at the end are new files, and cannot be made."""
    with paused(place, "before-reports", *RUN) as process:
        run = place.only_run()
        run.chmod(0o500)
        ended = let_go(process)
    told(ended, 4, "disk")
    run.chmod(0o700)
    goes_on(place, clerk)


def test_row_38_a_run_folder_that_vanishes_while_its_run_works(place: Workplace, clerk: SimulatedClerk) -> None:
    with paused(place, "before-intent", *RUN, hit=2) as process:
        shutil.rmtree(place.only_run())
        ended = let_go(process)
    told(ended, 4, "disk")
    # Begun anew, everybody is looked up first.
    ended = place.run(*RUN)
    assert ended.code == 0, ended.err
    effects = {address: len(times) for address, times in clerk.effects("CreateInvitation").items()}
    assert effects == {f"person{number}@example.com": 1 for number in range(PEOPLE)}


def test_row_38_an_output_folder_that_vanishes_while_an_export_works(place: Workplace, clerk: SimulatedClerk) -> None:
    place.write("job.yaml", EXPORT)
    with paused(place, "before-output", *RUN) as process:
        shutil.rmtree(place.folder / "out")
        ended = let_go(process)
    assert "out" in told(ended, 4, "disk")
    (place.folder / "out").mkdir()
    asked = clerk.report()["requests"]["GET /users"]
    ended = place.run(*RUN)
    assert ended.code == 0, ended.err
    assert len((place.folder / "out" / "users.jsonl").read_bytes().splitlines()) == 600
    assert clerk.report()["requests"]["GET /users"] == asked


def test_a_journal_on_a_file_system_that_became_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root sees it too, for whom no mode forbids anything."""
    path = tmp_path / "run.db"
    path.touch()
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert "chmod 600" in damaged(path).hint
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
    error = damaged(path)
    assert "mounted read-only" in error.message
    assert "chmod" not in error.hint
    assert error.code == "journal_forbidden"
