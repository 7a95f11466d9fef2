"""Reads of an answer what a metadata job looks at, and skips the rest.

A user of Clerk's is two kilobytes in sixty values, of which three or four count here. To make objects of all of them,
a hundred users at a time, costs more than everything else that is done for a row before it is sent.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from clerk_jobs.call import Reader
from clerk_jobs.metadata.numbers import loads_exact

__all__ = ["reader_of"]

_ABSENT = msgspec.Raw()


@cache
def reader_of(names: tuple[str, ...]) -> Reader:
    """A reader of JSON that keeps these values of an object, of each object in a list, and of each in ``data``.

    Numbers keep their spelling, see `clerk_jobs.metadata.numbers`. What looks otherwise is read as a whole.

    Raises:
        ValueError: by the reader: it is no JSON.

    Example:
        >>> read = reader_of(("id", "n"))
        >>> read(b'[{"id": "a", "n": {"x": null}, "rest": {"n": 1}}, {"id": "b"}]')
        [{'id': 'a', 'n': {'x': None}}, {'id': 'b'}]
        >>> read(b'{"data": [{"id": "a"}], "total_count": 1}'), read(b'{"id": "a", "rest": []}'), read(b"[7]")
        ({'data': [{'id': 'a'}]}, {'id': 'a'}, [7])
    """
    fields = [(name, msgspec.Raw, _ABSENT) for name in names]
    thing = msgspec.defstruct("Thing", fields)
    several = msgspec.json.Decoder(list[thing])  # type: ignore[valid-type]
    single = msgspec.json.Decoder(msgspec.defstruct("Single", [*fields, ("data", list[thing] | None, None)]))  # type: ignore[valid-type]

    def kept(one: Any) -> dict[str, Any]:
        raws = ((name, getattr(one, name)) for name in names)
        return {name: _value(raw) for name, raw in raws if raw is not _ABSENT}

    def read(body: bytes | memoryview) -> Any:
        try:
            if bytes(body[:1]) == b"[":
                return [kept(one) for one in several.decode(body)]
            found: Any = single.decode(body)
        except (ValueError, RecursionError):
            # None that is documented: whoever asked judges it.
            return loads_exact(body)
        return kept(found) if found.data is None else {"data": [kept(one) for one in found.data]}

    return read


def _value(raw: msgspec.Raw) -> Any:
    text = bytes(raw)
    if text == b"{}":
        return {}
    # A text has no numbers, and is what ids are.
    return msgspec.json.decode(text) if text.startswith(b'"') else loads_exact(text)
