"""Rows 14, 21 and 63 of the fault matrix: TLS, proxies and addresses, and where the key goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clerk_testing.certificates import Authority
from clerk_testing.commands import Workplace
from clerk_testing.hostile import HostileClerk, answer, hostile_clerk, serving

KEY = "sk_test_hostile"
NAME = "clerk.invalid"
"""A host that the name service does not know: a connection to it can only go through the proxy."""


@contextmanager
def proxy(to_port: int, status: str = "200 Tunnel") -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that tunnels every CONNECT to one port, and notes all that it could read of it."""
    heard: list[bytes] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            heard.append(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        if status.startswith("200"):
            there, back = await asyncio.open_connection("127.0.0.1", to_port)
            await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    with serving(handle) as port:
        yield port, heard


def behind(folder: Path, clerk: HostileClerk, authority: Authority, **variables: str) -> Workplace:
    """A workplace whose Clerk is ``https://clerk.invalid``, which only a proxy finds."""
    clear = {"NO_PROXY": "", "no_proxy": "", "https_proxy": "", "HTTPS_PROXY": "", "ALL_PROXY": "", "all_proxy": ""}
    clear = {name: text for name, text in clear.items() if name not in variables and name.upper() not in variables}
    given = {**clerk.environment, **authority.variables, "CLERK_API_URL": f"https://{NAME}", "CLERK_BATCH_SPEED": ""}
    return Workplace(folder, {**given, **clear, **variables})


@pytest.mark.parametrize("kind", ["self-signed", "expired", "of another name"])
def test_row_14_a_certificate_that_is_not_good_ends_it_at_once(tmp_path: Path, kind: str) -> None:
    """Exit 3, after one try, and nothing was sent: neither the key nor anything else in the clear."""
    authority = Authority(tmp_path)
    tls = authority.server("other.invalid" if kind == "of another name" else "127.0.0.1", expired=kind == "expired")
    trusted = {} if kind == "self-signed" else authority.variables
    with hostile_clerk(tls=tls) as clerk:
        ended = Workplace(tmp_path, {**clerk.environment, **trusted}).run("api", "GET", "/users")
        assert (ended.code, ended.out, clerk.arrived) == (3, "", [])
    assert "the TLS connection cannot be trusted" in ended.err
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") == 2


def test_row_14_a_certificate_that_is_good_is_believed(tmp_path: Path) -> None:
    """What the tests of bad ones stand on: the same authority, and nothing wrong."""
    authority = Authority(tmp_path)
    with hostile_clerk({"GET /v1/users": [answer([])]}, tls=authority.server()) as clerk:
        ended = Workplace(tmp_path, {**clerk.environment, **authority.variables}).run("api", "GET", "/users")
    assert (ended.code, ended.out) == (0, "[]\n"), ended.err


def test_row_14_a_job_stops_at_a_bad_certificate_and_can_be_resumed(tmp_path: Path) -> None:
    with hostile_clerk(tls=Authority(tmp_path).server()) as clerk:
        place = Workplace(tmp_path, clerk.environment)
        place.write("job.yaml", "name: all\nkind: export\nlist: users\noutput: users.jsonl\n")
        ended = place.run("run", "job.yaml", "--json")
    assert (ended.code, ended.json["error"]["code"], clerk.arrived) == (3, "tls", [])


def test_a_proxy_gets_a_tunnel_and_neither_the_key_nor_what_is_said(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with (
        hostile_clerk({"GET /v1/users": [answer([])]}, tls=authority.server(NAME)) as clerk,
        proxy(clerk.port) as (port, heard),
    ):
        # A netrc would put its password in the key's place, if it were read.
        (tmp_path / ".netrc").write_text(f"machine {NAME} login somebody password of-netrc\n")
        (tmp_path / ".netrc").chmod(0o600)
        place = behind(tmp_path, clerk, authority, HTTPS_PROXY=f"http://user:of-proxy@127.0.0.1:{port}")
        ended = place.run("api", "GET", "/users")
        assert (ended.code, ended.out) == (0, "[]\n"), ended.err
    assert heard[0].startswith(f"CONNECT {NAME}:443 HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic" in heard[0]
    assert KEY.encode() not in b"".join(heard)
    assert {one.headers["authorization"] for one in clerk.arrived} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
def test_row_13_a_proxy_that_refuses_has_sent_nothing(tmp_path: Path, status: str) -> None:
    """A create is known not to have happened: nobody has to look."""
    authority = Authority(tmp_path)
    with hostile_clerk(tls=authority.server(NAME)) as clerk, proxy(clerk.port, status) as (port, heard):
        place = behind(tmp_path, clerk, authority, HTTPS_PROXY=f"http://user:of-proxy@127.0.0.1:{port}")
        body = '{"email_address": "ada@example.com"}'
        ended = place.run("api", "POST", "/invitations", "-d", body, "--yes")
        assert (ended.code, clerk.arrived) == (4, []), ended.err
    assert f"the proxy refuses to connect ({status[:3]})" in ended.err
    assert "may have happened" not in ended.err
    assert "of-proxy" not in ended.err
    assert KEY.encode() not in b"".join(heard)


def test_this_machine_is_never_reached_through_a_proxy(meet: Any) -> None:
    with proxy(9) as (port, heard):
        there = f"http://127.0.0.1:{port}"
        place, _ = meet({}, HTTP_PROXY=there, HTTPS_PROXY=there, ALL_PROXY=there, NO_PROXY="", no_proxy="")
        ended = place.run("api", "GET", "/users")
        assert (ended.code, ended.out, heard) == (0, "[]\n", []), ended.err


def test_a_proxy_that_is_none_is_a_fault_of_the_surroundings(meet: Any) -> None:
    place, clerk = meet(
        {}, CLERK_API_URL="https://clerk.invalid", CLERK_BATCH_SPEED="", https_proxy="socks5://a:secret@b"
    )
    ended = place.run("api", "GET", "/users")
    assert (ended.code, clerk.arrived) == (2, [])
    assert "https_proxy is not the address of an http proxy" in ended.err
    assert "secret" not in ended.err
