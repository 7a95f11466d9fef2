"""Rows 13 to 22 of the fault matrix, for reads: what a peer, a gateway or a network does to an answer."""

from __future__ import annotations

import gzip
import socket
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from clerk_testing.commands import Workplace
from clerk_testing.hostile import IMPATIENT, MEASURED, Say, answer, hostile_clerk

USERS = "GET /v1/users"
GOOD = answer([{"id": "user_1", "object": "user"}])
PACKED = gzip.compress(b'[{"id": "user_1"}' + b', {"id": "user_2"}' * 90 + b"]")
OPENING = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

BROKEN = {
    "row 15: reset after the request": Say(b"", "reset"),
    "row 15: closed after the request": Say(b"", "close"),
    "row 16: reset in the body": Say(OPENING + b"Content-Length: 50\r\n\r\n[", "reset"),
    "row 16: closed in the body": Say(OPENING + b"Content-Length: 50\r\n\r\n[", "close"),
    "row 16: closed in a chunk": Say(OPENING + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[{", "close"),
    "row 17: no length, and cut off": Say(OPENING + b"\r\n" + b'[{"id": "user_1"}, {"id"', "close"),
    "row 17: JSON that ends too early": answer(b'[{"id": "user_1"}'),
    "row 18: cut gzip": answer(PACKED[:-30], headers={"Content-Encoding": "gzip"}),
    "row 18: corrupt gzip": answer(PACKED[:30] + b"\xff" * 20 + PACKED[50:], headers={"Content-Encoding": "gzip"}),
    "row 18: no gzip": answer(b"plain", headers={"Content-Encoding": "gzip"}),
    "row 18: packed as nobody asked for": answer(b"x", headers={"Content-Encoding": "br"}),
    "row 20: HTML with 200": answer(b"<html>\x1b[2J</html>", kind="text/html"),
    "row 20: HTML with 502": answer(b"<html>\x1b[2J</html>", "502 Bad Gateway", kind="text/html"),
    "row 20: JSON without its name": answer([], kind="text/plain"),
    "row 20: no HTTP": Say(b"\x16\x03\x01 what\r\n\r\n"),
    "row 20: half an HTTP": Say(b"HTTP/1.1 200"),
    "row 22: two lengths": Say(OPENING + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n[]"),
}


@pytest.mark.parametrize("pair", list(pairwise(BROKEN))[::2], ids="; ".join)
def test_a_read_whose_answer_is_broken_is_asked_again(meet: Any, pair: tuple[str, str]) -> None:
    """Rows 15 to 18, 20 and 22: two answers are broken, the third one is whole, and it is the one that is shown."""
    place, clerk = meet({USERS: [*map(BROKEN.__getitem__, pair), GOOD]})
    ended = place.run("api", "GET", "/users")
    assert (ended.code, ended.json) == (0, [{"id": "user_1", "object": "user"}]), ended.err
    assert clerk.count(USERS) == 3


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("row 15: reset after the request", "the connection broke"),
        ("row 16: closed in the body", "cut off, or wrongly compressed"),
        ("row 18: cut gzip", "incomplete JSON"),
        ("row 20: HTML with 200", "(200, not JSON)"),
    ],
)
def test_a_read_that_is_never_answered_whole_says_why_and_shows_nothing_of_it(meet: Any, fault: str, says: str) -> None:
    """Rows 15 to 18 and 20: three tries, exit 4, no half page on stdout and no escape on stderr."""
    place, clerk = meet({USERS: [BROKEN[fault]]})
    ended = place.run("api", "GET", "/users")
    assert (ended.code, ended.out, clerk.count(USERS)) == (4, "", 3)
    assert says in ended.err
    assert "Traceback" not in ended.err
    assert "\x1b" not in ended.err
    assert "<html>" not in ended.err


@pytest.mark.parametrize("where", ["head", "body", "silence"])
def test_row_19_an_answer_that_drips_or_stalls_ends_at_the_deadline(meet: Any, where: str) -> None:
    says = {
        "head": Say(OPENING * 99, drip_s=0.05),
        "body": Say(OPENING + b"Content-Length: 999\r\n\r\n" + b" " * 999, drip_s=0.05),
        "silence": Say(OPENING + b"Content-Length: 999\r\n\r\n[", "stall"),
    }
    place, clerk = meet({USERS: [says[where], GOOD]})
    ended = replace(place, program=IMPATIENT).run("api", "GET", "/users")
    assert (ended.code, ended.json) == (0, [{"id": "user_1", "object": "user"}]), ended.err
    assert clerk.count(USERS) == 2


BLANKS = b" " * (64 * 2**20)


def bomb(packing: str) -> Say:
    """640 MB once unpacked, by 640 KB; unpacked, they do not end."""
    if packing == "gzip":
        return answer(gzip.compress(BLANKS, 1) * 10, headers={"Content-Encoding": "gzip"})
    if packing == "deflate":
        packer = zlib.compressobj(1)
        return answer(
            b"".join(packer.compress(BLANKS) for _ in range(10)) + packer.flush(),
            headers={"Content-Encoding": "deflate"},
        )
    return Say(OPENING + b"\r\n[" + BLANKS, "stall")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("packing", ["gzip", "deflate", "none"])
def test_row_18_a_bomb_is_unpacked_no_further_than_64_mb(meet: Any, packing: str) -> None:
    place, clerk = meet({USERS: [bomb(packing)] if packing == "gzip" else [bomb(packing), GOOD]})
    ended = replace(place, program=MEASURED).run("api", "GET", "/users")
    if packing == "gzip":
        assert (ended.code, ended.out, clerk.count(USERS)) == (4, "", 3)
        assert "larger than 64 MB" in ended.err
    else:
        assert (ended.code, clerk.count(USERS)) == (0, 2), ended.err
    assert int((place.folder / "memory").read_text()) < 300_000, "KB"


def test_row_13_a_refused_connection_sends_nothing_and_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        # Bound and not listening: whoever connects is refused.
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        variables = {"CLERK_API_URL": address, "CLERK_SECRET_KEY": "sk_test_x", "CLERK_BATCH_SPEED": "60"}
        ended = Workplace(tmp_path, variables).run("api", "POST", "/invitations", "-d", INVITATION, "--yes", "--admin")
    assert ended.code == 4
    assert "no connection" in ended.err
    assert "may have happened" not in ended.err


INVITATION = '{"email_address": "ada@example.com"}'


def test_row_13_a_name_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """``.invalid`` is promised to be nobody's, so no network is needed to find that out."""
    variables = {"CLERK_API_URL": "https://clerk.invalid", "CLERK_SECRET_KEY": "sk_test_x", "HTTPS_PROXY": ""}
    ended = Workplace(tmp_path, variables).run("api", "POST", "/invitations", "-d", INVITATION, "--yes", "--admin")
    assert ended.code == 4
    assert "clerk.invalid" in ended.err
    assert "the host name was not found" in ended.err or "no connection" in ended.err
    assert "may have happened" not in ended.err


def moved(place: str, status: str = "302 Found") -> Say:
    return Say(f"HTTP/1.1 {status}\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode(), "keep")


def test_row_21_the_same_host_is_followed_for_a_get(meet: Any) -> None:
    script = {USERS: [moved("/v1/moved?limit=7")], "GET /v1/moved": [GOOD]}
    place, clerk = meet(script)
    ended = place.run("api", "GET", "/users")
    assert (ended.code, ended.json) == (0, [{"id": "user_1", "object": "user"}]), ended.err
    assert [one.target for one in clerk.arrived][-2:] == [USERS, "GET /v1/moved"]
    assert "?limit=7 " in clerk.arrived[-1].line


def test_row_21_a_circle_at_the_same_host_ends(meet: Any) -> None:
    place, clerk = meet({USERS: [moved("/v1/users")]})
    ended = place.run("api", "GET", "/users")
    assert (ended.code, clerk.count(USERS)) == (4, 4)
    assert "redirects" in ended.err


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("GET", "302 Found"),
        ("GET", "308 Permanent Redirect"),
        ("POST", "307 Temporary Redirect"),
        ("POST", "303 Other"),
    ],
)
def test_row_21_no_other_host_ever_sees_the_token(meet: Any, method: str, status: str) -> None:
    """Another port of the same machine is another host. A write is followed nowhere, not even at the same one."""
    target = f"{method} /v1/invitations"
    words = ("-d", INVITATION, "--yes") if method == "POST" else ()
    with hostile_clerk() as other:
        for place in (f"{other.address}/v1/invitations", *(["/v1/users"] if method == "POST" else [])):
            workplace, clerk = meet({target: [moved(place, status)]})
            ended = workplace.run("api", method, "/invitations", *words)
            assert ended.code == (4 if method == "GET" else 1), ended.err
            assert clerk.count(target) == 1
            assert clerk.arrived[-1].target == target
        assert other.arrived == []


def test_row_22_dates_that_cannot_be_change_nothing(meet: Any) -> None:
    """One is long past, one is no date; the third answer is shown after two that were not whole."""

    def dated(date: str, body: bytes) -> Say:
        return answer(body, headers={"Date": date})

    far, none, past = "Fri, 31 Dec 9999 23:59:59 GMT", "0" * 5000, "Thu, 01 Jan 1970 00:00:00 GMT"
    place, clerk = meet({USERS: [dated(far, b"["), dated(none, b"["), dated(past, b"[]")]})
    ended = place.run("api", "GET", "/users")
    assert (ended.code, ended.out, clerk.count(USERS)) == (0, "[]\n", 3), ended.err


@pytest.mark.parametrize("shape", [{"users": []}, [{"name": "nobody"}], [[]], None])
def test_row_34_an_answer_of_another_shape_stops_the_export_and_is_no_export(meet: Any, shape: object) -> None:
    """Stopped at once and not once for each row; a file that looked whole would be worse than none."""
    counted = answer({"object": "total_count", "total_count": 3})
    place, clerk = meet({USERS: [answer(shape)], "GET /v1/users/count": [counted]})
    place.write("job.yaml", "name: all\nkind: export\nlist: users\noutput: users.jsonl\n")
    ended = place.run("run", "job.yaml", "--json")
    assert (ended.code, ended.json["error"]["exit"]) == (4, 4), ended.out
    assert clerk.count(USERS) < 10
    assert not (place.folder / "users.jsonl").exists()


def test_a_page_by_contract_is_shown_as_text(meet: Any) -> None:
    """The one operation that answers with HTML: its page is the answer, and commands in it are text."""
    place, _ = meet({"GET /v1/public/interstitial": [answer(b"<p>\x1b[2J\n</p>", kind="text/html; charset=utf-8")]})
    ended = place.run("api", "GET", "/public/interstitial")
    assert (ended.code, ended.out) == (0, "<p>\\x1b[2J\n</p>\n"), ended.err
