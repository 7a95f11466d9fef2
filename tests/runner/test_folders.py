"""The state folder: names, permissions, locks, links."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from clerk_runner.errors import Exit, RunHeldError, UsageError
from clerk_runner.folders import RunFacts, RunFolder, StateFolder, write_private
from clerk_runner.logs import open_log


def facts(state: StateFolder, **more: str) -> RunFacts:
    given = {
        "id": state.new_id(),
        "job": "beta",
        "kind": "invite",
        "job_file": "/x/job.yaml",
        "identity": "i",
        "fingerprint": "f",
        "source": "people.csv",
        "instance": "ins_1",
        "instance_kind": "production",
        "host": "127.0.0.1",
        "api_version": "2026-05-12",
        **more,
    }
    return RunFacts(**given, overrides=(("a", "b"),), created_ms=1)  # type: ignore[arg-type]


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "home" / "state")


def modes(folder: Path) -> dict[str, int]:
    return {str(one.relative_to(folder)): stat.S_IMODE(one.lstat().st_mode) for one in folder.rglob("*")}


def test_everything_is_for_this_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        state = StateFolder(tmp_path / "state")
        with state.deciding("beta", "ins_1"):
            run = state.create(facts(state))
        _, log = open_log(run.log_path)
        log.close()
        write_private(run.path / "summary.json", b"{}")
        run.release()
    finally:
        os.umask(before)
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700
    for name, mode in modes(state.root).items():
        assert mode == (0o700 if (state.root / name).is_dir() else 0o600), name


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722])
def test_a_folder_that_others_may_write_into_is_refused(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "state"
    root.mkdir()
    root.chmod(mode)
    with pytest.raises(UsageError, match="can be written to by others"):
        StateFolder(root)


def test_a_link_instead_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "real" / "elsewhere").mkdir()
    (tmp_path / "real" / "runs").symlink_to(tmp_path / "real" / "elsewhere")
    with pytest.raises(UsageError, match="runs is a symbolic link") as error:
        StateFolder(tmp_path / "real")
    assert error.value.hint == "move what it leads to into its place"
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="link is a symbolic link") as error:
        StateFolder(tmp_path / "link")
    assert error.value.hint == f"set CLERK_BATCH_HOME to the folder itself: {tmp_path / 'real'}"


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(UsageError, match="belongs to another user"):
        StateFolder(tmp_path / "state")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be used") as error:
        StateFolder(tmp_path / "file" / "state")
    assert error.value.exit is Exit.USAGE


def test_what_a_run_is_comes_back_as_it_was_written(state: StateFolder) -> None:
    written = facts(state)
    run = state.create(written)
    assert RunFolder(run.path).facts() == written
    assert run.state() == "planned"
    run.release()


@pytest.mark.parametrize("name", ["run.db", "run.lock", "log.jsonl", "run.json", "summary.json"])
def test_a_planted_link_is_not_followed(state: StateFolder, tmp_path: Path, name: str) -> None:
    run = state.create(facts(state))
    run.release()
    target = tmp_path / "target"
    target.write_text("theirs")
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(target)
    if name == "run.lock":
        with pytest.raises(OSError, match="symbolic"):
            run.hold()
    elif name == "log.jsonl":
        with pytest.raises(OSError, match="symbolic"):
            open_log(run.log_path)
    elif name.endswith("json"):
        write_private(run.path / name, b"ours")
        assert (run.path / name).read_text() == "ours"
        assert not (run.path / name).is_symlink()
    assert target.read_text() == "theirs"


def test_half_a_run_is_left_by_nobody(state: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("clerk_runner.folders.write_private", full)
    with pytest.raises(OSError, match="no space left"):
        state.create(facts(state))
    assert list(state.runs.iterdir()) == []


def test_one_process_holds_a_run_and_the_kernel_frees_it(state: StateFolder) -> None:
    run = state.create(facts(state))
    run.release()
    script = (
        "import sys, pathlib; from clerk_runner.folders import RunFolder\n"
        "RunFolder(pathlib.Path(sys.argv[1])).hold(); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert [run.is_held] == [True]
        with pytest.raises(RunHeldError, match=f"pid {other.pid}") as error:
            run.hold()
        assert error.value.exit is Exit.HELD
        other.kill()
        other.wait()
    assert [run.is_held] == [False]
    run.hold()
    assert [run.is_held] == [True]
    run.release()


def test_a_stale_pid_in_the_lock_is_not_believed(state: StateFolder) -> None:
    run = state.create(facts(state))
    run.release()
    (run.path / "run.lock").write_text(str(os.getpid()))
    run.hold()
    run.release()


def test_a_discarded_run_cannot_be_taken_over(state: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    run = state.create(facts(state))
    late = RunFolder(run.path)
    opened = os.open

    def open_then_discard(*arguments: object, **more: object) -> int:
        handle = opened(*arguments, **more)  # type: ignore[arg-type]
        monkeypatch.setattr(os, "open", opened)
        run.discard()
        return handle

    monkeypatch.setattr(os, "open", open_then_discard)
    with pytest.raises(RunHeldError, match="discarded"):
        late.hold()
    assert state.list() == []


def test_runs_are_found_by_a_word(state: StateFolder) -> None:
    for name in ("20260101-000000-aaaa", "20260101-000000-aabb", "20260102-000000-cccc"):
        state.create(facts(state, id=name)).release()
    assert state.find("last").id == "20260102-000000-cccc"
    assert state.find("20260102").id == "20260102-000000-cccc"
    assert state.find("20260101-000000-aaaa").id == "20260101-000000-aaaa"
    with pytest.raises(UsageError, match="2 runs begin"):
        state.find("20260101")
    with pytest.raises(UsageError, match="no run"):
        state.find("2027")


def test_of_two_runs_of_one_second_the_later_is_the_last_whatever_their_ids(state: StateFolder) -> None:
    first, later = facts(state), facts(state)
    ids = [f"{first.id[:15]}-{word}" for word in ("ffff", "0000")]
    for one, run_id, place in ((first, ids[0], 1), (later, ids[1], 2)):
        state.create(msgspec.structs.replace(one, id=run_id, created_ms=first.created_ms + place)).release()
    assert [run.id for run in state.list()] == ids
    assert state.find("last").id == ids[1]


def test_a_folder_that_is_no_run_is_named(state: StateFolder) -> None:
    run = state.create(facts(state))
    run.release()
    (run.path / "run.json").write_text('{"id": ')
    with pytest.raises(UsageError, match=r"run\.json cannot be read"):
        run.facts()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.json"
    write_private(path, b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        write_private(path, b"after")
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["summary.json"]
