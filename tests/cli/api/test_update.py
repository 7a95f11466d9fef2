"""`api update` and `api versions` against a server on this machine; a job never sees what was fetched."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from clerk_jobs.catalog import load
from clerk_runner.errors import StoppedError, UsageError
from clerk_runner.explore import update as update_module
from clerk_runner.explore.library import Library

Api = Callable[..., Result]


def document(version: str, path: str = "/roads") -> bytes:
    """A small document with descriptions, one of which is hostile."""
    operation = {
        "operationId": "ListRoads",
        "tags": ["Roads"],
        "description": "All roads.\x1b[31m\nThey lead to Rome.",
        "parameters": [
            {"name": "limit", "in": "query", "schema": {"type": "integer"}, "description": "How many. Or fewer."}
        ],
        "requestBody": {
            "content": {
                "application/json": {
                    "schema": {
                        "allOf": [
                            {
                                "type": "object",
                                "properties": {
                                    "stones": {
                                        "type": "array",
                                        "description": "The stones.",
                                        "items": {"type": "object", "properties": {"size": {"description": "In cm."}}},
                                    }
                                },
                            }
                        ]
                    }
                }
            }
        },
        "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": {}}}}}},
    }
    return yaml.safe_dump({"info": {"version": version}, "paths": {path: {"post": operation}}}).encode()


class Shelf(ThreadingHTTPServer):
    """Serves files from a dictionary, with ETags; remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes | int] = {}
        self.asked: list[tuple[str, int]] = []
        self.headers: list[dict[str, str]] = []
        self.mute = threading.Event()
        """While it is clear, nobody is answered."""
        self.mute.set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/specs"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        shelf = self.server
        assert isinstance(shelf, Shelf)
        shelf.mute.wait(60)
        content = shelf.files.get(self.path.removeprefix("/specs/"), 404)
        shelf.headers.append({name.lower(): value for name, value in self.headers.items()})
        status, body, etag = 200, b"", ""
        if isinstance(content, int):
            status = content
        else:
            etag = f'"{hash(content)}"'
            status, body = (304, b"") if self.headers["If-None-Match"] == etag else (200, content)
        shelf.asked.append((self.path, status))
        self.send_response(status)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        """Say nothing."""


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fetched(shelf: Shelf, run_api: Api) -> Api:
    """`api` after one update to a version that the package does not have."""
    shelf.files = {"index.json": b'["2030-01-01.yml", "README.md"]', "2030-01-01.yml": document("2030-01-01")}
    result = run_api("update", "--source", shelf.address)
    assert result.exception is None, result.exception
    return run_api


def stopped(result: Result) -> StoppedError:
    assert isinstance(result.exception, StoppedError), result
    return result.exception


def test_versions_of_the_package(run_api: Api) -> None:
    lines = run_api("versions").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(load().versions)
    assert lines[-1].split() == ["2026-05-12", "249", "package", "newest"]


def test_a_fetched_version_is_the_newest_for_api_alone(fetched: Api) -> None:
    made = json.loads(fetched("versions", "--json").stdout)
    assert made[-1] == {"version": "2030-01-01", "source": "cache", "operations": 1, "newest": True}
    assert [one["newest"] for one in made] == [False] * 6 + [True]
    assert "ListRoads" in fetched("list").stdout
    assert load().version == "2026-05-12"
    assert "last update: " in fetched("versions").stderr


def test_descriptions_of_the_cache_enrich_what_is_shown(fetched: Api) -> None:
    text = fetched("show", "ListRoads").stdout
    assert "Description\n  All roads.[31m\n  They lead to Rome.\n" in text
    assert "How many." in text
    assert "The stones." in text
    assert "In cm." in text
    assert json.loads(fetched("show", "ListRoads", "--json").stdout)["description"].startswith("All roads.")
    assert "Description" not in fetched("show", "GetUser", "--version", "2026-05-12").stdout


def test_what_has_not_changed_is_not_sent_again(fetched: Api, shelf: Shelf) -> None:
    shelf.asked.clear()
    assert fetched("update", "--source", shelf.address).stdout.split() == ["2030-01-01", "unchanged"]
    assert shelf.asked == [("/specs/index.json", 200), ("/specs/2030-01-01.yml", 304)]


def test_new_and_changed_documents_are_told(fetched: Api, shelf: Shelf) -> None:
    shelf.files |= {
        "index.json": b'[{"name": "2030-01-01.yml"}, {"name": "2031-02-02.yml"}, {"name": "2032-01-01.yml"}]',
        "2030-01-01.yml": document("2030-01-01", "/streets"),
        "2031-02-02.yml": document("2031-02-02"),
    }
    made = json.loads(fetched("update", "--source", shelf.address, "--json").stdout)
    assert made["versions"] == {"2030-01-01": "changed", "2031-02-02": "new", "2032-01-01": "missing"}
    assert "/streets" in fetched("list", "--version", "2030-01-01").stdout


def test_no_key_is_sent(fetched: Api, shelf: Shelf) -> None:
    assert shelf.headers
    assert not any("authorization" in headers for headers in shelf.headers)


def test_the_cache_is_private(fetched: Api, home: Path) -> None:
    files = list((home / "catalog").iterdir())
    assert {path.name for path in files} == {"facts.bin", "index.json", "2030-01-01.yml", "prose-2030-01-01.bin"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_without_a_list_the_known_versions_are_fetched(run_api: Api, shelf: Shelf) -> None:
    shelf.files = {"2026-05-12.yml": document("2026-05-12")}
    result = run_api("update", "--source", shelf.address)
    assert "answered 404, so only known versions were looked for" in result.stderr
    assert "2026-05-12  new" in result.stdout
    assert "2021-02-05  missing" in result.stdout
    assert json.loads(run_api("versions", "--json").stdout)[-1]["source"] == "package, cache"


@pytest.mark.parametrize("listing", [b"no json", b"{}", b"[1]", b'[{"no": "name"}]', b"[]"])
def test_a_strange_list_does_no_harm(run_api: Api, shelf: Shelf, listing: bytes) -> None:
    shelf.files = {"index.json": listing}
    result = run_api("update", "--source", shelf.address)
    assert result.exception is None
    assert "so only known versions were looked for" in result.stderr


@pytest.mark.parametrize("content", [b"a: [", b"- a", document("1999-01-01"), b"\xff\xfe"])
def test_what_is_no_document_changes_nothing(fetched: Api, shelf: Shelf, home: Path, content: bytes) -> None:
    before = {path: path.read_bytes() for path in (home / "catalog").iterdir()}
    shelf.files |= {"2031-01-01.yml": content, "index.json": b'["2030-01-01.yml", "2031-01-01.yml"]'}
    assert "nothing was changed" in str(stopped(fetched("update", "--source", shelf.address)))
    assert {path: path.read_bytes() for path in (home / "catalog").iterdir()} == before


def test_a_refusal_changes_nothing(fetched: Api, shelf: Shelf) -> None:
    shelf.files["2030-01-01.yml"] = 500
    assert "answered 500 for version 2030-01-01; nothing was changed" in str(
        stopped(fetched("update", "--source", shelf.address))
    )


def test_a_document_has_a_largest_size(run_api: Api, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update_module, "MAX_DOCUMENT", 10)
    shelf.files |= {"index.json": b"[]", "2026-05-12.yml": document("2026-05-12")}
    assert stopped(run_api("update", "--source", shelf.address)).code == "document_too_large"


def test_a_source_that_says_nothing_is_given_up(run_api: Api, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update_module, "TOTAL_S", 0.2)
    shelf.mute.clear()
    try:
        assert stopped(run_api("update", "--source", shelf.address)).code == "unreachable"
    finally:
        shelf.mute.set()


def test_a_source_that_is_away_is_named_and_everything_works_on(run_api: Api, shelf: Shelf) -> None:
    address = shelf.address
    shelf.shutdown()
    shelf.server_close()
    assert "cannot be reached" in str(stopped(run_api("update", "--source", address)))
    assert run_api("tags").exit_code == 0


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/x",
        "ftp://example.com",
        "nonsense",
        "https://a:b@example.com",
        "https://x/?y=1",
        "https://[::1",
    ],
)
def test_a_source_is_secure_or_on_this_machine(run_api: Api, address: str) -> None:
    caught = run_api("update", "--source", address).exception
    assert isinstance(caught, UsageError)
    assert caught.code == "source_malformed"


def test_the_source_can_be_set_in_the_environment(run_api: Api, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLERK_BATCH_SPEC_SOURCE", shelf.address + "/")
    shelf.files = {"index.json": b'["2030-01-01.yml"]', "2030-01-01.yml": document("2030-01-01")}
    assert run_api("update").stdout.split() == ["2030-01-01", "new"]


def test_a_damaged_cache_is_left_aside_with_a_note(fetched: Api, home: Path) -> None:
    (home / "catalog" / "facts.bin").write_bytes(b"nonsense")
    (home / "catalog" / "index.json").write_bytes(b"nonsense")
    (home / "catalog" / "prose-2030-01-01.bin").write_bytes(b"nonsense")
    result = fetched("versions")
    assert "2030-01-01" not in result.stdout
    assert "is damaged: install clerk-batch again; run clerk-batch api update" in result.stderr
    library = Library(home)
    assert library.index() == {}
    assert library.prose("2030-01-01") == {}


def test_facts_that_are_damaged_are_made_anew_though_no_document_changed(
    fetched: Api, shelf: Shelf, home: Path
) -> None:
    (home / "catalog" / "facts.bin").write_bytes(b"nonsense")
    result = fetched("update", "--source", shelf.address)
    assert (result.exception, result.stdout.split()) == (None, ["2030-01-01", "unchanged"])
    assert "2030-01-01" in fetched("versions").stdout


def test_the_default_source_is_clerks_public_repository() -> None:
    source = update_module.DEFAULT_SOURCE
    assert source.documents == "https://raw.githubusercontent.com/clerk/openapi-specs/main/bapi"
    assert os.path.basename(source.listing) == "bapi"  # noqa: PTH119 (an address)
