"""A page of a list, split into its rows without reading them: raw in, raw out.

A row stays the bytes that Clerk sent. Only its id and its time of creation are read, because the walk and the order
of the output need them; a field that nobody knows is no error, and no number changes its spelling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from clerk_jobs.catalog.operation import ListShape

__all__ = ["NotAList", "Page", "as_line", "parse_page"]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one answer, in its order; ids, times and lines go together.

    Attributes:
        ids: never empty texts.
        created_ms: unix milliseconds; 0 where a row has no such time.
        lines: the JSON of each row as it was sent, on one line with its end.
        total_count: how many rows the list has, where the answer says it.
    """

    ids: Sequence[str]
    created_ms: Sequence[int]
    lines: bytes = field(repr=False)
    total_count: int | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def split(self) -> list[bytes]:
        """The lines one by one, without their ends."""
        return self.lines.split(b"\n")[:-1]


@dataclass(frozen=True, slots=True)
class NotAList:
    """JSON to the last byte, and not a list of rows with ids: the export cannot go on.

    Attributes:
        reason: what was found, without any content.
    """

    reason: str


class _Head(msgspec.Struct, gc=False):
    id: str
    created_at: int


class _LooseHead(msgspec.Struct, gc=False):
    id: str
    created_at: int | float | str | None = None


class _Envelope(msgspec.Struct, gc=False):
    total_count: int | None = None
    data: list[msgspec.Raw] | None = None
    m2m_tokens: list[msgspec.Raw] | None = None


_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_HEAD = msgspec.json.Decoder(_Head)
_LOOSE_HEAD = msgspec.json.Decoder(_LooseHead)
_HEADS = msgspec.json.Decoder(list[_Head])


def parse_page(body: bytes | memoryview, shape: ListShape) -> Page | NotAList:
    """Split an answer into rows; nothing of the body is kept.

    Raises:
        ValueError: the body is not JSON to its last byte, so it is no answer at all.

    Example:
        >>> page = parse_page(b'[{"id": "user_1", "created_at": 5, "new": 1.0}]', ListShape.ARRAY)
        >>> page.ids, page.created_ms, page.split()
        (['user_1'], [5], [b'{"id": "user_1", "created_at": 5, "new": 1.0}'])
        >>> parse_page(b'{"errors": []}', ListShape.DATA).reason
        'no array of rows'
    """
    try:
        raws, total_count = _split(body, shape)
    except msgspec.ValidationError:
        msgspec.json.decode(body)
        return NotAList("no array of rows")
    if raws is None:
        return NotAList("no array of rows")
    try:
        # Twice through the answer in C is faster than once, and then through every row from Python.
        heads: list[_Head] = _HEADS.decode(body) if _is_array(body) else [_HEAD.decode(raw) for raw in raws]
    except msgspec.ValidationError:
        return _loosely(raws, total_count)
    ids, times = [head.id for head in heads], [head.created_at for head in heads]
    return Page(ids, times, _lines(raws), total_count) if all(ids) else NotAList("a row without an id")


def _is_array(body: bytes | memoryview) -> bool:
    return next((byte for byte in body if byte not in b" \t\r\n"), 0) == ord("[")


def _lines(raws: list[msgspec.Raw]) -> bytes:
    # A line break inside of a text is escaped, so one anywhere in a row stands between tokens.
    lines = b"\n".join((*raws, b""))
    if _last_break(lines, len(raws)) == len(lines) - 1 and b"\r" not in lines:
        return lines
    return b"\n".join((*[as_line(raw) for raw in raws], b""))


def _last_break(lines: bytes, breaks: int) -> int:
    """Where the last of so many line breaks is. To count them all takes eight times as long."""
    place = -1
    for _ in range(breaks):
        place = lines.find(b"\n", place + 1)
    return place


def _split(body: bytes | memoryview, shape: ListShape) -> tuple[list[msgspec.Raw] | None, int | None]:
    if _is_array(body):
        return (_ARRAY.decode(body), None) if shape is ListShape.ARRAY else (None, None)
    envelope = _ENVELOPE.decode(body)
    rows = envelope.m2m_tokens if shape is ListShape.M2M_TOKENS else envelope.data
    return rows, envelope.total_count


def _loosely(raws: list[msgspec.Raw], total_count: int | None) -> Page | NotAList:
    """Some lists have rows without a time, or with one that is no whole number."""
    try:
        heads = [_LOOSE_HEAD.decode(raw) for raw in raws]
    except msgspec.ValidationError:
        return NotAList("a row without an id")
    times = [int(head.created_at) if isinstance(head.created_at, int | float) else 0 for head in heads]
    if not all(head.id for head in heads):
        return NotAList("a row without an id")
    return Page([head.id for head in heads], times, _lines(raws), total_count)


def as_line(raw: msgspec.Raw) -> msgspec.Raw:
    r"""A row on one line: what was indented over many is put on one, everything else stays as it was sent.

    Example:
        >>> bytes(as_line(msgspec.Raw(b'{"a":\n  1.0e5}')))
        b'{"a":1.0e5}'
    """
    sent = bytes(raw)
    return msgspec.Raw(msgspec.json.format(sent, indent=-1)) if b"\n" in sent or b"\r" in sent else raw
