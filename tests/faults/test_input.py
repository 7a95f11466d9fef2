"""Rows 44 to 48 and 61 of the fault matrix: files as people have them, and as nobody should."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from clerk_testing.commands import Ended, Workplace

JOB = 'name: beta\nkind: invite\nsource: rows.csv\nemail: "{email}"\npublic_metadata: {note: "{note}"}\n'
PLAN = ("plan", "job.yaml", "--offline", "--json")


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    workplace = Workplace(tmp_path, {"CLERK_SECRET_KEY": "sk_test_x", "CLERK_API_URL": "http://127.0.0.1:9"})
    workplace.write("job.yaml", JOB)
    return workplace


def planned(place: Workplace, rows: bytes) -> Ended:
    (place.folder / "rows.csv").write_bytes(rows)
    ended = place.run(*PLAN)
    assert "Traceback" not in ended.err
    return ended


AWKWARD: tuple[tuple[str, str | None], ...] = (
    ('ada@example.com,"a"', None),
    ("ada+tag@example.com,", None),
    ("ada@b\u00fccher.example,", None),
    ("bob@example.com", "ragged_row"),
    ("bob@example.com,x,y", "ragged_row"),
    ("bob@example.com,a\0b", "nul_byte"),
    (f"bob@example.com,{'x' * 200_000}", "field_too_large"),
    ("bob(at)example.com,", "invalid_email"),
    (f"{'a' * 300}@example.com,", "invalid_email"),
    ("eve@example.com,x", None),
    ("EVE@Example.com,x", None),
    ("kim@example.com,x", "conflicting_rows"),
    ("kim@example.com,y", "conflicting_rows"),
)
"""Rows, each with the code of what is wrong with it; the second Eve is the first one again, and skipped."""


def test_rows_44_to_48_each_bad_row_is_named_by_its_line_and_the_others_are_planned(place: Workplace) -> None:
    """Behind a byte order mark, with CRLF; before them a row of two lines, which moves all others down by one."""
    text = "\ufeffemail,note\r\n" + 'zoe@example.com,"a\r\nb"\r\n' + "".join(f"{row}\r\n" for row, _ in AWKWARD)
    ended = planned(place, text.encode())
    wrong = [(line, code) for line, (_, code) in enumerate(AWKWARD, 4) if code]
    assert [(one["line"], one["code"]) for one in ended.json["problems"]] == wrong
    assert "bob" not in str(ended.json["problems"])
    items = {word: count for word, count in ended.json["items"].items() if count}
    assert (ended.code, items) == (1, {"total": 14, "failed": 8, "skipped": 1, "pending": 5})
    why = {(reason["status"], reason["code"]): reason["rows"] for reason in ended.json["reasons"]}
    assert why == Counter(("failed", code) for _, code in AWKWARD if code) + Counter({("skipped", "duplicate_row"): 1})


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        ("email,note\n\u00e9@b.co,x\n".encode("latin-1"), 2, "byte 0xe9 at offset 11 is not utf-8"),
        (b"email,email\na,b\n", 1, "column 'email' appears twice"),
        (b"mail,note\na,b\n", 1, "column 'email' (for email) is not in rows.csv"),
        (b'email,note\n"a@b.co,x\n', 2, "a quote in this row is never closed"),
        (b"", None, "is empty: it has no header"),
    ],
)
def test_rows_44_to_46_a_file_that_is_wrong_as_a_whole_is_refused(
    place: Workplace, rows: bytes, line: int | None, says: str
) -> None:
    ended = planned(place, rows)
    error = ended.json["error"]
    assert (ended.code, error["file"], error["line"], error["message"]) == (2, "rows.csv", line, says)
    assert error["hint"]


@pytest.mark.parametrize("rows", ["email,note\na@b.co,x\n".encode("utf-16"), b"email,note\ra@b.co,x\r"])
def test_row_44_every_encoding_that_tells_itself_and_every_end_of_line(place: Workplace, rows: bytes) -> None:
    ended = planned(place, rows)
    assert (ended.code, ended.json["items"]["pending"]) == (0, 1)


BOMB = "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{m}, *{m}]\n" for m, n in zip("abcdefghi", "bcdefghij", strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "alias"),
        ("x: !!python/object/apply:os.system [exit]\n", "tag"),
        ("name: other\n", "name"),
        ("emial: x\n", "email"),
        ("#" * 1_100_000, "larger than 1 MB"),
        ("a: " + "[" * 5_000, "nested"),
    ],
    ids=["aliases", "tags", "twice", "unknown", "huge", "deep"],
)
def test_row_61_a_job_file_of_ill_will_is_refused_with_its_place(place: Workplace, text: str, says: str) -> None:
    place.write("job.yaml", JOB + text)
    ended = place.run("plan", "job.yaml", "--offline")
    assert ended.code == 2, ended
    assert says in ended.err
    assert "Traceback" not in ended.err
    assert ended.err.startswith("job.yaml")
