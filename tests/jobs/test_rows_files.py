"""The file behind a source: what may be opened, standard input, encodings, and what happens when it changes."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
from pathlib import Path

import pytest

from clerk_jobs.errors import InputError
from clerk_jobs.rows import CsvSource, JsonlSource, Row, RowSource, Source, open_rows

DATA = b"email,name\na@b.c,Ada\n"


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def rows(source: RowSource) -> list[dict[str, object]]:
    return [dict(each.values) for each in source if isinstance(each, Row)]


def refused(source: Source | str, folder: Path, *, allow_outside: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        list(open_rows(source, folder, allow_outside=allow_outside))
    return str(caught.value)


def test_the_fingerprint_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(DATA)
    source = open_rows("a.csv", tmp_path)
    assert source.fingerprint == hashlib.sha256(DATA).hexdigest()
    assert source.size == len(DATA)
    assert source.name == "a.csv"


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    assert refused("no.csv", tmp_path) == (
        "no.csv: cannot be read: no such file or directory; the path is relative to the job file"
    )
    (tmp_path / "dir.csv").mkdir()
    assert refused("dir.csv", tmp_path) == "dir.csv: cannot be read: is a directory"
    os.mkfifo(tmp_path / "pipe.csv")
    assert refused("pipe.csv", tmp_path) == "pipe.csv: is not a regular file; pipe it in, with source: '-'"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(DATA)
    (tmp_path / "a.csv").chmod(0)
    assert refused("a.csv", tmp_path) == "a.csv: cannot be read: permission denied; check its permissions"


def test_files_outside_of_the_folder_need_leave(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (tmp_path / "a.csv").write_bytes(DATA)
    (folder / "link.csv").symlink_to("../a.csv")
    for path in ("../a.csv", str(tmp_path / "a.csv"), "link.csv", "/dev/zero"):
        message = f"{path}: is outside the job file's folder; move the file there, or pass --allow-outside"
        assert refused(path, folder) == message
    assert len(rows(open_rows("../a.csv", folder, allow_outside=True))) == 1
    assert len(rows(open_rows("link.csv", folder, allow_outside=True))) == 1


def test_devices_are_no_sources(tmp_path: Path) -> None:
    assert "is not a regular file" in refused("/dev/zero", tmp_path, allow_outside=True)


def test_links_inside_of_the_folder_are_followed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(DATA)
    (tmp_path / "latest.csv").symlink_to("a.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    assert len(rows(open_rows("latest.csv", tmp_path))) == 1
    assert refused("loop.csv", tmp_path).startswith("loop.csv: cannot be read: too many levels of symbolic links")


def test_standard_input_is_copied_and_read_from_the_copy(tmp_path: Path) -> None:
    copy = tmp_path / "run" / "input"
    copy.parent.mkdir()
    previous = os.umask(0)
    try:
        source = open_rows("-", tmp_path, stdin_copy=copy, stdin=io.BytesIO(DATA))
    finally:
        os.umask(previous)
    assert rows(source) == [{"email": "a@b.c", "name": "Ada"}]
    assert copy.read_bytes() == DATA
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [file.name for file in copy.parent.iterdir()] == ["input"]
    assert source.name == "standard input"


def test_a_copy_that_is_there_is_used_and_standard_input_left_alone(tmp_path: Path) -> None:
    copy = tmp_path / "input"
    copy.write_bytes(b'{"a": 1}\n')
    stdin = io.BytesIO(DATA)
    assert rows(open_rows(JsonlSource("-"), tmp_path, stdin_copy=copy, stdin=stdin)) == [{"a": 1}]
    assert stdin.tell() == 0


def test_half_a_copy_of_a_run_that_died_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "input.partial").write_bytes(b"x" * 1000)
    source = open_rows("-", tmp_path, stdin_copy=tmp_path / "input", stdin=io.BytesIO(DATA))
    assert source.size == len(DATA)


def test_standard_input_needs_a_run_and_a_pipe(tmp_path: Path) -> None:
    assert refused("-", tmp_path) == (
        "standard input: can only be read by a run, which keeps a copy; name a file as the source"
    )
    with pytest.raises(InputError) as caught:
        open_rows("-", tmp_path, stdin_copy=tmp_path / "input", stdin=Terminal())
    assert str(caught.value) == ("standard input: is a terminal; pipe the rows in, or name a file as the source")


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(DATA)
    message = "a.csv: was changed while it was being read; start again when nothing writes to it"
    with open_rows("a.csv", tmp_path) as source:
        first, *_ = source
        reading = iter(source)
        next(reading)
        assert source.read_at(first.offset, first.line, first.number) == first
        with file.open("ab") as opened:
            opened.write(b"c@d.e,Cleo\n")
        for attempt in (lambda: list(reading), lambda: list(source), lambda: source.fingerprint):
            with pytest.raises(InputError) as caught:
                attempt()
            assert str(caught.value) == message


def test_an_offset_without_a_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(DATA + b"\nx,y\n")
    with open_rows("a.csv", tmp_path) as source:
        for offset in (len(DATA), len(DATA) + 5, 10_000):
            with pytest.raises(InputError) as caught:
                source.read_at(offset, 3, 2)
            assert str(caught.value) == (
                f"a.csv:3: there is no row 2 at byte {offset}; the file is not the one that was read before"
            )


def test_reading_goes_on_after_a_row_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(DATA + b"x,caf\xe9\ny,z\n")
    with open_rows("a.csv", tmp_path) as source:
        for _ in range(2):
            with pytest.raises(InputError, match=r"a\.csv:3: byte 0xe9 at offset 26"):
                source.read_at(len(DATA), 3, 2)
        assert source.read_at(len(DATA) + 7, 4, 3) == Row(3, 4, len(DATA) + 7, {"email": "y", "name": "z"})


def test_closing_may_be_done_twice_and_reading_go_on_after_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(DATA)
    source = open_rows("a.csv", tmp_path)
    source.close()
    record = source.read_at(11, 2, 1)
    source.close()
    source.close()
    assert record == next(iter(source))


SAVE = "save it as UTF-8, or name its encoding: source: {csv: ..., encoding: windows-1252}"
USUAL = "the usual ones are utf-8, utf-16, windows-1252 and iso-8859-1"
NO_MARK = "has no byte order mark that says which UTF-16 it is; write encoding: utf-16-le or utf-16-be"
TEXT = "email,name\nä@b.c,Zoë 😀\n\nx,y\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), None),
        (TEXT.encode("utf-8-sig"), None),
        (TEXT.encode("utf-8-sig"), "utf-8"),
        (TEXT.encode("utf-16"), None),
        (TEXT.encode("utf-16"), "UTF-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), None),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.encode("gb18030"), "gb18030"),
        (TEXT.replace("😀", "€").encode("windows-1252"), "windows-1252"),
        (TEXT.replace(" 😀", "").encode("latin-1"), "iso-8859-1"),
    ],
)
def test_encodings(tmp_path: Path, data: bytes, encoding: str | None) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with open_rows(CsvSource("a.csv", encoding=encoding), tmp_path) as source:
        first, second = source
        assert isinstance(first, Row)
        assert first.values["email"] == "ä@b.c"
        assert str(first.values["name"]).startswith("Zoë")
        assert second.line == 4
        assert source.read_at(second.offset, 4, 2) == second
        assert source.read_at(first.offset, 2, 1) == first


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (
            b"email\na\ncaf\xe9\n",
            None,
            f"a.csv:3: byte 0xe9 at offset 11 is not utf-8; {SAVE}",
        ),
        (
            "a\nb\n".encode("utf-16") + b"\x00\xd8",
            None,
            f"a.csv:3: byte 0x00 at offset 10 is not utf-16-le; {SAVE}",
        ),
        (
            "a\nb\n".encode("utf-16") + b"x",
            None,
            f"a.csv:3: byte 0x78 at offset 10 is not utf-16-le; {SAVE}",
        ),
        (
            b"a\n",
            "utf-16",
            f"a.csv:1: {NO_MARK}",
        ),
        (
            b"\xef\xbb\xbfa\n",
            "latin-1",
            (
                "a.csv:1: begins with the byte order mark of utf-8, but encoding says latin-1; "
                "remove encoding: from the job file"
            ),
        ),
        (b"a\n", "utf-7", "a.csv: 'utf-7' is not an encoding that can be read; did you mean utf-8?"),
        (
            b"a\n",
            "rot13",
            f"a.csv: 'rot13' is not an encoding that can be read; {USUAL}",
        ),
        (b"PK\x03\x04...", None, "a.csv: is a spreadsheet or a zip archive, not text; save it as CSV in UTF-8"),
        (gzip.compress(b"a\n", mtime=0), None, "a.csv: is compressed, not text; save it as CSV in UTF-8"),
        ("a\n".encode("utf-32"), None, "a.csv: is in UTF-32, not text; save it as CSV in UTF-8"),
        (
            "a\n".encode("utf-16-le"),
            None,
            (
                "a.csv:1: the header contains a NUL byte; "
                "if it is UTF-16, name it: source: {csv: ..., encoding: utf-16-le}"
            ),
        ),
    ],
)
def test_bytes_that_are_not_in_the_encoding(tmp_path: Path, data: bytes, encoding: str | None, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    assert refused(CsvSource("a.csv", encoding=encoding), tmp_path) == message


def test_wide_lines_are_bounded_too(tmp_path: Path) -> None:
    wide = ",".join(["x" * 100_000] * 12)
    (tmp_path / "a.csv").write_bytes(f"a,b\r\n1,2\r\n{wide}\r\n3,4\r\n".encode("utf-16"))
    with open_rows("a.csv", tmp_path) as source:
        records = list(source)
        assert [each.line for each in records] == [2, 3, 4]
        assert [isinstance(each, Row) for each in records] == [True, False, True]
        assert source.read_at(records[2].offset, 4, 3) == records[2]
