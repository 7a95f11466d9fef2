"""In which encoding a file is written: what its first bytes say, what the job file says, else UTF-8."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

from clerk_jobs.errors import InputError
from clerk_jobs.wording import did_you_mean, shown

__all__ = ["Encoding", "encoding_problem", "find_encoding"]

_WIDE: Final = frozenset({"utf-16-le", "utf-16-be"})
# In all of these but UTF-16 a byte 0x0A or 0x0D is a line's end and nothing else, so lines can be found in bytes.
_SUPPORTED: Final = frozenset(
    {"utf-8", "utf-16", "ascii", "cp437", "cp850", "cp852", "cp866", "koi8-r", "koi8-u", "mac-roman", "cp874"}
    | {"cp932", "shift_jis", "euc_jp", "cp949", "euc_kr", "gb2312", "gbk", "gb18030", "big5", "cp950", "iso8859-1"}
    | {f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)}
    | {f"cp125{page}" for page in range(9)}
    | _WIDE
)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MAGIC: Final = {
    b"PK\x03\x04": "a spreadsheet or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"\x1f\x8b": "compressed",
    b"\x28\xb5\x2f\xfd": "compressed",
    b"%PDF": "a PDF",
    codecs.BOM_UTF32_LE: "in UTF-32",
    codecs.BOM_UTF32_BE: "in UTF-32",
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes become text.

    Attributes:
        codec: Python's name.
        start: bytes before the text, the byte order mark.
    """

    codec: str
    start: int

    @property
    def wide(self) -> bool:
        """Whether a line's end is two bytes."""
        return self.codec in _WIDE


def encoding_problem(name: str) -> tuple[str, str] | None:
    """Say (message, hint) why an encoding cannot be used; None when it can."""
    if _canonical(name) in _SUPPORTED:
        return None
    hint = did_you_mean(name, _SUPPORTED) or "the usual ones are utf-8, utf-16, windows-1252 and iso-8859-1"
    return f"{shown(name)} is not an encoding that can be read", hint


def find_encoding(head: bytes, declared: str | None, name: str) -> Encoding:
    """Decide how a file is to be read.

    Args:
        head: its first bytes, at least 4 if it has so many.
        declared: the encoding that the job file names.
        name: the file, for messages.

    Raises:
        InputError: the file is no text, the encoding is unknown, or the file says otherwise.
    """
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise InputError(name, f"is {what}, not text", hint="save it as CSV in UTF-8")
    if declared is not None and (problem := encoding_problem(declared)) is not None:
        raise InputError(name, problem[0], hint=problem[1])
    wanted = None if declared is None else _canonical(declared)
    for mark, codec in _MARKS:
        if head.startswith(mark):
            if wanted not in {None, codec} and not (wanted == "utf-16" and codec in _WIDE):
                message = f"begins with the byte order mark of {codec}, but encoding says {declared}"
                raise InputError(name, message, line=1, hint="remove encoding: from the job file")
            return Encoding(codec, len(mark))
    if wanted == "utf-16":
        hint = "write encoding: utf-16-le or utf-16-be"
        raise InputError(name, "has no byte order mark that says which UTF-16 it is", line=1, hint=hint)
    return Encoding(wanted or "utf-8", 0)


def _canonical(name: str) -> str | None:
    try:
        codec = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return "utf-8" if codec == "utf-8-sig" else codec
