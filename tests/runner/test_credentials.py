"""Which key, for which address, with which scopes: precedence, ownership, and that no key shows itself."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any

import pytest

from clerk_limits.documented import InstanceKind
from clerk_runner.credentials import Credentials, discover, is_loopback, parse_speed, state_home
from clerk_runner.errors import AccessError, Exit, UsageError

SECRET = "sk_test_c2VjcmV0LW9mLWEtdGVzdA"
OTHER = "sk_live_b3RoZXItc2VjcmV0LW9mLWEtdGVzdA"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / "work" / "site").mkdir(parents=True)
    return folder


def found(home: Path, cwd: str = "work/site", **environ: str) -> Credentials:
    return discover(environ, home / cwd, home=home)


def test_the_environment_comes_first(home: Path) -> None:
    (home / "work" / "site" / ".env.local").write_text(f"CLERK_SECRET_KEY={OTHER}\n")
    credentials = found(home, CLERK_SECRET_KEY=f" {SECRET}\n")
    assert credentials.key.reveal() == SECRET
    assert credentials.found_in == "the environment"
    assert credentials.api_url == "https://api.clerk.com"
    assert credentials.key.kind is InstanceKind.DEVELOPMENT


@pytest.mark.parametrize(
    "order", [("work/site/.env.local", "work/site/.env"), ("work/site/.env", "work/.env.local"), ("work/.env", ".env")]
)
def test_the_nearest_file_wins_and_the_local_one_of_a_folder(home: Path, order: tuple[str, str]) -> None:
    (home / order[0]).write_text(f"CLERK_SECRET_KEY={SECRET}\n")
    (home / order[1]).write_text(f"CLERK_SECRET_KEY={OTHER}\n")
    credentials = found(home)
    assert credentials.key.reveal() == SECRET
    assert credentials.found_in == str(home / order[0])


def test_files_above_the_home_are_not_read(home: Path) -> None:
    (home.parent / ".env").write_text(f"CLERK_SECRET_KEY={SECRET}\n")
    with pytest.raises(AccessError) as caught:
        found(home)
    assert (caught.value.code, caught.value.exit) == ("key_missing", Exit.ACCESS)


def test_files_above_the_repository_are_not_read(home: Path) -> None:
    (home / "work" / ".git").mkdir()
    (home / ".env").write_text(f"CLERK_SECRET_KEY={SECRET}\n")
    with pytest.raises(AccessError):
        found(home)
    (home / "work" / ".env").write_text(f"CLERK_SECRET_KEY={SECRET}\n")
    assert found(home).found_in == str(home / "work" / ".env")


def test_an_empty_variable_is_no_key(home: Path) -> None:
    (home / ".env").write_text(f"CLERK_SECRET_KEY={SECRET}\n")
    assert found(home, CLERK_SECRET_KEY=" ").key.reveal() == SECRET


@pytest.mark.parametrize(
    "line",
    [
        "CLERK_SECRET_KEY={}",
        "export CLERK_SECRET_KEY={}",
        "  CLERK_SECRET_KEY = {}  ",
        'CLERK_SECRET_KEY="{}" # the key',
        "CLERK_SECRET_KEY='{}'",
        "CLERK_SECRET_KEY={} # the key",
        "\ufeffCLERK_SECRET_KEY={}\r",
    ],
)
def test_lines_of_a_file(home: Path, line: str) -> None:
    (home / ".env").write_text(f"{line.format(SECRET)}\nOTHER=1\n# CLERK_SECRET_KEY={OTHER}\n", encoding="utf-8")
    assert found(home).key.reveal() == SECRET


def test_a_file_is_text_and_never_a_command(home: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    (home / ".env").write_text(f"touch {trap}\nX=$(touch {trap})\nCLERK_SECRET_KEY=$(touch {trap}){SECRET}\n")
    with pytest.raises(AccessError) as caught:
        found(home)
    assert caught.value.code == "key_malformed"
    assert not trap.exists()


def test_somebody_elses_file_is_not_read_and_said_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "work" / ".env"
    path.write_text(f"CLERK_SECRET_KEY={SECRET}\n")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(AccessError, match="not yours") as caught:
        found(home)
    assert str(path) in caught.value.message
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("kind", ["pipe", "folder", "binary", "unreadable"])
def test_a_file_that_is_none_does_not_stop_the_search(home: Path, kind: str) -> None:
    path = home / "work" / ".env"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(b"\xff\xfe\0\n")
    else:
        path.symlink_to(path)
    (home / ".env").write_text(f"CLERK_SECRET_KEY={SECRET}\n")
    assert found(home).key.reveal() == SECRET


def test_a_missing_key_says_where_it_was_looked_for(home: Path) -> None:
    with pytest.raises(AccessError) as caught:
        found(home)
    assert caught.value.message == (
        f"no secret key: CLERK_SECRET_KEY is not set, and no .env or .env.local from {home / 'work' / 'site'} "
        f"up to {home} has it"
    )
    assert "export CLERK_SECRET_KEY=" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["pk_test_abc", "sk_prod_abc", "sk_test_", "nonsense", f"{SECRET} x", f"Bearer {SECRET}"]
)
def test_a_malformed_key_is_named_by_its_place_and_not_shown(home: Path, text: str) -> None:
    (home / ".env").write_text(f"CLERK_SECRET_KEY={text}\n")
    with pytest.raises(AccessError) as caught:
        found(home)
    assert (caught.value.code, caught.value.exit) == ("key_malformed", Exit.ACCESS)
    assert str(home / ".env") in caught.value.message
    assert text not in f"{caught.value.message} {caught.value.hint}" or text == "sk_test_"


def test_an_address_belongs_to_whoever_gave_the_key(home: Path) -> None:
    (home / "work" / ".env").write_text("CLERK_API_URL=https://thief.example\nCLERK_BAPI_SCOPES=write delete\n")
    (home / ".env").write_text(f"CLERK_SECRET_KEY={SECRET}\nCLERK_API_URL=https://clerk.example\n")
    assert found(home).api_url == "https://clerk.example"
    assert found(home, CLERK_SECRET_KEY=SECRET).api_url == "https://api.clerk.com"
    assert found(home, CLERK_SECRET_KEY=SECRET).scopes == frozenset()


def test_an_address_of_the_environment_wins_by_either_name(home: Path) -> None:
    (home / ".env").write_text(f"CLERK_SECRET_KEY={SECRET}\nCLERK_API_URL=https://file.example\n")
    assert found(home, CLERK_API_URL="https://one.example").api_url == "https://one.example"
    assert found(home, CLERK_REST_API_URL="https://two.example").api_url == "https://two.example"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.clerk.com/v1", "https://api.clerk.com"),
        ("https://api.clerk.com/v1/", "https://api.clerk.com"),
        (" https://api.clerk.com/ ", "https://api.clerk.com"),
        ("https://api.clerk.test:8443", "https://api.clerk.test:8443"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_addresses(home: Path, text: str, url: str) -> None:
    assert found(home, CLERK_SECRET_KEY=SECRET, CLERK_API_URL=text).api_url == url


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("http://api.clerk.com", "url_insecure"),
        ("http://127.0.0.1.thief.example", "url_insecure"),
        ("http://0.0.0.0:80", "url_insecure"),
        ("", "url_malformed"),
        ("  ", "url_malformed"),
        ("ftp://127.0.0.1", "url_malformed"),
        ("api.clerk.com", "url_malformed"),
        ("https://", "url_malformed"),
        ("https://user@api.clerk.com", "url_malformed"),
        ("https://@api.clerk.com", "url_malformed"),
        ("https://api.clerk.com@thief.example", "url_malformed"),
        ("https://thief.example\\.api.clerk.com", "url_malformed"),
        ("https://api.clerk.com/v2", "url_malformed"),
        ("https://api.clerk.com/v1?x=1", "url_malformed"),
        ("https://api.clerk.com#x", "url_malformed"),
        ("https://api.clerk.com:port", "url_malformed"),
        ("https://api.clerk.com:99999", "url_malformed"),
        ("https://[::1", "url_malformed"),
        ("https://api clerk.com", "url_malformed"),
        ("https://cl\u00e9rk.com", "url_malformed"),
    ],
)
def test_addresses_that_will_not_do(home: Path, text: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(home, CLERK_SECRET_KEY=SECRET, CLERK_API_URL=text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("write", {"write"}),
        ("write,delete", {"write", "delete"}),
        (" write , delete\tread ", {"write", "delete", "read"}),
        ("writer,rewrite", {"writer", "rewrite"}),
        ("", set()),
        (" , ", set()),
    ],
)
def test_scopes_are_exact_words(home: Path, text: str, scopes: set[str]) -> None:
    assert found(home, CLERK_SECRET_KEY=SECRET, CLERK_BAPI_SCOPES=text).scopes == scopes


def test_scopes_of_the_environment_win_even_when_empty(home: Path) -> None:
    (home / ".env").write_text(f"CLERK_SECRET_KEY={SECRET}\nCLERK_BAPI_SCOPES=write\n")
    assert found(home).scopes == {"write"}
    assert found(home, CLERK_BAPI_SCOPES="").scopes == frozenset()


def test_a_rehearsal_needs_this_machine(home: Path) -> None:
    local = {"CLERK_SECRET_KEY": SECRET, "CLERK_API_URL": "http://127.0.0.1:1", "CLERK_BATCH_SPEED": "60"}
    assert found(home, **local).speed == 60.0
    with pytest.raises(UsageError) as caught:
        found(home, CLERK_SECRET_KEY=SECRET, CLERK_BATCH_SPEED="2")
    assert caught.value.code == "speed_refused"
    assert found(home, CLERK_SECRET_KEY=SECRET, CLERK_BATCH_SPEED="1").speed == 1.0


@pytest.mark.parametrize("text", ["fast", "0", "-1", "nan", "inf", "1e9"])
def test_speeds_that_are_none(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_speed(text, "http://127.0.0.1:1")
    assert caught.value.code == "speed_malformed"


@pytest.mark.parametrize("host", [None, "", "localhost.thief.example", "127.0.0.1.nip.example", "10.0.0.1"])
def test_hosts_that_are_not_this_machine(host: str | None) -> None:
    assert not is_loopback(host)


def test_the_state_folder(home: Path) -> None:
    assert state_home({"CLERK_BATCH_HOME": str(home)}) == home
    assert state_home({"XDG_STATE_HOME": str(home)}) == home / "clerk-batch"
    assert state_home({"XDG_STATE_HOME": "relative"}, home=home) == home / ".local" / "state" / "clerk-batch"


def test_a_key_shows_itself_nowhere(home: Path) -> None:
    credentials = found(home, CLERK_SECRET_KEY=SECRET)
    key = credentials.key

    def told(thing: Any) -> str:
        return f"{thing} {thing!r} {thing:}"

    def fails() -> None:
        raise LookupError(credentials)

    with pytest.raises(LookupError) as caught:
        fails()
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    shown = f"{told(key)} {told(credentials)} {key.fingerprint} {''.join(trace)}"
    assert SECRET not in shown
    assert "sk_test_***" in shown
